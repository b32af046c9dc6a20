// Loaded into processes that shall find a server by a name: sear.test is this machine.
import dns from "node:dns";

export const NAME = "sear.test";
const realLookup = dns.lookup;

dns.lookup = (host, ...rest) => realLookup(host === NAME ? "127.0.0.1" : host, ...rest);

import dns from "node:dns";

// The processes of tasks find a proxy by its name as the CLI does, see names.mjs: no option of the
// CLI's own process reaches them.
const realLookup = dns.lookup;
dns.lookup = ((host: string, ...rest: [never]) => realLookup(host === "sear.test" ? "127.0.0.1" : host, ...rest)) as typeof dns.lookup;

// Loaded into the CLI before its own code. When it starts, the CLI asks one host outside for a
// list of packages, tries five times, and takes its built-in list where that fails: 7.5 seconds
// on a machine without Internet. This lets the first failure to reach the host be the last one.
// A host that answers, with whatever it answers, is not touched.
const host = "jsonhero.io";
const unreachable = new Set([
  "ENOTFOUND",
  "EAI_AGAIN",
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ETIMEDOUT",
  "UND_ERR_CONNECT_TIMEOUT",
]);

// Processes that the CLI starts inherit its node options; this module is for the CLI alone.
process.execArgv = [];

const realFetch = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  try {
    return await realFetch(input, init);
  } catch (error) {
    if (!unreachable.has(error?.cause?.code)) throw error;
    if (new URL(input instanceof Request ? input.url : input).hostname !== host) throw error;

    return new Response(null, { status: 404, headers: { "x-should-retry": "false" } });
  }
};

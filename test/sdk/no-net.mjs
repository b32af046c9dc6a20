// Loaded into the CLI before its own code: answers for the two outside hosts it asks when it
// starts, so that the tests need no network and do not wait for its retries.
const realFetch = globalThis.fetch;

globalThis.fetch = async (input, init) => {
  const { hostname } = new URL(input instanceof Request ? input.url : input);
  if (hostname === "jsonhero.io") {
    return new Response("not found", { status: 404, headers: { "x-should-retry": "false" } });
  }
  if (hostname === "npm.antfu.dev") throw new TypeError("fetch failed");

  return realFetch(input, init);
};

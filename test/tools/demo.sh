#!/bin/sh
# The demonstration: a fresh Sear, the official CLI as its worker, one run.
set -eu

data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT INT TERM
address=127.0.0.1:$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')

bin/sear dev examples/hello-world --data "$data" --addr "$address" --trigger hello-world --payload '{"name":"you"}'

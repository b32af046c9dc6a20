#!/bin/sh
# Installs what the tests need and the machine lacks: Node from nowhere but the
# machine's packages, PostgreSQL's server, and Chromium. Locally only a missing Node is an error.
set -eu

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install() {
	command -v apt-get >/dev/null || return 1
	as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	install nodejs npm || { echo "Node 18.20 or newer with npm is needed" >&2; exit 1; }
fi

if ! command -v initdb >/dev/null && ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
	install postgresql || {
		echo "PostgreSQL's server is not installed" >&2
		[ "${CI:-}" != true ] || exit 1
	}
fi

# Go's race detector needs a C compiler.
if [ "${CI:-}" = true ] && ! command -v gcc >/dev/null; then install gcc libc6-dev; fi

# The proxies that the SDK's tests run. Installing one starts it, so that is left to CI.
for proxy in caddy nginx; do
	if [ "${CI:-}" = true ] && ! command -v $proxy >/dev/null; then install $proxy; fi
done
if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
	install --no-install-recommends chromium || {
		echo "Chromium is not installed: no test is done with a browser" >&2
		[ "${CI:-}" != true ] || exit 1
	}
fi

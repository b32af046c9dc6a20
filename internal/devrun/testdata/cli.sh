#!/bin/sh
# Stands in for node and the CLI in tests: it has the same family of processes. It starts a
# task that ignores SIGTERM and a detached watchdog, notes their ids in the project's pids
# file, says that it is ready, and ends when told to or when the project's exit file says so.
mkdir -p .trigger
sh -c 'trap "" TERM; while :; do sleep 0.1; done' &
setsid sh -c "echo trigger-watchdog:\$\$ > .trigger/watchdog.pid
  while kill -0 $$ 2>/dev/null; do sleep 0.05; done
  sleep 0.2; echo told >> goodbye; rm .trigger/watchdog.pid" >/dev/null 2>&1 &
until [ -s .trigger/watchdog.pid ]; do sleep 0.02; done

echo "$TRIGGER_PROJECT_REF $TRIGGER_API_URL $TRIGGER_ACCESS_TOKEN $(printf '%s ' "$@" | sed 's/base64,[^ ]*/base64/')" > started
{ echo $$; echo $!; cut -d: -f2 .trigger/watchdog.pid; pgrep -P $$; } > pids.new && mv pids.new pids
echo "a warning" >&2
echo "Local worker ready on branch: default [node-24] -> 20261124.1"

trap 'exit 0' TERM
while [ ! -e exit ]; do sleep 0.05; done
exit "$(cat exit)"

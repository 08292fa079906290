#!/bin/bash
# The examples of the README against a fleet in a folder of its own: examples.sh BUILD_FOLDER.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$1
folder=$(mktemp -d)
export PATH="$build/bin:$PATH"
export PONS_RUNTIME_DIR=$folder/run PONS_STATE_DIR=$folder/state PONS_BROKER_LISTEN=ipc://broker.sock PONS_GATEWAY_LISTEN='tcp://127.0.0.1:*'
trap 'pons down >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT

endpoint=ipc://$folder/run/broker.sock
expect() {
  local words=$1 answer
  shift
  answer=$("$@") || { echo "$*: status $?"; exit 1; }
  [ "$answer" = "$words" ] || { printf '%s: expected "%s", got "%s"\n' "$*" "$words" "$answer"; exit 1; }
}

pons up --detach
expect "a question" "$build/tests/example-ask" "a question" "$endpoint"
expect "a question" /usr/bin/python3 "$root/docs/examples/ask.py" "a question" "$endpoint"
expect "hello" "$build/tests/example-ask" hello "$endpoint"
pons down
echo "examples: C and Python have their answers"

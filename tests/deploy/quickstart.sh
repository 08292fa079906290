#!/bin/bash
# deploy/quickstart --once as a newcomer runs it, with sockets and state in a folder of its own.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

export DEPLOY_SKIP_PACKAGES=1 # a test installs nothing
export PONS_RUNTIME_DIR=$folder/run PONS_STATE_DIR=$folder/state PONS_BROKER_LISTEN=ipc://broker.sock PONS_GATEWAY_LISTEN='tcp://127.0.0.1:*'

fail() {
  printf '%s; quickstart said:\n' "$1"
  cat "$folder/output"
  exit 1
}

"$root/deploy/quickstart" --once >"$folder/output" 2>&1 || fail "status $? instead of 0"
grep -q 'echo' "$folder/output" || fail "the table does not show the echo agent"
grep -q '^> ' "$folder/output" || fail "no question was asked"
test "$(sed -n '/^> /,$p' "$folder/output" | grep -c 'there?')" -gt 2 || fail "the answer did not come back"
left=$(grep -lZ -r "$folder" /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | grep -v "/$$/" || true)
for process in $left; do
  case $(readlink "${process%/environ}/exe") in
    */bin/pons*) fail "left behind: $process" ;;
  esac
done
echo "quickstart --once: table, question, answer, and nothing left behind"

#!/bin/bash
# deploy/quickstart --once as a newcomer runs it, with sockets and state in a folder of its own.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

export DEPLOY_SKIP_PACKAGES=1 # a test installs nothing
export PONS_RUNTIME_DIR=$folder/run PONS_STATE_DIR=$folder/state PONS_BROKER_LISTEN=ipc://broker.sock
port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export PONS_GATEWAY_LISTEN=tcp://127.0.0.1:$port
unset PONS_CONFIG

fail() {
  printf '%s; quickstart said:\n' "$1"
  cat "$folder/output"
  exit 1
}

status=0
"$root/deploy/quickstart" --once >"$folder/output" 2>&1 || status=$?
for agent in gateway request_coordinator model_manager_suite remote_api_adapter tiny_llama_service_enhanced echo; do
  grep -q "^$agent  *[0-9]* *ready" "$folder/output" || fail "the table does not show $agent as ready"
done
grep -q '^> ' "$folder/output" || fail "no question was asked"
if "$root/deploy/llm" --check; then
  grep -qx 'Hello, I am the local test model.' "$folder/output" || fail "the answer did not come back"
  [ "$status" -eq 0 ] || fail "status $status instead of 0"
else
  grep -q 'deploy/llm' "$folder/output" || fail "nothing says how to get libllama"
  [ "$status" -eq 1 ] || fail "status $status instead of 1, without libllama"
fi
left=$(grep -lZ -r "$folder" /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | grep -v "/$$/" || true)
for process in $left; do
  case $(readlink "${process%/environ}/exe") in
    */bin/pons*) fail "left behind: $process" ;;
  esac
done
echo "quickstart --once: table, question, answer, and nothing left behind"

#!/bin/bash
# A second run of deploy/quickstart and deploy/check re-uses the build: both build by `build` of deploy/lib.sh, which is run
# twice here on this build folder. The second time there is nothing to configure and nothing to do.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$1
shift
source "$root/deploy/lib.sh"

for run in 1 2; do
  output=$(build "$(basename "$folder")" "$@" 2>&1)
done
fail() {
  printf '%s; the second run said:\n%s\n' "$1" "$output"
  exit 1
}
grep -q 'ninja: no work to do' <<<"$output" || fail "the second run did some work"
! grep -q 'configuring' <<<"$output" || fail "the second run configured again"
for command in quickstart check; do
  grep -qE '^ *build release programs$' "$root/deploy/$command" || fail "deploy/$command does not build by deploy/lib.sh"
done
echo "a second build has no work to do"

#!/bin/bash
# deploy/llm uses nothing whose hash differs, says what to do when npm can't fetch, and leaves alone what is there: tried with
# an npm that only pretends.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/bin"

fake_npm() {
  printf '#!/bin/bash\n%s\n' "$1" >"$folder/bin/npm"
  chmod +x "$folder/bin/npm"
}

# Runs deploy/llm $@ with the fake; prints what it said, and its status unless that is 0.
llm() {
  PATH="$folder/bin:$PATH" PONS_LLAMA_DIR="$folder/llama" bash "$root/deploy/llm" "$@" 2>&1 || echo "status $?"
}

expect() {
  case $2 in
    *"$3"*) ;;
    *) printf '%s: expected "%s" in:\n%s\n' "$1" "$3" "$2"; exit 1 ;;
  esac
}

fake_npm 'echo "npm error network" >&2; exit 1'
said=$(llm)
expect "no network" "$said" "is the network up?"
expect "no network" "$said" "the local model is unavailable until deploy/llm succeeds"
expect "no network" "$said" "status 1"
[ ! -e "$folder/llama" ] || { echo "something was left behind"; exit 1; }
expect "--check" "$(llm --check)" "status 1"

fake_npm 'mkdir package && echo other >package/libllama.so && tar -czf other.tgz package && rm -r package'
said=$(llm)
expect "another archive" "$said" "its hash differs); nothing of it is used"
[ ! -e "$folder/llama" ] || { echo "an archive with another hash was used"; exit 1; }

mkdir -p "$folder/llama/lib" "$folder/llama/include"
touch "$folder/llama/include/llama.h" "$folder/llama/lib/libllama.v0.5.0.so"
fake_npm 'echo "npm was asked"; exit 1'
[ -z "$(llm)" ] || { echo "it is there, but:"; llm; exit 1; }
[ -z "$(llm --check)" ] || { echo "--check does not see it"; exit 1; }
expect "unknown" "$(llm --nonsense)" "unknown argument"
echo "llm: fetched when absent, refused when it is not what it was, left alone when there"

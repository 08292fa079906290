#!/bin/bash
# deploy/lib.sh installs what is missing and nothing else: tried with an apt-get, a dpkg-query and an id that only say so.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fake() {
  printf '#!/bin/bash\n%s\n' "$2" >"$folder/$1"
  chmod +x "$folder/$1"
}

# Runs packages_install $@ with the fakes; prints what apt-get was asked for, and what was said.
install() {
  : >"$folder/asked"
  PATH="$folder:$PATH" DEPLOY_SKIP_PACKAGES='' bash -c \
    'set -euo pipefail; source "$0/deploy/lib.sh"; packages_install "$@"' "$root" "$@" 2>&1 || echo "status $?"
  cat "$folder/asked"
}

expect() {
  local what=$1 text=$2 words=$3
  case $text in
    *"$words"*) ;;
    *) printf '%s: expected "%s" in:\n%s\n' "$what" "$words" "$text"; exit 1 ;;
  esac
}

fake apt-get "echo \"asked \$*\" >>$folder/asked"
fake id 'echo 0'

fake dpkg-query 'shift 2; for name; do echo "installed $name"; done'
[ -z "$(install core test)" ] || { echo "all is installed, but:"; install core test; exit 1; }

fake dpkg-query 'shift 2; for name; do [ "$name" = libunwind-dev ] || echo "installed $name"; done; exit 1'
expect "one is missing" "$(install core)" "install -y --no-install-recommends libunwind-dev"

fake dpkg-query 'shift 2; for name; do echo "config-files $name"; done'
expect "removed but configured is missing" "$(install coverage)" "lcov"

expect "no such group" "$(install nonsense)" "has no group [nonsense]"

fake id 'echo 1000'
refusal=$(install coverage)
expect "not root" "$refusal" "sudo apt-get install --no-install-recommends lcov"
expect "not root" "$refusal" "status 1"
case $refusal in *asked*) echo "apt-get was run without root"; exit 1 ;; esac

fake id 'echo 0'
fake apt-get "echo \"asked \$*\" >>$folder/asked; exit 100"
expect "no network" "$(install coverage)" "is the network up?"
echo "packages: installed when missing, left alone when not"

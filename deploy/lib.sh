# Shared by the commands in deploy/: packages and builds. Sourced by bash, with `set -euo pipefail` in force.
# Sets ROOT to the top of the repository.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "pons: $*" >&2; }

die() {
  say "$*"
  exit 1
}

# The packages of groups $@ in deploy/packages.txt, one per line.
packages_of() {
  local group
  for group in "$@"; do
    grep -q "^\[$group\]" "$ROOT/deploy/packages.txt" || die "deploy/packages.txt has no group [$group]"
    awk -v group="[$group]" '/^#/ || NF == 0 { next } /^\[/ { inside = ($1 == group); next } inside { print $1 }' \
      "$ROOT/deploy/packages.txt"
  done
}

# Those of packages $@ that are not installed, one per line.
packages_missing() {
  local installed name
  # dpkg-query fails when it does not know one of them; what it says about the others is still right.
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
  for name in "$@"; do
    grep -qx "installed $name" <<<"$installed" || echo "$name"
  done
}

# Installs what is missing of the groups $@; does not touch the network when nothing is.
packages_install() {
  local wanted missing apt
  if [ -n "${DEPLOY_SKIP_PACKAGES:-}" ]; then
    return 0
  fi
  command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
    die "this is not Debian; install what deploy/packages.txt lists under: $* (then set DEPLOY_SKIP_PACKAGES=1)"
  mapfile -t wanted < <(packages_of "$@")
  mapfile -t missing < <(packages_missing "${wanted[@]}")
  [ "${#missing[@]}" -gt 0 ] || return 0
  apt=(apt-get -q -o DPkg::Lock::Timeout=300)
  if [ "$(id -u)" -ne 0 ]; then
    say "these packages are missing, and only root can install them:"
    say "  sudo apt-get install --no-install-recommends ${missing[*]}"
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  say "installing ${missing[*]}"
  if ! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1; then
    "${apt[@]}" update >&2 || die "apt-get update failed: see above; is the network up?"
  fi
  # The lists at hand may be too old for what they name; then fetch them and try again.
  if ! "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >&2; then
    "${apt[@]}" update >&2 || die "apt-get update failed: see above; is the network up?"
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >&2 || die "apt-get could not install: ${missing[*]}"
  fi
}

# Fetches libllama unless it is there. Without it everything but the local model works, so this never fails.
fetch_llm() {
  "$ROOT/deploy/llm" || true
}

# build PRESET [TARGET...]: configures build/PRESET if that has not been done, and builds it (all, or the targets).
# What it prints goes to standard error, so that a command's own output stays readable.
build() {
  local preset=$1 target targets=()
  shift
  for target in "$@"; do
    targets+=(--target "$target")
  done
  cd "$ROOT"
  if [ ! -f "build/$preset/build.ninja" ]; then
    say "configuring build/$preset"
    cmake --preset "$preset" >&2 || die "cmake could not configure preset $preset: see above"
  fi
  say "building build/$preset"
  cmake --build --preset "$preset" "${targets[@]}" >&2 || die "the build of preset $preset failed: see above"
}

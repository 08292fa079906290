#!/bin/bash
# Proves the commands of the README on a new minimal Debian 12: fresh.sh [quickstart] [check]; both when none is named.
# A root made by mmdebstrap, with a clone of the committed tree and nothing else but how this machine reaches its registries;
# entered with chroot in mount and pid namespaces of its own, so that nothing of it is left, however it ends. It shares the
# network: no fleet may be up beside it. Wants root; exit status 77 says that it could not be tried.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/lib.sh"

SUITE=bookworm
base='' child=''

clean_up() {
  trap - EXIT INT TERM
  [ -z "$child" ] || kill "$child" 2>/dev/null || true
  wait
  [ -z "$base" ] || rm -rf --one-file-system "$base"
}

cannot() {
  say "the fresh root can't be tried: $*"
  exit 77
}

# Where packages come from and how they are fetched, as this machine's apt has it.
write_apt_settings() {
  apt-config dump | grep '^Acquire::' >"$base/apt.conf"
  apt-get indextargets --format 'deb $(SITE) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
    grep -E "^deb [^ ]+ $SUITE(-security|-updates)? " | sort -u >"$base/sources.list"
  [ -s "$base/sources.list" ] || cannot "apt of this machine has no source of $SUITE"
}

# How names are resolved, whom TLS trusts, and npm's own settings; not one package.
copy_settings() {
  local root=$1 file
  cp "$base/apt.conf" "$root/etc/apt/apt.conf.d/00host"
  for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt /etc/npmrc /usr/etc/npmrc /root/.npmrc \
    /usr/local/share/ca-certificates/*; do
    [ ! -f "$file" ] || install -D -m "$(stat -c %a "$file")" "$file" "$root$file"
  done
  # A package that is installed starts no service: it would listen on the network of this machine.
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
}

# Runs a command line at the top of the clone and has its exit status.
inside() {
  local root=$base/root status=0
  # shellcheck disable=SC2016  # expanded by the inner shell
  unshare --mount --pid --fork --kill-child --propagation private bash -euc '
    root=$1
    mount -t proc proc "$root/proc"
    mount --rbind --make-rslave /dev "$root/dev"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    exec chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 TERM=dumb \
      PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash -c "cd /pons && $2"
  ' - "$root" "$1" </dev/null &
  child=$!
  wait "$child" || status=$?
  child=''
  return "$status"
}

prove() {
  local start=$SECONDS status=0
  say "in the fresh root: $1"
  inside "$1" || status=$?
  [ "$status" -eq 0 ] || die "in the fresh root, $1 failed with status $status after $((SECONDS - start)) s: see above"
  say "in the fresh root: $1: good after $((SECONDS - start)) s"
}

wanted=("$@")
[ $# -gt 0 ] || wanted=(quickstart check)
[ "$(id -u)" -eq 0 ] || cannot "only root can make one"
for tool in mmdebstrap unshare chroot git; do
  command -v "$tool" >/dev/null || cannot "$tool is not installed"
done

trap 'exit 130' INT TERM
trap clean_up EXIT
base=$(mktemp -d)
chmod 755 "$base"
write_apt_settings
say "making a minimal Debian 12 ($SUITE)"
mmdebstrap --quiet --variant=apt --aptopt="$base/apt.conf" "$SUITE" "$base/root" "$base/sources.list" ||
  die "mmdebstrap failed: see above; is the network up?"
copy_settings "$base/root"
[ -z "$(git -c safe.directory='*' -C "$ROOT" status --porcelain)" ] || say "what is not committed is not part of this"
git -c safe.directory='*' clone -q --no-hardlinks "$ROOT" "$base/root/pons"

for one in "${wanted[@]}"; do
  case $one in
    quickstart) prove 'deploy/quickstart --once' ;;
    check) prove 'deploy/check' ;;
    *) die "fresh.sh knows quickstart and check, not $one" ;;
  esac
done

#!/usr/bin/env bash
# Tries the packages in a bare Debian 12 without a compiler, and times each way in:
#
#   apt-get install ./ringfence_*.deb && ringfence check -- PROGRAM
#   tar xf ringfence-*.tar.gz && ringfence-*/bin/ringfence check -- PROGRAM
#
# and the same for the service, and the steps of its container file.
#
#   tools/try_packages.sh DIR [PACKAGES]     as root; PACKAGES: a folder with all (default: made by Bazel)
#
# DIR takes the system, some 300 MB, and is used again if it is there. Fails where a way does not find the bug of
# PROGRAM (docs/examples/off_by_one.c), or takes a minute of processor time: others may be at work on this machine.
# Prints "packages: passed" at the end.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/chroot.sh
. "$here/chroot.sh"

(($# == 1 || $# == 2)) || die "usage: $0 DIR [PACKAGES]"
dir=$1
readonly most_s=60
chroot_require_root
chroot_make bookworm "$dir"

trial=$dir/root/trial
rm -rf -- "$trial"
mkdir -p "$trial"
if (($# == 2)); then
  cp -- "$2"/ringfence-[0-9]*-linux-*.tar.gz "$2"/ringfence_*.deb "$trial/"
else
  (cd -- "$here/.." && ./bazelw run //tools:package -- "$trial") >"$dir.build.log" 2>&1 ||
    die "the packages cannot be made, see $dir.build.log"
fi
gcc -g -O0 -o "$trial/program" "$here/../docs/examples/off_by_one.c"
# As on a machine that is in use: the lists of packages are there, Ringfence is not, even if an earlier trial failed.
rm -f -- "$dir/usr/local/bin/ringfence-serve"
chroot_enter "$dir" sh -c 'apt-get update -q && { dpkg --purge ringfence-serve ringfence || true; }' \
  >"$dir.apt.log" 2>&1 || die "apt-get update failed, see $dir.apt.log"

# name, command, what it must say
try() {
  local status=0 TIMEFORMAT='%R %U %S' passed user system
  { time chroot_enter "$dir" sh -c "cd /root/trial && $2" >"$dir.log" 2>&1 || status=$?; } 2>"$dir.times"
  read -r passed user system < <(tr ',' '.' <"$dir.times")
  say "$1: status $status after $passed s, $user s and $system s of processor time"
  ((status == 99)) && grep -q "$3" "$dir.log" || die "$1 did not find the bug: $(tail -n 30 "$dir.log")"
  awk "BEGIN { exit !($user + $system < $most_s) }" || die "$1 took more than $most_s s of processor time"
}

! compgen -G "$dir/usr/bin/*gcc*" >/dev/null || die "there is a compiler in $dir"
try tar 'tar xf ringfence-[0-9]*.tar.gz && ringfence-[0-9]*/bin/ringfence check -- ./program' \
  'SUMMARY: Ringfence: heap-buffer-overflow .*in copy'
# Recommended are binutils, which name lines.
try deb 'DEBIAN_FRONTEND=noninteractive apt-get install -y -q ./ringfence_*.deb && ringfence check -- ./program' \
  'SUMMARY: Ringfence: heap-buffer-overflow .*off_by_one.c:6 in copy'
chroot_enter "$dir" apt-get purge -y -q ringfence >"$dir.log" 2>&1 || die "cannot be removed: $(tail -n 5 "$dir.log")"
# Seen from inside: the folder of the system may itself be named after Ringfence.
left=$(cd -- "$dir" && find usr -ipath '*ringfence*')
[[ -z $left ]] || die "left behind: $left"

# The service: its tar, its package, and the steps of the container file.
if (($# == 2)); then
  cp -- "$2"/ringfence-serve-*-linux-*.tar.gz "$2"/ringfence-serve_*.deb "$trial/"
else
  (cd -- "$here/.." && ./bazelw run //tools/install:package_service -- "$trial") >"$dir.build.log" 2>&1 ||
    die "the service's packages cannot be made, see $dir.build.log"
fi
readonly collect='rm -rf d && RINGFENCE_COLLECTOR=/root/trial/d ringfence check --exitcode 0 -- ./program
  ringfence serve --once --no-shared --dir /root/trial/d && ringfence gate --dir /root/trial/d'
chroot_enter "$dir" sh -c "dpkg --purge libmicrohttpd12 libsqlite3-0" >"$dir.log" 2>&1 || true
try service-tar "tar xf ringfence-serve-*.tar.gz
  PATH=\$(echo /root/trial/ringfence-[0-9]*/bin):\$(echo /root/trial/ringfence-serve-*/bin):\$PATH
  $collect" 'heap-buffer-overflow'
try service-deb "DEBIAN_FRONTEND=noninteractive apt-get install -y -q ./ringfence_*.deb ./ringfence-serve_*.deb
  $collect" 'heap-buffer-overflow'
container=$here/../docs/service/Containerfile
chroot_enter "$dir" apt-get purge -y -q ringfence ringfence-serve >"$dir.log" 2>&1 || die "cannot be removed"
tar -C "$dir/usr/local" --strip-components=1 -xf "$trial"/ringfence-serve-*.tar.gz --wildcards '*/bin/ringfence-serve'
steps=$(sed -n '/^RUN /,/[^\\]$/p' "$container" | sed 's/^RUN //; s/\\$//' | tr '\n' ' ')
entry=$(sed -n 's/^ENTRYPOINT //p' "$container" | tr -d '[],"')
# A network of its own, as a container has: the port may be taken on this machine.
try container "$steps && mkdir -m 700 -p /findings && { timeout 3 unshare --net $entry; exit 99; }" \
  'collecting findings in /findings'
rm -f -- "$dir/usr/local/bin/ringfence-serve"
say "packages: passed"

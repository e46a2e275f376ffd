#!/usr/bin/env bash
# The packages hold what they should, run from where they are unpacked, and are the same when made again.
#
#   package_test.sh package.sh install.sh WORDS... --
set -uo pipefail

unset RINGFENCE_LIB RINGFENCE_OPTIONS TEST_UNDECLARED_OUTPUTS_DIR
. tests/install/packages.sh

gcc -g -O0 -o "$work/off_by_one" docs/examples/off_by_one.c || complain "off_by_one.c does not compile"
found() {
  local text status=0
  text=$("$1" check -- "$work/off_by_one" 2>&1) || status=$?
  [[ $status == 99 && $text == *"SUMMARY: Ringfence: heap-buffer-overflow"* ]] || complain "$1: status $status, $text"
}

tar -C "$work/tar" -xf "$work"/first/*.tar.gz
found "$work"/tar/ringfence-*/bin/ringfence
if ((${#kinds[@]} == 2)); then
  deb=$(echo "$work"/first/*.deb)
  dpkg-deb -x "$deb" "$work/deb"
  found "$work/deb/usr/bin/ringfence"
  dpkg-deb -f "$deb" Depends | grep -qE '^libc6 \(>= 2\.[0-9]+\)$' || complain "Depends: $(dpkg-deb -f "$deb" Depends)"
  (cd "$work/deb" && dpkg-deb -I "$deb" md5sums | md5sum --quiet -c) || complain "md5sums are wrong"
  lint "$deb"
fi

((faults == 0)) || exit 1

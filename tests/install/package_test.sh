#!/usr/bin/env bash
# The packages hold what they should, run from where they are unpacked, and are the same when made again.
#
#   package_test.sh package.sh install.sh WORDS... --
set -uo pipefail

package=("$@")
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/package.XXXXXX") || exit 2
trap 'rm -rf -- "$work"' EXIT
unset RINGFENCE_LIB RINGFENCE_OPTIONS SOURCE_DATE_EPOCH

faults=0
complain() {
  echo "package_test: $*" >&2
  faults=$((faults + 1))
}

kinds=(--tar)
if command -v dpkg-deb >/dev/null; then
  kinds+=(--deb)
else
  echo "no dpkg-deb here: the Debian package is left out"
fi
for folder in first second; do
  "${package[@]}" "${kinds[@]}" "$work/$folder" >"$work/log" || complain "package.sh: $(<"$work/log")"
done
(cd "$work/first" && sha256sum --quiet -c ./*.sha256) || complain "a checksum is wrong"
diff -r "$work/first" "$work/second" || complain "made again, it is another"

gcc -g -O0 -o "$work/off_by_one" docs/examples/off_by_one.c || complain "off_by_one.c does not compile"
found() {
  local text status=0
  text=$("$1" check -- "$work/off_by_one" 2>&1) || status=$?
  [[ $status == 99 && $text == *"SUMMARY: Ringfence: heap-buffer-overflow"* ]] || complain "$1: status $status, $text"
}

mkdir "$work/tar" "$work/deb"
tar -C "$work/tar" -xf "$work"/first/*.tar.gz
found "$work"/tar/ringfence-*/bin/ringfence
if ((${#kinds[@]} == 2)); then
  deb=$(echo "$work"/first/*.deb)
  dpkg-deb -x "$deb" "$work/deb"
  found "$work/deb/usr/bin/ringfence"
  dpkg-deb -f "$deb" Depends | grep -qE '^libc6 \(>= 2\.[0-9]+\)$' || complain "Depends: $(dpkg-deb -f "$deb" Depends)"
  (cd "$work/deb" && dpkg-deb -I "$deb" md5sums | md5sum --quiet -c) || complain "md5sums are wrong"
  if command -v lintian >/dev/null; then
    lintian --allow-root --fail-on error,warning "$deb" || complain "lintian complains"
  else
    echo "no lintian here: what it says is left out"
  fi
fi

((faults == 0)) || exit 1

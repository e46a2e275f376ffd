# For tests of packages, which source this with the command that makes them as arguments. Makes each kind twice.
#
# Then: $work, a folder that goes at the end, with the packages in first/, and tar/ and deb/ to unpack them in;
# ${kinds[@]}, two where this machine makes Debian packages; complain TEXT, which counts in $faults.
package=("$@")
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/package.XXXXXX") || exit 2
trap 'rm -rf -- "$work"' EXIT
unset SOURCE_DATE_EPOCH

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
  "${package[@]}" "${kinds[@]}" "$work/$folder" >"$work/log" 2>&1 || complain "package.sh: $(<"$work/log")"
done
(cd "$work/first" && sha256sum --quiet -c ./*.sha256) || complain "a checksum is wrong"
diff -r "$work/first" "$work/second" || complain "made again, it is another"
mkdir "$work/tar" "$work/deb"

# DEB: lintian has nothing against it.
lint() {
  if command -v lintian >/dev/null; then
    lintian --allow-root --fail-on error,warning "$1" || complain "lintian complains"
  else
    echo "no lintian here: what it says is left out"
  fi
}

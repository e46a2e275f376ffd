#!/usr/bin/env bash
# Makes what a release consists of, from the commit that is checked out, and publishes nothing:
#
#   tools/release.sh DIR
#
#   ringfence-VERSION.tar.gz         the sources, as the Bazel Central Registry and FetchContent take them
#   ringfence-VERSION-linux-*.tar.gz, ringfence_VERSION_*.deb     what `//tools:package` makes
#   ringfence-serve-VERSION-linux-*.tar.gz, ringfence-serve_VERSION_*.deb     and `//tools/install:package_service`
#   *.sha256                         the checksum of each
#   source.json                      for the registry: .bcr/source.template.json with its integrity
#   notes.md                         the part of CHANGELOG.md that is about this version
#
# Refuses changes that are not committed, a VERSION that MODULE.bazel does not have, and one that CHANGELOG.md lacks.
# The same commit gives the same files. Tag and upload them by hand: git tag vVERSION.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd -- "$root"

die() {
  printf 'release: %s\n' "$*" >&2
  exit 1
}

(($# == 1)) || die "usage: $0 DIR"
mkdir -p -- "$1"
out=$(cd -- "$1" && pwd)
version=$(<VERSION)
name=ringfence-$version

[[ -z $(git status --porcelain) ]] || die "there are changes that are not committed"
grep -qx "    version = \"$version\"," MODULE.bazel || die "MODULE.bazel does not have version $version"

# The text under the heading "## 0.1.0" of the changes.
notes() {
  awk -v version="$version" '
    /^## / { inside = ($2 == version) ; next }
    inside { print }
  ' CHANGELOG.md
}
[[ -n $(notes) ]] || die "CHANGELOG.md has no heading '## $version' with anything below it"
notes >"$out/notes.md"

# gzip without a name and time, so that the same commit gives the same bytes.
git archive --format=tar --prefix="$name/" HEAD | gzip -9n >"$out/$name.tar.gz"
(cd -- "$out" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
integrity=sha256-$(openssl dgst -sha256 -binary "$out/$name.tar.gz" | base64)
sed "s|\"integrity\": \"\"|\"integrity\": \"$integrity\"|" .bcr/source.template.json >"$out/source.json"

{ ./bazelw run --config=i386 //tools:package -- "$out" && ./bazelw run //tools/install:package_service -- "$out"; } \
  >"$out/package.log" 2>&1 || die "no packages, see $out/package.log"
rm -- "$out/package.log"
(cd -- "$out" && sha256sum --quiet -c ./*.sha256)
ls -- "$out"

#!/usr/bin/env bash
# Makes a release of the last commit by tools/release.sh, in a clone whose CHANGELOG.md has the version as heading, and
# takes it as a registry does: the archive's checksum, its folder, the targets and the project that .bcr names.
#
#   tools/try_release.sh [OPTIONS...]     options for each build of Bazel's, such as --disk_cache=DIR
#
# Prints "release: passed", or what was not as it should be.
set -uo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/release.XXXXXX") || exit 2
leave() {
  local folder
  for folder in "$work/clone" "$work"/archive/ringfence-*; do
    [[ ! -d $folder ]] || (cd -- "$folder" && ./bazelw shutdown) >/dev/null 2>&1
  done
  chmod -R u+w "$work"
  rm -rf -- "$work"
}
trap leave EXIT

# Bazel keeps there what it makes, and reads its options.
export HOME=$work/home
unset XDG_CACHE_HOME
mkdir "$HOME"
printf 'build %s\n' "$@" --jobs=2 >"$HOME/.bazelrc"

faults=0
complain() {
  echo "release: $*" >&2
  faults=$((faults + 1))
}

git clone -q "$root" "$work/clone" || exit 2
cd -- "$work/clone" || exit 2
version=$(<VERSION)
commit() { git -c user.name=release -c user.email=release@example.org commit -qam "$1" || exit 2; }

# what must be said
refused() {
  tools/release.sh "$work/refused" >"$work/log" 2>&1 && complain "makes a release although $1"
  grep -qF -- "$1" "$work/log" || complain "does not say '$1': $(<"$work/log")"
}

sed -i "s/^## $version$/## Before/" CHANGELOG.md
git diff --quiet || commit "No heading"
refused "CHANGELOG.md has no heading '## $version'"
sed -i "0,/^## Unreleased$/s//## $version/" CHANGELOG.md
refused 'there are changes that are not committed'
echo 9.9.9 >VERSION
commit "Another version"
refused 'MODULE.bazel does not have version 9.9.9'
echo "$version" >VERSION
commit "Release"

for folder in first second; do
  tools/release.sh "$work/$folder" >"$work/log" 2>&1 || complain "release.sh: $(<"$work/log")"
done
diff -r "$work/first" "$work/second" || complain "made again, it is another"
cd -- "$work/first" || exit 2
sha256sum --quiet -c ./*.sha256 || complain "a checksum is wrong"
[[ $(<notes.md) == *$'\n- '* ]] || complain "no changes in the notes"
machine=$(uname -m)
for file in ringfence-"$version"{,-linux-"$machine"}.tar.gz ringfence-serve-"$version-linux-$machine".tar.gz \
  ringfence{,-serve}_"$version"_"$(dpkg --print-architecture)".deb; do
  [[ -s $file && -s $file.sha256 ]] || complain "no $file with a checksum"
done

# ---- As the registry takes it ----

mkdir "$work/archive"
python3 - "$version" "$work/clone/.bcr" <<'END' || complain "source.json and the archive disagree"
import base64, hashlib, json, sys
version, templates = sys.argv[1:]
name = "ringfence-%s" % version
source = json.load(open("source.json"))
digest = hashlib.sha256(open(name + ".tar.gz", "rb").read()).digest()
assert source["integrity"] == "sha256-" + base64.b64encode(digest).decode(), source
assert source["strip_prefix"].replace("{VERSION}", version) == name, source
assert source["url"].replace("{VERSION}", version).endswith("/%s.tar.gz" % name), source
assert "versions" in json.load(open(templates + "/metadata.template.json"))
END
tar -C "$work/archive" -xf "ringfence-$version.tar.gz" || exit 2
cd -- "$work/archive/ringfence-$version" || complain "the archive has no folder ringfence-$version"
mapfile -t targets < <(sed -n 's/^ *build_targets: //p' .bcr/presubmit.yml | grep -o '@ringfence//[^'"'"']*')
((${#targets[@]} > 2)) || complain "no targets in .bcr/presubmit.yml: ${targets[*]}"
./bazelw build "${targets[@]#@ringfence}" >"$work/log" 2>&1 ||
  complain "the archive does not build: $(tail "$work/log")"
module=$(sed -n 's/^ *module_path: //p' .bcr/presubmit.yml)
[[ -e $module/MODULE.bazel && -e $module/BUILD.bazel ]] || complain "the archive has no project in '$module'"
((faults == 0)) || exit 1
echo "release: passed"

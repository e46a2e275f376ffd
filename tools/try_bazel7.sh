#!/usr/bin/env bash
# Tries MODULE.bazel with Bazel 7, which Debian's forky has, and no registry: each module comes from a Debian package
# or is a stub. Everything under test is what is committed.
#
#   tools/try_bazel7.sh DIR [BAZEL ARGUMENTS...]     as root; default arguments: test //..., then outside
#   tools/try_bazel7.sh DIR outside                  try_outside.sh and try_collector.sh alone
#
# DIR takes the system, some 2 GB, and is used again if it is there. Prints "Bazel 7: passed" or "Bazel 7: FAILED".
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/chroot.sh
. "$here/chroot.sh"

(($# >= 1)) || die "usage: $0 DIR [BAZEL ARGUMENTS...]"
dir=$1
shift
outside=$((!$#))
(($#)) || set -- test //...
chroot_require_root
trap 'chroot_leave "$dir" /root/trial/ringfence' EXIT

chroot_make forky "$dir"

if [[ ! -x $dir/usr/bin/bazel ]]; then
  say "installing Bazel and compilers"
  chroot_enter "$dir" env DEBIAN_FRONTEND=noninteractive sh -c '
    apt-get update -q &&
    apt-get install -y -q --no-install-recommends bazel-bootstrap g++ clang lld llvm libclang-rt-dev googletest \
      git python3 libsqlite3-dev libmicrohttpd-dev binutils curl file zip
  ' >"$dir.apt.log" 2>&1 || die "apt-get failed, see $dir.apt.log"
fi

say "cloning"
trial=$dir/root/trial
rm -rf "$trial"
mkdir -p "$trial/registry"
git clone -q --bare "$here/.." "$trial/origin.git"
git clone -q "$trial/origin.git" "$trial/ringfence"

# -- Modules ------------------------------------------------------------------------------------------------------

options=(
  --enable_bzlmod
  --registry=file:///root/trial/registry
  --java_runtime_version=local_jdk
  --tool_java_runtime_version=local_jdk
)

# override MODULE PATH-IN-CHROOT
override() { options+=("--override_module=$1=$2"); }

# stub MODULE [DEPENDENCY]: empty, for what the graph names and the build does not use; or to be filled.
stub() {
  mkdir -p "$trial/$1"
  {
    echo "module(name = \"$1\")"
    [[ -z ${2-} ]] || echo "bazel_dep(name = \"$2\")"
  } >"$trial/$1/MODULE.bazel"
  touch "$trial/$1/BUILD.bazel"
  override "$1" "/root/trial/$1"
}

override rules_cc /usr/share/bazel/rules/cc
override rules_java /usr/share/bazel/rules/java
override rules_license /usr/share/bazel/rules/license
override rules_proto /usr/share/bazel/rules/proto
override rules_python /usr/share/bazel/rules/python
override bazel_features /usr/share/bazel/tools/features
override bazel_skylib /usr/share/bazel/tools/skylib
override platforms /usr/share/bazel/tools/platforms

stub apple_support
stub buildozer
stub protobuf
stub zlib

# The stand-in that Debian's Bazel 4.2.3 uses serves here too: Bazel 7 still has native shell rules.
cp -r "$trial/ringfence/tools/bazel/rules_shell" "$trial/rules_shell"
stub rules_shell

cp -rL "$dir/usr/src/googletest" "$trial/googletest"
stub googletest rules_cc
cp "$trial/ringfence/tools/bazel/googletest.BUILD" "$trial/googletest/BUILD.bazel"
find "$trial/googletest" -mindepth 2 \( -name BUILD -o -name BUILD.bazel \) -delete

# The stand-ins that Debian's Bazel 4.2.3 uses name the same targets as the registry's modules.
for name in sqlite3 libmicrohttpd; do
  cp -r "$trial/ringfence/tools/bazel/$name" "$trial/$name"
  stub "$name" rules_cc
done

# -----------------------------------------------------------------------------------------------------------------

say "$(chroot_enter "$dir" bazel --version): $*"
start=$SECONDS
status=0

# Runs in the clone.
inside() { chroot_enter "$dir" sh -c 'cd /root/trial/ringfence && exec "$@"' - "$@"; }

options+=(--jobs=2)
if [[ $1 == outside ]]; then
  outside=1
else
  command=$1
  shift
  inside ./bazelw "$command" "${options[@]}" --noshow_progress "$@" || status=$?
fi
if ((outside)); then
  serve=tools/service/ringfence-serve
  inside ./bazelw build "${options[@]}" --noshow_progress "//${serve%/*}:${serve##*/}" &&
    inside tools/try_collector.sh "bazel-bin/$serve" bazel "${options[@]}" || status=$?
  inside tools/try_outside.sh bazel "${options[@]}" || status=$?
fi
say "exit status $status after $((SECONDS - start)) s"
if ((status == 0)); then
  say "Bazel 7: passed"
else
  say "Bazel 7: FAILED"
fi
exit "$status"

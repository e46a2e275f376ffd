#!/usr/bin/env bash
# The lists of sources for CMakeLists.txt, from what Bazel compiles.
#
#   cmake_sources.sh update|check SOURCES NAME.members...
set -euo pipefail

action=$1
sources=$2
shift 2

# folder/_objs/target/name.pic.o comes of folder/name.c; the path of another workspace's copy begins with ../.
sources_of() {
  sed -nE 's|^object (\.\./[^/]+/)?(.*)/_objs/[^/]+/([^/]+)\.o$|\2/\3|p' "$1" | sed 's|\.pic$||; s|$|.c|'
}

list() {
  echo '# Written by `./bazelw run //tools/install:cmake_sources`; a test holds it to what Bazel compiles.'
  local members name
  for members in "$@"; do
    name=$(basename -- "$members" .members)
    printf '\nset(RINGFENCE_%s_SOURCES\n' "${name^^}"
    sources_of "$members" | LC_ALL=C sort -u | sed 's|^|  |; $s|$|)|'
  done
}

case $action in
  update) list "$@" >"$BUILD_WORKSPACE_DIRECTORY/tools/cmake/sources.cmake" ;;
  check)
    list "$@" | diff -u -- "$sources" - || {
      echo "tools/cmake/sources.cmake is out of date; ./bazelw run //tools/install:cmake_sources writes it" >&2
      exit 1
    }
    ;;
esac

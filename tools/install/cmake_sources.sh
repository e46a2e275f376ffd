#!/usr/bin/env bash
# The lists of sources for CMakeLists.txt, from what Bazel compiles.
#
#   cmake_sources.sh update|check SOURCES NAME.members...
set -euo pipefail
export LC_ALL=C

action=$1
sources=$2
shift 2

# folder/_objs/target/name.pic.o comes of folder/name.c; the path of another workspace's copy begins with ../.
sources_of() {
  sed -nE 's|^object (\.\./[^/]+/)?(.*)/_objs/[^/]+/([^/]+)\.o$|\2/\3|p' "$1" | sed 's|\.pic$||; s|$|.c|'
}

# name; its sources, sorted, from standard input
set_sources() {
  printf '\nset(RINGFENCE_%s_SOURCES\n' "${1^^}"
  sed 's|^|  |; $s|$|)|'
}

# The sources that the command and the service share are a list of their own.
list() {
  echo '# Written by `./bazelw run //tools/install:cmake_sources`; a test holds it to what Bazel compiles.'
  local -A of=()
  local members name
  for members in "$@"; do
    of[$(basename -- "$members" .members)]=$(sources_of "$members" | sort -u)
  done
  of[shared]=$(comm -12 <(echo "${of[command]}") <(echo "${of[serve]}"))
  for name in core checkers malloc library shared; do
    set_sources "$name" <<<"${of[$name]}"
  done
  for name in command serve; do
    comm -23 <(echo "${of[$name]}") <(echo "${of[shared]}") | set_sources "$name"
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

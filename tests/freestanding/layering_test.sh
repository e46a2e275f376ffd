#!/usr/bin/env bash
# Dependencies point one way: checkers -> lib; inside lib: decorators, heaps, blocks -> core; the port is reached through
# port.h only. Reads the #include lines, as Bazel's query cannot run inside a test: tools/deps.sh asks it the same.
#
#   layering_test.sh FILE...      the sources and headers of lib/ and checkers/
set -euo pipefail

# The layer of a file: lib/core, lib/heaps, checkers, ...
layer_of() {
  local path=$1
  case $path in
    */lib/*/* | lib/*/*)
      path=${path##*lib/}
      echo "lib/${path%%/*}"
      ;;
    */checkers/* | checkers/*) echo checkers ;;
    *) echo other ;;
  esac
}

# Which layers a layer may include, besides itself.
may_include() {
  case $1 in
    lib/core) echo "lib/port" ;;
    lib/port) echo "lib/core" ;;
    lib/heaps | lib/blocks | lib/decorators) echo "lib/core lib/port" ;;
    lib/compat) echo "lib/core lib/port lib/heaps lib/blocks lib/decorators" ;;
    checkers) echo "lib/core lib/port lib/heaps lib/blocks lib/decorators lib/compat" ;;
  esac
}

# What lib/ takes of the C library's headers: those of a freestanding implementation, and string.h for the functions
# that freestanding_test.sh allows.
standard='stdbool\.h|stddef\.h|stdint\.h|limits\.h|stdalign\.h|stdarg\.h|stdatomic\.h|stdnoreturn\.h|string\.h'

declare -A layer_of_header
for file in "$@"; do
  case $file in
    *.h)
      layer=$(layer_of "$file")
      layer_of_header[${file##*/}]=$layer
      [[ $layer != lib/compat ]] || layer_of_header[${file##*/compat/}]=$layer
      ;;
  esac
done

faults=0
complain() {
  echo "$1" >&2
  faults=$((faults + 1))
}

# The C library's headers, in lib/.
check_system_header() {
  local file=$1 layer=$2 name=$3
  case $file in
    */heaps/std.c | */port/posix.c | */compat/*) return ;;
    */core/seam.c) [[ $name != valgrind/memcheck.h ]] || return 0 ;;
  esac
  [[ $layer != lib/* || $name =~ ^($standard)$ ]] || complain "$file: <$name> is not for lib/"
}

# Our own headers.
check_header() {
  local file=$1 layer=$2 header=${3#ringfence/}
  local target=${layer_of_header[$header]-${layer_of_header[${header##*/}]-}}
  if [[ -z $target ]]; then
    complain "$file: $header is a header of neither lib nor checkers"
  elif [[ " $layer $(may_include "$layer") " != *" $target "* ]]; then
    complain "$file: $layer may not include $header, which is of $target"
  elif [[ $target == lib/port && $layer != lib/port && $header != port.h ]]; then
    complain "$file: the port is reached through port.h, not $header"
  elif [[ $layer == lib/port && $target == lib/core && $header != status.h ]]; then
    complain "$file: the port may take status.h of core, not $header"
  fi
}

checked=0
check_file() {
  local file=$1 layer=$2 delimiter name
  while read -r delimiter name; do
    checked=$((checked + 1))
    if [[ $delimiter == '<' && $name != ringfence/* ]]; then
      check_system_header "$file" "$layer" "$name"
    else
      check_header "$file" "$layer" "$name"
    fi
  done < <(sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*([<"])([^>"]+)[>"].*/\1 \2/p' "$file")
}

for file in "$@"; do
  layer=$(layer_of "$file")
  if [[ $layer == other ]]; then
    complain "$file: not in lib or checkers"
  else
    check_file "$file" "$layer"
  fi
done
((checked >= 50)) || complain "only $checked includes were seen"
((faults == 0)) || { echo "$faults includes against the rules" >&2; exit 1; }
echo "$checked includes, all in order"

# The test itself: each of these must be seen.
planted=$(mktemp "${TEST_TMPDIR:-/tmp}/planted.XXXXXX")
trap 'rm -f -- "$planted"' EXIT
printf '%s\n' '#include <stdio.h>' '  #  include <ringfence/guard.h>' '#include "simple.h"' '#include <ringfence/bare.h>' \
  '#include <ringfence/nowhere.h>' '#include <ringfence/status.h>' >"$planted"
check_file "$planted" lib/core 2>/dev/null
((faults == 5)) || { echo "of 5 planted includes $faults were seen" >&2; exit 1; }

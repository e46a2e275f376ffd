#!/usr/bin/env bash
# Definitions that Zephyr's macros refuse must not compile here, and those that it takes must.
# Arguments: the sources of lib/.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

. tests/compat/headers.sh
copy_headers "$work/include" "$@"

compiles() {
  printf '#include <ringfence/zephyr.h>\n%s\n' "$1" >"$work/case.c"
  gcc -std=c11 -fsyntax-only -I"$work/include" "$work/case.c" 2>"$work/complaint"
}

faults=0
taken() {
  compiles "$1" || { echo "refused: $1" >&2; cat "$work/complaint" >&2; faults=1; }
}
refused() {
  if compiles "$2"; then
    echo "taken: $2" >&2
    faults=1
  elif ! grep -q -- "$1" "$work/complaint"; then
    echo "refused for another reason: $2" >&2
    cat "$work/complaint" >&2
    faults=1
  fi
}

command -v gcc >/dev/null || { echo "no gcc here, left out"; exit 0; }
taken 'SYS_MEM_BLOCKS_DEFINE(pool, 64, 4, 4);'
taken 'SYS_MEM_BLOCKS_DEFINE_STATIC(pool, 96, 4, 32);'
refused 'must be a power of 2' 'SYS_MEM_BLOCKS_DEFINE(pool, 72, 4, 24);'
refused 'multiple of the alignment' 'SYS_MEM_BLOCKS_DEFINE(pool, 96, 4, 64);'
refused 'at least one block' 'SYS_MEM_BLOCKS_DEFINE(pool, 64, 0, 4);'
taken 'K_MEM_SLAB_DEFINE(slab, 400, 6, 4);'
taken 'K_MEM_SLAB_DEFINE_TYPE(slab, struct { int numbers[3]; }, 6);'
refused 'must be a power of 2' 'K_MEM_SLAB_DEFINE(slab, 72, 6, 24);'
refused 'multiple of slab_align' 'K_MEM_SLAB_DEFINE_STATIC(slab, 13, 6, 4);'
exit "$faults"

#!/usr/bin/env bash
# Under Valgrind a program that uses an allocator of lib/, bare or in mode asan, is seen to step outside its blocks, to use
# freed ones and uninitialised memory, and to lose some: each with the line where the block was allocated. The correct
# program is not accused of anything.
#
#   valgrind_test.sh PROGRAM SOURCE        tests/checkers/valgrind_program, built with --//lib/core:seam=valgrind
set -euo pipefail

program=$1
source=$2

if ! command -v valgrind >/dev/null; then
  echo "skipped: valgrind is not installed"
  exit 0
fi
if [[ $(valgrind -q "$program" watcher) != Valgrind ]]; then
  echo "skipped: built without valgrind/memcheck.h"
  exit 0
fi

faults=0
complain() {
  printf '%s\n' "$@" "" >&2
  faults=$((faults + 1))
}

line_of() { grep -n -F "/* $1 */" "$source" | cut -d: -f1; }

# allocator, bare or guarded, bug, and then what must be said, in that order
try() {
  local name=$1 how=$2 bug=$3 status=0 said text
  shift 3
  said=$(valgrind -q --leak-check=full --error-exitcode=9 --num-callers=30 "$program" "$name" "$how" "$bug" 2>&1) || status=$?
  said=$(sed '/^--[0-9]*--/d' <<<"$said") # Valgrind's remarks on system calls that it does not know
  if (($# == 0)); then
    [[ $status == 0 && -z $said ]] || complain "$name $how $bug: status $status, though nothing is wrong" "$said"
    return
  fi
  # A bare allocator whose header was overwritten refuses the free, which ends the program.
  ((status == 9 || (status == 134 && $# == 2))) || complain "$name $how $bug: status $status, not 9" "$said"
  local rest=$said
  for text in "$@"; do
    [[ $rest == *"$text"* ]] || complain "$name $how $bug: does not say '$text'" "$said"
    rest=${rest#*"$text"}
  done
}

at() { echo "valgrind_program.c:$(line_of "$1")"; }

for name in tlsf simple smallmem memheap sizeclass std memblocks blockgroup mempool pool; do
  try "$name" bare none
  try "$name" bare read "Invalid read of size 1" "$(at "read past the end")" "0 bytes after a block of size 13" "$(at allocated)"
  try "$name" guarded none
done

# What does not depend on the allocator, on one of each kind.
for name in tlsf mempool std; do
  for how in bare guarded; do
    try "$name" "$how" write "Invalid write of size 1" "$(at "written before the start")"
    # A block of guard's that is in quarantine lies in a live one of malloc's, as which Valgrind describes it.
    [[ $name == std && $how == guarded ]] ||
      try "$name" "$how" freed "Invalid read of size 1" "$(at "used after free")" \
        "3 bytes inside a block of size 13 free'd" "$(at freed)" "alloc'd at" "$(at allocated)"
    try "$name" "$how" read "Invalid read of size 1" "0 bytes after a block of size 13" "$(at allocated)"
    try "$name" "$how" leak "33 bytes in 1 blocks are definitely lost" "$(at lost)"
  done
done
try tlsf bare uninitialised "depends on uninitialised value" "$(at "not initialised")"

((faults == 0)) || { echo "$faults times not what was to be said" >&2; exit 1; }

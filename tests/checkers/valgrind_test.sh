#!/usr/bin/env bash
# Under Valgrind a program that uses an allocator of lib/, bare or in mode asan, is seen to step outside its blocks, to
# use freed ones and uninitialised memory, and to lose some: each with the line where the block was allocated. The
# correct program is not accused of anything.
#
#   valgrind_test.sh PROGRAM SOURCE        tests/checkers/valgrind_program, built with --//lib/core:track=valgrind
set -euo pipefail

program=$1
source=$2

if ! command -v valgrind >/dev/null; then
  echo "skipped: valgrind is not installed"
  exit 0
fi
watcher=$(valgrind -q "$program" watcher) || { echo "Valgrind does not run the program: $watcher" >&2; exit 1; }
if [[ $watcher != Valgrind ]]; then
  echo "skipped: built without valgrind/memcheck.h"
  exit 0
fi

faults=0
complain() {
  printf '%s\n' "$@" "" >&2
  faults=$((faults + 1))
}

line_of() { grep -n -F "/* $1 */" "$source" | cut -d: -f1; }

# Cases, and what must be said of each, in that order, a text a line.
cases=()
declare -A wanted=()

# allocator, bare or guarded, bug, texts
try() {
  local name=$1:$2:$3
  shift 3
  cases+=("$name")
  wanted[$name]=$(printf '%s\n' "$@")
}

# case, status, what was said
judge() {
  local name=$1 status=$2 said=$3 rest=$3 text texts=()
  [[ -z ${wanted[$name]} ]] || mapfile -t texts <<<"${wanted[$name]}"
  if ((${#texts[@]} == 0)); then
    [[ $status == 0 && -z $said ]] || complain "$name: status $status, though nothing is wrong" "$said"
    return
  fi
  # A bare allocator whose header was overwritten refuses the free, which ends the program.
  ((status == 9)) || [[ $status == 134 && $name == *:bare:write ]] || complain "$name: status $status, not 9" "$said"
  for text in "${texts[@]}"; do
    [[ $rest == *"$text"* ]] || complain "$name: does not say '$text'" "$said"
    rest=${rest#*"$text"}
  done
}

# One Valgrind for all.
run_cases() {
  local line name='' said='' judged=0
  while IFS= read -r line; do
    case $line in
      @case\ *) name=${line#@case } said= ;;
      @status\ *)
        judge "$name" "${line#@status }" "$said"
        judged=$((judged + 1))
        ;;
      --[0-9]*) ;; # Valgrind's remarks on system calls that it does not know
      *) said+=$line$'\n' ;;
    esac
  done < <(valgrind -q --leak-check=full --error-exitcode=9 --num-callers=30 "$program" "${cases[@]}" 2>&1 || :)
  ((judged == ${#cases[@]})) || complain "$judged cases were run, not ${#cases[@]}" "$said"
}

at() { echo "valgrind_program.c:$(line_of "$1")"; }

mapfile -t names < <("$program" names)
((${#names[@]} > 10)) || complain "only ${#names[@]} allocators"
for name in "${names[@]}"; do
  # Its buffer is malloc's, which nobody gives back.
  [[ $name != sizeclass_fallback ]] || continue
  try "$name" bare none
  try "$name" bare read "Invalid read of size 1" "$(at "read past the end")" "0 bytes after a block of size 13" \
    "$(at allocated)"
  try "$name" guarded none
done

# Checks that do not depend on the allocator, on one of each kind.
for name in tlsf slab handle mempool std; do
  for how in bare guarded; do
    # The first block of a bare handle heap begins where its arena does: what is before is the program's.
    [[ $name == handle && $how == bare ]] ||
      try "$name" "$how" write "Invalid write of size 1" "$(at "written before the start")"
    texts=("Invalid read of size 1" "$(at "used after free")")
    # A block of guard's that is in quarantine lies in a live one of malloc's, and one of a handle heap right before a
    # live one: as which Valgrind describes it.
    [[ $name == std && $how == guarded || $name == handle && $how == bare ]] ||
      texts+=("3 bytes inside a block of size 13 free'd" "$(at freed)" "alloc'd at" "$(at allocated)")
    try "$name" "$how" freed "${texts[@]}"
    try "$name" "$how" read "Invalid read of size 1" "0 bytes after a block of size 13" "$(at allocated)"
    try "$name" "$how" leak "33 bytes in 1 blocks are definitely lost" "$(at lost)"
  done
done
try tlsf bare uninitialised "depends on uninitialised value" "$(at "not initialised")"

run_cases
((faults == 0)) || { echo "$faults times not what was to be said" >&2; exit 1; }

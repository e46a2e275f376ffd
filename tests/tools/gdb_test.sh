#!/usr/bin/env bash
# The commands for gdb, in a process and in its core, with a library that has no symbols: as installed.
#
#   gdb_test.sh ringfence.py libringfence.so PROGRAM
set -uo pipefail

script=$1 program=$3
command -v gdb >/dev/null || { echo "no gdb here: nothing was tried" && exit 0; }
gdb -nx -batch -ex 'python print("has python")' 2>/dev/null | grep -q 'has python' ||
  { echo "this gdb has no Python: nothing was tried" && exit 0; }
gdb -nx -batch -ex 'set startup-with-shell off' -ex run --args /bin/true 2>&1 | grep -q 'exited normally' ||
  { echo "gdb may trace no process here: nothing was tried" && exit 0; }

work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/gdb.XXXXXX") || exit 2
trap 'rm -rf -- "$work"' EXIT
library=$work/libringfence.so.0
cp -- "$2" "$library"
strip --strip-unneeded "$library" || exit 2
unset RINGFENCE_OPTIONS

faults=0
# name, text, what is to be in it, a line each
expect() {
  local line
  while IFS= read -r line; do
    grep -qE -- "$line" <<<"$2" || { echo "gdb_test: $1: no line '$line' in: $2" >&2 && faults=$((faults + 1)); }
  done <<<"$3"
}

# options, commands of gdb after `source`, each a word
debug() {
  local options=$1 words=() word
  shift
  for word in "$@"; do words+=(-ex "$word"); done
  gdb -nx -batch -ex "source $script" -ex 'set startup-with-shell off' -ex 'set debuginfod enabled off' \
    -ex "set environment LD_PRELOAD=$library" -ex "set environment RINGFENCE_OPTIONS=$options:stack_depth=8" \
    "${words[@]}" "$program" 2>&1
}

what='is at the start of a live block of 10 bytes at 0x[0-9a-f]+, of malloc
is 0 bytes after a live block of 10 bytes
is 2 bytes after a live block of 10 bytes
is 1 byte before a live block of 10 bytes
is 3 bytes inside a freed block of 100 bytes
is 3000 bytes inside a live block of 3000000 bytes
is in no block of Ringfence
^allocated by thread [0-9]+:
  #0  0x[0-9a-f]+ in make at .*debugged.c:16
  #1  0x[0-9a-f]+ in main at .*debugged.c
^freed by thread [0-9]+:
  #0  0x[0-9a-f]+ in drop at .*debugged.c:20
  #1  0x[0-9a-f]+ in main at .*debugged.c:35
no argument is expected
Ringfence has reported a finding, in a call of this frame:
drop \(block=.*debugged.c'

freed='is at the start of a freed block of 100 bytes
^freed by thread'
for mode in guard page; do
  pending=$([[ $mode == page ]] && echo off || echo auto)
  said=$(debug "mode=$mode:leaks=0" 'break here' "set breakpoint pending $pending" 'ringfence break' \
    'show breakpoint pending' 'ringfence break x' run \
    'ringfence what live' 'ringfence what live+10' 'ringfence what live+12' 'ringfence what live-1' \
    'ringfence what freed+3' 'ringfence what large+3000' 'ringfence what arena' continue \
    "generate-core-file $work/core.$mode" kill)
  expect "mode $mode" "$said" "$what
pending breakpoints is $pending"
  grep -qE '^  #.*libringfence' <<<"$said" && { echo "the library's own frames are shown: $said" >&2 && faults=1; }
  said=$(gdb -nx -batch -ex "source $script" -ex 'ringfence what freed' "$program" "$work/core.$mode" 2>&1)
  expect "a core of mode $mode" "$said" "$freed"
  said=$(gdb -nx -batch -ex "source $script" -ex 'ringfence what large' "$program" "$work/core.$mode" 2>&1)
  expect "a live block in a core of mode $mode" "$said" 'is at the start of a live block of 3000000 bytes'
  grep -q '^freed' <<<"$said" && { echo "a live block is told as freed: $said" >&2 && faults=1; }
done

# The page behind the block's own.
said=$(debug mode=page 'break here' run 'ringfence what live+20' kill)
expect "mode page" "$said" 'is 10 bytes after a live block of 10 bytes'

said=$(debug mode=guard 'break here' run up 'print heap.base' 'print heap.counters' 'print site' 'print finding' kill)
expect printers "$said" '= allocator tlsf
40 bytes in 1 block, peak 40 bytes, 1 allocation, 0 failures
main.c:7 in main
double-free at 0x10, block 0x10 of 3 bytes, said twice
found = thread 5: main.c:7 in main'

# A core of the system's own, of a finding.
program=$(realpath -- "$program")
if [[ $(</proc/sys/kernel/core_pattern) == core ]] && ulimit -c unlimited; then
  (cd -- "$work" && RINGFENCE_OPTIONS=abort=1:stack_depth=8 LD_PRELOAD=$library "$program" 2>/dev/null)
  core=$(compgen -G "$work/core" "$work/core.[0-9]*" | head -n 1)
  said=$(gdb -nx -batch -ex "source $script" -ex 'ringfence what freed' "$program" "$core" 2>&1)
  expect "the core of a finding" "$said" "terminated with signal SIGABRT
$freed"
else
  echo "cores go elsewhere here: that of a finding is left out"
fi

expect "no library" "$(gdb -nx -batch -ex "source $script" -ex 'ringfence what 16' "$program" 2>&1)" \
  'no Ringfence is in this process \(yet\): start it with LD_PRELOAD'
expect "no address" "$(debug mode=guard 'ringfence what')" 'an address is missing'

((faults == 0)) || exit 1

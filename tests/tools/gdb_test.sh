#!/usr/bin/env bash
# The commands for gdb, in a process and in its core, with a library that has no symbols: as installed.
#
#   gdb_test.sh ringfence.py libringfence.so PROGRAM BLOCKS LINKED
#
# PROGRAM and BLOCKS are programs/debugged.c and debugged_blocks.c, LINKED is overflow.c with the library linked in.
set -uo pipefail

script=$1 program=$3 blocks=$4 linked=$5
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

# name, text, what is to be in it once
expect_once() {
  (($(grep -c -- "$3" <<<"$2") == 1)) ||
    { echo "gdb_test: $1: not one line '$3' in: $2" >&2 && faults=$((faults + 1)); }
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

# options, expressions: the block of each, in lines whose first begins with it; a word with a blank is a command
look() {
  local options=$1 words=() word
  shift
  for word in "$@"; do
    if [[ $word == *" "* ]]; then
      words+=("$word")
    else
      words+=("echo [$word]" "ringfence what $word")
    fi
  done
  program=$blocks debug "$options:leaks=0" 'break here' run up 'python print("process", gdb.selected_inferior().pid)' \
    'printf "thread %ld\n", thread' 'printf "left %p right %p aligned %p upper %p\n", left, right, aligned, upper' \
    "${words[@]}" kill
}

# a word before a value in what look said
value() {
  sed -nE "s/^(.* )?$1 ([0-9a-fx]+)( .*)?\$/\\2/p" <<<"$said" | head -n 1
}

# an expression: what look said of its block
said_of() {
  awk -v begin="[$1]" 'index($0, begin) == 1 { on = 1; print; next } /^\[/ { on = 0 } on' <<<"$said"
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
    'show breakpoint pending' 'ringfence break x' 'ringfence break' run \
    'ringfence what live' 'ringfence what live+10' 'ringfence what live+12' 'ringfence what live-1' \
    'ringfence what freed+3' 'ringfence what large+3000' 'ringfence what arena' continue \
    "generate-core-file $work/core.$mode" kill)
  expect "mode $mode" "$said" "$what
pending breakpoints is $pending"
  expect_once "mode $mode" "$said" 'Ringfence has reported a finding'
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

# ---- Blocks side by side, of each size, alignment, family and thread ----

said=$(look mode=guard:watch=0 right right-1 right-9 right-16 left+39 left+40 left+47 last+72 wide+59999 wide+60001 \
  of_last_call aligned aligned-1 aligned+8191 ends_here-64 ends_here+3002303 ends_here+3002304 named-\>text -1 \
  'of_new[0]' 'of_new[1]' 'of_new[2]' 'of_new[3]')
expect "blocks of the heap" "$said" "^\[right\].* at the start of a live block of 40 bytes at $(value right), of malloc
^\[right-1\].* is 1 byte before a live block of 40 bytes at $(value right),
^\[right-9\].* is 9 bytes before a live block of 40 bytes at $(value right),
^\[right-16\].* is 8 bytes after a live block of 40 bytes at $(value left),
^\[left\+39\].* is 39 bytes inside a live block of 40 bytes at $(value left),
^\[left\+40\].* is 0 bytes after a live block of 40 bytes at $(value left),
^\[left\+47\].* is 7 bytes after a live block of 40 bytes at $(value left),
^\[last\+72\].* is 32 bytes after a live block of 40 bytes
^\[wide\+59999\].* is 59999 bytes inside a live block of 60000 bytes
^\[wide\+60001\].* is 1 byte after a live block of 60000 bytes
^\[aligned\].* is at the start of a live block of 8192 bytes at $(value aligned), of malloc
^\[aligned-1\].* is 1 byte before a live block of 8192 bytes at $(value aligned),
^\[aligned\+8191\].* is 8191 bytes inside a live block of 8192 bytes at $(value aligned),
^\[ends_here-64\].* is 64 bytes before a live block of 3000000 bytes
^\[ends_here\+3002303\].* is 2303 bytes after a live block of 3000000 bytes
^\[ends_here\+3002304\].* is in no block of Ringfence's
^\[named->text\].* is at the start of a live block of 8 bytes
^\[-1\].* is in no block of Ringfence's"

expect "a call that ends a function" "$(said_of of_last_call)" '^  #0 .* in take_and_leave at
^  #1 .* in ends_with_a_call at'

families='^\[of_new\[0\]\].* is at the start of a live block of 31 bytes at 0x[0-9a-f]+, of operator new$
^\[of_new\[1\]\].* is at the start of a live block of 32 bytes at 0x[0-9a-f]+, of operator new\[\]$
^\[of_new\[2\]\].* is at the start of a live block of 33 bytes at 0x[0-9a-f]+, of operator new$
^\[of_new\[3\]\].* is at the start of a live block of 34 bytes at 0x[0-9a-f]+, of operator new\[\]$'
for mode in guard:watch=0 page; do
  said=$(look "mode=$mode" passed renewed wide+59999 'of_new[0]' 'of_new[1]' 'of_new[2]' 'of_new[3]')
  expect "mode $mode: families" "$said" "$families"
  expect "mode $mode: a wide block" "$said" '^\[wide\+59999\].* is 59999 bytes inside a live block of 60000 bytes'
  expect "mode $mode: threads" "$(said_of passed)" "is at the start of a freed block of 77 bytes
^allocated by thread $(value process):
^  #0 .* in make_others at
^  #1 .* in main at
^  #2 .* in (__libc_start|_start|libc_start)
^  #.* in _start
^freed by thread $(value thread):
^  #0 .* in end_other at"
  expect "mode $mode: the depth" "$(said_of renewed)" 'is at the start of a live block of 90 bytes
^  #7 .* in deeper at'
  expect_once "mode $mode: a live block" "$(said_of renewed)" ' by thread '
done
said=$(program=$blocks debug '' 'set environment RINGFENCE_OPTIONS=mode=guard:watch=0:leaks=0:stack_depth=0' \
  'break here' run up 'ringfence what renewed' 'python print_call("told", (0, []))' \
  'python print("nowhere", frame_name(16))' kill)
expect "without stacks" "$said" '^  #0 .* in deeper at
^told:$
^nowhere \?\? \(the program\)$
^  \(not recorded; option stack_depth\)$'
expect_once "without stacks" "$said" '^  #'

# ---- Stores of the program's own ----

stores="^\[of_store\[0\]\].* is at the start of a live block of 24 bytes
^\[of_store\[1\]\].* is at the start of a live block of 25 bytes
^\[of_store\[1\]-1\].* is 1 byte before a live block of 25 bytes
^\[gone\].* is at the start of a freed block of 27 bytes"
for options in mode=guard:watch=0 mode=page none; do
  [[ $options == none ]] && with=$library && library=
  said=$(look "$options" 'of_store[0]' 'of_store[1]' 'of_store[1]-1' gone upper-1 upper+4096 right)
  expect "$options: stores" "$said" "$stores
^\[upper-1\].* is 1 byte before a live block of 2[46] bytes at $(value upper),"
  expect "$options: between two" "$said" '^\[upper\+4096\].* is 407[02] bytes after a live block of 2[46] bytes'
  expect "$options: the caller alone" "$(said_of 'of_store[1]')" '^allocated by thread [0-9]+:
^  #0 .* in (make_stores|rf_alloc_at) at'
  expect_once "$options: the caller alone" "$(said_of 'of_store[1]')" '^  #'
  expect "$options: a stack" "$(said_of 'of_store[0]')" '^  #[0-9] .* in make_stores at
^  #[0-9] .* in main at'
done
expect "a block of nobody's" "$(said_of right)" 'is in no block of Ringfence'
said=$(program=$blocks debug '' 'ringfence break' 'break here' run stepi continue kill)
expect "a checker of the program's own" "$(grep -A1 'Ringfence has reported' <<<"$said")" '^#[0-9]+ .* free_again \('
grep 'Python Exception' <<<"$said" >&2 && faults=$((faults + 1))
library=$with

# ---- Words ----

said=$(look mode=guard 'print known' 'print unknown' 'print nowhere' 'print stats' 'print finding' \
  'set language c++' 'print (rf_stats &)stats' 'set language fortran' left 'show language' 'frame 0' 'print none')
expect words "$said" '= thread 3: #0 make_stores at .*debugged_blocks.c:[0-9]+; #1 main at .*debugged_blocks.c:[0-9]+$
= \(nothing known\)$|= thread 0: \(nothing known\)$
= \?:0 in \?$
\$4 = 7 bytes in 1 block, peak 9 bytes, 4 allocations, 1 failure$
= buffer-overflow at 0x20, block 0x10 of 1 byte = \{
released = thread 0: \(nothing known\)
\$6 = .*7 bytes in 1 block, peak 9 bytes, 4 allocations, 1 failure$
^\[left\]0x[0-9a-f]+ is at the start of a live block
current source language is "fortran"
= allocator \(none\)'

# ---- The library linked in ----

said=$(gdb -nx -batch -ex "source $script" -ex 'set startup-with-shell off' -ex 'set debuginfod enabled off' \
  -ex 'set environment RINGFENCE_OPTIONS=mode=guard:watch=0:stack_depth=8' -ex 'set breakpoint pending on' \
  -ex 'ringfence break' -ex 'show breakpoint pending' -ex run -ex 'ringfence what p+13' -ex kill "$linked" 2>&1)
expect "linked in" "$said" 'pending breakpoints is on
is 0 bytes after a (live|freed) block of 13 bytes
^  #0 .* in main at .*overflow.c'
expect "linked in" "$(grep -A1 'Ringfence has reported' <<<"$said")" '^#[0-9]+ .* main \('

# ---- What cannot be answered ----

for version in 0 2; do
  expect "version $version" "$(look mode=guard "python VERSION = $version" right)" 'are of different versions'
done
expect "unreadable" "$(look mode=guard 'set {long}(((long *)&__ringfence_debugger)[1] + 2 * sizeof(long)) = 8' right)" \
  'the description of the block cannot be read: Cannot access memory'
expect "no library" "$(gdb -nx -batch -ex "source $script" -ex 'ringfence what 16' "$program" 2>&1)" \
  'no Ringfence is in this process \(yet\): start it with LD_PRELOAD'
expect "no address" "$(debug mode=guard 'ringfence what')" 'an address is missing'

((faults == 0)) || exit 1

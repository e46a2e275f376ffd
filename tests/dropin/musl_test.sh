#!/usr/bin/env bash
# Programs of musl under `ringfence check`: each bug of the table that bugs_test.cc has is found in each mode that sees
# it, each leak of leaks_test.cc's, and nothing in correct programs; processes of both C libraries start each other, and
# each has its own library. Leaves all out in a build without --config=musl.
set -uo pipefail

readonly command=$1 library=$2 work=$TEST_TMPDIR/musl
readonly programs=tests/dropin/programs
mkdir -p -- "$work"

if [[ ! -e $library ]]; then
  echo "built without --config=musl: programs of musl are left out"
  exit 0
fi

failed=0
complain() {
  printf 'FAILED: %s\n' "$*"
  failed=1
}

# The frame pointer stays: musl-gcc links programs without the index of their unwind tables. Headers of the kernel,
# which musl lacks, come last.
build() { # compiler, output, source, flags and further sources
  "$1" -std=c11 -g -O0 -w -fno-builtin -fno-omit-frame-pointer -I. -I$programs -Icheckers/include "${@:4}" \
    -idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu -o "$work/$2" "$3" -pthread ||
    complain "$3 does not compile by $1"
}

for name in bugs threads handlers forks order hardship; do
  build musl-gcc "$name" "$programs/$name.c"
done
build musl-gcc leaks $programs/leaks.c $programs/leaks_*.c
build musl-gcc starts tests/dropin/musl_starts.c
build gcc starts_glibc tests/dropin/musl_starts.c

build musl-gcc starts_static tests/dropin/musl_starts.c -static

# Debian has no C++ library for musl: the program has one of its own that is but the operators.
cxx() { # output, flags of the link, flags of g++
  g++ -std=c++14 -g -O0 -w -nostdinc -fno-builtin -fno-exceptions -fno-sized-deallocation -fPIC -c "${@:3}" \
    -o "$work/$1.o" tests/dropin/musl_cxx.cc && musl-gcc -o "$work/$1" "$work/$1.o" $2 ||
    complain "$1 cannot be made of musl_cxx.cc"
}
cxx libruntime.so -shared -DRUNTIME
cxx cxx "$work/libruntime.so -Wl,--eh-frame-hdr"

# status, text that the report must have ("": none), words of the command
expect() {
  local status
  "$command" check "${@:3}" >"$work/out" 2>&1
  status=$?
  [[ $status == "$1" ]] || complain "${*:3}: status $status instead of $1: $(tail -n 3 "$work/out")"
  [[ -z $2 ]] || grep -qF -- "$2" "$work/out" || complain "${*:3}: no '$2' in: $(tail -n 3 "$work/out")"
}

# Frames of a finding's first stack that lie in a file of the program's.
expect_place() {
  grep -qE "^    #[0-9] .* in $1 .*$2:[0-9]+" "$work/out" || complain "no frame in $1, $2: $(grep -F '#' "$work/out")"
}

# ---- Each bug, each mode ----

bugs=$(sed -nE 's/^    \{"([a-z_]+)", "([a-zA-Z_-]+)", ".*/\1 \2/p' tests/dropin/bugs_test.cc)
[[ $(wc -l <<<"$bugs") -ge 25 ]] || complain "no table of bugs in bugs_test.cc"
while read -r name kind; do
  for mode in guard page; do
    expect 99 "SUMMARY: Ringfence: $kind " --mode "$mode" -- "$work/bugs" "$name" bad </dev/null
    expect_place "[a-z_]+" bugs.c
    expect 0 "nothing found in 1 process" --mode "$mode" -- "$work/bugs" "$name" good </dev/null
  done
done <<<"$bugs"
for name in overflow_by_one underflow_by_one double_free write_after_free; do
  kind=$(sed -n "s/^$name //p" <<<"$bugs")
  expect 99 "SUMMARY: Ringfence: $kind " --mode sample --option sample_rate=1 -- "$work/bugs" "$name" bad
  expect 0 "nothing found in 1 process" --mode sample --option sample_rate=1 -- "$work/bugs" "$name" good
done
expect 0 "" --mode off -- "$work/bugs" overflow_by_one good

# ---- Leaks ----

lost=$(sed -nE '/kLost/,/^#if|^};/s/^    \{"([a-z_]+)", [0-9]+, .*/\1/p' tests/dropin/leaks_test.cc)
kept=$(sed -nE '/kKept/,/^};/s/^    "([a-z_]+)",?$/\1/p' tests/dropin/leaks_test.cc)
[[ $(wc -w <<<"$lost") -ge 8 && $(wc -w <<<"$kept") -ge 12 ]] || complain "no tables in leaks_test.cc"
for name in $lost; do
  expect 99 "memory-leak" -- "$work/leaks" "$name"
done
for name in $kept; do
  expect 0 "nothing found in " -- "$work/leaks" "$name"
done

expect 0 "nothing found in 1 process: 1 allocation of 24 bytes" -- "$work/starts" good return
expect 99 "memory-leak of 24 byte(s) in 1 object(s)" --option leaks=reachable -- "$work/starts" good return
[[ $(grep -c '^==.*ERROR' "$work/out") == 1 ]] || complain "blocks of others are counted: $(grep ERROR "$work/out")"

# ---- Correct programs: threads, signals, forks ----

for mode in guard page sample; do
  for name in threads handlers order; do
    own=()
    [[ $mode != sample ]] || own=(--option heap=own) # musl's malloc cannot be called by signal handlers
    expect 0 "nothing found" --mode "$mode" "${own[@]}" -- "$work/$name"
  done
done

# Forks while another thread flushes all streams, or ends the process, and others have musl grow a buffer of a stream.
for mode in guard page sample; do
  for situation in streams streams_end; do
    timeout -s KILL 60 "$command" check --mode "$mode" -- "$work/hardship" "$situation" >"$work/out" 2>&1
    status=$?
    ((status == 3)) || complain "$situation in mode $mode: status $status: $(tail -n 3 "$work/out")"
  done
done

# ---- Ends of a process with damage in a block that was never freed ----

for how in return exit thread_exit quick_exit _exit; do
  expect 99 "SUMMARY: Ringfence: heap-buffer-overflow" -- "$work/starts" bad "$how"
  grep -qxF "written late" "$work/out" || [[ $how == *_exit && $how != thread_exit ]] ||
    complain "$how: what the program printed is lost"
done

# ---- Processes of both C libraries ----

for chain in "starts bad return" "starts_glibc exec starts bad return" "starts exec starts_glibc bad return" \
  "starts spawn starts_glibc spawn starts bad return" "starts_glibc spawn starts exec starts_glibc bad return" \
  "starts fork bad return" "starts system starts bad return" "starts popen starts_glibc bad return" \
  "starts_glibc system starts bad return" "starts_glibc popen starts bad return"; do
  words=()
  for word in $chain; do
    [[ $word != starts* ]] || word=$work/$word
    words+=("$word")
  done
  for mode in guard page; do
    expect 99 "SUMMARY: Ringfence: heap-buffer-overflow" --strict --mode "$mode" -- "${words[@]}"
    expect_place main musl_starts.c
  done
done
for parent in starts starts_glibc; do
  expect 0 "nothing found in" -- "$work/$parent" system "$work/starts" good return
done

# ---- C++ ----

for mode in guard page; do
  expect 0 "nothing found in 1 process" --mode "$mode" -- "$work/cxx" good
  while read -r how kind; do
    expect 99 "SUMMARY: Ringfence: $kind" --mode "$mode" -- "$work/cxx" "$how"
    expect_place main musl_cxx.cc
  done <<<"mismatch alloc-dealloc-mismatch
    overflow heap-buffer-overflow
    leak memory-leak
    double_free double-free"
done

# ---- Static programs ----

expect 2 "is statically linked" -- "$work/starts_static" good return
for parent in starts starts_glibc; do
  expect 0 "; 1 program not checked (1 static)" -- "$work/$parent" spawn "$work/starts_static" good return
done

# ---- Without the library ----

mkdir -p -- "$work/alone"
cp -L -- "${library%/musl/*}/libringfence.so" "$work/alone/"
export RINGFENCE_LIB=$work/alone/libringfence.so
expect 2 "--config=musl" -- "$work/starts" bad return
expect 0 "1 program not checked (1 with musl)" -- "$work/starts_glibc" spawn "$work/starts" good return
export RINGFENCE_LIB=$work/alone/musl.so
cp -L -- "$library" "$RINGFENCE_LIB"
expect 2 "another C library than libringfence.so" -- "$work/starts_glibc" bad return
expect 0 "1 program not checked (1 with glibc)" -- "$work/starts" spawn "$work/starts_glibc" good return
expect 0 "1 program not checked (1 with glibc)" -- "$work/starts" system "$work/starts" good return

exit "$failed"

#!/usr/bin/env bash
# Builds and runs docs/examples/outside, a workspace that depends on this one: its allocator through the conformance
# suite and the fuzz corpus, checked by guard and by AddressSanitizer, a program with Ringfence's malloc, and tests that
# run under the command.
#
#   tools/try_outside.sh [BAZEL [ARGUMENTS...]]     default: bazel; arguments go to each of its commands
#
# Works on a copy. Prints "outside: passed", or what was not as it should be.
set -uo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
bazel=${1:-bazel}
(($#)) && shift
work=$(mktemp -d "${TMPDIR:-/tmp}/outside.XXXXXX") || exit 2
trap 'cd /; "$bazel" --output_base="$work/out" shutdown >/dev/null 2>&1; chmod -R u+w "$work"; rm -rf -- "$work"' EXIT

cp -r -- "$root/docs/examples/outside" "$work/project"
cd -- "$work/project" || exit 2
# The paths of the copy.
sed -i "s|\"\.\./\.\./\.\./|\"$root/|; s|\"\.\./\.\./\.\.\"|\"$root\"|" WORKSPACE MODULE.bazel

faults=0
complain() {
  echo "outside: $*" >&2
  faults=$((faults + 1))
}

run() { "$bazel" --output_base="$work/out" "$@"; }

arguments=("$@" --noshow_progress --color=no)

# label, options for the build -- arguments; the program's output in $text, its exit status in $status
status=0
text=
start() {
  local label=$1
  shift
  local options=()
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  shift
  run build "${arguments[@]}" "${options[@]}" "$label" >build.log 2>&1 || {
    complain "$label does not build: $(tail -30 build.log)"
    return
  }
  status=0
  text=$("bazel-bin/${label#:}" "$@" 2>&1) || status=$?
}

# what, expected status, what must be said
expect() {
  ((status == $2)) || complain "$1: status $status, not $2: $text"
  [[ $text == *"$3"* ]] || complain "$1: does not say '$3': $text"
}

run test "${arguments[@]}" //... >test.log 2>&1 || complain "bazel test //...: $(tail -40 test.log)"
run test "${arguments[@]}" --config=asan --build_tests_only //... >test.log 2>&1 ||
  complain "bazel test --config=asan //...: $(tail -40 test.log)"

# By rf_checked_test, without a word on the command line: what is wrong is found in each mode.
# cquery, which takes the arguments of a build.
run cquery "${arguments[@]}" 'tests(:slots_test)' 2>/dev/null | sed 's/ (.*//; s|^@@*//|//|' | sort -u >query.log
[[ $(tr '\n' ' ' <query.log) == '//:slots_test_asan //:slots_test_guard //:slots_test_page ' ]] ||
  complain "the suite :slots_test is of other tests: $(<query.log)"
for mode in guard page asan; do
  run test "${arguments[@]}" --test_output=errors :slots_wrong_test_$mode >test.log 2>&1 &&
    complain "slots_wrong_test_$mode passes"
  grep -q 'SUMMARY: Ringfence: heap-buffer-overflow' test.log && grep -q 'in main checked.c:17$' test.log ||
    complain "slots_wrong_test_$mode does not name the line: $(tail -40 test.log)"
done

for config in guard asan; do
  start :checked --config=$config -- right
  expect "checked, $config" 0 done
done
start :checked --config=guard -- wrong
expect "checked wrong, guard" 99 "0 bytes after 16-byte region"
start :checked --config=asan --@ringfence//checkers:mode=asan -- wrong
expect "checked wrong, asan" 99 "0 bytes after 16-byte region"
# Its allocator tells of its own blocks, so AddressSanitizer knows them without a checker.
start :checked --config=asan -- wrong
expect "slots wrong, asan" 1 "use-after-poison"

start :words -- right
expect "words" 0 words
start :words -- wrong
expect "words wrong" 99 "0 bytes after 5-byte region"
for label in :words_test :words_linkstatic_test :words_dynamic :words_pie :words_static; do
  start $label -- right
  expect "$label" 0 words
  start $label -- wrong
  expect "$label wrong" 99 "0 bytes after 5-byte region"
  [[ $text != *run_main* && $text != *__wrap_* ]] || complain "$label: a frame of Ringfence's own: $text"
done
start :words_bare --custom_malloc=@ringfence//checkers/dropin:malloc -- wrong
expect "words wrong, by --custom_malloc" 99 "0 bytes after 5-byte region"
start :words_bare -- wrong
expect "words wrong, bare" 0 words

# ---- Tests that know nothing of Ringfence, by --run_under, in a workspace without a .bazelrc ----

mkdir plain
cp words.c plain
cat >plain/BUILD.bazel <<'END'
load("@rules_cc//cc:defs.bzl", "cc_test")

cc_test(
    name = "right_test",
    size = "small",
    srcs = ["words.c"],
)

cc_test(
    name = "wrong_test",
    size = "small",
    srcs = ["words.c"],
    args = ["wrong"],
)
END
rm .bazelrc
under=(--copt=-g --strip=never --run_under='@ringfence//tools:ringfence check --' --test_output=errors)
# The C++ of ours that these build is C++17 by itself; GoogleTest's is the workspace's affair.
run test "${arguments[@]}" "${under[@]}" --test_tag_filters=-ringfence_asan //plain:right_test :words_test :slots_test \
  :slots_fuzz >test.log 2>&1 || complain "bazel test --run_under: $(tail -40 test.log)"
run build "${arguments[@]}" @ringfence//tests/conformance:main >test.log 2>&1 ||
  complain "bazel build without a .bazelrc: $(tail -40 test.log)"
run test "${arguments[@]}" "${under[@]}" //plain:wrong_test >test.log 2>&1 && complain "wrong_test passes"
grep -qE 'SUMMARY: Ringfence: heap-buffer-overflow .*words.c:[0-9]+ in main$' test.log ||
  complain "wrong_test does not name the line: $(tail -40 test.log)"

((faults == 0)) || exit 1
echo "outside: passed"

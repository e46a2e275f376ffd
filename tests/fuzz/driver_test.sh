#!/usr/bin/env bash
# The program that replays fuzz inputs: what it takes, what it says, how it ends.
set -uo pipefail

good=$1
broken=$2
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
failures=0

# expect STATUS TEXT COMMAND...: the command ends with that status and prints that text.
expect() {
  local status=$1 text=$2 output
  shift 2
  output=$("$@" 2>&1)
  local got=$?
  if [[ $got -ne $status || $output != *"$text"* ]]; then
    printf 'driver_test: %s\n  exit status %s, not %s, or no "%s" in:\n%s\n' "$*" "$got" "$status" "$text" "$output"
    failures=$((failures + 1))
  fi
}

mkdir "$folder/empty" "$folder/two" "$folder/two/below"
printf '\0\1\2\3' >"$folder/two/one"
printf 'another input' >"$folder/two/below/other"
# An arena of 4 KiB; then blocks of 16 bytes are allocated and freed.
printf '\1\200\200\0\0\0\0\0\020\0\0\0\020\0\177\0' >"$folder/fails"

expect 1 'the corpus is empty' "$good"
expect 1 'the corpus is empty' "$good" "$folder/empty"
expect 1 'cannot read' "$good" "$folder/missing"
expect 2 'only replays inputs' "$good" -runs=1 "$folder/two"
expect 0 '2 inputs, no finding' "$good" "$folder/two"
expect 0 '3 inputs, no finding' "$good" "$folder/two/one" "$folder/two"

readonly aborted=134 # by SIGABRT
expect $aborted 'statistics: peak is ' "$broken" "$folder/fails"
expect $aborted "fuzz: failed on input $folder/fails" "$broken" "$folder/fails"
expect $aborted 'RF_FUZZ_TRACE=1 prints the operations' "$broken" "$folder/fails"
expect $aborted 'p1 = rf_alloc(a, 16)' env RF_FUZZ_TRACE=1 "$broken" "$folder/fails"

exit $((failures != 0))

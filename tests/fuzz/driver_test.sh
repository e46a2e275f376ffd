#!/usr/bin/env bash
# The program that replays fuzz inputs: its arguments, messages and exit status.
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

# Seed files: each input has a name, which selects it, too.
readonly fails_in_base64=AYCAAAAAAAAQAAAAEAB/AA==
seeds=$folder/good.seeds
printf 'one-of-a-bug AAECAw==\nAAECA/8=\n=\n' >"$seeds"
expect 0 '3 inputs, no finding' "$good" "$seeds"
expect 0 '5 inputs, no finding' "$good" "$seeds" "$folder/two"
expect 0 '1 inputs, no finding' "$good" "$seeds:2"
expect 0 '1 inputs, no finding' "$good" "$seeds:one-of-a-bug"
expect 1 "$seeds: no line or name 'another'" "$good" "$seeds:another"
expect 1 "$seeds: no line or name '4'" "$good" "$seeds:4"
mkdir "$folder/of_seeds"
cp "$seeds" "$folder/of_seeds"
expect 0 '3 inputs, no finding' "$good" "$folder/of_seeds"

# Shards of Bazel, which asks for a sign that each replays a share.
shard() { env TEST_TOTAL_SHARDS="$1" TEST_SHARD_INDEX="$2" TEST_SHARD_STATUS_FILE="$folder/shares" "${@:3}"; }
expect 0 '3 inputs, no finding' shard 2 0 "$good" "$seeds" "$folder/two"
expect 0 '' test -e "$folder/shares"
expect 0 '2 inputs, no finding' shard 2 1 "$good" "$seeds" "$folder/two"
expect 0 '0 inputs, no finding' shard 7 6 "$good" "$seeds" "$folder/two"
printf '%s\nAA==\n' "$fails_in_base64" >"$folder/first.seeds"
expect 0 '1 inputs, no finding' shard 2 1 "$broken" "$folder/first.seeds"

: >"$folder/nothing.seeds"
expect 1 "$folder/nothing.seeds: no inputs in this file" "$good" "$folder/nothing.seeds"
expect 1 "cannot read $folder/missing.seeds" "$good" "$folder/missing.seeds"
expect 1 "cannot read $folder/missing.seeds" "$good" "$folder/missing.seeds:1"

# Bad lines: three digits, unknown digits, too much padding, padding inside, bits beyond the last byte, empty, CR.
for bad in AAA 'AA*=' A=== '====' 'AA==AAAA' 'AB==' 'AAE=x' '' 'AAAA ' $'AAAA\r'; do
  printf 'AAAA\n%s\n' "$bad" >"$folder/bad.seeds"
  expect 1 "$folder/bad.seeds:2: invalid base64" "$good" "$folder/bad.seeds"
done
printf 'AAAA\n<<<<<<< ours\n' >"$folder/bad.seeds"
expect 1 "$folder/bad.seeds:2: '<<<<<<<' is not a name" "$good" "$folder/bad.seeds"

readonly aborted=134 # by SIGABRT
expect $aborted 'statistics: peak is ' "$broken" "$folder/fails"
expect $aborted "fuzz: failed on input $folder/fails" "$broken" "$folder/fails"
printf 'kept-for-a-reason %s\n' "$fails_in_base64" >"$folder/named.seeds"
expect $aborted "fuzz: failed on input $folder/named.seeds:kept-for-a-reason" "$broken" "$folder/named.seeds"
printf 'AA==\n%s\n' "$fails_in_base64" >"$folder/unnamed.seeds"
expect $aborted "fuzz: failed on input $folder/unnamed.seeds:2" "$broken" "$folder/unnamed.seeds"
expect $aborted 'RF_FUZZ_TRACE=1 prints the operations' "$broken" "$folder/fails"
expect $aborted 'p1 = rf_alloc(a, 16)' env RF_FUZZ_TRACE=1 "$broken" "$folder/fails"
expect $aborted "fuzz: failed on input $folder/first.seeds:1" shard 2 0 "$broken" "$folder/first.seeds"

exit $((failures != 0))

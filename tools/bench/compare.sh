#!/usr/bin/env bash
# All allocators on the same recorded traces, as tables in markdown.
#
#   ./bazelw run //tools/bench:compare                 prints them
#   ./bazelw run //tools/bench:compare -- --update     writes them into docs/comparison.md
set -euo pipefail
. tools/bench/page.sh

compare=$PWD/$1
size=$PWD/$2
shift 2
traces=()
while [[ $# -gt 0 && $1 == *.rft ]]; do
  traces+=("$PWD/$1")
  shift
done
case ${1-} in
  '' | --update) ;;
  *)
    echo "usage: compare [--update]" >&2
    exit 2
    ;;
esac

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

# python first: its small requests make the last trace.
ordered=()
for name in python sqlite git perl; do
  for trace in "${traces[@]}"; do
    [[ $trace != */"$name.rft" ]] || ordered+=("$trace")
  done
done

"$size" --list x86-64 >"$work/text"
{ echo; "$compare" "${ordered[@]}" --text "$work/text"; } >"$work/tables"

print_or_put "${1-}" docs/comparison.md compare "$work/tables"

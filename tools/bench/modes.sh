#!/usr/bin/env bash
# The cost of each mode, on traces and on real programs, as tables in markdown.
#
#   ./bazelw run //tools/bench:modes                            prints them
#   ./bazelw run //tools/bench:modes -- --update                writes them into docs/costs.md
#   ./bazelw run //tools/bench:modes -- --quick [--update]      fewer repetitions
set -euo pipefail
. tools/bench/page.sh

traces_of=$PWD/$1
programs=$PWD/$2
library=$PWD/$3
shift 3
traces=()
while [[ $# -gt 0 && $1 == *.rft ]]; do
  traces+=("$PWD/$1")
  shift
done

update=
replays=100
runs=5
for option; do
  case $option in
    --update) update=1 ;;
    --quick) replays=20 runs=3 ;;
    *)
      echo "usage: modes [--quick] [--update]" >&2
      exit 2
      ;;
  esac
done

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

{
  printf '\n## Traces\n'
  "$traces_of" "${traces[@]}" --runs "$replays"
  printf '\n## Real programs\n\n![Time of real programs beside glibc](costs_programs.svg)\n\n'
  "$programs" "$library" --modes --runs "$runs"
} >"$work/tables"

print_or_put "$update" docs/costs.md modes "$work/tables"

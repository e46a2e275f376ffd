#!/usr/bin/env bash
# The tables of a program that measures a cost, in markdown: printed, or with --update written into docs/costs.md. The
# targets guard, forwarding and queue give it NAME, PROGRAM and its FILEs, and --.
#
#   cost NAME PROGRAM FILE... -- [--update] [ARGUMENT...]     runs PROGRAM FILE... ARGUMENT...
set -euo pipefail
. tools/bench/page.sh

name=$1
shift
command=()
while [[ $1 != -- ]]; do
  command+=("$PWD/$1")
  shift
done
shift
update=
if [[ ${1-} == --update ]]; then
  update=1
  shift
fi

work=$(mktemp)
trap 'rm -f -- "$work"' EXIT
"${command[@]}" "$@" >"$work"
print_or_put "$update" docs/costs.md "$name" "$work"

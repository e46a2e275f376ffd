#!/usr/bin/env bash
# The cost of handing requests on, and of the start of a program, as tables in markdown.
#
#   ./bazelw run //tools/bench:forwarding                           prints them
#   ./bazelw run //tools/bench:forwarding -- --update [--rounds N]  writes them into docs/costs.md
set -euo pipefail
. tools/bench/page.sh

inputs=("$PWD/$1" "$PWD/$2" "$PWD/$3" "$PWD/$4")
shift 4
update=
if [[ ${1-} == --update ]]; then
  update=1
  shift
fi

work=$(mktemp)
trap 'rm -f -- "$work"' EXIT
"${inputs[@]}" "$@" >"$work"

if [[ -z $update ]]; then
  cat "$work"
else
  put_into "${BUILD_WORKSPACE_DIRECTORY:?run this with bazelw run}/docs/costs.md" forwarding "$work"
fi

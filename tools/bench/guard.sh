#!/usr/bin/env bash
# The cost of mode guard of the drop-in for programs that do little but allocate, as a table in markdown.
#
#   ./bazelw run //tools/bench:guard                           prints it
#   ./bazelw run //tools/bench:guard -- --update [--rounds N]  writes it into docs/costs.md
set -euo pipefail
. tools/bench/page.sh

inputs=("$PWD/$1" "$PWD/$2" "$PWD/$3")
shift 3
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
  put_into "${BUILD_WORKSPACE_DIRECTORY:?run this with bazelw run}/docs/costs.md" guard "$work"
fi

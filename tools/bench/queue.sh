#!/usr/bin/env bash
# The cost of the modes where one thread allocates and another frees, as a table in markdown.
#
#   ./bazelw run //tools/bench:queue                                             prints it
#   ./bazelw run //tools/bench:queue -- --update [--rounds N] [--beside LIBRARY]  writes it into docs/costs.md
set -euo pipefail
. tools/bench/page.sh

inputs=("$PWD/$1" "$PWD/$2")
shift 2
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
  put_into "${BUILD_WORKSPACE_DIRECTORY:?run this with bazelw run}/docs/costs.md" queue "$work"
fi

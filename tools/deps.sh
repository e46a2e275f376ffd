#!/usr/bin/env bash
# Asks Bazel whether dependencies point one way: tools, tests, fuzz -> checkers -> lib; inside lib: decorators, heaps,
# handles, blocks -> core; nobody but //lib/port:port names an implementation of the port.
#
#   tools/deps.sh [OPTION...]      options go to Bazel, before the command: --output_base=...
#
# Exit status 0 where all is in order, 1 where not, 2 where Bazel could not answer. //tests/house:layering_test
# reads the #include lines to the same end.
set -euo pipefail

cd -- "${BUILD_WORKSPACE_DIRECTORY:-$(dirname -- "${BASH_SOURCE[0]}")/..}"
startup=("$@")
complaints=$(mktemp)
trap 'rm -f -- "$complaints"' EXIT

faults=0

# A result of the query breaks the rule.
none() {
  local rule=$1 query=$2 found
  found=$(./bazelw "${startup[@]}" query --noimplicit_deps --notool_deps --noshow_progress "$query" \
    2>"$complaints") || {
    cat -- "$complaints" >&2
    exit 2
  }
  if [[ -n $found ]]; then
    printf '%s:\n%s\n' "$rule" "$found" >&2
    faults=$((faults + 1))
  fi
}

# Layer A must not depend on layer B. //tools/bazel holds the rules and settings of every target.
forbid() {
  local from=$1 to=$2
  none "$from depends on $to" "(deps($from) intersect ($to)) except //tools/bazel/..."
}

checked="//checkers/checked/... + //checkers/dropin/..."
asan="//checkers/asan/..."
guard="//checkers/guard/..."
handles="//checkers/handles/..."
page="//checkers/page/..."
mte="//checkers/mte/..."
trace="//checkers/trace/..."
checkers="$guard + $asan + $mte + $page + $handles + $trace + $checked"
forbid //lib/... "//checkers/... + //tests/... + //fuzz/... + //tools/..."
forbid //checkers/... "//tests/... + //fuzz/... + //tools/..."
above_core="//lib/heaps/... + //lib/handles/... + //lib/blocks/... + //lib/decorators/... + //lib/compat/..."
forbid //lib/core/... "$above_core"
forbid //lib/port/... "//lib/core:core + $above_core"
forbid //lib/heaps/... "//lib/handles/... + //lib/blocks/... + //lib/decorators/... + //lib/compat/..."
forbid //lib/handles/... "//lib/heaps/... + //lib/blocks/... + //lib/decorators/... + //lib/compat/..."
forbid //lib/blocks/... "//lib/heaps/... + //lib/handles/... + //lib/decorators/... + //lib/compat/..."
forbid //lib/decorators/... "//lib/heaps/... + //lib/handles/... + //lib/blocks/... + //lib/compat/..."
forbid //checkers/os/... "//checkers/report/... + //checkers/shared/... + $checkers"
forbid //checkers/report/... "//checkers/shared/... + $checkers"
forbid //checkers/shared/... "$checkers"
forbid //checkers/guard/... "$asan + $mte + $page + $handles + $trace + $checked"
forbid //checkers/handles/... "$guard + $asan + $mte + $page + $trace + $checked"
forbid //checkers/trace/... "$guard + $asan + $mte + $page + $handles + $checked"
forbid //checkers/page/... "//checkers/asan/... + $mte + //checkers/handles/... + //checkers/trace/... + $checked"
forbid //checkers/asan/... "//checkers/page/... + $mte + //checkers/handles/... + //checkers/trace/... + $checked"
forbid //checkers/mte/... "$asan + $handles + $trace + $checked"
forbid //checkers/checked/... "//checkers/dropin/..."
forbid //tools/ringfence/base/... "//tools/ringfence/model + //tools/ringfence/symbols + //tools/ringfence/render + \
  //tools/ringfence/run + //tools/ringfence/cli"
forbid //tools/ringfence/model/... "//tools/ringfence/symbols + //tools/ringfence/render + //tools/ringfence/run + \
  //tools/ringfence/cli"
forbid //tools/ringfence/symbols/... "//tools/ringfence/render + //tools/ringfence/run + //tools/ringfence/cli"
forbid //tools/ringfence/run/... "//tools/ringfence/model + //tools/ringfence/symbols + //tools/ringfence/render + \
  //tools/ringfence/cli"
forbid //tools/ringfence/render/... "//tools/ringfence/run + //tools/ringfence/cli"
none "an implementation of the port is named" \
  "(rdeps(//lib/... + //checkers/..., //lib/port:bare + //lib/port:posix, 1)) except //lib/port/..."

if ((faults != 0)); then
  echo "$faults rules broken" >&2
  exit 1
fi
echo "dependencies point one way"

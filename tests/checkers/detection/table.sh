#!/usr/bin/env bash
# Writes docs/detection.md: ./bazelw run //tests/checkers/detection:table
#
# Builds table_bin with AddressSanitizer, too, by the same Bazel: of mode asan that one says what happens.
set -euo pipefail

[[ -n ${BUILD_WORKSPACE_DIRECTORY-} ]] || { echo "run me by bazel run" >&2; exit 2; }
table=$PWD/tests/checkers/detection/table_bin

bazel=("$BUILD_WORKSPACE_DIRECTORY/bazelw")
[[ -x ${bazel[0]} ]] || bazel=(bazel)
[[ $0 != */execroot/* ]] || bazel+=(--output_base="${0%%/execroot/*}")
# A suffix: this build's outputs lie beside those of other configurations, and none displaces the other.
flags=(--config=asan --platform_suffix=asan)
cd -- "$BUILD_WORKSPACE_DIRECTORY"
quiet=(--ui_event_filters=-info,-stdout --noshow_progress)
"${bazel[@]}" build "${flags[@]}" "${quiet[@]}" //tests/checkers/detection:table_bin
binaries=$("${bazel[@]}" info "${flags[@]}" bazel-bin 2>/dev/null)

scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
# AddressSanitizer's own reports are many, and not what this is about.
status=0
ASAN_OPTIONS=symbolize=0 "$binaries/tests/checkers/detection/table_bin" --cells >"$scratch/cells" 2>"$scratch/log" ||
  status=$?
if ((status != 0)); then
  cat -- "$scratch/log" >&2
  exit 1
fi
"$table" --with "$scratch/cells"

#!/usr/bin/env bash
# Builds a fuzzer with --config=fuzz and runs it: what rf_fuzz_test's NAME_run is.
#
#   ./bazelw run //fuzz:tlsf_fuzz_run                            one minute, from the stored corpus on
#   ./bazelw run //fuzz:tlsf_fuzz_run -- -max_total_time=600     any of libFuzzer's options
#   ./bazelw run //fuzz:tlsf_fuzz_run -- FILE...                 only these inputs
#   ./bazelw run //fuzz:tlsf_fuzz_run -- --store                 merges what was found so far into the stored corpus
#
# New inputs and findings are kept, outside of the source tree, in RF_FUZZ_DIR or ~/.cache/ringfence/fuzz.
#
# Bazel calls it with: test's label, dictionary or "", folders or files of the stored corpus and more flags for the build...,
# "--", the user's arguments.
set -euo pipefail

say() { printf 'fuzz: %s\n' "$*" >&2; }

die() {
  say "$@"
  exit 2
}

[[ -n ${BUILD_WORKSPACE_DIRECTORY-} ]] || die "run me by bazel run"

label=$1
dictionary=${2:+$PWD/$2}
shift 2
declare -A seen=()
seeds=() # folders, as libFuzzer wants them
more_flags=()
while [[ $1 != -- ]]; do
  if [[ $1 == --* ]]; then
    more_flags+=("$1")
    shift
    continue
  fi
  [[ -d $1 ]] && folder=$1 || folder=$(dirname -- "$1")
  [[ -n ${seen[$folder]-} ]] || seeds+=("$folder")
  seen[$folder]=1
  shift
done
shift
runfiles=$PWD

name=${label##*:}
kept=${RF_FUZZ_DIR:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/ringfence/fuzz}/$name

# -- What libFuzzer is told, unless the user says otherwise -----------------------------------------------------------

given() { # an option of this name, or an input to run on
  local word
  for word in "${arguments[@]}"; do
    [[ $word == -$1=* ]] && return
  done
  return 1
}

arguments=("$@")
fuzzing=1
store=
for word in "${arguments[@]}"; do
  case $word in
    --store) store=1 fuzzing= ;;
    -help=* | -merge=* | -minimize_crash=* | -cleanse_crash=* | [!-]*) fuzzing= ;;
  esac
done

if [[ -n $fuzzing ]]; then
  mkdir -p -- "$kept/corpus" "$kept/findings"
  given max_total_time || given runs || arguments+=(-max_total_time=60)
  given max_len || arguments+=(-max_len=4096)
  given artifact_prefix || arguments+=(-artifact_prefix="$kept/findings/")
  [[ -z $dictionary ]] || given dict || arguments+=(-dict="$dictionary")
  arguments+=(-print_final_stats=1 "$kept/corpus" "${seeds[@]/#/$runfiles/}")
fi

# -- Building: by the same Bazel, in the output base that this script was built in ----------------------------------------

cd -- "$BUILD_WORKSPACE_DIRECTORY"
if [[ -x ./bazelw ]]; then
  bazel=(./bazelw)
else
  bazel=("$(command -v bazel || command -v bazelisk)") || die "no bazel in PATH"
fi
[[ $0 != */execroot/* ]] || bazel+=(--output_base="${0%%/execroot/*}")
# A suffix: this build's outputs lie beside those of other configurations, and none displaces the other.
flags=(--config=fuzz --platform_suffix=fuzz)
((${#more_flags[@]} == 0)) || flags=(--config=fuzz "${more_flags[@]}" --platform_suffix="$name")

say "building ${label}_bin with --config=fuzz ${more_flags[*]}"
"${bazel[@]}" build "${flags[@]}" --ui_event_filters=-info,-stdout --noshow_progress "${label}_bin"
binaries=$("${bazel[@]}" info "${flags[@]}" bazel-bin 2>/dev/null)
package=${label#//}
program=$binaries/${package%:*}/${name}_bin

# -- Storing --------------------------------------------------------------------------------------------------------------

# One input for each edge: few files, which tell most. Inputs with a name other than a hash were kept for a reason and stay.
store_corpus() {
  local stored=$BUILD_WORKSPACE_DIRECTORY/$1 merged
  [[ -d $stored && -d $kept/corpus ]] || die "--store merges $kept/corpus into $stored: both must be there"
  merged=$(mktemp -d)
  "$program" -merge=1 -use_counters=0 "$merged" "$stored" "$kept/corpus" 2>/dev/null
  find "$stored" -type f -regextype egrep -regex '.*/[0-9a-f]{40}' -delete
  cp -- "$merged"/* "$stored"
  rm -rf -- "$merged"
  say "$stored: $(find "$stored" -type f | wc -l) inputs, $(du -bs -- "$stored" | cut -f 1) bytes"
}

if [[ -n $store ]]; then
  ((${#seeds[@]} == 1)) || die "--store needs a corpus in one folder"
  store_corpus "${seeds[0]}"
  exit
fi

# -- Running ------------------------------------------------------------------------------------------------------------

cd -- "${BUILD_WORKING_DIRECTORY:-$PWD}"
[[ -n $fuzzing ]] || exec "$program" "${arguments[@]}"

log=$(mktemp)
trap 'rm -f -- "$log"' EXIT
known=$(find "$kept/corpus" -type f | wc -l)
status=0
"$program" "${arguments[@]}" 2>&1 | tee -- "$log" >&2 || status=${PIPESTATUS[0]}

# The last line of the log that matches, what is before the match taken away.
last() { sed -n "s/.*$1//p" "$log" | tail -n 1; }

runs=$(last 'stat::number_of_executed_units: *')
edges=$(last ' cov: ' | cut -d ' ' -f 1)
finding=$(last 'Test unit written to ')
new=$(($(find "$kept/corpus" -type f | wc -l) - known))
if ((status == 0)); then
  say "$name: no finding in ${runs:-?} executions; ${edges:-?} edges covered; $new new inputs in $kept/corpus"
else
  say "$name: FAILED after ${runs:-?} executions; ${edges:-?} edges covered"
  sed -n '/^fuzz: .*operation/,/^  [^R]/p; /ERROR: AddressSanitizer/p; /runtime error:/p' "$log" | head -n 4 >&2
  [[ -z $finding ]] || say "each operation: RF_FUZZ_TRACE=1 ${bazel[0]} run ${label}_run -- $finding"
fi
exit "$status"

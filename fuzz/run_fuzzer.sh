#!/usr/bin/env bash
# Builds a fuzzer with --config=fuzz and runs it: the NAME_run of rf_fuzz_test.
#
#   ./bazelw run //fuzz:tlsf_fuzz_run                            one minute, from the stored corpus on
#   ./bazelw run //fuzz:tlsf_fuzz_run -- -max_total_time=600     any of libFuzzer's options
#   ./bazelw run //fuzz:tlsf_fuzz_run -- INPUT...                only these: FILE, NAME.seeds, NAME.seeds:LINE...
#   ./bazelw run //fuzz:tlsf_fuzz_run -- --store                 merges new inputs into the stored corpus
#
# New inputs and findings are kept, outside of the source tree, in RF_FUZZ_DIR or ~/.cache/ringfence/fuzz.
#
# Bazel's arguments: the test's label, dictionary or "", seeds.py; seed files, folders and files of the stored corpus,
# and more flags for the build; "--" and the user's arguments.
set -euo pipefail

say() { printf 'fuzz: %s\n' "$*" >&2; }

die() {
  say "$@"
  exit 2
}

[[ -n ${BUILD_WORKSPACE_DIRECTORY-} ]] || die "run me by bazel run"

label=$1
dictionary=${2:+$PWD/$2}
seeds=$PWD/$3
shift 3
declare -A seen=()
corpus=() # seed files and folders
more_flags=()
while [[ $1 != -- ]]; do
  case $1 in
    --*) more_flags+=("$1") ;;
    *)
      [[ -d $1 || $1 == *.seeds ]] && stored=$1 || stored=$(dirname -- "$1")
      [[ -n ${seen[$stored]-} ]] || corpus+=("$stored")
      seen[$stored]=1
      ;;
  esac
  shift
done
shift
runfiles=$PWD
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

name=${label##*:}
kept=${RF_FUZZ_DIR:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/ringfence/fuzz}/$name

# -- Options for libFuzzer, unless the user gives them ---------------------------------------------

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
  "$seeds" unpack "$work/corpus" "${corpus[@]/#/$runfiles/}"
  arguments+=(-print_final_stats=1 "$kept/corpus" "$work/corpus")
fi

# libFuzzer reads no seed files: their inputs become files.
for i in "${!arguments[@]}"; do
  [[ ${arguments[i]} == *.seeds || ${arguments[i]} == *.seeds:* ]] || continue
  "$seeds" unpack "$work/inputs" "${arguments[i]}"
  unset "arguments[i]"
done
[[ ! -d $work/inputs ]] || arguments+=("$work/inputs"/*)

# -- Building: by the same Bazel, in the output base that this script was built in -----------------

cd -- "$BUILD_WORKSPACE_DIRECTORY"
if [[ -x ./bazelw ]]; then
  bazel=(./bazelw)
else
  bazel=("$(command -v bazel || command -v bazelisk)") || die "no bazel in PATH"
fi
[[ $0 != */execroot/* ]] || bazel+=(--output_base="${0%%/execroot/*}")
# The suffix keeps the outputs of this build beside those of other configurations.
flags=(--config=fuzz --platform_suffix=fuzz)
((${#more_flags[@]} == 0)) || flags=(--config=fuzz "${more_flags[@]}" --platform_suffix="$name")

say "building ${label}_bin with --config=fuzz ${more_flags[*]}"
"${bazel[@]}" build "${flags[@]}" --ui_event_filters=-info,-stdout --noshow_progress "${label}_bin"
binaries=$("${bazel[@]}" info "${flags[@]}" bazel-bin 2>/dev/null)
package=${label#//}
program=$binaries/${package%:*}/${name}_bin

# -- Storing ---------------------------------------------------------------------------------------

# One input for each edge: few inputs that tell most. Named inputs stay, and none is added for an edge that they reach.
store_corpus() {
  local stored=$BUILD_WORKSPACE_DIRECTORY/$1 named=$work/named unnamed=$work/unnamed log=$work/log
  [[ $1 == *.seeds && -f $stored ]] || die "--store needs a corpus in one file NAME.seeds; seeds.py pack makes one"
  [[ -d $kept/corpus ]] || die "--store merges $kept/corpus into $stored: fuzz first"
  "$seeds" unpack "$work/stored" "$stored"
  mkdir -- "$named" "$unnamed"
  find "$work/stored" -type f -regextype egrep ! -regex '.*/[0-9a-f]{40}' -exec cp -t "$named" -- {} +
  cp -r -- "$named" "$work/merged"
  "$program" -merge=1 -use_counters=0 "$work/merged" "$work/stored" "$kept/corpus" >"$log" 2>&1 || {
    tail -n 20 -- "$log" >&2
    die "merging failed; $stored is as it was"
  }
  find "$work/merged" -type f -regextype egrep -regex '.*/[0-9a-f]{40}' -exec cp -t "$unnamed" -- {} +
  "$seeds" pack "$stored" "$unnamed"
  say "$stored: $(wc -l <"$stored") inputs, $(wc -c <"$stored") bytes"
}

if [[ -n $store ]]; then
  ((${#corpus[@]} == 1)) || die "--store needs a corpus in one file NAME.seeds"
  store_corpus "${corpus[0]}"
  exit
fi

# -- Running ---------------------------------------------------------------------------------------

# As in coverage.py: the usual quarantine of 256 MiB is more than caches hold.
export ASAN_OPTIONS=quarantine_size_mb=64${ASAN_OPTIONS:+:$ASAN_OPTIONS}

cd -- "${BUILD_WORKING_DIRECTORY:-$PWD}"
if [[ -z $fuzzing ]]; then
  status=0
  "$program" "${arguments[@]}" || status=$?
  exit "$status"
fi

log=$work/log
known=$(find "$kept/corpus" -type f | wc -l)
status=0
"$program" "${arguments[@]}" 2>&1 | tee -- "$log" >&2 || status=${PIPESTATUS[0]}

# The last line of the log that matches, from behind the match on.
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

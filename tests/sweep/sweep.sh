#!/usr/bin/env bash
# Runs real programs in every mode of the drop-in malloc: output, errors and exit status must be those of the plain run,
# byte for byte.
#
#   sweep.sh [--install] [--mode=M]... [NAME...]      default: all lines of programs.txt, in off, sample, guard and page
#
# --install gets missing packages by apt-get, as root; one that it does not get is a failure. Without it a program that
# is missing is named and counted. Needs the library built: ./bazelw run //tests/sweep does that. Prints a line for each
# failure, then a count. The exit status is 0 if nothing failed.
set -uo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
[[ -e $here/programs.txt ]] || here=$PWD/tests/sweep # under `bazel run`, which starts it among its files
library=${RINGFENCE_LIBRARY:-$(readlink -f checkers/dropin/libringfence.so)}
DATA=$here
export DATA LC_ALL=C.UTF-8

install=0
modes=()
wanted=()
for word; do
  case $word in
    --install) install=1 ;;
    --mode=*) modes+=("${word#*=}") ;;
    -*)
      echo "sweep: no option $word; there are --install and --mode=M" >&2
      exit 2
      ;;
    *) wanted+=("$word") ;;
  esac
done
((${#modes[@]})) || modes=(off sample guard page)
[[ -r $library ]] || { echo "sweep: no library at $library" >&2; exit 2; }

work=$(mktemp -d "${TMPDIR:-/tmp}/sweep.XXXXXX")
trap 'chmod -R u+w "$work"; rm -rf -- "$work"' EXIT
passed=0
failed=0
missing=0

# name, its result's folder, environment: runs a command in an empty folder and keeps what it did
perform() {
  local command=$1 result=$2
  shift 2
  rm -rf -- "$work/here" "$result"
  mkdir -p "$work/here" "$result"
  (
    cd "$work/here" || exit 2
    exec env "$@" timeout -k 10 300 bash -c "$command" </dev/null >"$result/stdout" 2>"$result/stderr"
  )
  echo "$?" >"$result/status"
}

# True if the packages of a line are there.
present() {
  local package
  for package in $1; do
    [[ $package == - ]] || dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || return 1
  done
}

try() {
  local name=$1 packages=$2 command=$3 mode
  if ! present "$packages"; then
    if ((!install)) || ! apt-get install -y -q --no-install-recommends --no-remove $packages >"$work/apt" 2>&1; then
      echo "sweep: $name needs the package $packages"
      missing=$((missing + 1))
      return
    fi
  fi
  perform "$command" "$work/plain"
  perform "$command" "$work/again"
  if ! diff -r "$work/plain" "$work/again" >"$work/diff"; then
    echo "sweep: $name: two plain runs differ, so nothing can be said of it"
    failed=$((failed + 1))
    return
  fi
  for mode in "${modes[@]}"; do
    perform "$command" "$work/checked" LD_PRELOAD="$library" "RINGFENCE_OPTIONS=mode=$mode:leaks=0:log=$work/log.%p"
    if diff -r "$work/plain" "$work/checked" >"$work/diff"; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
      echo "sweep: $name differs in mode $mode:"
      { head -n 20 "$work/diff" && cat "$work"/log.*; } 2>/dev/null | head -n 40 | cut -c1-200 | sed 's/^/  /'
    fi
    rm -f -- "$work"/log.*
  done
}

while IFS="|" read -r name packages command; do
  [[ -n $name && $name != \#* ]] || continue
  read -r name <<<"$name"
  read -r packages <<<"$packages"
  ((${#wanted[@]} == 0)) || [[ " ${wanted[*]} " == *" $name "* ]] || continue
  try "$name" "$packages" "${command# }"
done <"$here/programs.txt"

echo "sweep: $passed runs as without, $failed not, $missing programs missing"
((failed == 0 && passed + missing > 0 && (missing == 0 || !install)))

#!/usr/bin/env bash
# The pages of tlsf and of Zephyr's heap say the instructions per call that are counted now, and the page of costs those
# of a stack. Left out where another compiler than the page's built them, or with -c opt, which places code otherwise.
#
#   instruction_figures_test.sh MODE INSTRUCTIONS TLSF_PAGE ZEPHYR_PAGE STACKS COSTS
set -euo pipefail

mode=$1
instructions=$2
tlsf=$3
zephyr=$4
stacks=$5
costs=$6

if [[ $mode == opt ]]; then
  echo "left out: the figures are of builds without -c opt"
  exit
fi

# Prints the first row that the page of costs does not have. Another run has other addresses: seldom, two stacks share
# an entry of the table of guesses, and one of them is followed again.
other_row() {
  local of_stacks compiler row
  of_stacks=$("$stacks")
  compiler=${of_stacks%%$'\n'*}
  grep -qF -- "${compiler/by /by gcc }" "$costs" || return 0
  while read -r row; do
    grep -qxF -- "$row" "$costs" || { echo "$row" && return; }
  done < <(grep '^| ' <<<"$of_stacks")
}

row=$(other_row)
[[ -z $row ]] || row=$(other_row)
[[ -z $row ]] || { echo "$costs does not say: $row" >&2; exit 1; }

check() { # ALLOCATOR PAGE
  local figures named row page=$2
  figures=$("$instructions" "$1")
  named=$(sed -nE 's/.*with gcc ([0-9.]+)\..*/\1/p' "$tlsf" | head -n 1)
  [[ -n $named ]] || { echo "$tlsf names no compiler" >&2; exit 1; }
  if [[ $figures != *"compiled by $named"* ]]; then
    echo "left out: ${figures%%$'\n'*}; the page is of gcc $named"
    return
  fi
  # | all | | allocs | mean | worst | frees | mean | worst | failed |
  IFS='|' read -r _ _ _ _ alloc_mean alloc_worst _ free_mean free_worst _ < <(grep '^| all |' <<<"$figures" | tr -d ' ')
  for row in "an alloc:$alloc_worst at most, $alloc_mean on average" \
    "a free:$free_worst at most, $free_mean on average"; do
    grep -qF -- "| instructions of ${row%%:*} | " "$page" || { echo "$page has no row for ${row%%:*}" >&2; exit 1; }
    grep -F -- "| instructions of ${row%%:*} | " "$page" | grep -qF -- "${row#*:}" || {
      echo "$page does not say of ${row%%:*}: ${row#*:}" >&2
      exit 1
    }
  done
}

check tlsf "$tlsf"
check sys_heap "$zephyr"

#!/usr/bin/env bash
# How many runs mode guard takes to find bad reads, which it sees only on the few blocks that it watches: a program with
# 48 of them is run again and again, with a folder for what was watched and without one. Prints Markdown.
#
#   ./bazelw run //tools/bench:watch                            prints the table
#   ./bazelw run //tools/bench:watch -- --update [--runs N]     writes it into docs/checkers/dropin.md
set -euo pipefail
. tools/bench/page.sh

program=$PWD/$1
library=$PWD/$2
shift 2
update=
runs=100
while (($# > 0)); do
  case $1 in
    --update) update=1 ;;
    --runs) runs=${2:?} && shift ;;
    *)
      echo "usage: watch [--update] [--runs N]" >&2
      exit 2
      ;;
  esac
  shift
done

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
mkdir "$work/sites"

# OPTIONS FILE: one more run; adds to FILE the functions whose reads were found.
run_once() {
  LD_PRELOAD=$library RINGFENCE_OPTIONS=mode=guard:halt=0:exitcode=0:$1 "$program" 2>&1 |
    grep -A1 '^READ ' | grep -o 'site_[0-9]*' >>"$2" || true
}

count() {
  sort -u "$1" | wc -l
}

{
  echo "| runs | found of 48, with \`watch_sites\` | without |"
  echo "|---|---|---|"
  for ((i = 1; i <= runs; i++)); do
    run_once "watch=2000:watch_sites=$work/sites" "$work/with"
    run_once "watch=2000" "$work/without"
    case $i in
      1 | 2 | 3 | 5 | 10 | 15 | 20 | 30 | 50 | 70 | "$runs")
        echo "| $i | $(count "$work/with") | $(count "$work/without") |"
        ;;
    esac
  done
} >"$work/table"

print_or_put "$update" docs/checkers/dropin.md watch "$work/table"

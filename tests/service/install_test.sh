#!/usr/bin/env bash
# An installation with the service has its commands, manuals and completions, and is removed as a whole.
#
#   install_test.sh install.sh WORDS... --
set -uo pipefail

install=("$@")
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/install.XXXXXX") || exit 2
trap 'rm -rf -- "$work"' EXIT
unset RINGFENCE_LIB RINGFENCE_OPTIONS RINGFENCE_COLLECTOR RINGFENCE_SERVE

faults=0
complain() {
  echo "install_test: $*" >&2
  faults=$((faults + 1))
}

. tests/install/share.sh

said=$("${install[@]}" --prefix "$work/usr" 2>&1) || complain "install.sh: $said"
there() { [[ -e $work/usr/$1 ]] || complain "$1 is not installed"; }
for command in serve findings coverage steer split; do
  describes "$work/usr/share/man/man1/ringfence-$command.1" "$work/usr/bin/ringfence" help "$command"
done
manuals "$work"/usr/share/man/man1/*.1

readonly words=("$work/usr/share" "$work/usr/bin")
completes_options "${words[@]}" ringfence
completes_options "${words[@]}" ringfence-serve
for program in ringfence ringfence-serve; do
  completed "yes" "${words[@]}" $program coverage --watched y
  completed "sarif sentry" "${words[@]}" $program export --as s
  completed "set snapshot sweep" "${words[@]}" $program steer s
done

mkdir -m 700 "$work/d"
"$work/usr/bin/ringfence" serve --once --no-shared --dir "$work/d" || complain "the service does not run"
told=$("$work/usr/bin/ringfence" findings --dir "$work/d")
[[ $told == "no findings" ]] || complain "findings says: $told"

said=$("${install[@]}" --prefix "$work/usr" --uninstall 2>&1) || complain "install.sh --uninstall: $said"
left=$(find "$work/usr" -type f 2>/dev/null)
[[ -z $left ]] || complain "these are left: $left"

((faults == 0)) || exit 1

#!/usr/bin/env bash
# A check of .ci/run that lacks a package installs it, and fails where that is refused: nothing passes untried. Objects
# of earlier runs do not fill the disk.
#
#   nightly_test.sh RUN TRY_AARCH64 SWEEP
set -euo pipefail

work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/nightly.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
mkdir -p "$work/bin" "$work/root/.ci" "$work/root/tools" "$work/sweep"
cp -- "$1" "$work/root/.ci/run"
cp -- "$2" "$work/root/tools/try_aarch64.sh"
cp -- "$3" "$work/sweep/sweep.sh"

fake() { # NAME, its script on stdin
  { echo '#!/bin/bash' && cat; } >"$work/bin/$1"
  chmod +x "$work/bin/$1"
}
fail() {
  echo "nightly_test: $1" >&2
  cat -- "$work/output" "$work/calls" >&2
  exit 1
}
# what, expected status, words: runs them with the fakes, and with no program but those of the base system
run() {
  local status=0
  : >"$work/calls"
  PATH=$work/bin "${@:3}" >"$work/output" 2>&1 || status=$?
  ((status == $2)) || fail "$1: exit status $status, not $2"
}

for name in awk bash dirname env find mkdir mktemp rm chmod cat grep; do
  ln -s "$(command -v $name)" "$work/bin/$name"
done
fake sudo <<<'[[ $1 == -- ]] && shift; exec "$@"'
fake dpkg-query <<<'exit 1'
fake apt-get <<<"echo \"\$*\" >>'$work/calls'; exit 100"

run "a tool is missing" 2 "$work/root/tools/try_aarch64.sh"
grep -q 'nothing was tried' "$work/output" || fail "does not say that nothing was tried"

checks=(tools aarch64 packages newest)
run "packages that apt-get refuses" 1 "$work/root/.ci/run" "${checks[@]}"
grep -q "^0 passed, ${#checks[@]} failed" "$work/output" || fail "a check passes without its packages"
for package in valgrind cmake qemu-user debootstrap; do
  grep -qE "(^| )install .* $package( |\$)" "$work/calls" || fail "does not install $package"
done
! grep -E '(^| )install ' "$work/calls" | grep -qv -- --no-remove || fail "may remove packages"

fake dpkg-query <<<'echo install ok installed'
run "packages that are there" 0 "$work/root/.ci/run" tools
[[ ! -s $work/calls ]] || fail "installs what is there"

export XDG_CACHE_HOME=$work/cache
objects=$XDG_CACHE_HOME/ringfence/disk
mkdir -p "$objects"
touch "$objects/new"
touch -a -d '8 days ago' "$objects/old"
fake df <<<'printf "Filesystem 1024-blocks Used Available Capacity Mounted on\\n/dev/x 9 9 40000000 1%% /\\n"'
run "room enough" 0 "$work/root/.ci/run" tools
[[ -e $objects/new && ! -e $objects/old ]] || fail "keeps objects that nothing read, or no others"
fake df <<<'printf "Filesystem 1024-blocks Used Available Capacity Mounted on\\n/dev/x 9 9 10000000 1%% /\\n"'
run "a disk nearly full" 0 "$work/root/.ci/run" tools
[[ ! -e $objects ]] && grep -q "less than 16 GiB are free: .*$objects" "$work/output" || fail "leaves the disk full"

# Every check that there is belongs to the night.
mapfile -t defined < <(grep -oE '^check_[a-z0-9]+' "$work/root/.ci/run")
: >"$work/output"
for name in "${defined[@]#check_}"; do
  sed -n '/^change=(/,/^\[\[/p' "$work/root/.ci/run" | grep -qwE "$name" || fail "nightly leaves out $name"
done

fake dpkg-query <<<'exit 1'
echo 'nothing | no-such-package | true' >"$work/sweep/programs.txt"
run "the sweep, told to install what it cannot" 1 env RINGFENCE_LIBRARY="$1" "$work/sweep/sweep.sh" --install
run "the sweep without a program" 0 env RINGFENCE_LIBRARY="$1" "$work/sweep/sweep.sh"

#!/usr/bin/env bash
# bazelw on a machine whose packages exclude what a build needs: it changes nothing, says what stands in the way and
# stops.
#
#   bazelw_test.sh BAZELW
set -euo pipefail

bazelw=$1
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/bazelw.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
mkdir "$work/bin"
cp -- "$bazelw" "$work/bazelw"

fake() { # NAME, its script on stdin
  { echo '#!/usr/bin/env bash'; cat; } >"$work/bin/$1"
  chmod +x "$work/bin/$1"
}
fake bazel <<<'echo "bazel no_version"'
fake sudo <<<'[[ $1 == -- ]] && shift; exec "$@"'
fake g++ <<<'exit 1'
# Refuses what would remove a package, and says so when it is only asked.
fake apt-get <<END
echo "\$*" >>"$work/calls"
[[ " \$* " != *" -s "* ]] || echo 'Remv gcc-aarch64-linux-gnu [12.2.0]'
[[ " \$* " != *" install "* || " \$* " == *" -s "* ]] || exit 100
END

fail() {
  echo "bazelw_test: $1" >&2
  cat -- "$work/output" "$work/calls" >&2
  exit 1
}

status=0
PATH=$work/bin:$PATH "$work/bazelw" test --config=m32 //... >"$work/output" 2>&1 || status=$?
((status == 127)) || fail "exit status $status, not 127"
grep -q 'would remove gcc-aarch64-linux-gnu: nothing was changed' "$work/output" ||
  fail "does not say what stands in the way"
grep -qE '(^| )install .*--no-remove' "$work/calls" || fail "may remove packages"
! grep -E '(^| )install ' "$work/calls" | grep -vqE -- '--no-remove|(^| )-s ' ||
  fail "one of its calls may remove packages"

# The packages of //tools/service are installed for what takes it in, and for nothing else.
eval "$(sed -n '/^names_service()/,/^}/p' "$bazelw")"
for word in //... ... //tools/... //tools/service //tools/service:ringfence-serve //tools/install:package_service \
  //tests/... tests/service; do
  names_service "$word" || fail "does not install the service's packages for $word"
done
for word in test //tools:ringfence //tools/ringfence/... //lib/... //tests/tools/... //tests/servicex; do
  ! names_service "$word" || fail "installs the service's packages for $word"
done

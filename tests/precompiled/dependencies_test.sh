#!/usr/bin/env bash
# A compiler that takes the precompiled header names what that was made of among the dependencies of the test: Bazel
# compiles the test again where one of them has changed, by that list alone.
#
#   dependencies_test.sh COMPILER FLAGS-THAT-MAKE-IT... -- FLAGS-THAT-TAKE-IT...
set -euo pipefail

compiler=$1
shift
make=()
while [[ $1 != -- ]]; do
  make+=("$1")
  shift
done
shift
command -v "$compiler" >/dev/null || { echo "no $compiler here, left out" && exit 0; }

work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/precompiled.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
cd -- "$work"
mkdir -p made/include
echo '#include "made/tests.h"' >tests.cc
echo '#include "included.h"' >made/tests.h
echo 'constexpr int kIncluded = 1;' >included.h
echo 'int main() { return kIncluded; }' >test.cc
"$compiler" -I. -MD -MF tests.d -x c++-header "${make[@]}" -c tests.cc -o made/include/tests.h.gch
# A copy that says something else: whoever reads it has not taken the header that was compiled.
echo '#error read' >made/include/tests.h
"$compiler" -I. -MD -MF test.d -include made/include/tests.h "$@" -c test.cc -o test.o
grep -qE '(^|[ /])included\.h( |$)' test.d || {
  echo "$compiler $*: a change of included.h is not seen by what it compiles: $(<test.d)" >&2
  exit 1
}

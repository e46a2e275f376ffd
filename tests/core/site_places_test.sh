#!/usr/bin/env bash
# A C++ program that compiles without call sites compiles with them, without a warning, by gcc and clang, by each
# standard. Arguments: the program's header; the headers of lib.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
program=$1
shift
mkdir -p "$work/include/ringfence"
for file in "$@"; do
  [[ $file != */include/ringfence/*.h ]] || cp -- "$file" "$work/include/ringfence/"
done
printf '#include "%s"\ntemplate struct places::Calls<int>;\n' "$PWD/$program" >"$work/program.cc"

warnings=(-Wall -Wextra -Wconversion -Wshadow -Wold-style-cast -Wpedantic -pedantic -Werror -Wno-unused-const-variable)
faults=0
tried=0
for compiler in g++ clang++; do
  for standard in 11 14 17 20; do
    flags=("-std=c++$standard" "${warnings[@]}" "-I$work/include")
    "$compiler" "${flags[@]}" -fsyntax-only -x c++ /dev/null 2>/dev/null || continue # not here, or not yet
    for sites in 0 1; do
      tried=$((tried + 1))
      "$compiler" "${flags[@]}" "-DRF_SITES=$sites" -fsyntax-only "$work/program.cc" || {
        echo "$compiler, C++$standard, RF_SITES=$sites: does not compile" >&2
        faults=1
      }
    done
  done
done
((tried > 0)) || echo "no compiler: nothing was tried" >&2
((faults == 0 && tried > 0))

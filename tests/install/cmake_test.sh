#!/usr/bin/env bash
# CMakeLists.txt builds the libraries, the command and its library without a warning, passes its smoke tests, installs
# what `//tools:install` does, and serves projects that embed the sources. Left out where there is no cmake.
#
#   cmake_test.sh install.sh WORDS... --
set -uo pipefail

install=("$@")
here=$PWD
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/cmake.XXXXXX") || exit 2
trap 'rm -rf -- "$work"' EXIT
unset RINGFENCE_LIB RINGFENCE_OPTIONS TEST_UNDECLARED_OUTPUTS_DIR
{ command -v cmake && command -v make; } >/dev/null || { echo "cmake_test: no cmake and make here, left out"; exit 0; }

faults=0
complain() {
  echo "cmake_test: $*" >&2
  faults=$((faults + 1))
}

# name, source, options...: configures, builds, tests
build() {
  local name=$1 source=$2
  shift 2
  { cmake -S "$source" -B "$work/$name" "$@" && cmake --build "$work/$name" -j"$(nproc)" &&
    (cd -- "$work/$name" && ctest -C Debug --output-on-failure); } >"$work/$name.log" 2>&1 ||
    complain "$name: $(grep -E 'error|warning|Failed|Error' "$work/$name.log"; tail -n 30 "$work/$name.log")"
}

# name, tests that must have run
ran() {
  local name=$1 test
  shift
  for test in "$@"; do
    grep -q "Test *#[0-9]*: $test \.* *Passed" "$work/$name.log" || complain "$name: test $test did not run"
  done
}

programs=(core checked checked_says linked linked_says linked_static linked_static_says)

# With the type that it chooses by itself; without the optimiser, half of the time, which finds nothing new here.
build alone "$here" -DCMAKE_C_FLAGS='-Wall -Wextra -Wconversion -Wshadow -Werror' -DCMAKE_C_FLAGS_RELWITHDEBINFO=-g
ran alone "${programs[@]}" under_check under_check_as_add_test

# CMakeLists.txt and install.sh agree where both say a thing.
cmake --install "$work/alone" --prefix "$work/by_cmake" >"$work/log" 2>&1 || complain "install: $(tail "$work/log")"
"${install[@]}" --prefix /by_bazel --destdir "$work" >"$work/log" 2>&1 || complain "install.sh: $(tail "$work/log")"
rm -- "$work/by_bazel/share/ringfence/installed"
diff <(cd "$work/by_bazel" && find . ! -type d | sort) <(cd "$work/by_cmake" && find . ! -type d | sort) >&2 ||
  complain "installed by CMake (>) are other files than by Bazel (<)"
for folder in include lib/pkgconfig lib/cmake share; do
  diff -r "$work/by_bazel/$folder" "$work/by_cmake/$folder" >&2 || complain "$folder differs"
done
for root in "$work"/by_{bazel,cmake}; do
  library=$root/lib/libringfence.so.0
  readelf --dyn-syms -W "$library" | awk '$5 ~ /GLOBAL|WEAK/ && $7 != "UND" {print $4, $5, $8}' | sort >"$root.symbols"
  readelf -d "$library" | grep -oE 'SONAME.*|FLAGS.*|NEEDED.*libc.*' | sort >>"$root.symbols"
done
diff "$work"/by_{bazel,cmake}.symbols >&2 || complain "the two libraries export different symbols"

# With the service, where what it needs is there.
if printf '#include <sqlite3.h>\n#include <microhttpd.h>\n' | cc -E - >/dev/null 2>&1; then
  build alone "$here" -DRINGFENCE_SERVICE=ON
  cmake --install "$work/alone" --prefix "$work/served" >"$work/log" 2>&1 || complain "served: $(tail "$work/log")"
  [[ -s $work/served/share/man/man1/ringfence-serve.1 ]] || complain "the service has no manual"
  export RINGFENCE_COLLECTOR=$work/findings RINGFENCE_NO_SHARED=1
  "$work/served/bin/ringfence" check -- "$work/alone/tests/install/consumer/plain" >"$work/log" 2>&1
  { "$work/served/bin/ringfence" serve --once --dir "$work/findings" &&
    "$work/served/bin/ringfence" gate --dir "$work/findings"; } >"$work/log" 2>&1
  (($? == 99)) || complain "the service lists no finding: $(<"$work/log")"
  unset RINGFENCE_COLLECTOR RINGFENCE_NO_SHARED
else
  cmake -S "$here" -B "$work/refused" -DRINGFENCE_SERVICE=ON >"$work/log" 2>&1 && complain "no service, and no word"
  grep -q 'RINGFENCE_SERVICE needs ' "$work/log" || complain "without SQLite: $(<"$work/log")"
fi

# By a project that takes several sources as one, is held to more warnings, and builds several configurations at once.
words=(-DCMAKE_UNITY_BUILD=ON -DCMAKE_C_FLAGS='-Wall -Wextra -Wpedantic -Wswitch-default -Werror')
if command -v ninja >/dev/null; then
  words+=(-G 'Ninja Multi-Config')
else
  words+=(-DCMAKE_BUILD_TYPE=Debug)
fi
build 'fetched, here' "$here/tests/install/consumer" -DRINGFENCE_SOURCE="$here" -DEXAMPLES="$here/docs/examples" \
  "${words[@]}"
ran 'fetched, here' "${programs[@]}" under_check under_check_as_add_test

# Embedded, the command is there, and not compiled where nothing depends on it.
mkdir "$work/embedding"
cat >"$work/embedding/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.16)
project(embedding LANGUAGES C)
add_subdirectory("$here" ringfence)
if(NOT TARGET ringfence::command OR NOT COMMAND ringfence_add_test)
  message(FATAL_ERROR "no ringfence::command, or no ringfence_add_test")
endif()
END
cmake -S "$work/embedding" -B "$work/embedded" >"$work/log" 2>&1 || complain "embedded: $(tail "$work/log")"
make -n -C "$work/embedded" >"$work/log" 2>&1 || complain "embedded: $(tail "$work/log")"
grep -q lib/heaps/tlsf "$work/log" || complain "embedded: tlsf is not compiled: $(tail "$work/log")"
grep -q tools/ringfence/cli/main.c "$work/log" && complain "embedded: the command is compiled, and nothing needs it"

# The program of a test has the arguments that it has by add_test, those that are empty, have a semicolon or end in a
# backslash, too.
mkdir "$work/words"
cat >"$work/words/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.16)
project(words LANGUAGES NONE)
enable_testing()
add_executable(ringfence::command IMPORTED)
set_target_properties(ringfence::command PROPERTIES IMPORTED_LOCATION /checker)
include("$here/tools/cmake/RingfenceAddTest.cmake")
add_test(NAME of_cmake COMMAND /program "" "a;b" "c d" "\\\\e" "\$<CONFIG>" "\$<1:f;g>" "h\\\\" "i;\\\\" "")
ringfence_add_test(NAME named COMMAND /program "" "a;b" "c d" "\\\\e" "\$<CONFIG>" "\$<1:f;g>" "h\\\\" "i;\\\\" ""
  CONFIGURATIONS Debug)
ringfence_add_test(short /program "" "a;b" "c d" "\\\\e" "\$<CONFIG>" "\$<1:f;g>" "h\\\\" "i;\\\\" "")
END
cmake -S "$work/words" -B "$work/of_words" -DCMAKE_BUILD_TYPE=Debug >"$work/log" 2>&1 ||
  complain "words: $(tail "$work/log")"
words=$(sed -nE 's/^ *add_test\((of_cmake|[a-z]+ "\/checker" "check" "--") //p' "$work/of_words/CTestTestfile.cmake" |
  sort | uniq -c)
[[ $words == *' 3 "/program" "" "a;b" "c d" "\\e" "Debug" "f;g" "h\\" "i;\\" "")' ]] ||
  complain "not add_test's words: $words"

cmake -S "$here" -B "$work/refused" -DRINGFENCE_MODE=gaurd >"$work/log" 2>&1 && complain "mode gaurd is taken"
grep -q 'RINGFENCE_MODE is gaurd; it takes off, sample' "$work/log" || complain "mode gaurd: $(<"$work/log")"

# As on a system of musl. Debian's musl-gcc takes headers of the kernel from elsewhere, and a libgcc that was made for
# glibc, which asks by a name that libc_musl.c has.
if command -v musl-gcc >/dev/null; then
  flags="-idirafter /usr/include -idirafter /usr/include/$(uname -m)-linux-gnu"
  musl-gcc -I. -Ilib/include -c -o "$work/for_libgcc.o" checkers/dropin/os/libc_musl.c ||
    complain "libc_musl.c does not compile"
  build musl "$here" -DCMAKE_C_COMPILER=musl-gcc -DCMAKE_C_FLAGS="-Wall -Wextra -Werror $flags" \
    -DCMAKE_EXE_LINKER_FLAGS="$work/for_libgcc.o" -DCMAKE_BUILD_TYPE=Debug
  ran musl core checked checked_says under_check
  cmake --install "$work/musl" --prefix "$work/by_musl" >"$work/log" 2>&1 || complain "install: $(tail "$work/log")"
  diff <(cd "$work/by_cmake" && find . ! -type d ! -name '*ringfence-malloc*' | sort) \
    <(cd "$work/by_musl" && find . ! -type d | sort) >&2 || complain "with musl (>) other files are installed"
  RINGFENCE_LIB='' "$work/by_musl/bin/ringfence" check -- "$work/musl/tests/install/consumer/plain" >"$work/log" 2>&1
  grep -q 'SUMMARY: Ringfence: heap-buffer-overflow .*in copy' "$work/log" || complain "installed: $(<"$work/log")"
fi

((faults == 0)) || exit 1

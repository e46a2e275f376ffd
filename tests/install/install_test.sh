#!/usr/bin/env bash
# An installation is complete, may be moved, serves programs by pkg-config and CMake, and goes away without a trace.
#
#   install_test.sh install.sh WORDS... --
set -uo pipefail

install=("$@")
here=$PWD
examples=$here/docs/examples
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/install.XXXXXX") || exit 2
trap 'rm -rf -- "$work"' EXIT
unset RINGFENCE_LIB RINGFENCE_OPTIONS TEST_UNDECLARED_OUTPUTS_DIR

faults=0
complain() {
  echo "install_test: $*" >&2
  faults=$((faults + 1))
}

. tests/install/share.sh

# name, expected status, what it must say, command...
expect() {
  local name=$1 expected=$2 said=$3 text status=0
  shift 3
  text=$("$@" 2>&1) || status=$?
  ((status == expected)) || complain "$name: status $status, not $expected: $text"
  [[ $text == *"$said"* ]] || complain "$name: does not say '$said': $text"
}

there() {
  local file
  for file in "$@"; do
    [[ -e $root/$file ]] || complain "$file is not installed"
  done
}

# ---- Installed, then moved ----

expect "a relative prefix" 1 "name the folder from the root" "${install[@]}" --prefix usr
expect "an unknown word" 1 "unknown word --prefx" "${install[@]}" --prefx /usr
expect "a prefix that is missing" 1 "--prefix needs a folder" "${install[@]}" --prefix
# Holds for any umask of the caller, and any folder from which bazel run is called.
umask 077
expect "install" 0 "installed Ringfence $(<VERSION) in $work/first/usr" \
  env BUILD_WORKING_DIRECTORY="$work" "${install[@]}" --prefix=/usr/ --destdir first
umask 022
root=$work/moved
mv -- "$work/first/usr" "$root"
wrong=$(find "$root" ! -type l ! -perm 755 ! \( -type f -perm 644 \))
[[ -z $wrong ]] || complain "not for all to read: $wrong"
[[ -L $root/lib/libringfence.so ]] || complain "lib/libringfence.so is no link"
for program in "$root"/{bin/ringfence,lib/libringfence.so.0}; do
  readelf -S "$program" | grep -E '\.(symtab|comment)' >&2 && complain "$program is not stripped"
done

there bin/ringfence lib/libringfence.so lib/libringfence-{core,checkers,malloc}.a include/ringfence/{tlsf,checked}.h \
  lib/pkgconfig/ringfence{,-core,-malloc}.pc share/man/man1/ringfence{,-check}.1 share/doc/ringfence/LICENSE \
  share/ringfence/gdb.py share/bash-completion/completions/ringfence share/zsh/site-functions/_ringfence \
  share/fish/vendor_completions.d/ringfence.fish
readelf -d "$root/lib/libringfence.so.0" | grep -q 'soname: \[libringfence.so.0\]' || complain "no SONAME"
readelf -d "$root/bin/ringfence" | grep -q 'NEEDED.*libstdc++' && complain "the command needs the C++ library"
grep -rlI -e "$work" -e "$here" "$root" && complain "these name the place where they were made"

for header in "$root"/include/ringfence/*.h; do
  [[ $header == */gtest.h ]] && continue # of a test, which has GoogleTest
  for language in 'c -std=c11' 'c++ -std=c++17'; do
    # shellcheck disable=SC2086 # two words
    gcc -Wall -Wextra -Werror -Wno-pragma-once-outside-header -fsyntax-only -I"$root/include" -x $language "$header" ||
      complain "${header##*/} does not compile by itself as $language"
  done
done

# ---- The command ----

gcc -g -O0 -o "$work/off_by_one" "$examples/off_by_one.c" || complain "off_by_one.c does not compile"
summary='SUMMARY: Ringfence: heap-buffer-overflow'
expect "check" 99 "$summary" "$root/bin/ringfence" check -- "$work/off_by_one"
cp -r -- "$root" "$work/a place"
rm -- "$work/a place/lib/libringfence.so"
expect "check from elsewhere, without the development link" 99 "$summary" \
  "$work/a place/bin/ringfence" check -- "$work/off_by_one"
expect "the library by itself" 99 "$summary" env LD_PRELOAD="$root/lib/libringfence.so.0" "$work/off_by_one"

# ---- Programs of the other width, which others start ----

if [[ -e $root/lib/ringfence/i386/libringfence.so.0 ]]; then
  for bits in 32 64; do
    gcc -m$bits -g -O0 -o "$work/starts$bits" tests/install/consumer/starts.c || complain "starts.c, $bits bits"
  done
  for chain in "32 bad" "64 exec 32 bad" "64 spawn 32 exec 64 bad" "32 exec 64 spawn 32 bad" \
    "64 spawn 32 spawn 64 bad"; do
    words=()
    for word in $chain; do
      [[ $word != ?? ]] || word=$work/starts$word
      words+=("$word")
    done
    expect "programs $chain" 99 "SUMMARY: Ringfence: heap-buffer-overflow tests/install/consumer/starts.c" \
      "$root/bin/ringfence" check -- "${words[@]}"
    expect "programs $chain, all checked" 99 "mode page" "$root/bin/ringfence" check --strict -m page -- "${words[@]}"
  done
  mv "$root/lib/ringfence/i386" "$work/i386"
  expect "a 32-bit program without its library" 2 "--config=i386" "$root/bin/ringfence" check -- "$work/starts32" bad
  expect "a 32-bit child without its library" 0 "1 program not checked (1 32-bit)" \
    "$root/bin/ringfence" check -- "$work/starts64" spawn "$work/starts32" spawn /bin/true
  mv "$work/i386" "$root/lib/ringfence/i386"
else
  echo "built without --config=i386: 32-bit programs are left out"
fi

# ---- Programs of musl, which others start ----

if [[ -e $root/lib/ringfence/musl/libringfence.so.0 ]]; then
  for compiler in gcc musl-gcc; do
    "$compiler" -g -O0 -D_GNU_SOURCE -o "$work/$compiler" tests/install/consumer/starts.c ||
      complain "starts.c, $compiler"
  done
  for chain in "musl-gcc bad" "gcc exec musl-gcc bad" "musl-gcc spawn gcc spawn musl-gcc bad"; do
    words=()
    for word in $chain; do
      [[ $word != *gcc ]] || word=$work/$word
      words+=("$word")
    done
    expect "programs $chain" 99 "SUMMARY: Ringfence: heap-buffer-overflow tests/install/consumer/starts.c" \
      "$root/bin/ringfence" check --strict -- "${words[@]}"
  done
  mv "$root/lib/ringfence/musl" "$work/musl"
  expect "a program of musl without its library" 2 "--config=musl" "$root/bin/ringfence" check -- "$work/musl-gcc" bad
  mv "$work/musl" "$root/lib/ringfence/musl"
else
  echo "built without --config=musl: programs of musl are left out"
fi

# ---- Manuals and completions know all options of the command ----

for command in check report replay; do
  describes "$root/share/man/man1/ringfence-$command.1" "$root/bin/ringfence" help "$command"
done
manuals "$root"/share/man/man1/*.1

readonly words=("$root/share" "$root/bin" ringfence)
completes_options "${words[@]}"
completed "report replay reopen" "${words[@]}" re
completed "page" "${words[@]}" check --mode p
completed "page" "${words[@]}" check -m p
completed "sarif" "${words[@]}" report --format s
# Bash has a word of its own for the =.
every_shell=("${shells[@]}")
shells=(bash)
completed "page" "${words[@]}" check --mode = p
completed "guard mte off page sample" "${words[@]}" check --mode =
completed "guard mte off page sample" "${words[@]}" check --mode ''
shells=("${every_shell[@]}")
completed "check coverage" "${words[@]}" help c
mkdir -p "$work/completed/folder" && touch "$work/completed/file"
pushd "$work/completed" >/dev/null || exit 2
completed "file" "${words[@]}" check --baseline fi
completed "file" "${words[@]}" check --mode page -- /bin/ls fi
popd >/dev/null || exit 2
# The service without its completions: its program tells of its options.
mkdir "$work/later"
printf '#!/bin/sh\necho "  -h, --help   x"; echo "      --json   y"\n' >"$work/later/ringfence"
chmod +x "$work/later/ringfence"
completed "--json" "$root/share" "$work/later" ringfence findings --j

# ---- Programs that find it by pkg-config ----

built() {
  local name=$1 package=$2 source=$3 flags each
  shift 3
  flags=$(PKG_CONFIG_PATH=$root/lib/pkgconfig pkg-config --cflags --libs "$package") || complain "pkg-config $package"
  eval "each=($flags)" # as a shell reads them, since its path has blanks
  gcc -g -O0 -o "$work/$name" "$examples/$source" "${each[@]}" "$@" || complain "$name does not build"
}
moved=$root
root="$work/a place, with a comma"
cp -r -- "$moved" "$root"
if command -v pkg-config >/dev/null; then
  built core ringfence-core simple.c
  expect "core by pkg-config" 0 "" "$work/core"
  built demo ringfence demo.c
  expect "checkers by pkg-config" 99 "demo.c:11" "$work/demo"
  expect "checkers told not to check" 0 "" env RINGFENCE_OPTIONS=mode=off "$work/demo"
  for how in '' -static; do
    built linked ringfence-malloc off_by_one.c $how
    expect "malloc by pkg-config $how" 99 "$summary" "$work/linked"
  done
else
  echo "no pkg-config here: its part is left out"
fi

# As docs/install.md has it, from a folder where no linker looks.
if { command -v pkg-config && command -v meson && command -v ninja; } >/dev/null; then
  mkdir "$work/meson"
  cp -L "$examples/off_by_one.c" "$work/meson/program.c"
  printf "project('consumer', 'c')\n%s\n" "$(sed -n '/^```meson$/,/^```$/{/^malloc = /p;/^executable(.program/p}' \
    docs/install.md)" >"$work/meson/meson.build"
  export CCACHE_DISABLE=1 # meson takes it where there is one, and its folder may be read-only
  { PKG_CONFIG_PATH=$moved/lib/pkgconfig meson setup "$work/meson/build" "$work/meson" &&
    ninja -C "$work/meson/build"; } >"$work/log" 2>&1 || complain "meson: $(tail -n 30 "$work/log")"
  expect "malloc by Meson" 99 "$summary" "$work/meson/build/program"
else
  echo "no meson here: its part is left out"
fi

# ---- By CMake ----

if { command -v cmake && command -v make; } >/dev/null; then
  mkdir "$work/cmake"
  expect "versions that serve" 0 "" \
    cmake -DFILE="$root/lib/cmake/Ringfence/RingfenceConfigVersion.cmake" -P tests/install/version_file.cmake
  { cmake -S tests/install/consumer -B "$work/cmake" -DCMAKE_PREFIX_PATH="$root" -DEXAMPLES="$examples" &&
    cmake --build "$work/cmake" -j2 && (cd "$work/cmake" && ctest --output-on-failure); } >"$work/cmake.log" 2>&1 ||
    complain "find_package: $(tail -60 "$work/cmake.log")"
  grep -q 'under_check .*Passed' "$work/cmake.log" || complain "the test under check did not run"
  touch "$root/lib/libringfence-malloc.a"
  expect "a new malloc is linked in" 0 'Linking C executable linked' cmake --build "$work/cmake"
else
  echo "no cmake and make here: their part is left out"
fi

# ---- Again, over an older version; then away ----

mkdir -p "$work/again/usr/include/ringfence" "$work/again/usr/share/ringfence"
touch "$work/again/usr/include/ringfence/"{given_up,users}.h
echo include/ringfence/given_up.h >"$work/again/usr/share/ringfence/installed"
root=$work/again/usr
expect "install over an older version" 0 "" "${install[@]}" --prefix /usr --destdir "$work/again"
[[ ! -e $root/include/ringfence/given_up.h ]] || complain "a header of the older version is still there"
expect "uninstall" 0 "removed Ringfence" "${install[@]}" --prefix /usr --destdir "$work/again" --uninstall
left=$(cd -- "$root" && find . ! -type d)
[[ $left == ./include/ringfence/users.h ]] || complain "uninstall: '$left' is left, not users.h alone"
for folder in lib/cmake/Ringfence lib/ringfence share/doc/ringfence share/ringfence; do
  [[ ! -e $root/$folder ]] || complain "uninstall: the folder $folder is left"
done
expect "uninstall from the root" 1 "nothing is installed in /" "${install[@]}" --prefix / --uninstall
expect "uninstall again" 1 "nothing is installed" "${install[@]}" --prefix /usr --destdir "$work/again" --uninstall

((faults == 0)) || exit 1

#!/usr/bin/env bash
# The output of tools/amalgamate.py compiles without a warning for every target that a compiler is installed for, its
# header in C++ as well; the host's finds a bug. Serves a makefile, CMake and Meson. Targets whose compiler is missing
# are named and left out.
set -uo pipefail

here=$PWD
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/amalgamate.XXXXXX") || exit 2
trap 'rm -rf -- "$work"' EXIT
unset RINGFENCE_OPTIONS TEST_UNDECLARED_OUTPUTS_DIR
export CCACHE_DISABLE=1 # Meson takes a ccache that it finds, whose folder a sandbox may not write
# Warnings that firmware projects have on, too.
readonly warnings=(-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-align -Wcast-qual
  -Wpointer-arith -Wwrite-strings -Wformat=2 -Werror)
readonly c_warnings=(-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wnested-externs)

faults=0
complain() {
  echo "amalgamate_test: $*" >&2
  faults=$((faults + 1))
}

# folder, words...
amalgamate() { python3 tools/amalgamate.py "${@:2}" "$work/$1" || complain "amalgamate $*"; }

mapfile -t all < <(python3 tools/amalgamate.py --list | grep -vx 'system_malloc_.*')
# As `--list | head -1` does, which has read enough.
exec 3> >(true)
wait "$!"
python3 tools/amalgamate.py --list >&3 2>"$work/log" || complain "--list for nobody exits with $?"
exec 3>&-
[[ ! -s $work/log ]] || complain "--list for nobody: $(<"$work/log")"
# A program has one of these at most.
((${#all[@]} > 20)) || complain "only ${#all[@]} parts: ${all[*]}"
mapfile -t bare < <(printf '%s\n' "${all[@]}" | grep -vx std)
amalgamate simple simple
amalgamate small tlsf
amalgamate std std
amalgamate guard tlsf guard report
amalgamate freertos tlsf guard_small system_malloc_freertos
amalgamate newlib tlsf guard_small system_malloc_newlib
amalgamate wrap tlsf guard_small system_malloc_wrap
amalgamate bare --mode guard --no-malloc "${bare[@]}"
amalgamate posix --target posix --mode guard "${all[@]}"
amalgamate posix_off --target posix tlsf pool lock checked
for wrong in tslf gtest; do
  python3 tools/amalgamate.py "$wrong" "$work/wrong" 2>"$work/log" && complain "$wrong is taken for a part"
  grep -q "no part $wrong" "$work/log" || complain "$wrong: $(<"$work/log")"
done
python3 tools/amalgamate.py tlsf /dev/null/folder >/dev/null 2>"$work/log" && complain "a folder below a file is taken"
grep -qx 'amalgamate: cannot use .*/dev/null/folder: Not a directory' "$work/log" || complain "folder: $(<"$work/log")"
# A header's name is that of the part that has it.
amalgamate by_header tlsf guard_small kept
grep -q 'ringfence/kept.h ----' "$work/by_header/ringfence.h" || complain "kept: no kept.h"
amalgamate by_part tlsf guard_small report
diff <(tail -n +2 "$work/by_header/ringfence.c") <(tail -n +2 "$work/by_part/ringfence.c") ||
  complain "kept and report are two things"
(cd "$work" && python3 "$here/tools/amalgamate.py" tlsf guard 2>log) && complain "the part guard is taken for a folder"
grep -q 'guard is a part' "$work/log" || complain "tlsf guard: $(<"$work/log")"

# All that it is made of, by which a build makes it anew.
amalgamate depend --target posix --depfile "$work/depend.d" tlsf checked
for file in VERSION tools/amalgamate.py lib/heaps/BUILD.bazel lib/heaps/tlsf/tlsf.c lib/include/ringfence/tlsf.h \
  checkers/include/ringfence/options.inc; do
  [[ -e $file ]] || complain "there is no $file"
  grep -qF "/$file" "$work/depend.d" || complain "the dependencies lack $file: $(<"$work/depend.d")"
done
grep -q "^$work/depend/ringfence.h $work/depend/ringfence.c: " "$work/depend.d" || complain "$(<"$work/depend.d")"

# ---- Targets ----

# name, folders, compiler and flags
compile() {
  local name=$1 folders=$2 folder
  shift 2
  # Half of -m32 (gcc-12-multilib alone) has string.h, but not what errno.h includes.
  if ! command -v "$1" >/dev/null ||
    ! printf '#include <%s.h>\n' errno string | "$@" -c -x c - -o "$work/probe.o" 2>/dev/null; then
    echo "$name: no compiler here, left out"
    return
  fi
  for folder in $folders; do
    "$@" -std=c11 "${warnings[@]}" "${c_warnings[@]}" -c "$work/$folder/ringfence.c" -o "$work/$name-$folder.o" ||
      complain "$name: $folder does not compile"
    # Cores without such instructions have no library of them.
    nm -u "$work/$name-$folder.o" | grep __atomic_ && complain "$name: $folder asks for a library of atomic access"
  done
  echo "$name: compiled"
}

compile cortex-m0plus 'simple guard std newlib wrap' arm-none-eabi-gcc -mthumb -mcpu=cortex-m0plus -Os -ffreestanding
compile cortex-m0plus-clang 'simple guard' clang --target=armv6m-none-eabi -mcpu=cortex-m0plus \
  -isystem /usr/lib/arm-none-eabi/include -Os -ffreestanding -Wno-atomic-alignment
compile cortex-m3 newlib arm-none-eabi-gcc -mthumb -mcpu=cortex-m3 -Os -ffreestanding
compile cortex-m4-small small arm-none-eabi-gcc -mthumb -mcpu=cortex-m4 -Os -ffreestanding -DRF_TLSF_SMALL=1
compile x86-64-small small gcc -O1 -DRF_TLSF_SMALL=1
compile cortex-m4 'simple guard bare' arm-none-eabi-gcc -mthumb -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16 \
  -Os -ffreestanding
compile rv32 'simple guard bare freertos' riscv64-unknown-elf-gcc --specs=picolibc.specs -march=rv32imac \
  -mabi=ilp32 -Os -ffreestanding
compile rv32-without-a 'guard std' riscv64-unknown-elf-gcc --specs=picolibc.specs -march=rv32imc \
  -mabi=ilp32 -Os -ffreestanding
compile rv64 'simple guard' riscv64-unknown-elf-gcc --specs=picolibc.specs -march=rv64imac -mabi=lp64 \
  -mcmodel=medany -Os -ffreestanding
compile i386 'simple guard posix_off' gcc -m32 -O1
compile x86-64 'simple guard' gcc -O1
# All of it takes the optimiser long, and each source has been through it.
compile x86-64 posix gcc -O0
# clang calls a library for atomic access to 64 bits whose address may be no multiple of 8.
compile i386-clang posix clang -m32 -O0
compile clang 'simple guard bare posix' clang -O0
# GNU as knows fewer of AArch64's instructions than clang, which is there as a cross compiler more often than gcc.
compile aarch64 posix clang --target=aarch64-linux-gnu -fno-integrated-as -O0
for header in "$work"/*/ringfence.h; do
  g++ -std=c++17 "${warnings[@]}" -Wold-style-cast -Wuseless-cast -Wzero-as-null-pointer-constant -fsyntax-only \
    -x c++ "$header" || complain "$header in C++"
done
# clang++ warns of NULL as well, and of what a macro makes in the file that uses it.
cat >"$work/null.cc" <<'END'
#include <ringfence/handles.h>
#include <ringfence/simple.h>
rf_status use(rf_allocator *a) { return rf_free(a, rf_alloc(a, 8)); }
END
clang++ -std=c++17 -Werror -Wzero-as-null-pointer-constant -fsyntax-only -I"$here/lib/include" "$work/null.cc" ||
  complain "headers with clang++ and -Wzero-as-null-pointer-constant"
for standard in 11 14 17 20; do
  for exceptions in '' -fno-exceptions; do
    g++ -std=c++$standard $exceptions "${warnings[@]}" -Wold-style-cast -Wuseless-cast -Wmissing-declarations \
      -Wredundant-decls -DRINGFENCE_OPERATOR_NEW -fsyntax-only -x c++ "$work/newlib/ringfence.h" ||
      complain "operator new in C++$standard $exceptions"
  done
done

# ---- The small tlsf is an allocator, and refuses a bad free ----

cat >"$work/small.c" <<'END'
#include "ringfence.h"
static max_align_t arena[256];
int main(void) {
  rf_tlsf heap;
  rf_fault_handler_set(rf_fault_log, NULL);
  if (rf_tlsf_init(&heap, arena, sizeof arena) != RF_OK) {
    return 1;
  }
  char *const p = rf_alloc(&heap.base, 100);
  if (p == NULL || rf_aligned_alloc(&heap.base, 64, 8) != NULL || rf_free(&heap.base, p + 16) == RF_OK) {
    return 2;
  }
  return rf_free(&heap.base, p) == RF_OK && rf_free(&heap.base, p) != RF_OK ? 0 : 3;
}
END
gcc "${warnings[@]}" -I"$work/small" -o "$work/small/program" "$work/small.c" "$work/x86-64-small-small.o" \
  -pthread || complain "small.c does not build"
"$work/small/program" 2>"$work/log" || complain "small.c: status $?: $(<"$work/log")"

# ---- For a bare target they are the same by a compiler for Linux ----

for program in "$work"/x86-64-guard.o "$work"/i386-guard.o; do
  [[ -e $program ]] || continue
  bss=$(size "$program" | awk 'END {print $3}')
  ((bss < 2000)) || complain "$program has buffers of hosted targets: bss $bss"
  nm -u "$program" | grep -E ' (pthread_|__tls|write$|getenv$)' && complain "$program asks for a system"
done

# ---- Functions that a compiler calls have the types that it knows ----

cat >"$work/lock.c" <<'END'
#include "ringfence.h"
int main(void) {
  static rf_log_reporter reporter;
  rf_report_options options;
  rf_report_options_default(&options);
  rf_log_reporter_init(&reporter, &options);
  return 0;
}
END
if [[ -e $work/cortex-m0plus-guard.o ]]; then
  arm-none-eabi-gcc -mthumb -mcpu=cortex-m0plus -Os -flto -Werror -I"$work/guard" "$work/lock.c" \
    "$work/guard/ringfence.c" --specs=rdimon.specs -o "$work/lock" >"$work/log" 2>&1 || complain "lto: $(<"$work/log")"
fi

# ---- Over newlib, whatever malloc.h has comes from here: newlib's heap is not linked beside it ----

cat >"$work/newlib.c" <<'END'
#include "ringfence.h"
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
int main(void) {
  char *const p = strdup("twelve bytes");
  size_t const taken = mallinfo().uordblks + malloc_usable_size(p);
  malloc_stats();
  free(valloc(taken));
  free(p);
  return mallopt(1, 1) + malloc_trim(0);
}
END
# Two functions that do the same are two: one that calls the other would be its caller where a call is no jump.
if [[ -e $work/cortex-m0plus-wrap.o ]]; then
  arm-none-eabi-objdump -dr "$work/cortex-m0plus-wrap.o" | grep -E '_CALL\s+__wrap_' >"$work/log" &&
    complain "functions for --wrap call each other: $(<"$work/log")"
fi

# newlib is linked after link-time optimisation has seen all that it sees, and calls what is to be there then. A call of
# malloc goes to ours at once: on a Cortex-M0 newlib's, which calls ours, would be the caller of each request.
cat >"$work/callers.c" <<'END'
#include "ringfence.h"
#include <stdio.h>
#include <stdlib.h>
int main(void) {
  char *const p = malloc(20);
  snprintf(p, 20, "%d bytes", 20);
  puts(p);
  free(p);
  return 0;
}
END
link_callers() {
  local program=$work/newlib/callers name
  arm-none-eabi-gcc "$@" -I"$work/newlib" "$work/callers.c" "$work/newlib/ringfence.c" --specs=rdimon.specs \
    -o "$program" >"$work/log" 2>&1 || { complain "newlib $*: $(<"$work/log")"; return; }
  for name in malloc free; do
    arm-none-eabi-nm "$program" | grep " W $name\$" >/dev/null || complain "newlib $*: $name is newlib's own"
    arm-none-eabi-objdump -d "$program" | grep -E "bl\\S*\\s.*<$name>" >/dev/null ||
      complain "newlib $*: $name is inlined"
  done
}

# specs of a newlib
link_newlib() {
  printf 'int main(void) { return 0; }' | arm-none-eabi-gcc -x c - -mthumb -mcpu=cortex-m3 "$@" \
    -o "$work/probe" 2>/dev/null || return 0
  arm-none-eabi-gcc -mthumb -mcpu=cortex-m3 -Os "$@" -I"$work/newlib" "$work/newlib.c" \
    "$work/cortex-m3-newlib.o" -o "$work/newlib/program" 2>"$work/log" || complain "newlib $*: $(<"$work/log")"
}
if [[ -e $work/cortex-m3-newlib.o ]]; then
  link_newlib --specs=nosys.specs
  link_newlib --specs=nano.specs --specs=nosys.specs
  link_callers -mthumb -mcpu=cortex-m0 -Os
  link_callers -mthumb -mcpu=cortex-m4 -O2 -flto
fi

# ---- They find bugs ----

gcc -g "${warnings[@]}" -I"$work/guard" -o "$work/firmware" tests/install/consumer/firmware.c "$work/x86-64-guard.o" ||
  complain "firmware.c does not build"
"$work/firmware" 2>"$work/log" || complain "firmware.c: its bug is not found: $(<"$work/log")"
grep -q '^#RF:' "$work/log" || complain "firmware.c: no serial line: $(<"$work/log")"

sed -E 's|<ringfence/(.*)>|"ringfence.h"|' docs/examples/demo.c >"$work/demo.c"
gcc -g -I"$work/posix" -o "$work/demo" "$work/demo.c" "$work/x86-64-posix.o" -pthread -ldl || complain "demo.c"
status=0
"$work/demo" >"$work/log" 2>&1 || status=$?
((status == 99)) || complain "demo.c: status $status"
grep -q 'demo.c:11' "$work/log" || complain "demo.c: the line is not named: $(<"$work/log")"

# ---- A makefile ----

try_make() {
  mkdir "$work/make"
  cat >"$work/make/Makefile" <<END
RINGFENCE := $here
RINGFENCE_PARTS := tlsf guard report
CFLAGS += -Iringfence-build
CPPFLAGS := -DIN_CPPFLAGS
TARGET_ARCH := -DIN_TARGET_ARCH
include \$(RINGFENCE)/tools/amalgamate.mk
firmware: firmware.o \$(RINGFENCE_OBJECT)
firmware.o: | \$(RINGFENCE_BUILD)/ringfence.h
clean:
	rm -rf firmware firmware.o \$(RINGFENCE_BUILD)
END
  cp tests/install/consumer/firmware.c "$work/make"
  make -j2 -C "$work/make" >"$work/log" 2>&1 || complain "make: $(<"$work/log")"
  grep '/ringfence\.o' "$work/log" | grep -e '-DIN_CPPFLAGS .*-DIN_TARGET_ARCH ' >/dev/null ||
    complain "make: the object is not compiled as those of the program: $(<"$work/log")"
  "$work/make/firmware" 2>/dev/null || complain "the makefile's firmware does not find its bug"
  make -q -C "$work/make" || complain "make: what is made is made again"
  make -q -C "$work/make" firmware RINGFENCE_PARTS='tlsf guard report simple' &&
    complain "make: other parts, and nothing is made again"
  for file in VERSION lib/heaps/BUILD.bazel lib/heaps/tlsf/tlsf.c checkers/include/ringfence/options.inc; do
    make -q -C "$work/make" -W "$here/$file" firmware && complain "make: $file is new, and nothing is made again"
  done
  make -C "$work/make" clean firmware >"$work/log" 2>&1 || complain "make clean firmware: $(<"$work/log")"
}
if command -v make >/dev/null; then
  try_make
else
  echo "no make here, left out"
fi

# ---- CMake ----

# folder, how the sources come, further words of ringfence_amalgamate, options of cmake...
cmake_project() {
  local name=$1 by=$2 words=$3
  mkdir -p "$work/$name"
  cp tests/install/consumer/firmware.c "$work/$name/firmware.c"
  cat >"$work/$name/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.16)
project(firmware LANGUAGES C)
set(PARTS tlsf guard report CACHE STRING "")
$by
ringfence_amalgamate(ringfence PARTS \${PARTS} $words)
add_executable(firmware firmware.c)
target_link_libraries(firmware PRIVATE ringfence)
END
  { cmake -S "$work/$name" -B "$work/$name/build" "${@:4}" && cmake --build "$work/$name/build" -j2; } \
    >"$work/$name/log" 2>&1
}

# Whether something was made again by another build of the folder.
cmake_makes() {
  touch "$work/mark"
  cmake --build "$work/$1/build" >"$work/log" 2>&1 || complain "cmake $1: $(<"$work/log")"
  [[ $work/$1/build/firmware -nt $work/mark ]]
}

try_cmake() {
  local source="include(\"$here/tools/cmake/RingfenceAmalgamate.cmake\")" generator name by
  for generator in 'Unix Makefiles' Ninja; do
    [[ $generator != Ninja ]] || command -v ninja >/dev/null || continue
    name="by $generator"
    cmake_project "$name" "$source" '' -G "$generator" ||
      complain "cmake $name: $(<"$work/$name/log")"
    "$work/$name/build/firmware" 2>/dev/null || complain "cmake $name: the firmware does not find its bug"
    cmake_makes "$name" && complain "cmake $name: what is made is made again"
    cmake -DPARTS='tlsf;guard;report;simple' "$work/$name/build" >/dev/null
    cmake_makes "$name" || complain "cmake $name: other parts, and nothing is made again"
    grep -q 'rf_simple_init' "$work/$name/build/ringfence/ringfence.h" || complain "cmake $name: no other parts"
  done

  # For a core without a system, with the flags of the folder.
  by="add_subdirectory(\"$here\" ringfence-sources)"$'\n''add_compile_options(-DOF_FOLDER)'
  if command -v arm-none-eabi-gcc >/dev/null; then
    cmake_project arm "$by" 'FLAGS --mode page --no-malloc' -DCMAKE_SYSTEM_NAME=Generic \
      -DCMAKE_C_COMPILER=arm-none-eabi-gcc -DCMAKE_C_FLAGS='-mthumb -mcpu=cortex-m4 -Os' \
      -DCMAKE_EXE_LINKER_FLAGS=--specs=rdimon.specs -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY \
      -DCMAKE_VERBOSE_MAKEFILE=ON || complain "cmake for arm: $(<"$work/arm/log")"
    grep -e '-mcpu=cortex-m4.* -DOF_FOLDER .*ringfence/ringfence\.c' "$work/arm/log" >/dev/null ||
      complain "cmake for arm: the object is not compiled as those of the firmware: $(<"$work/arm/log")"
    grep -q 'target bare, mode page' "$work/arm/build/ringfence/ringfence.h" || complain "cmake: FLAGS are not taken"
    cmake -S . -B "$work/arm/alone" -DCMAKE_SYSTEM_NAME=Generic -DCMAKE_C_COMPILER=arm-none-eabi-gcc \
      -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY >"$work/log" 2>&1 && complain "cmake: Ringfence alone for arm"
    grep -q ringfence_amalgamate "$work/log" || complain "cmake: Ringfence alone for arm: $(<"$work/log")"
  fi

  cmake_project no_parts "$source"$'\n''set(PARTS "")' '' && complain "cmake: no parts are taken"
  grep -q 'ringfence_amalgamate(target PARTS part' "$work/no_parts/log" || complain "no parts: $(<"$work/no_parts/log")"
  cmake_project wrong "$source" gaurd && complain "cmake: gaurd is taken for a part"
  grep -q 'no part gaurd' "$work/wrong/log" || complain "cmake: a wrong part: $(<"$work/wrong/log")"
}
if command -v cmake >/dev/null && command -v make >/dev/null; then
  try_cmake
else
  echo "no cmake and make here, left out"
fi

# ---- Meson ----

if command -v meson >/dev/null && command -v ninja >/dev/null; then
  mkdir -p "$work/meson/subprojects/ringfence"
  cp -rL lib checkers VERSION "$work/meson/subprojects/ringfence"
  mkdir "$work/meson/subprojects/ringfence/tools"
  cp -L tools/amalgamate.py "$work/meson/subprojects/ringfence/tools"
  cp -L tools/meson/meson* "$work/meson/subprojects/ringfence"
  cp -L docs/examples/demo.c "$work/meson"
  cat >"$work/meson/meson.build" <<'END'
project('consumer', 'c')
executable('demo', 'demo.c', dependencies: dependency('ringfence', fallback: 'ringfence'))
END
  export CCACHE_DISABLE=1 # meson takes it where there is one, and its folder may be read-only
  { meson setup "$work/meson/build" "$work/meson" && meson compile -C "$work/meson/build"; } >"$work/log" 2>&1 ||
    complain "meson: $(tail -n 30 "$work/log")"
  "$work/meson/build/demo" >"$work/log" 2>&1
  grep -q 'SUMMARY: Ringfence: heap-buffer-overflow .*demo.c:11' "$work/log" ||
    complain "meson: the bug is not found: $(<"$work/log")"
  meson compile -C "$work/meson/build" >"$work/log" 2>&1
  grep -q 'no work to do' "$work/log" || complain "meson: what is made is made again"
  touch "$work/meson/subprojects/ringfence/checkers/include/ringfence/options.inc"
  meson compile -C "$work/meson/build" >"$work/log" 2>&1
  grep -q 'Linking target demo' "$work/log" || complain "meson: a source is new, and nothing is made again"
else
  echo "no meson here, left out"
fi

((faults == 0)) || exit 1

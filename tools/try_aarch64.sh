#!/usr/bin/env bash
# Builds the drop-in for AArch64 with clang and tries it under qemu-user: bugs of each kind in each mode, and the table
# of docs/checkers/mte.md, which says what the tags of memory add to guard. Then the library's mode mte: the conformance
# suite, and its column of docs/detection.md.
#
#   tools/try_aarch64.sh [--write] [DIR]      DIR: a folder that stays; --write: the page gets the table as it is now
#   tools/try_aarch64.sh --scudo LIBRARY      writes into the page what Scudo costs, and no more; LIBRARY is
#     libclang_rt.scudo_standalone-aarch64.so, as of Debian's libclang-rt-14-dev for arm64
#
# Needs clang, lld, qemu-user, libc6-dev-arm64-cross, libgcc-12-dev-arm64-cross and libstdc++-12-dev-arm64-cross. These
# go together with the compilers of this machine, as Debian's cross gcc does not with gcc-multilib. Without them it says
# so and exits with 2; `.ci/run aarch64` installs them.
# Prints "AArch64: passed", or what was not as it should be.
set -uo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." || exit 2
readonly system=/usr/aarch64-linux-gnu
lacks() {
  echo "AArch64: no $1 here: nothing was tried" >&2
  exit 2
}
for needed in clang ld.lld qemu-aarch64; do
  command -v "$needed" >/dev/null || lacks "$needed"
done
[[ -e $system/lib/libc.so.6 ]] || lacks libc6-dev-arm64-cross
compgen -G "$system/include/c++/*" >/dev/null || lacks libstdc++-12-dev-arm64-cross

write=0
scudo=
if [[ ${1:-} == --write ]]; then
  write=1
  shift
elif [[ ${1:-} == --scudo ]]; then
  scudo=$(realpath -e -- "${2:-}") || exit 2
  shift 2
fi
if (($#)); then
  work=$1
  mkdir -p -- "$work"
else
  work=$(mktemp -d "${TMPDIR:-/tmp}/aarch64.XXXXXX") || exit 2
  trap 'rm -rf -- "$work"' EXIT
fi

cc=(clang --target=aarch64-linux-gnu -std=c11 -g -fno-omit-frame-pointer)
warn=(-Wall -Wextra -Wconversion -Wshadow -Werror)
link=(-fuse-ld=lld)
objects=()
faults=0
complain() {
  echo "AArch64: $*" >&2
  faults=$((faults + 1))
}

readonly page=docs/checkers/mte.md programs=tests/dropin/programs

# Mark, file: writes the page's part between the marks.
rewrite() {
  sed -i -e "/^<!-- $1 -->\$/,/^<!-- end -->\$/{/^<!--/!d}" -e "/^<!-- $1 -->\$/r $2" $page
}

part() { sed -n "/^<!-- $1 -->\$/,/^<!-- end -->\$/{/^<!--/!p}" $page; }

# ---- What malloc and free cost ----

cat >"$work/pairs.c" <<'END'
#include <stdlib.h>
int main(int argc, char **argv) {
  for (int i = atoi(argv[1]); i != 0; i--) {
    char *volatile p = malloc((size_t)atoi(argv[2]));
    free(p);
  }
  return argc == 3 ? 0 : 2;
}
END
"${cc[@]}" "${link[@]}" -O1 -fno-builtin -o "$work/pairs" "$work/pairs.c" || exit 1

# Pairs of malloc and free, bytes, processor, libraries, a variable: the instructions of the whole program, each a line
# of qemu's log.
count() {
  mkfifo -m 600 "$work/log"
  wc -l <"$work/log" >"$work/lines" &
  qemu-aarch64 -cpu "$3" -singlestep -d exec,nochain -D "$work/log" -L "$system" -E LD_PRELOAD="$4" -E "$5" \
    "$work/pairs" "$1" "$2" || complain "pairs of $2 bytes under $4, $5"
  wait $!
  rm -f "$work/log"
  cat "$work/lines"
}

# The same without the pairs: the instructions of one.
pair() {
  local few many
  few=$(count 500 "$@")
  many=$(count 1500 "$@")
  echo $(((many - few) / 1000))
}

# Its memory has tags where the thread's accesses are compared when it begins, as the loader of Android asks for.
make_scudo_costs() {
  local size library=$scudo:$work/compared.so
  cat >"$work/compared.c" <<'END'
#include <sys/prctl.h>
__attribute__((constructor(101))) static void compare(void) {
  prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC | 0xfffeUL << PR_MTE_TAG_SHIFT, 0, 0, 0);
}
END
  "${cc[@]}" "${link[@]}" -shared -fPIC -o "$work/compared.so" "$work/compared.c" || exit 1
  echo "| block | Scudo | Scudo with tags |"
  echo "|---|---|---|"
  for size in 20 200 2000; do
    echo "| $size bytes | $(pair $size cortex-a72 "$library" X=) | $(pair $size max "$library" X=) |"
  done
}

if [[ -n $scudo ]]; then
  make_scudo_costs >"$work/scudo.md"
  rewrite scudo "$work/scudo.md"
  ((faults == 0)) || exit 1
  echo "AArch64: Scudo measured"
  exit 0
fi

# source, flags
compile() {
  local object=$work/${1//\//_}.o
  objects+=("$object")
  "${cc[@]}" "${warn[@]}" -O2 -fPIC -Ilib/include -Icheckers/include -I. "${@:2}" -c "$1" -o "$object" || exit 1
}

for file in lib/core/*.c lib/port/posix.c lib/heaps/tlsf/*.c \
  checkers/{os,report,shared,guard,page,mte,checked,trace,handles,pools,asan}/*.c; do
  [[ $file == *_bare.c ]] || compile "$file"
done
for file in checkers/dropin/{os,heap,runtime,malloc,inspect,process}/*.c; do
  [[ $file == *_musl.c ]] || compile "$file" -fno-builtin -fvisibility=hidden -DRF_DROPIN_LIBRARY=1
done
# Without these its own calls of sigaction would come to the one that it exports: a deadlock in mode page.
mapfile -t wrapped < <(grep -o -- '-Wl,--wrap=[^"]*' checkers/dropin/BUILD.bazel)
((${#wrapped[@]})) || exit 1

# The emulator has no membarrier, without which no request goes the short way that all go on a processor. A change of a
# page's rights interrupts the other threads, too.
cat >"$work/membarrier.c" <<'END'
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
long __real_syscall(long number, ...);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f) {
  static volatile char page[4096] __attribute__((aligned(4096)));
  if (number != SYS_membarrier) {
    return __real_syscall(number, a, b, c, d, e, f);
  }
  page[0] = 1;
  return __real_syscall(SYS_mprotect, page, sizeof page, PROT_READ) != 0 ||
                 __real_syscall(SYS_mprotect, page, sizeof page, PROT_READ | PROT_WRITE) != 0
             ? -1
             : 0;
}
END
"${cc[@]}" "${warn[@]}" -O2 -fPIC -c -o "$work/membarrier.o" "$work/membarrier.c" || exit 1
objects+=("$work/membarrier.o")
wrapped+=(-Wl,--wrap=syscall)
"${cc[@]}" "${link[@]}" -shared -o "$work/libringfence.so" "${objects[@]}" -Wl,--as-needed -static-libgcc -pthread \
  -ldl -Wl,--version-script=checkers/dropin/dropin.lds \
  -Wl,-Bsymbolic-functions,--dynamic-list=checkers/dropin/preemptible.lds \
  -Wl,-soname,libringfence.so.0,-z,initfirst,-z,now "${wrapped[@]}" || exit 1

cat >"$work/bugs.c" <<'END'
#include <stdlib.h>
#include <string.h>
static char *volatile kept;
static volatile int sum;
int main(int argc, char **argv) {
  const char *const how = argc > 1 ? argv[1] : "";
  char *const p = malloc(4096);
  memset(p, 1, 4096);
  kept = p;
  if (strcmp(how, "overflow") == 0) kept[4096] = 1;
  if (strcmp(how, "read") == 0) sum += kept[4096];
  if (strcmp(how, "free_write") == 0) { free(p); kept[3] = 1; return 3; }
  if (strcmp(how, "double") == 0) free(p);
  if (strcmp(how, "interior") == 0) { free(kept + 16); return 3; }
  if (strcmp(how, "null") == 0) *(volatile int *)0 = 1;
  free(p);
  return 3;
}
END
"${cc[@]}" "${link[@]}" -O0 -o "$work/bugs" "$work/bugs.c" || exit 1

# The processor's syndrome tells reads from writes; emulators leave it out.
accessed() { [[ $1 == *"$2 of size"* || $1 != *" of size"* ]]; }

# mode, bug, status, what is said; "": nothing
try() {
  local text status=0
  text=$(timeout -s KILL 120 qemu-aarch64 -L "$system" -E LD_PRELOAD="$work/libringfence.so" \
    -E RINGFENCE_OPTIONS="mode=$1:leaks=0:align=right:watch=0" "$work/bugs" "$2" 2>&1) || status=$?
  ((status == $3)) || complain "$2 in mode $1: status $status, not $3: $text"
  if [[ -z $4 ]]; then
    [[ -z $text ]] || complain "$2 in mode $1: not silent: $text"
  else
    [[ $text == *"Ringfence: $4"* ]] || complain "$2 in mode $1: no $4: $text"
    [[ $text == *"/bugs+0x"* ]] || complain "$2 in mode $1: no place: $text"
  fi
  [[ $2 != read || -z $4 ]] || accessed "$text" READ || complain "$2 in mode $1 is no READ: $text"
}

for mode in guard page; do
  try $mode right 3 ""
  try $mode overflow 99 heap-buffer-overflow
  try $mode free_write 99 heap-use-after-free
  try $mode double 99 double-free
  try $mode interior 99 bad-free
  try $mode null 139 SEGV
done
try guard read 3 ""
try page read 99 heap-buffer-overflow
for mode in off sample; do
  try $mode right 3 ""
  try $mode overflow 3 ""
done
try off double 134 double-free

# ---- Mode mte ----

for name in bugs tags; do
  "${cc[@]}" "${link[@]}" -O0 -w -fno-builtin -pthread -o "$work/$name" $programs/$name.c || exit 1
done

# Mode and further options, program, arguments. By this name the C library's memset does without DC ZVA, which qemu 7.2
# refuses where the pointer has a tag.
run_tagged() {
  timeout -s KILL 300 qemu-aarch64 -cpu "${cpu:-max}" -L "$system" -E GLIBC_TUNABLES=glibc.cpu.name=kunpeng920 \
    -E LD_PRELOAD="$work/libringfence.so" -E RINGFENCE_OPTIONS="mode=$1:leaks=0:watch=0" "${@:2}" 2>&1
}

# Mode, text: how the bug was told, and as what.
told() {
  local kind
  kind=$(grep -aoE 'Ringfence: [a-zA-Z_-]+ ?' <<<"$2" | head -n 1)
  kind=${kind#Ringfence: }
  [[ -z $kind || $2 == *", mode $1"* ]] || complain "a finding of another mode than $1: $2"
  if [[ -z $kind ]]; then
    echo "-"
  elif [[ $2 =~ (were|was)" overwritten" ]]; then
    echo "f ${kind% }"
  else
    echo "! ${kind% }"
  fi
}

# The same code without the bug is silent, and does what it should.
try_right() {
  local text status=0
  text=$(run_tagged mte "$work/$1" "$2" good) || status=$?
  if ((status != 0)) || [[ ${text##*$'\n'} != end || $text == *Ringfence* || $text == *ringfence* ]]; then
    complain "$1 $2 without the bug, in mode mte: status $status: $text"
  fi
}

make_table() {
  local name bug mode text row
  echo "| bug | guard | mte |"
  echo "|---|---|---|"
  for name in tags bugs; do
    while read -r bug; do
      try_right $name "$bug"
      [[ $bug != right && $bug != leak ]] || continue
      row="| ${bug//_/ } |"
      for mode in guard mte; do
        text=$(run_tagged $mode "$work/$name" "$bug" bad)
        row+=" $(told $mode "$text") |"
      done
      echo "$row"
    done < <(sed -nE 's/^    CASE\(([a-z_]+)\),$/\1/p' $programs/$name.c)
  done
}

make_costs() {
  local size mode row
  echo "| block | guard | mte |"
  echo "|---|---|---|"
  for size in 20 200 2000; do
    row="| $size bytes |"
    for mode in guard mte; do
      row+=" $(pair $size max "$work/libringfence.so" RINGFENCE_OPTIONS=mode=$mode:leaks=0:watch=0:sweep=0) |"
    done
    echo "$row"
  done
}

make_table >"$work/table.md"
make_costs >"$work/costs.md"
if ((write)); then
  rewrite table "$work/table.md"
  rewrite costs "$work/costs.md"
fi
diff -u <(part table) "$work/table.md" || complain "$page has another table: tools/try_aarch64.sh --write"
# Another compiler makes other code: within a tenth.
paste -d '|' <(part costs) "$work/costs.md" | awk -F '|' '
  function apart(a, b) { return a > b * 1.1 || b > a * 1.1 }
  NR > 2 && ($2 != $7 || apart($3, $8) || apart($4, $9)) { print; bad = 1 }
  END { exit bad || NR < 5 }' || complain "$page has other costs: tools/try_aarch64.sh --write"

# options, program, argument, status, what is said
try_tagged() {
  local text status=0
  text=$(run_tagged "mte:$1" "$work/$2" "$3" bad) || status=$?
  if ((status != $4)) || [[ $text != *"$5"* ]]; then
    complain "$3 with $1: status $status: $text"
  fi
}
try_tagged halt=0 tags read_past_a_block 99 heap-buffer-overflow
try_tagged signals=0 tags read_past_a_block 99 heap-buffer-overflow
try_tagged tags_late=1 tags read_past_a_block 139 "the processor does not say"
for options in quarantine=0 quarantine=64K:order_seed=7 sweep_every=3 tags_late=1 move_below=0; do
  try_tagged $options tags right 0 end
done
cpu=cortex-a72 try_tagged halt=1 bugs overflow_by_one 99 "mode mte is not available (it needs Linux on an AArch64"

# ---- Mode mte of the library ----

includes=(-I"$work/include" -Ilib/include -Icheckers/include -I. -DRF_SITES=1)
mkdir -p "$work/include" "$work/library"
ln -sfn "$PWD/tests/conformance" "$work/include/ringfence"

# source: an object in $work/library
compile_test() {
  local own=() object=$work/library/${1//\//_}.o
  case $1 in
    *rtthread*) own=(-Ilib/include/ringfence/rtthread -Ilib/include/ringfence) ;;
    *zephyr*) own=(-Ilib/include/ringfence/zephyr -Ilib/include/ringfence) ;;
  esac
  if [[ $1 == */detection/* ]]; then
    own+=(-DRF_SITES_CONSTANT=1) # as tests/checkers/detection/BUILD.bazel says
  fi
  if [[ $1 == *.c ]]; then
    "${cc[@]}" -O1 "${includes[@]}" "${own[@]}" -c "$1" -o "$object" || exit 1
  else
    clang++ "${cc[1]}" -std=c++17 -g -O1 -fno-omit-frame-pointer "${includes[@]}" "${own[@]}" -c "$1" -o "$object" ||
      exit 1
  fi
}

link_test() {
  clang++ "${cc[1]}" "${link[@]}" -o "$@" -pthread -ldl || exit 1
}

run_library() {
  timeout -s KILL 900 qemu-aarch64 -cpu max -L "$system" -E GLIBC_TUNABLES=glibc.cpu.name=kunpeng920 "$@"
}

# It damages live blocks by pointers without tags, which is a finding.
readonly by_pointers_without_tags=CheckAnswersWhateverIsDamaged

try_library() {
  local file name objects library text
  for file in lib/{core,heaps,heaps/*,blocks,decorators,handles,compat/rtthread,compat/zephyr}/*.c lib/port/posix.c \
    checkers/{os,report,shared,guard,guard_small,page,mte,checked,trace,handles,pools,asan}/*.c \
    tests/conformance/subjects/*.c tests/checkers/guard_subjects.c tests/conformance/{*_checks,env,run,suite}.cc \
    tests/checkers/detection/*.cc; do
    [[ $file == *_bare.c || $file == *_test.cc ]] || compile_test "$file"
  done
  objects=("$work"/library/*.o)
  mapfile -t objects < <(printf '%s\n' "${objects[@]}" | grep -v detection_)
  for name in simple std tlsf; do
    clang++ "${cc[1]}" -std=c++17 -g "${includes[@]}" "-DRF_CONFORMANCE_SUBJECT=rf_mte_${name}_subject" \
      -c tests/conformance/plain_main.cc -o "$work/main.o" || exit 1
    link_test "$work/conformance" "$work/main.o" "${objects[@]}"
    run_library "$work/conformance" $by_pointers_without_tags || complain "conformance of mte over $name"
  done
  mapfile -t objects < <(printf '%s\n' "$work"/library/*.o |
    grep -vE '_(conformance_[a-z]+(_checks)?|guard_subjects)\.c')
  compile_test tests/checkers/mte_program.c
  mv "$work/library/tests_checkers_mte_program.c.o" "$work/main.o"
  mapfile -t library < <(printf '%s\n' "${objects[@]}" | grep -vE '/tests_|_compat_')
  link_test "$work/program" "$work/main.o" "${library[@]}"
  text=$(run_library "$work/program" 2>&1)
  [[ $text == end ]] || complain "mode mte of the library: $text"
  link_test "$work/detection" "${objects[@]}"
  run_library "$work/detection" --demand mte || complain "bugs in mode mte of the library"
}

try_library

echo "AArch64: not tried: leaks (qemu-user's own thread cannot be stopped, which the library says), children (they" \
  "need binfmt_misc), READ or WRITE of an access (qemu-user leaves the syndrome out)"
((faults == 0)) || exit 1
echo "AArch64: passed"

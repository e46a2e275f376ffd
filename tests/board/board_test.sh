#!/usr/bin/env bash
# The conformance suite and the detection table on an emulated board: cross-compiled, results by semihosting.
#
#   board_test.sh BOARD FILE...     cortex-m3, rv32 or rv64; the sources and headers of lib, checkers and tests, and the
# page that tells of the memory a block takes
#
# Says so, and is content, where the compiler, the C library or the emulator is missing; RF_BOARDS=1 in the environment
# makes that a failure. Without it rv64 is left out, too: 64 bits and RISC-V are both tried elsewhere, and it takes half
# a minute. Nothing is there of a C++ library but its headers: cxx.cc.
set -euo pipefail

board=$1
shift

# The headers of newlib's C++ package serve picolibc as well, which has none of its own.
readonly headers=/usr/include/newlib/c++

case $board in
  cortex-m3)
    prefix=arm-none-eabi
    cpu=(-mthumb -mcpu=cortex-m3)
    link=(--specs=nosys.specs)
    script=cortex-m3.ld
    emulator=(qemu-system-arm -M mps2-an385)
    packages="qemu-system-arm gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-dev"
    ;;
  rv32 | rv64)
    prefix=riscv64-unknown-elf
    declare -A abi=([rv32]=ilp32 [rv64]=lp64)
    cpu=(-march="${board}imac" -mabi="${abi[$board]}" -mcmodel=medany --specs=picolibc.specs)
    link=(-Wl,--no-warn-rwx-segments)
    script=riscv.ld
    emulator=(qemu-system-riscv"${board#rv}" -M virt -bios none)
    packages="qemu-system-misc gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf libstdc++-arm-none-eabi-dev"
    ;;
  *)
    echo "board_test: no board $board; there are cortex-m3, rv32 and rv64" >&2
    exit 2
    ;;
esac

leave_out() {
  echo "board_test: no $1 here, left out: apt-get install $packages"
  exit "${RF_BOARDS:-0}"
}

[[ $board != rv64 || ${RF_BOARDS:-0} != 0 ]] || { echo "board_test: rv64 is left out without RF_BOARDS=1"; exit 0; }
version=$(compgen -G "$headers/*" | sort -V | tail -n 1) || leave_out "C++ headers for boards"
for needed in "$prefix-g++" "${emulator[0]}"; do
  command -v "$needed" >/dev/null || leave_out "$needed"
done
echo '#include <string.h>' | "$prefix-gcc" "${cpu[@]}" -xc -fsyntax-only - 2>/dev/null ||
  leave_out "C library for boards"

work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/board.XXXXXX")
trap 'rm -rf -- "$work"' EXIT

# ---- The program ----

sources=()
for file in "$@"; do
  case $file in
    */compat/* | */port/posix.c | */port/freertos.c | */port/zephyr.c | */system_malloc.c) ;;
    */"$script") script=$file ;;
    *.c | *.cc) sources+=("$file") ;;
  esac
done
mkdir -p "$work/include"
ln -s "$PWD/tests/conformance" "$work/include/ringfence"

# source, object
cat >"$work/compile" <<END
#!/usr/bin/env bash
common=(${cpu[*]} -Os -ffunction-sections -fdata-sections -Wall -Wextra -Werror -Wno-psabi -DRF_SITES=1
  -I$work/include -Ilib/include -Icheckers/include -I.)
case \$1 in
  *.c) exec $prefix-gcc "\${common[@]}" -std=c11 -ffreestanding -c "\$1" -o "\$2" ;;
  *) exec $prefix-g++ "\${common[@]}" -std=c++17 -fno-exceptions -fno-rtti -fno-threadsafe-statics \
    -isystem $version -isystem $version/arm-none-eabi/thumb/v7-m/nofp -c "\$1" -o "\$2" ;;
esac
END
chmod +x "$work/compile"
for file in "${sources[@]}"; do
  printf '%s\0%s\0' "$file" "$work/${file//\//_}.o"
done | xargs -0 -n2 -P"$(nproc)" "$work/compile"
"$prefix-gcc" "${cpu[@]}" "${link[@]}" -nostartfiles "$work"/*.o -T "$script" -Wl,--gc-sections -o "$work/image"
"$prefix-size" "$work/image"

# ---- Its output ----

status=0
timeout 600 "${emulator[@]}" -nographic -semihosting -kernel "$work/image" </dev/null >"$work/said" 2>&1 || status=$?
cat "$work/said"
complain() {
  echo "board_test: $*" >&2
  exit 1
}
((status == 0)) || complain "exit status $status, not 0"
[[ $(tail -n 1 "$work/said") == "board: passed" ]] || complain "the last line is not that it passed"
cost=$(sed -n 's/^cost: //p' "$work/said")
grep -qxF "| $board | $cost |" docs/checkers/guard_small.md ||
  complain "docs/checkers/guard_small.md does not say | $board | $cost |"
subjects=$(sed -nE 's/^ *X\(([a-z0-9_]+)\).*/\1/p' tests/conformance/subjects/subjects.h)
[[ -n $subjects ]] || complain "no subjects are named"
for subject in $subjects guard_small; do
  grep -qE "^conformance: $subject: [0-9]{2,} checks\$" "$work/said" ||
    { [[ $board == rv* && $subject =~ std$|^sizeclass_fallback$ ]] &&
      grep -q "^conformance: $subject: left out, malloc does not align" "$work/said"; } ||
    complain "no conformance of $subject"
done
for mode in off guard guard_small; do
  grep -qE "^detection: $mode: [0-9]{3,} bugs\$" "$work/said" || complain "no detection in mode $mode"
done

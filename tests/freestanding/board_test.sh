#!/usr/bin/env bash
# The examples for boards, on an emulated microcontroller of 64 KiB: cross-compiled, its UART read by `ringfence
# report`. Says so, and is content, where the cross-compiler or the emulator is missing; with RF_BOARDS=1 in the
# environment it fails there.
#
#   board_test.sh BOARD RINGFENCE FILE...     lm3s6965 or virt; the command; the sources and headers of lib and
# checkers, the examples, start.c, the boards' scripts, the page that tells the cost, docs/size.md
set -euo pipefail

board=$1
ringfence=$2
shift 2

case $board in
  lm3s6965)
    prefix=arm-none-eabi
    cc=(arm-none-eabi-gcc -mthumb -mcpu=cortex-m3)
    link=(--specs=nano.specs)
    emulator=(qemu-system-arm -M lm3s6965evb)
    flash_of_page='%s KiB of flash'
    ;;
  virt)
    prefix=riscv64-unknown-elf
    cc=(riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32 --specs=picolibc.specs)
    link=()
    emulator=(qemu-system-riscv32 -M virt -bios none)
    flash_of_page='(%s on RISC-V)'
    ;;
  *)
    echo "board_test: no board $board; there are lm3s6965 and virt" >&2
    exit 2
    ;;
esac
for needed in "${cc[0]}" "${emulator[0]}"; do
  command -v "$needed" >/dev/null || { echo "board_test: no $needed here, left out"; exit "${RF_BOARDS:-0}"; }
done
echo '#include <string.h>' | "${cc[@]}" -xc -fsyntax-only - 2>/dev/null || {
  echo "board_test: no C library for boards here, left out"
  exit "${RF_BOARDS:-0}"
}

work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/board.XXXXXX")
trap 'rm -rf -- "$work"' EXIT

sources=()
examples=()
for file in "$@"; do
  case $file in
    */compat/* | */heaps/std.c | */port/posix.c | */port/freertos.c | */port/zephyr.c | */system_malloc.c) ;;
    */"$board.ld") script=$file ;;
    docs/getting-started.md) page=$file ;;
    docs/size.md) sizes=$file ;;
    docs/examples/*.c) examples+=("$file") ;;
    *.c) sources+=("$file") ;;
  esac
done

flags=(-std=c11 -Os -g -ffreestanding -ffunction-sections -fdata-sections -Wall -Wextra -Werror -DRF_SITES=1
  -Ilib/include -Icheckers/include -I.)
objects=()
for file in "${sources[@]}"; do
  objects+=("$work/${file//\//_}.o")
  "${cc[@]}" "${flags[@]}" -c "$file" -o "${objects[-1]}"
done

# PROGRAM OUTPUT: the page tells its cost. The page's figures are those of the compiler that docs/size.md names.
compare_cost() {
  local text data bss stack ram page_says told
  grep -qF -- ": $("${cc[0]}" --version | head -n 1)" "$sizes" || { echo "board_test: another compiler"; return; }
  read -r text data bss _ < <("$prefix-size" "$1" | tail -n 1)
  stack=$(sed -nE 's/^stack: ([0-9]+) bytes$/\1/p' "$2" | tail -n 1)
  ram=$((data + bss - 4096)) # which are the heap's
  page_says=$(tr '\n' ' ' <"$page")
  # shellcheck disable=SC2059 # a format of this script
  for told in "$(printf -- "$flash_of_page" "$(((text + data + 1023) / 1024))")" \
    "less than $((ram / 1024 + 1)) KiB of RAM beside the heap" \
    "and $(((stack + 512) / 1024)) KiB of stack for the report"; do
    [[ $page_says == *"$told"* ]] || { echo "board_test: $page does not say '$told'" >&2; exit 1; }
  done
}

# example, what its report must say
try() {
  local example=$1 name status=0 line expected
  shift
  name=$(basename -- "$example" .c)
  "${cc[@]}" "${flags[@]}" "${objects[@]}" "$example" -nostartfiles "${link[@]}" -T "$script" -Wl,--gc-sections \
    -o "$work/$name"
  "$prefix-size" "$work/$name"

  timeout 240 "${emulator[@]}" -nographic -semihosting -kernel "$work/$name" </dev/null \
    >"$work/uart" 2>"$work/qemu" || status=$?
  ((status == 0)) || { cat "$work/uart" "$work/qemu"; echo "board_test: exit status $status, not 0" >&2; exit 1; }

  grep '^stack: ' "$work/uart" "$work/qemu" -h || { echo "board_test: how much stack it took is not told" >&2; exit 1; }
  [[ $name != board ]] || compare_cost "$work/$name" <(cat "$work/uart" "$work/qemu")
  "$ringfence" report --image "$work/$name" "$work/uart" >"$work/report" || status=$?
  cat "$work/report"
  line=$(grep -n 'rf_alloc(' "$example" | cut -d: -f1)
  for expected in 'heap-buffer-overflow' '0 bytes after 20-byte region' "$example:$line" "$@"; do
    grep -qF -- "$expected" "$work/report" || { echo "board_test: the report does not say $expected" >&2; exit 1; }
  done
}

for example in "${examples[@]}"; do
  try "$example" "in main $example" "WRITE "
done

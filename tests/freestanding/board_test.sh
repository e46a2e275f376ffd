#!/usr/bin/env bash
# The example for boards, on an emulated microcontroller of 64 KiB: cross-compiled, its UART read by `ringfence report`.
# Says so, and is content, where the cross-compiler or the emulator is missing (gcc-arm-none-eabi,
# libnewlib-arm-none-eabi, qemu-system-arm).
#
#   board_test.sh RINGFENCE FILE...     the command; the sources and headers of lib and checkers, the example, start.c,
# the script
set -euo pipefail

ringfence=$1
shift

cc=(arm-none-eabi-gcc -mthumb -mcpu=cortex-m3)
for needed in "${cc[0]}" qemu-system-arm; do
  command -v "$needed" >/dev/null || { echo "board_test: no $needed here, left out"; exit 0; }
done
echo '#include <string.h>' | "${cc[@]}" -xc -c - -o /dev/null 2>/dev/null || {
  echo "board_test: no C library for boards here, left out"
  exit 0
}

work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/board.XXXXXX")
trap 'rm -rf -- "$work"' EXIT

sources=()
for file in "$@"; do
  case $file in
    */compat/* | */heaps/std.c | */port/posix.c) ;;
    *.ld) script=$file ;;
    *.c) sources+=("$file") ;;
  esac
done

"${cc[@]}" -std=c11 -Os -g -ffreestanding -ffunction-sections -fdata-sections -Wall -Wextra -Werror -DRF_SITES=1 \
  -Ilib/include -Icheckers/include -I. "${sources[@]}" -nostartfiles --specs=nano.specs \
  -T "$script" -Wl,--gc-sections -o "$work/board"
arm-none-eabi-size "$work/board"

status=0
qemu=(qemu-system-arm -M lm3s6965evb -nographic -semihosting -kernel "$work/board")
timeout 240 "${qemu[@]}" </dev/null >"$work/uart" 2>"$work/qemu" || status=$?
((status == 0)) || { cat "$work/uart" "$work/qemu"; echo "board_test: exit status $status, not 0" >&2; exit 1; }

grep '^stack: ' "$work/uart" "$work/qemu" -h || { echo "board_test: how much stack it took is not told" >&2; exit 1; }
"$ringfence" report "$work/uart" >"$work/report" || status=$?
cat "$work/report"
line=$(grep -n 'rf_alloc(' docs/examples/board.c | cut -d: -f1)
for expected in 'heap-buffer-overflow' '0 bytes after 20-byte region' "docs/examples/board.c:$line"; do
  grep -qF -- "$expected" "$work/report" || { echo "board_test: the report does not say $expected" >&2; exit 1; }
done

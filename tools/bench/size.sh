#!/usr/bin/env bash
# Bytes of Thumb code (.text at -Os for Cortex-M4) of the heaps: all of an allocator, and what init, alloc and free lead
# to. Needs gcc-arm-none-eabi.
#
#   ./bazelw run //tools/bench:size
set -euo pipefail

cd -- "${BUILD_WORKSPACE_DIRECTORY:-$(dirname -- "${BASH_SOURCE[0]}")/../..}"

command -v arm-none-eabi-gcc >/dev/null || {
  echo "size: needs arm-none-eabi-gcc (apt-get install gcc-arm-none-eabi)" >&2
  exit 127
}

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
mkdir -p "$work/include/ringfence"
cp lib/*/*.h "$work/include/ringfence"

compile() { # FILE...: into $work
  local file
  for file in "$@"; do
    arm-none-eabi-gcc -std=c11 -Os -mthumb -mcpu=cortex-m4 -ffreestanding -ffunction-sections -fdata-sections \
      -I"$work/include" -c "$file" -o "$work/$(basename -- "$file").o"
  done
}

# Bytes of .text in the objects of this allocator that the linker keeps for the roots; what core and libgcc have is left
# out, as every allocator shares it.
kept() { # NAME ROOT...
  local name=$1 roots=()
  shift
  local root
  for root in "$@"; do
    roots+=("-Wl,--undefined=$root")
  done
  arm-none-eabi-gcc -mthumb -mcpu=cortex-m4 -nostdlib -nostartfiles -Wl,--gc-sections -Wl,--entry="$1" "${roots[@]}" \
    -Wl,--unresolved-symbols=ignore-all -Wl,-Map="$work/map" "$work/$name"*.o -o "$work/linked" 2>/dev/null
  python3 - "$work/map" <<'PYTHON'
import re, sys
text = open(sys.argv[1]).read().split("Linker script and memory map")[1]
print(sum(int(size, 16) for size in re.findall(r"^ \.text\.\S+\s+0x[0-9a-f]+\s+(0x[0-9a-f]+) \S+\.o$", text, re.M)))
PYTHON
}

compile lib/heaps/tlsf*.c
echo "| heap | bytes of .text | what |"
echo "|---|---|---|"
echo "| tlsf | $(kept tlsf rf_tlsf_init rf_tlsf_add_region rf_tlsf_remove_region) | all operations, regions |"
echo "| tlsf | $(kept tlsf rf_tlsf_init) | all operations |"
echo "| tlsf | $(kept tlsf rf_tlsf_open rf_tlsf_alloc rf_tlsf_free) | init, alloc and free |"

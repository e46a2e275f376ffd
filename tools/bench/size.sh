#!/usr/bin/env bash
# Bytes of code (.text at -Os) of each allocator, for x86-64, 32-bit x86 and Cortex-M0+ and M4 (Thumb): all of its own
# functions, and what core and the allocators below it have left out, as every allocator shares that. Then of tlsf what
# init, alloc and free alone lead to.
#
#   ./bazelw run //tools/bench:size                    prints the tables
#   ./bazelw run //tools/bench:size -- --update        writes them into docs/size.md
#   ./bazelw run //tools/bench:size -- --list TARGET   lines "name bytes" of one target
#
# A target whose compiler is not installed is left out, and that is said.
set -euo pipefail

cd -- "${BUILD_WORKSPACE_DIRECTORY:-$(dirname -- "${BASH_SOURCE[0]}")/../..}"

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
mkdir -p "$work/include/ringfence"
cp lib/*/*.h "$work/include/ringfence"

# The allocators: a name, and its sources.
allocators=(
  "tlsf lib/heaps/tlsf*.c"
  "simple lib/heaps/simple.c"
  "smallmem lib/heaps/smallmem.c lib/heaps/chain.c"
  "slab lib/heaps/slab*.c"
  "memheap lib/heaps/memheap.c lib/heaps/chain.c"
  "sizeclass lib/heaps/sizeclass*.c"
  "handle lib/heaps/handle*.c"
  "std lib/heaps/std.c"
  "mempool lib/blocks/mempool.c"
  "memblocks lib/blocks/memblocks*.c"
  "blockgroup lib/blocks/blockgroup*.c"
  "lock lib/decorators/lock.c"
  "pool lib/decorators/pool*.c"
  "oom lib/decorators/oom.c"
)
targets=(x86-64 i386 cortex-m0plus cortex-m4)

# ---- Compilers ----

declare -A compiler=([x86-64]='gcc -m64' [i386]='gcc -m32'
  [cortex-m0plus]='arm-none-eabi-gcc -mthumb -mcpu=cortex-m0plus'
  [cortex-m4]='arm-none-eabi-gcc -mthumb -mcpu=cortex-m4')
declare -A package=([x86-64]=gcc [i386]=gcc-multilib [cortex-m0plus]=gcc-arm-none-eabi [cortex-m4]=gcc-arm-none-eabi)

# A compiler may be there without the headers of a target (gcc -m32 without multilib).
has_compiler() { # TARGET
  local command=${compiler[$1]}
  command -v "${command%% *}" >/dev/null &&
    printf '#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\nint x;\n' |
    $command -ffreestanding -xc -c - -o "$work/probe.o" 2>/dev/null
}

# SOURCE TARGET: prints the object.
object_of() {
  local object=$work/$2/${1//\//_}.o
  if [[ ! -e $object ]]; then
    mkdir -p "$work/$2"
    ${compiler[$2]} -std=c11 -Os -ffreestanding -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \
      -fno-stack-protector -fno-pic -I"$work/include" -I. -c "$1" -o "$object"
  fi
  echo "$object"
}

# ---- Bytes ----

# TARGET SOURCE…: bytes of .text in their objects.
text_of() {
  local target=$1 objects=() source
  shift
  for source in "$@"; do
    objects+=("$(object_of "$source" "$target")")
  done
  readelf -SW "${objects[@]}" |
    sed -nE 's/^ *\[ *[0-9]+\] \.text[^ ]* +PROGBITS +[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+) .*/\1/p' |
    { local sum=0 bytes; while read -r bytes; do sum=$((sum + 16#$bytes)); done; echo "$sum"; }
}

# TARGET ROOT…: bytes of tlsf's .text that a linker keeps for these functions.
kept_of() {
  local target=$1 command=${compiler[$1]} roots=() root source
  shift
  for root in "$@"; do
    roots+=("-Wl,--undefined=$root")
  done
  for source in lib/heaps/tlsf*.c; do
    object_of "$source" "$target"
  done | xargs $command -nostdlib -nostartfiles -static -Wl,--gc-sections -Wl,--entry="$1" "${roots[@]}" \
    -Wl,--unresolved-symbols=ignore-all -Wl,-Map="$work/map" -o "$work/linked" 2>/dev/null
  # The second half of the map tells what was kept: a section's name, its address and its size, on one line or two.
  sed '1,/^Linker script and memory map/d' "$work/map" | tr '\n' ' ' |
    grep -oE ' \.text\.[^ ]+ +0x[0-9a-f]+ +0x[0-9a-f]+ [^ ]+\.o' |
    { local sum=0 bytes; while read -r _ _ bytes _; do sum=$((sum + bytes)); done; echo "$sum"; }
}

# ---- Output ----

there=()
for target in "${targets[@]}"; do
  if has_compiler "$target"; then
    there+=("$target")
  else
    echo "size: $target is left out: it needs ${compiler[$target]%% *} (apt-get install ${package[$target]})" >&2
  fi
done
((${#there[@]} != 0)) || exit 127

# The sources of an allocator that are there: one word each.
sources_of() {
  local pattern file
  for pattern in ${1#* }; do
    for file in $pattern; do
      [[ ! -e $file ]] || echo "$file"
    done
  done
}

list() { # TARGET
  local entry sources
  for entry in "${allocators[@]}"; do
    mapfile -t sources < <(sources_of "$entry")
    ((${#sources[@]} == 0)) || echo "${entry%% *} $(text_of "$1" "${sources[@]}")"
  done
}

tables() {
  local entry sources target
  echo "| allocator |$(printf ' %s |' "${there[@]}")"
  echo "|---|$(printf -- '---|%.0s' "${there[@]}")"
  for entry in "${allocators[@]}"; do
    mapfile -t sources < <(sources_of "$entry")
    ((${#sources[@]} != 0)) || continue
    printf '| %s |' "${entry%% *}"
    for target in "${there[@]}"; do
      printf ' %s |' "$(text_of "$target" "${sources[@]}")"
    done
    echo
  done
  echo
  echo "| tlsf, as far as linked |$(printf ' %s |' "${there[@]}")"
  echo "|---|$(printf -- '---|%.0s' "${there[@]}")"
  kept_row "all operations, regions" rf_tlsf_init rf_tlsf_add_region rf_tlsf_remove_region
  kept_row "all operations" rf_tlsf_init
  kept_row "init, alloc and free" rf_tlsf_open rf_tlsf_alloc rf_tlsf_free
}

kept_row() { # WHAT ROOT…
  local what=$1 target
  shift
  printf '| %s |' "$what"
  for target in "${there[@]}"; do
    printf ' %s |' "$(kept_of "$target" "$@")"
  done
  echo
}

case ${1-} in
  '') tables ;;
  --update)
    { sed '/^<!-- size -->$/q' docs/size.md; echo; tables; } >"$work/page"
    cp -- "$work/page" docs/size.md
    ;;
  --list)
    [[ " ${there[*]} " == *" ${2-} "* ]] || { echo "size: no target ${2-}; there are: ${there[*]}" >&2; exit 2; }
    list "$2"
    # The names in compare: decorators are measured around tlsf.
    list "$2" | sed -nE 's/^(lock|pool) /\1+tlsf /p'
    ;;
  *)
    echo "usage: size [--update | --list TARGET]" >&2
    exit 2
    ;;
esac

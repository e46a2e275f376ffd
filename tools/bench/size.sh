#!/usr/bin/env bash
# Bytes of code (.text at -Os) of each allocator, for x86-64, 32-bit x86, Cortex-M0+ and M4 (Thumb) and RISC-V of 32
# bits (compressed): all of its own functions, and what core and the allocators below it have left out, as every
# allocator shares that. Then of tlsf what init, alloc and free alone lead to, and of a program with a guard all that is
# linked.
#
#   ./bazelw run //tools/bench:size                    prints the tables
#   ./bazelw run //tools/bench:size -- --update        writes them into docs/size.md
#   ./bazelw run //tools/bench:size -- --check         fails where docs/size.md says otherwise; a target whose compiler
#                                                      is not the one that the page names is left out
#   ./bazelw run //tools/bench:size -- --list TARGET   lines "name bytes" of one target
#
# A target whose compiler is not installed is left out, and that is said.
set -euo pipefail

# In a test the sources lie where it starts.
[[ -n ${TEST_SRCDIR-} ]] || cd -- "${BUILD_WORKSPACE_DIRECTORY:-$(dirname -- "${BASH_SOURCE[0]}")/../..}"

. tools/bench/page.sh
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

# The allocators: a name, and its sources.
allocators=(
  "tlsf lib/heaps/tlsf/tlsf*.c"
  "simple lib/heaps/simple/*.c"
  "smallmem lib/heaps/block_list/smallmem.c lib/heaps/block_list/block_list.c"
  "slab lib/heaps/slab/*.c"
  "memheap lib/heaps/block_list/memheap*.c lib/heaps/block_list/block_list.c"
  "sizeclass lib/heaps/sizeclass/*.c"
  "handle lib/handles/*.c"
  "std lib/heaps/std.c"
  "bump lib/heaps/bump.c"
  "mempool lib/blocks/mempool*.c"
  "memblocks lib/blocks/memblocks*.c"
  "blockgroup lib/blocks/blockgroup*.c"
  "lock lib/decorators/lock.c"
  "pool lib/decorators/pool*.c"
  "oom lib/decorators/oom.c"
)
targets=(x86-64 i386 cortex-m0plus cortex-m4 rv32)

# ---- Compilers ----

declare -A compiler=([x86-64]='gcc -m64' [i386]='gcc -m32'
  [cortex-m0plus]='arm-none-eabi-gcc -mthumb -mcpu=cortex-m0plus'
  [cortex-m4]='arm-none-eabi-gcc -mthumb -mcpu=cortex-m4'
  [rv32]='riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32 --specs=picolibc.specs')
declare -A package=([x86-64]=gcc [i386]=gcc-multilib [cortex-m0plus]=gcc-arm-none-eabi [cortex-m4]=gcc-arm-none-eabi
  [rv32]='gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf')

# A compiler may be there without the headers of a target (gcc -m32 without multilib).
has_compiler() { # TARGET
  local command=${compiler[$1]}
  command -v "${command%% *}" >/dev/null &&
    printf '#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\nint x;\n' |
    $command -ffreestanding -xc -c - -o "$work/probe.o" 2>/dev/null
}

# Flags of the build that is measured: of tlsf's small one, or none. Its own sources alone read them.
variant=

# SOURCE TARGET: prints the object.
object_of() {
  local flags=
  [[ $1 != lib/heaps/tlsf/* ]] || flags=$variant
  local object=$work/$2$flags/${1//\//_}.o
  if [[ ! -e $object ]]; then
    mkdir -p "$work/$2$flags"
    ${compiler[$2]} -std=c11 -Os -ffreestanding -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \
      -fno-stack-protector -fno-pic -U__unix__ $flags -Ilib/include -Icheckers/include -I. -c "$1" -o "$object"
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
  for source in lib/heaps/tlsf/*.c; do
    object_of "$source" "$target"
  done | xargs $command -nostdlib -nostartfiles -static -Wl,--gc-sections -Wl,--entry="$1" "${roots[@]}" \
    -Wl,--unresolved-symbols=ignore-all -Wl,-Map="$work/map" -o "$work/linked" 2>/dev/null
  # The second half of the map tells what was kept: a section's name, its address and its size, on one line or two.
  sed '1,/^Linker script and memory map/d' "$work/map" | tr '\n' ' ' |
    grep -oE ' \.text\.[^ ]+ +0x[0-9a-f]+ +0x[0-9a-f]+ [^ ]+\.o' |
    { local sum=0 bytes; while read -r _ _ bytes _; do sum=$((sum + bytes)); done; echo "$sum"; }
}

# A source that needs an operating system: boards have another one, or none, in its place.
is_hosted() { # SOURCE
  grep -qE '^#include <(sys/|dlfcn|fcntl|link|pthread|signal|stdio|time|unistd)' "$1"
}

# TARGET REPORTER HEAP: bytes of .text of the program with a checked heap, core and port included.
program_of() {
  local target=$1 command=${compiler[$1]} source objects=()
  for source in lib/core/*.c lib/port/bare.c lib/heaps/{simple,tlsf}/*.c \
    checkers/{os,report,shared,guard,guard_small}/*.c; do
    if ! is_hosted "$source"; then
      objects+=("$(object_of "$source" "$target")")
    fi
  done
  $command -std=c11 -Os -ffreestanding -fno-asynchronous-unwind-tables -fno-stack-protector -fno-pic -U__unix__ \
    "-DREPORTER=$2" "-DHEAP=$3" -Ilib/include -Icheckers/include -c tools/bench/size_program.c -o "$work/program.o"
  $command -nostdlib -nostartfiles -static -Wl,--gc-sections -Wl,--entry=start -Wl,--unresolved-symbols=ignore-all \
    "$work/program.o" "${objects[@]}" -o "$work/linked" 2>/dev/null
  readelf -SW "$work/linked" | sed -nE 's/^ *\[ *[0-9]+\] \.text +PROGBITS +[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+) .*/\1/p' |
    { read -r bytes; echo $((16#$bytes)); }
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
  variant=-DRF_TLSF_SMALL=1
  kept_row "small: all operations" rf_tlsf_init
  kept_row "small: init, alloc and free" rf_tlsf_open rf_tlsf_alloc rf_tlsf_free
  variant=
  echo
  echo "| a checked heap on a board, all that is linked |$(printf ' %s |' "${there[@]}")"
  echo "|---|$(printf -- '---|%.0s' "${there[@]}")"
  program_row "guard_small over simple, findings as numbers" NUMBERS simple
  program_row "guard_small over tlsf, findings as numbers" NUMBERS tlsf
  variant=-DRF_TLSF_SMALL=1
  program_row "guard_small over the small tlsf, findings as numbers" NUMBERS tlsf
  variant=
  program_row "guard over simple, a reporter of its own" OWN simple
  program_row "guard over tlsf, a reporter of its own" OWN tlsf
  program_row "guard over simple, the full reporter" FULL simple
}

program_row() { # WHAT REPORTER HEAP
  local target
  printf '| %s |' "$1"
  for target in "${there[@]}"; do
    printf ' %s |' "$(program_of "$target" "$2" "$3")"
  done
  echo
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

# The compiler of a target, as the page names it.
version_of() { # TARGET
  ${compiler[$1]} --version | head -n 1
}

page() {
  local target
  tables >"$work/tables"
  if grep -E '\|  +\|' "$work/tables" >&2; then
    echo "size: a cell is empty: its program did not build" >&2
    return 1
  fi
  cat -- "$work/tables"
  echo
  for target in "${there[@]}"; do
    echo "- $target: $(version_of "$target")"
  done
}

# FILE TARGET: what its tables say of a target, "name bytes" a line.
column_of() {
  awk -F' *[|] *' -v target="$2" '
    /^[|] (allocator|tlsf, as far as linked|a checked heap[^|]*) [|]/ {
      for (i = 3; i < NF; i++) if ($i == target) column = i
      next
    }
    /^[|] / {print $2, $column}' "$1"
}

check() {
  local target faults=0 checked=0
  page >"$work/now"
  for target in "${there[@]}"; do
    if ! grep -qxF -- "- $target: $(version_of "$target")" docs/size.md; then
      echo "size: $target is left out: docs/size.md is of another compiler than $(version_of "$target")"
    elif ! diff <(column_of docs/size.md "$target") <(column_of "$work/now" "$target"); then
      echo "size: docs/size.md (<) is not what $target has now (>): ./bazelw run //tools/bench:size -- --update" >&2
      faults=1
    else
      checked=$((checked + 1))
    fi
  done
  echo "size: $checked targets as docs/size.md says"
  return "$faults"
}

case ${1-} in
  '') page ;;
  --check) check ;;
  --update)
    { echo; page; } >"$work/now"
    put_into docs/size.md size "$work/now"
    ;;
  --list)
    [[ " ${there[*]} " == *" ${2-} "* ]] || { echo "size: no target ${2-}; there are: ${there[*]}" >&2; exit 2; }
    list "$2"
    # The names in compare: decorators are measured around tlsf.
    list "$2" | sed -nE 's/^(lock|pool) /\1+tlsf /p'
    ;;
  *)
    echo "usage: size [--update | --check | --list TARGET]" >&2
    exit 2
    ;;
esac

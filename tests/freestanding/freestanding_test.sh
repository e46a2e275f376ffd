#!/usr/bin/env bash
# lib/ needs no operating system and no C library but memcpy, memmove, memset, memcmp and strlen: compiles each of its
# sources, heaps/std.c and port/posix.c apart, with -ffreestanding -nostdlib for every target that a compiler is
# installed for, and looks at what the objects leave undefined.
#
#   freestanding_test.sh FILE...      the sources and headers of lib/
set -euo pipefail

work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/freestanding.XXXXXX")
trap 'rm -rf -- "$work"' EXIT

# Functions that a compiler may call in freestanding code, and its helpers for arithmetic that the core lacks.
allowed='memcpy|memmove|memset|memcmp|strlen'
helpers='__aeabi_[a-z0-9]+|__gnu_thumb1_case_[a-z]+|__(u|)(div|mod|divmod)[sd]i[34]|__(ashl|ashr|lshr|mul)di3'
helpers+='|__(clz|ctz|popcount)[sd]i2'
helpers+='|__x86\.get_pc_thunk\.[a-z]+|_GLOBAL_OFFSET_TABLE_|__stack_chk_(fail|guard)(_local)?'

sources=()
for file in "$@"; do
  case $file in
    */heaps/std.c | */port/posix.c | */port/freertos.c | */port/zephyr.c | */system_malloc.c) ;;
    *.c) sources+=("$file") ;;
  esac
done
((${#sources[@]} >= 10)) || { echo "only ${#sources[@]} sources were given" >&2; exit 1; }

# ---- One target ----

# compiler, its flags, source, object
cat >"$work/compile" <<END
#!/usr/bin/env bash
exec "\${@:1:\$#-2}" -std=c11 -Os -ffreestanding -nostdlib -Wall -Wextra -Werror -Ilib/include -I. \
  -c "\${@:\$#-1:1}" -o "\${@:\$#}"
END
chmod +x "$work/compile"

# A compiler may be there without all headers of a target (gcc -m32 without multilib): the probe includes what lib/
# does.
sed -nE 's/^ *# *include *(<[a-z_]+\.h>).*/#include \1/p' "${sources[@]}" lib/include/ringfence/*.h |
  sort -u >"$work/probe.c"
echo 'int x;' >>"$work/probe.c"

# name, compiler and its flags. The objects must close over themselves but for what is allowed.
try() {
  local name=$1 cc=$2 nm=$3
  shift 3
  if ! command -v "$cc" >/dev/null ||
    ! "$cc" "$@" -ffreestanding -c -o "$work/probe.o" "$work/probe.c" 2>/dev/null; then
    echo "$name: no compiler here, left out"
    return 0
  fi
  mkdir -p "$work/$name"
  local file
  for file in "${sources[@]}"; do
    printf '%s\0%s\0' "$file" "$work/$name/${file//\//_}.o"
  done | xargs -0 -n2 -P"$(nproc)" "$work/compile" "$cc" "$@" || {
    echo "$name: not everything compiles" >&2
    return 1
  }
  "$nm" -g "$work/$name"/*.o | awk 'NF == 3 && $2 ~ /[A-TV-Zi]/ {print $3}' | sort -u >"$work/$name.defined"
  "$nm" -g "$work/$name"/*.o | awk '$1 == "U" {print $2}' | sort -u >"$work/$name.undefined"
  local left
  left=$(comm -13 "$work/$name.defined" "$work/$name.undefined" | grep -vxE "$allowed|$helpers" || true)
  if [[ -n $left ]]; then
    echo "$name: lib/ would need:" >&2
    for symbol in $left; do
      echo "  $symbol, in $("$nm" -A "$work/$name"/*.o | awk -v s="$symbol" '$(NF - 1) == "U" && $NF == s {print $1}' |
        sed 's|.*/||; s|:.*||' | sort -u | tr '\n' ' ')" >&2
    done
    return 1
  fi
  echo "$name: ${#sources[@]} sources, nothing missing"
  targets+=("$name")
}

targets=()
failed=0
try x86-64 gcc nm -m64 || failed=1
try i386 gcc nm -m32 || failed=1
try x86-64-clang clang nm -m64 || failed=1
try cortex-m0plus arm-none-eabi-gcc arm-none-eabi-nm -mcpu=cortex-m0plus -mthumb || failed=1
try cortex-m4 arm-none-eabi-gcc arm-none-eabi-nm -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 || failed=1
for xlen in 32:ilp32 64:lp64; do
  try "rv${xlen%:*}" riscv64-unknown-elf-gcc riscv64-unknown-elf-nm --specs=picolibc.specs -march="rv${xlen%:*}imac" \
    -mabi="${xlen#*:}" -mcmodel=medany || failed=1
done

((failed == 0)) || exit 1
((${#targets[@]} != 0)) || { echo "no compiler at all" >&2; exit 1; }

# ---- The test itself: a source that calls malloc must be seen, beside the objects that are there ----

mkdir -p "$work/control" && cp -- "$work"/x86-64/*.o "$work/control/"
echo 'void *malloc(unsigned long); void *f(void); void *f(void) { return malloc(1); }' >"$work/control.c"
sources=("$work/control.c")
if try control gcc nm -m64 2>"$work/complaint" || ! grep -q '^  malloc, in ' "$work/complaint"; then
  echo "a call of malloc goes unseen" >&2
  exit 1
fi

#!/usr/bin/env bash
# In a program that its linker optimises, what Zephyr's macros define is there, although nothing names it, and the
# callers of a system's malloc are those that a finding should name.
# Arguments: the sources of lib/.
set -euo pipefail

here=$PWD
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

. tests/compat/headers.sh
copy_headers "$work/include" "$@"

cat >"$work/defined.c" <<'CODE'
#include <ringfence/zephyr/init.h>
#include <ringfence/zephyr/kernel.h>
extern int started;
K_HEAP_DEFINE(one, 100);
K_HEAP_DEFINE(another, 200);
static int start(void) {
  return started++;
}
SYS_INIT(start, APPLICATION, 0);
CODE
cat >"$work/main.c" <<'CODE'
#include <ringfence/zephyr/kernel.h>
int started;
extern struct k_heap __start_rf_zephyr_heaps[];
extern struct k_heap __stop_rf_zephyr_heaps[];
int main(void) {
  return started == 1 && __stop_rf_zephyr_heaps - __start_rf_zephyr_heaps == 2 ? 0 : 1;
}
CODE

# An allocator that notes its caller. `bug` must be that, not the function which `bug` returns to.
cat >"$work/firmware.c" <<'CODE'
#include <ringfence/system_malloc.h>
void *pvPortMalloc(size_t size);
void *pvPortCalloc(size_t count, size_t size);
void vPortFree(void *block);
static const rf_site *called;
static char block[64];
static void *alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  (void)self;
  (void)align;
  called = site;
  return size <= sizeof block ? block : NULL;
}
static rf_status free_block(rf_allocator *self, void *p, const rf_site *site) {
  (void)self;
  (void)p;
  called = site;
  return RF_OK;
}
static int wrong;
#define AFTER(call) ((call), wrong += (uintptr_t)called == ((uintptr_t)__builtin_return_address(0) | 1))
__attribute__((noinline)) static void bug(void) {
  AFTER(pvPortMalloc(10));
  AFTER(pvPortCalloc(2, 10));
  AFTER(vPortFree(block));
}
int main(void) {
  static const rf_allocator_ops ops = {.alloc = alloc, .free = free_block};
  rf_allocator heap = {&ops};
  rf_system_malloc_init(&heap, true);
  bug();
  return called == NULL ? 100 : wrong;
}
CODE

# The same of C++'s operators, and that they do what the language says of a request that gets nothing.
cat >"$work/operators.cc" <<'CODE'
#define RINGFENCE_OPERATOR_NEW
#include <ringfence/system_new.h>
static const rf_site *called;
alignas(64) static char block[64];
static void *alloc(rf_allocator *, size_t size, size_t, const rf_site *site) {
  called = site;
  return size <= sizeof block ? block : nullptr;
}
static rf_status free_block(rf_allocator *, void *, const rf_site *site) {
  called = site;
  return RF_OK;
}
static int wrong;
#define AFTER(call) \
  ((call), wrong += called == nullptr || \
           reinterpret_cast<uintptr_t>(called) == (reinterpret_cast<uintptr_t>(__builtin_return_address(0)) | 1), \
   called = nullptr)
static int handled;
static void handler() {
  handled++;
  std::set_new_handler(nullptr);
}
__attribute__((noinline)) static void bug(void *volatile p) {
  AFTER(p = ::operator new(10));
  AFTER(p = ::operator new[](10));
  AFTER(p = ::operator new(10, std::nothrow));
  AFTER(p = ::operator new[](10, std::nothrow));
  AFTER(::operator delete(p));
  AFTER(::operator delete[](p));
  AFTER(::operator delete(p, std::nothrow));
  AFTER(::operator delete[](p, std::nothrow));
  AFTER(p = ::operator new(64, std::align_val_t{64}));
  AFTER(::operator delete(p, std::align_val_t{64}));
  std::set_new_handler(handler);
  wrong += ::operator new(1000, std::nothrow) != nullptr || handled != 1;
}
int main() {
  static rf_allocator_ops ops;
  ops.alloc = alloc;
  ops.free = free_block;
  rf_allocator heap = {&ops};
  rf_system_malloc_init(&heap, true);
  bug(block);
  return wrong;
}
CODE

below=()
for file in "$@"; do
  case $file in
    */core/*.c | */port/posix.c) below+=("$file") ;;
    */compat/system_malloc.c) system_malloc=$file ;;
  esac
done

faults=0
tried=0
for compiler in gcc clang; do
  flags=(-std=c11 -flto -ffunction-sections -fdata-sections "-I$work/include")
  echo 'int main(void) { return 0; }' >"$work/nothing.c"
  "$compiler" "${flags[@]}" "$work/nothing.c" -o "$work/program" 2>/dev/null || continue # none here, or no such linker
  tried=$((tried + 1))
  "$compiler" "${flags[@]}" -O2 "$work/main.c" "$work/defined.c" -Wl,--gc-sections -o "$work/program"
  "$work/program" || {
    echo "$compiler: a definition is missing" >&2
    faults=1
  }
  # Programs over a system's malloc.
  (cd "$work" && "$compiler" -std=c11 -O1 "-I$work/include" "-I$here" -c "${below[@]/#/$here/}")
  for program in firmware.c:FREERTOS operators.cc:FREERTOS operators.cc:WRAP; do
    system=RF_SYSTEM_${program#*:}
    program=${program%:*}
    callers=("${flags[@]:1}" -Os -fno-optimize-sibling-calls -fno-exceptions "-DRF_SYSTEM_MALLOC=$system")
    "$compiler" -std=c11 "${callers[@]}" -I. -c "$system_malloc" -o "$work/system_malloc.lo"
    [[ $program != *.cc ]] || callers+=(-std=c++17)
    "$compiler" "${callers[@]}" -c "$work/$program" -o "$work/program.lo"
    "$compiler" "${callers[@]}" "$work/program.lo" "$work/system_malloc.lo" "$work"/*.o -pthread \
      -lstdc++ -Wl,--gc-sections -o "$work/program"
    status=0
    "$work/program" || status=$?
    ((status == 0)) || {
      echo "$compiler: $program fails with $status" >&2
      faults=1
    }
  done
done
((tried > 0)) || echo "no compiler here, left out"
exit "$faults"

#!/usr/bin/env bash
# Code that uses the macros of the originals compiles without a warning where its compiler is told to be strict.
# Arguments: the sources of lib/.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

. tests/compat/headers.sh
copy_headers "$work/include" "$@"

cat >"$work/zephyr.c" <<'CODE'
#include <ringfence/zephyr.h>
#include <ringfence/zephyr/init.h>
#include <ringfence/zephyr/sys/heap_listener.h>
K_HEAP_DEFINE(heap, 1024);
K_MEM_SLAB_DEFINE(slab, 64, 10, 4);
SYS_MEM_BLOCKS_DEFINE(pool, 32, 8, 16);
SYS_BITARRAY_DEFINE(bits, 100);
struct item {
  sys_snode_t node;
  sys_dnode_t ring;
};
void use(sys_slist_t *list, int ms);
void use(sys_slist_t *list, int ms) {
  void *mem = NULL;
  struct item *at;
  if (k_mem_slab_alloc(&slab, &mem, K_MSEC(ms)) == 0) {
    k_mem_slab_free(&slab, mem);
  }
  k_heap_free(&heap, k_heap_alloc(&heap, 10, K_FOREVER));
  (void)sys_mem_blocks_alloc(&pool, 1, &mem);
  (void)sys_bitarray_set_bit(&bits, 3);
  SYS_SLIST_FOR_EACH_CONTAINER(list, at, node) {
    __ASSERT(at != NULL, "%d", ms);
  }
}
CODE

cat >"$work/rtthread.c" <<'CODE'
#include <ringfence/rtthread.h>
#define DBG_TAG "strict"
#define DBG_LVL DBG_LOG
#include <ringfence/rtthread/rtdbg.h>
void use(rt_list_t *list);
void use(rt_list_t *list) {
  rt_list_t *at;
  rt_size_t total;
  void *const p = rt_malloc(10);
  RT_ASSERT(p != RT_NULL);
  rt_memory_info(&total, RT_NULL, RT_NULL);
  rt_list_for_each(at, list) {
    LOG_E("%p of %lu", (void *)at, total);
  }
  dbg_enter;
  dbg_here;
  dbg_log(DBG_LOG, "%lu\n", total);
  rt_free(p);
  dbg_exit;
}
CODE

cat >"$work/awtk.c" <<'CODE'
#include <ringfence/awtk.h>
ret_t use(int n);
bool_t look(mem_allocator_t *allocator);
bool_t look(mem_allocator_t *allocator) {
  return MEM_ALLOCATOR_SIMPLE(allocator) != NULL && MEM_ALLOCATOR_POOL(allocator) != NULL &&
         MEM_ALLOCATOR_LOCK(allocator) != NULL && MEM_ALLOCATOR_OOM(allocator) != NULL;
}
ret_t use(int n) {
  char *p = (char *)TKMEM_ALLOC(10);
  int *const number = TKMEM_ZALLOC(int);
  return_value_if_fail(n % 2 == 0, RET_BAD_PARAMS);
  p = (char *)TKMEM_REALLOC(p, 20);
  TKMEM_FREE(p)
  goto_error_if_fail(number != NULL);
  return RET_OK;
error:
  return RET_FAIL;
}
CODE

cat >"$work/goahead.c" <<'CODE'
#include <ringfence/goahead.h>
void use(void);
void use(void) {
  char *p = (char *)walloc(10);
  p = (char *)wrealloc(p, 20);
  bfree(B_L, p);
  wfree(sclone("text"));
}
CODE

cat >"$work/ucgui.c" <<'CODE'
#include <ringfence/ucgui.h>
int use(void);
int use(void) {
  GUI_HMEM const h = GUI_ALLOC_AllocZero(100);
  char *p = (char *)GUI_LOCK_H(h);
  GUI_UNLOCK_H(p);
  GUI_ALLOC_Free(h);
  return GUI_ALLOC.NumFreeBytes;
}
CODE

warnings=(-Wall -Wextra -Wpedantic -Wundef -Wconversion -Wsign-conversion -Wshadow -Wcast-align -Wcast-qual
  -Wstrict-prototypes -Wmissing-prototypes -Wnested-externs -Wredundant-decls -Wformat=2 -Wpointer-arith -Werror)
faults=0
tried=0
# The last for a core on which uint64_t lies on multiples of 8, and pointers do not.
for compiler in gcc clang "arm-none-eabi-gcc -mthumb -mcpu=cortex-m0plus"; do
  read -ra cc <<<"$compiler"
  echo '#include <string.h>' | "${cc[@]}" -fsyntax-only -xc - 2>/dev/null || continue
  for sites in 0 1; do
    for program in "$work"/*.c; do
      tried=$((tried + 1))
      "${cc[@]}" -std=c11 "${warnings[@]}" "-DRF_SITES=$sites" -I"$work/include" -fsyntax-only "$program" || {
        echo "$compiler, RF_SITES=$sites: $(basename -- "$program") has warnings" >&2
        faults=1
      }
    done
  done
done
((tried > 0)) || echo "no compiler here, left out"
exit "$faults"

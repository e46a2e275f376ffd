/* AWTK: malloc, realloc and free with statistics: rf_std. Only where the C library's malloc is what //lib/heaps:default
 * stands for (AWTK's HAS_STD_MALLOC).
 *
 * Threads: any, at any time. Interrupts: none.
 */
#ifndef RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_STD_H
#define RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_STD_H

#include <ringfence/awtk/tkc/mem_allocator.h>
#include <ringfence/default.h>

#if RF_HAS_STD_MALLOC

BEGIN_C_DECLS

/* The caller's storage. The figures are kept up to date by each call; bytes are those that were requested. */
typedef struct _mem_allocator_std_t {
  mem_allocator_t allocator;
  uint32_t max_used_nr;
  uint32_t max_used_size;
  uint32_t used_nr;
  uint32_t used_size;
  /* Ours. */
  rf_awtk_view view;
  rf_std heap;
} mem_allocator_std_t;

#define MEM_ALLOCATOR_STD(allocator) ((mem_allocator_std_t *)(void *)(allocator))

/* NULL for NULL. Blocks that are live when it is destroyed stay malloc's. */
mem_allocator_t *mem_allocator_std_init(mem_allocator_std_t *allocator);

END_C_DECLS

#endif

#endif /* RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_STD_H */

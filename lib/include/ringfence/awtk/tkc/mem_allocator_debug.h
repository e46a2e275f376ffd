/* AWTK: records each live block with its size, and who asked for it. A dump lists them; so does destroying it, as
 * leaks.
 *
 * Overhead: a header of six words a block, rounded up to RF_ALIGN_DEFAULT. Each call is as quick as the allocator's
 * below. Callers are kept apart from the blocks, RF_AWTK_SITES different ones, a power of two; blocks of others are
 * listed without, and a dump says so.
 * Threads and interrupts: none; put a lock around it.
 */
#ifndef RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_DEBUG_H
#define RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_DEBUG_H

#include <ringfence/awtk/tkc/mem_allocator.h>

BEGIN_C_DECLS

#ifndef RF_AWTK_SITES
#define RF_AWTK_SITES (__STDC_HOSTED__ ? 16384 : 512)
#endif

/* The caller's storage. */
typedef struct _mem_allocator_debug_t {
  mem_allocator_t allocator;
  mem_allocator_t *impl;
  /* Ours. */
  rf_awtk_view view;
  rf_awtk_ledger ledger;
} mem_allocator_debug_t;

#define MEM_ALLOCATOR_DEBUG(allocator) ((mem_allocator_debug_t *)(void *)(allocator))

/* Wraps `impl`. NULL for NULL. */
mem_allocator_t *mem_allocator_debug_init(mem_allocator_debug_t *debug, mem_allocator_t *impl);

END_C_DECLS

#endif /* RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_DEBUG_H */

/* AWTK: asks the program for memory when there is none, and tries again: rf_oom with the program's one callback
 * (tk_mem_set_on_out_of_memory).
 *
 * Threads and interrupts: as the allocator below; put it outside the lock.
 */
#ifndef RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_OOM_H
#define RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_OOM_H

#include <ringfence/awtk/tkc/mem.h>
#include <ringfence/awtk/tkc/mem_allocator.h>
#include <ringfence/oom.h>

BEGIN_C_DECLS

/* How often the callback is asked for one request. */
#define TRY_MAX_TIMES 5

/* The caller's storage. */
typedef struct _mem_allocator_oom_t {
  mem_allocator_t allocator;
  mem_allocator_t *impl;
  /* Ours. */
  rf_awtk_view view;
  rf_awtk_ledger below;
  rf_oom oom;
  rf_oom_callback callback;
} mem_allocator_oom_t;

#define MEM_ALLOCATOR_OOM(allocator) ((mem_allocator_oom_t *)(void *)(allocator))

/* Wraps `impl`. NULL for NULL, and where the system has no mutex. */
mem_allocator_t *mem_allocator_oom_init(mem_allocator_oom_t *oom, mem_allocator_t *impl);

END_C_DECLS

#endif /* RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_OOM_H */

/* AWTK: any allocator, shared by threads: rf_lock. */
#ifndef RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_LOCK_H
#define RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_LOCK_H

#include <ringfence/awtk/tkc/mem_allocator.h>
#include <ringfence/lock.h>

BEGIN_C_DECLS

/* The caller's storage. */
typedef struct _mem_allocator_lock_t {
  mem_allocator_t allocator;
  mem_allocator_t *impl;
  /* Ours. */
  rf_awtk_view view;
  rf_awtk_ledger below;
  rf_lock lock;
} mem_allocator_lock_t;

#define MEM_ALLOCATOR_LOCK(allocator) ((mem_allocator_lock_t *)(void *)(allocator))

/* Wraps `impl`, to be used through the lock only from then on. NULL for NULL, and where the system has no mutex: `impl`
 * is then as it was. */
mem_allocator_t *mem_allocator_lock_init(mem_allocator_lock_t *lock, mem_allocator_t *impl);

END_C_DECLS

#endif /* RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_LOCK_H */

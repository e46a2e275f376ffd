/* AWTK: several buffers as one heap; a request is served by the first that can. A realloc moves between them where it
 * must.
 *
 * Threads and interrupts: none; put a lock around it.
 */
#ifndef RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_COMPOSITE_H
#define RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_COMPOSITE_H

#include <ringfence/awtk/tkc/mem_allocator_simple.h>

BEGIN_C_DECLS

/* How many buffers there may be. Define it before this header for more: it is part of the struct only. */
#ifndef TK_MAX_MEM_BLOCK_NR
#define TK_MAX_MEM_BLOCK_NR 4
#endif

/* The library's own. */
typedef struct rf_awtk_composite {
  rf_allocator base;
  mem_allocator_simple_t *members;
  uint32_t room; /* for so many */
  rf_counters counters;
} rf_awtk_composite;

/* The caller's storage. */
typedef struct _mem_allocator_composite_t {
  mem_allocator_t allocator;
  /* Ours. */
  rf_awtk_view view;
  rf_awtk_composite composite;
  mem_allocator_simple_t allocators[TK_MAX_MEM_BLOCK_NR];
} mem_allocator_composite_t;

#define MEM_ALLOCATOR_COMPOSITE(allocator) ((mem_allocator_composite_t *)(void *)(allocator))

/* A composite without memory, with `room` members at `members`. The library's own. */
mem_allocator_t *rf_awtk_composite_init(mem_allocator_t *allocator, rf_awtk_view *view, rf_awtk_composite *composite,
                                        mem_allocator_simple_t *members, uint32_t room);
/* Adds the buffers of `va`, each a pointer and its uint32_t, up to a null pointer. NULL, and the composite ended, where
 * one cannot be added. The library's own. */
mem_allocator_t *rf_awtk_composite_add_va(mem_allocator_t *allocator, void *buffer, uint32_t size, va_list va);

/* Adds the `size` bytes at `addr`, at any time. RET_OK; RET_BAD_PARAMS where mem_allocator_simple_init would give NULL,
 * or there are TK_MAX_MEM_BLOCK_NR already. */
ret_t mem_allocator_composite_add_mem(mem_allocator_t *allocator, char *addr, uint32_t size);

/* Whether `ptr` lies in one of its buffers. */
bool_t mem_allocator_composite_is_valid_addr(mem_allocator_t *allocator, void *ptr);

/* A heap of the buffer and of those that follow, each a pointer and its size, up to a null pointer. NULL for a null
 * pointer, more than TK_MAX_MEM_BLOCK_NR buffers, or one that is too small. */
static inline mem_allocator_t *mem_allocator_composite_init_va(mem_allocator_composite_t *composite, void *buffer,
                                                               uint32_t size, va_list va) {
  if (composite == NULL) {
    return NULL;
  }
  return rf_awtk_composite_add_va(rf_awtk_composite_init(&composite->allocator, &composite->view, &composite->composite,
                                                         composite->allocators, TK_MAX_MEM_BLOCK_NR),
                                  buffer, size, va);
}

static inline mem_allocator_t *mem_allocator_composite_init(mem_allocator_composite_t *composite, void *buffer,
                                                            uint32_t size, ...) {
  va_list va;
  va_start(va, size);
  mem_allocator_t *const allocator = mem_allocator_composite_init_va(composite, buffer, size, va);
  va_end(va);
  return allocator;
}

END_C_DECLS

#endif /* RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_COMPOSITE_H */

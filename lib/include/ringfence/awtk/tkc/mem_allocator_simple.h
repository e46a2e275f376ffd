/* AWTK: a heap over a buffer, for systems without malloc. rf_simple below RF_AWTK_SIMPLE_BELOW bytes, where every byte
 * counts, and rf_tlsf from there on, where a call must not take the longer the more blocks there are.
 *
 * Threads and interrupts: none; put a lock around it.
 */
#ifndef RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_SIMPLE_H
#define RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_SIMPLE_H

#include <ringfence/awtk/tkc/mem_allocator.h>
#include <ringfence/simple.h>
#include <ringfence/tlsf.h>

BEGIN_C_DECLS

#define RF_AWTK_SIMPLE_BELOW 4096

/* In the original the list of free memory begins here. Ours stands for all of it. */
typedef struct _free_node_t {
  uint32_t size; /* bytes of the buffer that nobody has asked for: all of it where no block is live */
  struct _free_node_t *next;
  struct _free_node_t *prev;
} free_node_t;

/* Kept up to date by each call. Bytes are those that were requested. */
typedef struct _mem_info_t {
  char *buffer;
  uint32_t size;
  uint32_t used_bytes;
  uint32_t used_block_nr;
  uint32_t used_max_bytes;
  uint32_t used_max_block_nr;
  free_node_t *free_list;
} mem_info_t;

/* The caller's storage. */
typedef struct _mem_allocator_simple_t {
  mem_allocator_t allocator;
  mem_info_t info;
  /* Ours. */
  free_node_t free_memory;
  rf_awtk_view view;
  union {
    rf_simple simple;
    rf_tlsf tlsf;
  } heap;
} mem_allocator_simple_t;

#define MEM_ALLOCATOR_SIMPLE(allocator) ((mem_allocator_simple_t *)(void *)(allocator))

/* A heap of the `size` bytes at `buffer`, of any alignment, the caller's until it is destroyed. NULL for a null
 * pointer, or a buffer that cannot hold a block of one byte (19 bytes always can). */
mem_allocator_t *mem_allocator_simple_init(mem_allocator_simple_t *allocator_simple, void *buffer, uint32_t size);

/* Whether it was made and not destroyed since; whether `ptr` lies in its buffer; the bytes that a live block may use,
 * else 0. */
bool_t mem_allocator_simple_is_valid(mem_allocator_t *allocator);
bool_t mem_allocator_simple_contains(mem_allocator_t *allocator, void *ptr);
uint32_t mem_allocator_simple_get_mem_size(mem_allocator_t *allocator, void *ptr);

END_C_DECLS

#endif /* RINGFENCE_AWTK_TKC_MEM_ALLOCATOR_SIMPLE_H */

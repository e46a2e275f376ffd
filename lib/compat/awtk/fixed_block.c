/* Blocks of one size in chunks of tk_alloc, an rf_memblocks each, the newest first. */
#include "impl.h"

#include <ringfence/dump.h>
#include <ringfence/memblocks.h>

/* Blocks of the first chunk where none were asked for. */
#define FIRST_CHUNK 16

/* | chunk | bitmap | gap | block | block | … */
typedef struct chunk {
  struct chunk *next;
  rf_memblocks blocks;
} chunk;

typedef struct fixed_block {
  mem_allocator_t allocator;
  uint32_t size;
  size_t total; /* blocks of all chunks */
  chunk *chunks;
} fixed_block;

static fixed_block *self_of(mem_allocator_t *allocator) {
  return (fixed_block *)(void *)allocator;
}

/* ---- Chunks ---- */

/* Adds `count` blocks. */
static bool grow(fixed_block *self, size_t count) {
  size_t const divisor = self->size & (~(size_t)self->size + 1);
  size_t const align = tk_min(divisor, RF_ALIGN_DEFAULT);
  size_t const bitmap = RF_MEMBLOCKS_WORDS(count) * sizeof(size_t);
  size_t bytes;
  if (!rf_mul(self->size, count, &bytes) || !rf_add(bytes, sizeof(chunk) + bitmap + align, &bytes) ||
      bytes >= UINT32_MAX) {
    return false;
  }
  chunk *const c = (chunk *)tk_alloc((uint32_t)bytes, __func__, __LINE__);
  if (c == NULL) {
    return false;
  }
  unsigned char *const end = (unsigned char *)(c + 1) + bitmap;
  (void)rf_memblocks_init(&c->blocks, end + rf_align_gap(end, align), self->size, count, (size_t *)(void *)(c + 1));
  c->next = self->chunks;
  self->chunks = c;
  self->total += count;
  return true;
}

static chunk *chunk_of(const fixed_block *self, const void *ptr) {
  for (chunk *c = self->chunks; c != NULL; c = c->next) {
    if (rf_memblocks_owns(&c->blocks, ptr)) {
      return c;
    }
  }
  return NULL;
}

static bool is_live(const fixed_block *self, const void *ptr) {
  chunk *const c = chunk_of(self, ptr);
  return c != NULL && ((uintptr_t)ptr - (uintptr_t)c->blocks.buffer) % self->size == 0 &&
         !rf_memblocks_is_region_free(&c->blocks, ptr, 1);
}

/* ---- As AWTK calls it ---- */

static void *fixed_alloc(mem_allocator_t *allocator, uint32_t size, const char *func, uint32_t line) {
  fixed_block *const self = self_of(allocator);
  void *block = NULL;
  (void)func;
  (void)line;
  if (size > self->size) {
    return NULL;
  }
  for (chunk *c = self->chunks; c != NULL; c = c->next) {
    if (rf_memblocks_alloc(&c->blocks, 1, &block) == RF_OK) {
      return block;
    }
  }
  if (grow(self, self->total != 0 ? self->total : FIRST_CHUNK)) {
    (void)rf_memblocks_alloc(&self->chunks->blocks, 1, &block); /* all of it is free */
  }
  return block;
}

static void fixed_free(mem_allocator_t *allocator, void *ptr) {
  fixed_block *const self = self_of(allocator);
  chunk *const c = chunk_of(self, ptr);
  if (c != NULL) {
    (void)rf_memblocks_free(&c->blocks, 1, &ptr);
  } else if (ptr != NULL) {
    (void)rf_fault_refuse(NULL, RF_ERR_BAD_POINTER, "pointer from elsewhere", ptr, NULL);
  }
}

/* NULL, without a report, for a pointer that is none of its blocks, and for 0 bytes, where the block stays: as in the
 * original. */
static void *fixed_realloc(mem_allocator_t *allocator, void *ptr, uint32_t size, const char *func, uint32_t line) {
  fixed_block *const self = self_of(allocator);
  if (ptr == NULL) {
    return fixed_alloc(allocator, size, func, line);
  }
  return size != 0 && size <= self->size && is_live(self, ptr) ? ptr : NULL;
}

static ret_t fixed_dump(mem_allocator_t *allocator) {
  const fixed_block *const self = self_of(allocator);
  const rf_sink *const sink = rf_awtk_sink();
  size_t used = 0;
  size_t chunks = 0;
  for (const chunk *c = self->chunks; c != NULL; c = c->next) {
    used += c->blocks.used;
    chunks++;
  }
  rf_sink_str(sink, "fixed blocks of ");
  rf_sink_uint(sink, self->size);
  rf_sink_str(sink, " bytes: ");
  rf_sink_uint(sink, used);
  rf_sink_str(sink, " of ");
  rf_sink_uint(sink, self->total);
  rf_sink_str(sink, " used, in ");
  rf_sink_uint(sink, chunks);
  rf_sink_str(sink, " chunks\n");
  return RET_OK;
}

static ret_t fixed_destroy(mem_allocator_t *allocator) {
  fixed_block *const self = self_of(allocator);
  while (self->chunks != NULL) {
    chunk *const c = self->chunks;
    self->chunks = c->next;
    tk_free(c);
  }
  self->allocator.vt = NULL;
  tk_free(self);
  return RET_OK;
}

static const mem_allocator_vtable_t FIXED_VTABLE = {fixed_alloc, fixed_realloc, fixed_free, fixed_dump, fixed_destroy};

mem_allocator_t *mem_allocator_fixed_block_create(uint32_t size, uint32_t num) {
  if (size == 0) {
    return NULL;
  }
  fixed_block *const self = (fixed_block *)tk_calloc(1, sizeof *self, __func__, __LINE__);
  if (self == NULL) {
    return NULL;
  }
  self->allocator.vt = &FIXED_VTABLE;
  self->size = size;
  if (num != 0 && !grow(self, num)) {
    tk_free(self);
    return NULL;
  }
  return &self->allocator;
}

uint32_t mem_allocator_fixed_block_size(mem_allocator_t *allocator) {
  return allocator != NULL && allocator->vt == &FIXED_VTABLE ? self_of(allocator)->size : 0;
}

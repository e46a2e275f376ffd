#define _GNU_SOURCE
#include "tools/trace/libc.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *libc_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  (void)self;
  (void)site;
  return align <= RF_ALIGN_DEFAULT ? malloc(size) : memalign(align, size);
}

static rf_status libc_free(rf_allocator *self, void *ptr, const rf_site *site) {
  (void)self;
  (void)site;
  free(ptr);
  return RF_OK;
}

static void *libc_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  (void)self;
  (void)align; /* what is more than malloc's is lost, as in C */
  (void)site;
  return realloc(ptr, size);
}

static void libc_stats(rf_allocator *self, rf_stats *out) {
  (void)self;
  memset(out, 0, sizeof *out);
}

rf_allocator *libc_allocator(void) {
  static const rf_allocator_ops ops = {
      .name = "libc", .alloc = libc_alloc, .free = libc_free, .realloc = libc_realloc, .stats = libc_stats};
  static rf_allocator allocator = {&ops};
  return &allocator;
}

size_t libc_taken(void) {
#ifdef __GLIBC__
  struct mallinfo2 const m = mallinfo2();
  return m.arena + m.hblkhd;
#else
  return 0;
#endif
}

#ifdef __GLIBC__
/* Blocks with a mapping of their own, and those of a heap that the break could not grow for, lie elsewhere. */
static bool is_below_break(const void *block) {
  extern char end; /* of the program, before its break */
  return (uintptr_t)block >= (uintptr_t)&end && (uintptr_t)block < (uintptr_t)sbrk(0);
}
#endif

bool libc_may_have_grown(const void *block, uintptr_t *top) {
#ifdef __GLIBC__
  uintptr_t const now = (uintptr_t)sbrk(0);
  bool const moved = now != *top;
  *top = now;
  return moved || !is_below_break(block);
#else
  (void)block;
  (void)top;
  return false;
#endif
}

#ifdef __GLIBC__
typedef struct held_block {
  struct held_block *next;
} held_block;

/* Takes blocks of `size` bytes until one comes from behind *end; that one's address is in *end. */
static void hold_size(size_t size, uintptr_t *end, held_block **held) {
  bool more = true;
  while (more) {
    held_block *const block = (held_block *)malloc(size);
    if (block == NULL) {
      return;
    }
    block->next = *held;
    *held = block;
    more = is_below_break(block) && (uintptr_t)block < *end;
    *end = is_below_break(block) && !more ? (uintptr_t)block : *end;
  }
}
#endif

void *libc_hold(void) {
#ifdef __GLIBC__
  enum { LARGEST = 64 << 10, SMALL = 1 << 10, STEP = 16 };
  held_block *held = NULL;
  uintptr_t end = (uintptr_t)sbrk(0);
  for (size_t size = LARGEST; size > STEP; size = size > SMALL ? size / 2 : size - STEP) {
    hold_size(size, &end, &held);
  }
  (void)malloc_trim(0);
  return held;
#else
  return NULL;
#endif
}

void libc_release(void *held) {
#ifdef __GLIBC__
  for (held_block *block = (held_block *)held; block != NULL;) {
    held_block *const next = block->next;
    free(block);
    block = next;
  }
#else
  (void)held;
#endif
}

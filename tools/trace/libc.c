#define _GNU_SOURCE
#include "tools/trace/libc.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

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

void libc_trim(void) {
#ifdef __GLIBC__
  (void)malloc_trim(0);
#endif
}

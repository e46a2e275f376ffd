/* munmap, mremap, and mmap at a fixed address: memory that the program takes from the heap. It may do so with whole
 * pages of its own blocks, which checks and frees leave alone from then on. In a block that was freed it is a use of
 * that, and reported. Only in the library. */
#define _GNU_SOURCE
#include "checkers/dropin/heap/rights.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/malloc/malloc_impl.h"
#include "intercept.h"
#include "intercept_files.h"
#include "intercept_freed.h"
#include "intercept_unseen.h"

#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>

#if defined(__GLIBC__)
#define MAP_ANY mmap64
#define EACH(with) with(munmap) with(mremap) with(mmap) with(mmap64)
#else
#define MAP_ANY mmap
#define EACH(with) with(munmap) with(mremap) with(mmap)
#endif

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4 /* older headers lack it */
#endif

THEIRS_BY(rf_intercept_mappings_init, munmap)

typedef struct mapping {
  void *start;
  size_t size;
  int rights; /* this and the rest: of mmap */
  int how;
  int file;
  int64_t from;
  void *result;
  void *to; /* this and the rest: of mremap */
  size_t new_size;
} mapping;

/* A page that is zeros is taken for the program's by the store: the bytes around its block there are not damaged. */
static void note(const void *start, size_t size) {
  (void)rf_heap_replaced(start, size);
  if (rf_guarded_blocks.store != NULL) {
    (void)rf_page_store_emptied(rf_guarded_blocks.store, start, size);
  }
}

static int unmap(void *context) {
  const mapping *const m = context;
  int const result = theirs.munmap(m->start, m->size);
  if (result == 0) {
    note(m->start, m->size);
  }
  return result;
}

static int replace(void *context) {
  mapping *const m = context;
  m->result = theirs.MAP_ANY(m->start, m->size, m->rights, m->how, m->file, m->from);
  if (m->result != MAP_FAILED) {
    note(m->start, m->size);
  }
  return 0;
}

static bool is_fixed(const mapping *m) {
  return (m->how & MREMAP_FIXED) != 0;
}

/* Pages of no size stay: they are shared, and come to lie in a second place. */
static int move(void *context) {
  mapping *const m = context;
  m->result = theirs.mremap(m->start, m->size, m->new_size, m->how, m->to);
  if (m->result == MAP_FAILED) {
    return 0;
  }
  size_t const left = m->result == m->start ? m->new_size : 0;
  if (left < m->size) {
    note((char *)m->start + left, m->size - left);
  }
  if (is_fixed(m)) {
    note(m->to, m->new_size);
  }
  return 0;
}

static int move_out(void *context) {
  mapping *const m = context;
  return rf_make_unseen(m->start, m->size, move, m);
}

/* Where pages were taken from a block, the system may have given the program others by itself. */
static bool may_be_given(const void *start) {
  const rf_span *const span = rf_span_holding((uintptr_t)start);
  return span != NULL && rf_span_is_replaced(span);
}

static void tell(const void *start, const rf_origin *origin) {
  if (rf_may_be_freed(start) && !may_be_given(start)) {
    (void)rf_malloc_impl_report_stale(start, 1, RF_ACCESS_WRITE, origin);
  }
}

static int make_told(mapping *m, int (*make)(void *), const rf_origin *origin) {
  tell(m->start, origin);
  return rf_make_unseen(m->start, m->size, make, m);
}

RF_EXPORT int munmap(void *start, size_t size) {
  rf_origin const origin = RF_CALLER;
  mapping m = {.start = start, .size = size};
  find_theirs();
  return make_told(&m, unmap, &origin);
}

/* The system reads the last argument with these flags alone. */
RF_EXPORT void *mremap(void *start, size_t size, size_t new_size, int how, ...) {
  rf_origin const origin = RF_CALLER;
  mapping m = {.start = start, .size = size, .how = how, .new_size = new_size};
  if ((how & (MREMAP_FIXED | MREMAP_DONTUNMAP)) != 0) {
    va_list list;
    va_start(list, how);
    m.to = va_arg(list, void *);
    va_end(list);
  }
  find_theirs();
  tell(m.start, &origin);
  if (is_fixed(&m)) {
    tell(m.to, &origin);
    (void)rf_make_unseen(m.to, m.new_size, move_out, &m);
  } else {
    (void)move_out(&m);
  }
  return m.result;
}

/* MAP_FIXED_NOREPLACE is another flag. */
#define MAPS(name, offset)                                                                                             \
  RF_EXPORT void *name(void *wish, size_t size, int rights, int how, int file, offset from) {                          \
    find_theirs();                                                                                                     \
    if ((how & MAP_FIXED) == 0) {                                                                                      \
      return theirs.name(wish, size, rights, how, file, from);                                                         \
    }                                                                                                                  \
    rf_origin const origin = RF_CALLER;                                                                                \
    mapping m = {wish, size, rights, how, file, from, NULL, NULL, 0};                                                  \
    (void)make_told(&m, replace, &origin);                                                                             \
    return m.result;                                                                                                   \
  }

MAPS(mmap, off_t)
#if defined(__GLIBC__)
MAPS(mmap64, off64_t)
#endif

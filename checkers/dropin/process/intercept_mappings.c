/* munmap, and mmap at a fixed address: memory that the program takes from the heap. It may do so with whole pages of
 * its own blocks, which checks and frees leave alone from then on. In a block that was freed it is a use of that, and
 * reported. Only in the library. */
#define _GNU_SOURCE
#include "checkers/dropin/heap/rights.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/malloc/malloc_impl.h"
#include "intercept.h"
#include "intercept_files.h"
#include "intercept_freed.h"
#include "intercept_unseen.h"

#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>

#if defined(__GLIBC__)
#define MAP_ANY mmap64
#define EACH(with) with(munmap) with(mmap) with(mmap64)
#else
#define MAP_ANY mmap
#define EACH(with) with(munmap) with(mmap)
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
} mapping;

/* A page that is zeros is taken for the program's by the store: the bytes around its block there are not damaged. */
static void note(const mapping *m) {
  (void)rf_heap_replaced(m->start, m->size);
  if (rf_guarded_blocks.store != NULL) {
    (void)rf_page_store_emptied(rf_guarded_blocks.store, m->start, m->size);
  }
}

static int unmap(void *context) {
  const mapping *const m = context;
  int const result = theirs.munmap(m->start, m->size);
  if (result == 0) {
    note(m);
  }
  return result;
}

static int replace(void *context) {
  mapping *const m = context;
  m->result = theirs.MAP_ANY(m->start, m->size, m->rights, m->how, m->file, m->from);
  if (m->result != MAP_FAILED) {
    note(m);
  }
  return 0;
}

static int make_told(mapping *m, int (*make)(void *), const rf_origin *origin) {
  if (rf_may_be_freed(m->start)) {
    (void)rf_malloc_impl_report_stale(m->start, 1, RF_ACCESS_WRITE, origin);
  }
  return rf_make_unseen(m->start, m->size, make, m);
}

RF_EXPORT int munmap(void *start, size_t size) {
  rf_origin const origin = RF_CALLER;
  mapping m = {.start = start, .size = size};
  find_theirs();
  return make_told(&m, unmap, &origin);
}

/* MAP_FIXED_NOREPLACE is another flag. */
#define MAPS(name, offset)                                                                                             \
  RF_EXPORT void *name(void *wish, size_t size, int rights, int how, int file, offset from) {                          \
    find_theirs();                                                                                                     \
    if ((how & MAP_FIXED) == 0) {                                                                                      \
      return theirs.name(wish, size, rights, how, file, from);                                                         \
    }                                                                                                                  \
    rf_origin const origin = RF_CALLER;                                                                                \
    mapping m = {wish, size, rights, how, file, from, NULL};                                                           \
    (void)make_told(&m, replace, &origin);                                                                             \
    return m.result;                                                                                                   \
  }

MAPS(mmap, off_t)
#if defined(__GLIBC__)
MAPS(mmap64, off64_t)
#endif

#define _GNU_SOURCE
#include "next_malloc.h"

#include "checkers/dropin/os/libc.h"
#include "checkers/dropin/os/real.h"

#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

/* Called only where dlsym has found something. */
#pragma weak dl_iterate_phdr

/* ---- Functions that the next malloc lacks, made of those that it has ---- */

static rf_malloc_functions made_of;

static void *memalign_by_aligned_alloc(size_t align, size_t size) {
  size_t const power = rf_next_power_above(align);
  if (power == 0) {
    errno = EINVAL;
    return NULL;
  }
  return made_of.aligned_alloc(power, size);
}

static void *memalign_by_posix_memalign(size_t align, size_t size) {
  size_t const power = rf_next_power_above(align);
  void *block = NULL;
  int const error = power == 0 ? EINVAL : made_of.posix_memalign(&block, power, size);
  if (error != 0) {
    errno = error;
    return NULL;
  }
  return block;
}

static int posix_memalign_by_memalign(void **out, size_t align, size_t size) {
  if (!rf_is_pow2(align) || align % sizeof(void *) != 0) {
    return EINVAL;
  }
  void *const block = made_of.memalign(align, size);
  if (block == NULL) {
    return ENOMEM;
  }
  *out = block;
  return 0;
}

/* ---- Looking up ---- */

static const struct {
  const char *name;
  const char *libc_name; /* NULL: there is none */
  size_t at;             /* in rf_malloc_functions */
} functions[] = {
#define FUNCTION(name) offsetof(rf_malloc_functions, name)
    {"malloc", "__libc_malloc", FUNCTION(malloc)},       {"calloc", "__libc_calloc", FUNCTION(calloc)},
    {"realloc", "__libc_realloc", FUNCTION(realloc)},    {"free", "__libc_free", FUNCTION(free)},
    {"malloc_usable_size", NULL, FUNCTION(usable_size)}, {"memalign", "__libc_memalign", FUNCTION(memalign)},
    {"aligned_alloc", NULL, FUNCTION(aligned_alloc)},    {"posix_memalign", NULL, FUNCTION(posix_memalign)},
};

#define FUNCTIONS (sizeof functions / sizeof functions[0])
#define ALIGNED 5U /* from here on: each can be made of another one */

static void put(rf_malloc_functions *to, size_t at, void *function) {
  memcpy((char *)to + at, &function, sizeof function);
}

/* The module that an address lies in, by the place of its program headers. */
typedef struct module_search {
  uintptr_t address;
  const void *module;
} module_search;

static int visit_module(struct dl_phdr_info *info, size_t size, void *context) {
  module_search *const s = (module_search *)context;
  (void)size;
  for (unsigned i = 0; i < info->dlpi_phnum && s->module == NULL; i++) {
    const ElfW(Phdr) *const part = &info->dlpi_phdr[i];
    if (part->p_type == PT_LOAD && s->address - info->dlpi_addr - part->p_vaddr < part->p_memsz) {
      s->module = info->dlpi_phdr;
    }
  }
  return s->module != NULL;
}

/* Not by dladdr, which searches all symbols of the module for the nearest. */
static const void *object_of(void *function) {
  module_search s = {(uintptr_t)function, NULL};
  if (function != NULL && dl_iterate_phdr != NULL) {
    (void)dl_iterate_phdr(visit_module, &s);
  }
  return s.module;
}

/* The aligned functions that the object of malloc has. A malloc that has none of them is built on another one, whose
 * blocks it takes: the program would use them together. */
static void find_aligned(rf_malloc_functions *next, bool any_object) {
  const void *const object = object_of((void *)(uintptr_t)next->malloc);
  for (size_t i = ALIGNED; i < FUNCTIONS; i++) {
    void *const found = rf_real(functions[i].name);
    if (any_object || object_of(found) == object) {
      put(next, functions[i].at, found);
    }
  }
}

static bool has_aligned(const rf_malloc_functions *next) {
  return next->memalign != NULL || next->aligned_alloc != NULL || next->posix_memalign != NULL;
}

static void complete_aligned(rf_malloc_functions *next) {
  if (next->memalign == NULL) {
    next->memalign = next->aligned_alloc != NULL ? memalign_by_aligned_alloc : memalign_by_posix_memalign;
    made_of.memalign = next->memalign;
  }
  if (next->aligned_alloc == NULL) {
    next->aligned_alloc = next->memalign;
  }
  if (next->posix_memalign == NULL) {
    next->posix_memalign = posix_memalign_by_memalign;
  }
}

/* One function each of jemalloc, tcmalloc and mimalloc. The library must be the one that free is found in: another
 * one's does not take its blocks. The C library's has none, and is not asked: a name that is not found is an error, for
 * whose text the loader allocates. (It is told by a function that programs hardly define; bash has a getenv.) */
static bool has_others(const rf_malloc_functions *next) {
  static const char *const names[] = {"mallocx", "tc_malloc", "mi_malloc"};
  const void *const library = object_of((void *)(uintptr_t)next->free);
  bool found = false;
  if (library == object_of((void *)(uintptr_t)getauxval)) {
    return false;
  }
  for (size_t i = 0; i < sizeof names / sizeof names[0] && !found; i++) {
    void *const function = rf_real(names[i]);
    found = function != NULL && object_of(function) == library;
  }
  rf_real_forget_errors();
  return found;
}

bool rf_next_malloc_find(rf_malloc_functions *next) {
  for (size_t i = 0; i < ALIGNED; i++) {
    void *const found = rf_real(functions[i].name);
    if (found == NULL) {
      return false;
    }
    put(next, functions[i].at, found);
  }
  find_aligned(next, false);
  if (!has_aligned(next)) {
    find_aligned(next, true);
  }
  if (!has_aligned(next)) {
    return false;
  }
  made_of = *next;
  complete_aligned(next);
  next->has_others = has_others(next);
  return true;
}

void rf_next_malloc_find_libc(const rf_malloc_functions *next, rf_malloc_functions *libc) {
  *libc = *next;
  for (size_t i = 0; i < FUNCTIONS; i++) {
    void *const found = functions[i].libc_name != NULL ? rf_libc_private(functions[i].libc_name) : NULL;
    if (found != NULL) {
      put(libc, functions[i].at, found);
    }
  }
}

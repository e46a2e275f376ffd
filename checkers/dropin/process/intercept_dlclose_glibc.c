/* Interception of dlclose: modules that go are remembered, so that stacks that lead through them still have names. The
 * rules for their code are forgotten. Only in the library. */
#define _GNU_SOURCE
#include "checkers/dropin/os/futex.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/os/modules.h"
#include "checkers/os/reserve_stack.h"
#include "checkers/os/stack_rules.h"
#include "intercept.h"
#include "intercept_files.h"
#include "unloaded_places.h"

#include <link.h>
#include <stddef.h>
#include <string.h>

#define MOST 256U /* modules at a time; further ones are not remembered */

typedef struct loaded {
  rf_module module; /* start 0: the place is not in use */
  const char *path;
  bool present;
} loaded;

static rf_futex lock; /* of the list */
static loaded list[MOST];
static unsigned long long unloads; /* ever, as the linker counts */

void rf_dlclose_forked(void) {
  if (__atomic_load_n(&lock.state, __ATOMIC_RELAXED) != 0) {
    __atomic_store_n(&lock.state, 0, __ATOMIC_RELAXED);
  }
}

static loaded *find(uintptr_t start) {
  for (unsigned i = 0; i < MOST; i++) {
    if (list[i].module.start == start) {
      return &list[i];
    }
  }
  return NULL;
}

static void add(uintptr_t code) {
  static rf_modules found; /* larger than some stacks */
  rf_trace const trace = {.depth = 1, .frames = {code + 1}};
  const rf_trace *const traces = &trace;
  loaded *const place = find(0);
  rf_modules_load(&found, &traces, 1);
  const char *const name = found.text + found.modules[0].path;
  size_t const bytes = strlen(name) + 1;
  char *const path = place != NULL && found.count == 1 ? rf_record_alloc(bytes) : NULL;
  if (path != NULL) {
    rf_module noted = found.modules[0];
    noted.start = 0;
    *place = (loaded){noted, memcpy(path, name, bytes), true};
    __atomic_store_n(&place->module.start, code, __ATOMIC_RELEASE); /* last: another thread may fork at any moment */
  }
}

static int visit(struct dl_phdr_info *info, size_t size, void *context) {
  bool const adds = context != NULL;
  unloads = size > offsetof(struct dl_phdr_info, dlpi_subs) ? info->dlpi_subs : unloads + 1;
  for (size_t i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *const p = &info->dlpi_phdr[i];
    uintptr_t const code = (info->dlpi_addr + p->p_vaddr) & ~(uintptr_t)(rf_pages_round(1) - 1);
    if (p->p_type != PT_LOAD || (p->p_flags & PF_X) == 0) {
      continue;
    }
    loaded *const known = find(code);
    if (known != NULL) {
      known->present = true;
    } else if (adds) {
      add(code);
    }
  }
  return 0;
}

/* Before: adds the modules that are not known yet. */
static void look(bool adds) {
  for (unsigned i = 0; i < MOST; i++) {
    list[i].present = false;
  }
  (void)dl_iterate_phdr(visit, adds ? list : NULL);
}

static void remember_gone(void) {
  for (unsigned i = 0; i < MOST; i++) {
    if (list[i].module.start != 0 && !list[i].present) {
      rf_modules_remember(&list[i].module, list[i].path);
      rf_unloaded_places_keep(list[i].module.start, list[i].module.end, list[i].path);
      list[i].module.start = 0;
    }
  }
}

/* The context: true before a library is closed, when the modules are noted, unless another thread is at it. */
static void update(void *context) {
  bool const before = *(const bool *)context;
  if (!rf_futex_try(&lock)) {
    rf_stack_rules_forget();
    return;
  }
  unsigned long long const seen = unloads;
  look(before);
  if (!before) {
    remember_gone();
    if (unloads != seen) {
      rf_stack_rules_forget();
    }
  }
  rf_futex_unlock(&lock);
}

RF_EXPORT int dlclose(void *handle) {
  if (rf_process.options.mode == RF_MODE_OFF) {
    return THEIRS(dlclose)(handle);
  }
  rf_on_reserve_stack(update, &(bool){true});
  int const result = THEIRS(dlclose)(handle);
  rf_on_reserve_stack(update, &(bool){false});
  return result;
}

#define _GNU_SOURCE
#include "libc.h"

#include "real.h"

#include <link.h>
#include <stdint.h>

static struct {
  __typeof__(&sigaction) sigaction;
  __typeof__(&signal) signal;
  __typeof__(&fflush) fflush;
} theirs;

void rf_libc_init(void) {
  theirs.sigaction = (__typeof__(&sigaction))rf_real("sigaction");
  theirs.signal = (__typeof__(&signal))rf_real("signal");
  theirs.fflush = (__typeof__(&fflush))rf_real("fflush");
}

static void find_theirs(void) {
  if (theirs.sigaction == NULL) {
    rf_libc_init();
  }
}

int rf_libc_sigaction(int number, const struct sigaction *action, struct sigaction *old) {
  find_theirs();
  return theirs.sigaction(number, action, old);
}

sighandler_t rf_libc_signal(int number, sighandler_t handler) {
  find_theirs();
  return theirs.signal(number, handler);
}

int rf_libc_fflush(FILE *stream) {
  find_theirs();
  return theirs.fflush(stream);
}

void *rf_libc_private(const char *name) {
  (void)name;
  return NULL;
}

/* ---- For the unwinder ----
 *
 * A libgcc that was built for glibc asks by this name which module an address lies in, and where its tables are;
 * musl-gcc links such a one. It needs the fields up to eh_frame. */

typedef struct found_object {
  unsigned long long flags;
  void *map_start;
  void *map_end;
  struct link_map *link_map;
  void *eh_frame;
  unsigned long long reserved[7];
} found_object;

typedef struct search {
  uintptr_t address;
  found_object *out;
} search;

static int visit_module(struct dl_phdr_info *info, size_t size, void *context) {
  const search *const s = (const search *)context;
  uintptr_t start = 0;
  uintptr_t end = 0;
  uintptr_t tables = 0;
  (void)size;
  for (unsigned i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *const part = &info->dlpi_phdr[i];
    uintptr_t const at = info->dlpi_addr + part->p_vaddr;
    if (part->p_type == PT_LOAD && s->address - at < part->p_memsz) {
      start = at;
      end = at + part->p_memsz;
    } else if (part->p_type == PT_GNU_EH_FRAME) {
      tables = at;
    }
  }
  if (end == 0) {
    return 0;
  }
  *s->out = (found_object){.map_start = (void *)start, .map_end = (void *)end, .eh_frame = (void *)tables};
  return tables != 0 ? 1 : -1;
}

int _dl_find_object(void *address, found_object *out);

int _dl_find_object(void *address, found_object *out) {
  search s = {(uintptr_t)address, out};
  return dl_iterate_phdr(visit_module, &s) == 1 ? 0 : -1;
}

bool rf_libc_is_jump(uintptr_t function) {
  (void)function;
  return false;
}

/* Modules by address: those that are known, as the C library tells of them, and as the memory map does. */
#define _GNU_SOURCE /* _dl_find_object */
#include "stack_modules.h"

#if RF_STACK_RULES

#include "elf_image.h"
#include "maps.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>

/* ---- Known modules ---- */

/* The most modules that are known. A module that begins where another one did, or overlaps it, shows that the other was
 * unmapped, though no dlclose was seen: the C library closes modules of its own by itself. */
#define MODULES 256U

/* Written by the thread that holds modules_busy, `start` last; read by all. */
typedef struct known_module {
  uintptr_t start; /* 0: none, nor any behind it */
  uintptr_t end;
  uintptr_t header;
  uintptr_t checksum;
} known_module;

static known_module modules[MODULES];
static uint32_t modules_next;
static uint32_t modules_busy; /* a thread is changing them; others do without */

static uintptr_t get(const uintptr_t *field) {
  return __atomic_load_n(field, __ATOMIC_ACQUIRE);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): it is written to */
static void put(uintptr_t *field, uintptr_t value) {
  __atomic_store_n(field, value, __ATOMIC_RELEASE);
}

/* Word by word: it is asked for with each new rule. */
static uintptr_t checksum_bytes(uintptr_t sum, uintptr_t at, uintptr_t end) {
  uintptr_t word;
  for (; end - at >= sizeof word; at += sizeof word) {
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): no module begins at address 0 */
    memcpy(&word, (const void *)at, sizeof word);
    sum = (sum << 5 | sum >> (sizeof sum * 8 - 5)) + word;
  }
  return sum;
}

/* The beginning of .eh_frame_hdr, and of .eh_frame, which linkers put behind it: no further than the page, for the next
 * one may be in a hole between segments. */
#define CHECKED_BYTES 512U
#define LEAST_PAGE 4096U

static uintptr_t checked_end(uintptr_t at) {
  uintptr_t const in_page = LEAST_PAGE - at % LEAST_PAGE;
  return at + (in_page < CHECKED_BYTES ? in_page : CHECKED_BYTES);
}

static uintptr_t checksum_of(const rf_eh_module *m) {
  uintptr_t const frames = m->header != 0 ? rf_eh_frame_start(m) : 0;
  uintptr_t sum = m->end - m->start;
  if (m->header != 0 && m->end - m->header >= CHECKED_BYTES) {
    sum = checksum_bytes(sum, m->header, checked_end(m->header));
  }
  if (frames >= m->start && frames < m->end && m->end - frames >= CHECKED_BYTES) {
    sum = checksum_bytes(sum, frames, checked_end(frames));
  }
  return sum;
}

static bool is_known(const rf_eh_module *m, uintptr_t checksum) {
  for (unsigned i = 0; i < MODULES && get(&modules[i].start) != 0; i++) {
    if (get(&modules[i].start) == m->start) {
      return get(&modules[i].end) == m->end && get(&modules[i].checksum) == checksum;
    }
  }
  return false;
}

static bool take_modules(void) {
  uint32_t idle = 0;
  return __atomic_compare_exchange_n(&modules_busy, &idle, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

void rf_stack_modules_reset(void) {
  if (__atomic_load_n(&modules_busy, __ATOMIC_RELAXED) != 0) {
    __atomic_store_n(&modules_busy, 0, __ATOMIC_RELEASE);
  }
}

/* In the place of one that it overlaps, else in a free one, else in the oldest. True where it replaces one. */
static bool add_module(const rf_eh_module *m, uintptr_t checksum) {
  unsigned place = MODULES;
  for (unsigned i = 0; i < MODULES && get(&modules[i].start) != 0; i++) {
    if (get(&modules[i].start) < m->end && get(&modules[i].end) > m->start) {
      place = i;
    }
  }
  bool const replaces = place != MODULES;
  place = replaces ? place : modules_next++ % MODULES;
  put(&modules[place].end, 0);
  put(&modules[place].header, m->header);
  put(&modules[place].checksum, checksum);
  put(&modules[place].start, m->start);
  put(&modules[place].end, m->end);
  return replaces;
}

rf_module_note rf_stack_module_note(const rf_eh_module *m) {
  uintptr_t const checksum = checksum_of(m);
  if (is_known(m, checksum)) {
    return RF_MODULE_KNOWN;
  }
  if (!take_modules()) {
    return RF_MODULE_BUSY;
  }
  bool const replaces = !is_known(m, checksum) && add_module(m, checksum);
  rf_stack_modules_reset();
  return replaces ? RF_MODULE_REPLACES : RF_MODULE_KNOWN;
}

void rf_stack_modules_forget(void) {
  if (!take_modules()) {
    return;
  }
  for (unsigned i = 0; i < MODULES; i++) {
    put(&modules[i].start, 0);
  }
  modules_next = 0;
  rf_stack_modules_reset();
}

/* ---- Which module ---- */

typedef struct map_search {
  uintptr_t pc;
  uintptr_t base; /* of the file whose mappings are being visited */
  char name[256];
  size_t name_length;
  bool found;
} map_search;

static bool visit(const rf_map *map, void *context) {
  map_search *const s = (map_search *)context;
  size_t const length = map->name_length < sizeof s->name ? map->name_length : sizeof s->name;
  bool const same = length == s->name_length && memcmp(map->name, s->name, length) == 0;
  if (!same || (map->file_offset == 0 && !rf_elf_goes_on(s->base, map->start))) {
    memcpy(s->name, map->name, length);
    s->name_length = length;
    s->base = map->start;
  }
  s->found = s->pc >= map->start && s->pc < map->end;
  return !s->found && map->start <= s->pc;
}

static bool module_from_headers(uintptr_t base, rf_eh_module *m) {
  unsigned count = 0;
  const rf_program_header *const headers = rf_program_headers(base, &count);
  if (headers == NULL) {
    return false;
  }
  uintptr_t const bias = rf_elf_bias(base, headers, count);
  *m = (rf_eh_module){base, rf_elf_image_end(base), 0};
  for (unsigned i = 0; i < count; i++) {
    if (headers[i].p_type == PT_GNU_EH_FRAME) {
      m->header = bias + headers[i].p_vaddr;
    }
  }
  return true;
}

/* Pages that were found to be of no module, by their numbers; accessed atomically. A C library without tables (musl)
 * has stacks end at words that are no return addresses, and to read the map for each would take longer than all else.
 * Code may come to be there later: after some answers each is looked at again. */
#define PAGES 64U
#define PAGE_BITS 12U
#define ANSWERS 4096U

static uintptr_t pages[PAGES];
static uint32_t answers;

static uintptr_t *page_of(uintptr_t pc) {
  return &pages[(pc >> PAGE_BITS) % PAGES];
}

static bool is_without_module(uintptr_t pc) {
  if (get(page_of(pc)) != pc >> PAGE_BITS) {
    return false;
  }
  if (__atomic_add_fetch(&answers, 1, __ATOMIC_RELAXED) % ANSWERS == 0) {
    put(page_of(pc), 0);
  }
  return true;
}

static bool find_in_maps(uintptr_t pc, rf_eh_module *m) {
  map_search s = {.pc = pc};
  if (is_without_module(pc) || !rf_maps_each(visit, &s)) {
    return false;
  }
  bool const found = s.found && module_from_headers(s.base, m);
  if (!found) {
    put(page_of(pc), pc >> PAGE_BITS);
  }
  return found;
}

/* For modules that the C library does not tell of: before glibc 2.35, in static programs, and of modules with holes. */
static bool module_from_maps(uintptr_t pc, rf_eh_module *m) {
  for (unsigned i = 0; i < MODULES && get(&modules[i].start) != 0; i++) {
    uintptr_t const end = get(&modules[i].end);
    if (pc >= get(&modules[i].start) && pc < end) {
      *m = (rf_eh_module){get(&modules[i].start), end, get(&modules[i].header)};
      return true;
    }
  }
  return find_in_maps(pc, m);
}

#if defined(DLFO_STRUCT_HAS_EH_DBASE)
#pragma weak _dl_find_object

/* Neither locks nor allocates, and may be called in signal handlers. In a static program, which no linker started, it
 * is made ready by code that allocates. */
bool rf_stack_module_of(uintptr_t pc, rf_eh_module *m) {
  struct dl_find_object found;
  if (_dl_find_object == NULL || getauxval(AT_BASE) == 0) {
    return module_from_maps(pc, m);
  }
  if (_dl_find_object((void *)pc, &found) != 0) {
    return false;
  }
  *m = (rf_eh_module){(uintptr_t)found.dlfo_map_start, (uintptr_t)found.dlfo_map_end, (uintptr_t)found.dlfo_eh_frame};
  /* In a module with holes, this is the one segment. */
  return m->header == 0 || (m->header >= m->start && m->header < m->end) || module_from_maps(pc, m);
}
#else
bool rf_stack_module_of(uintptr_t pc, rf_eh_module *m) {
  return module_from_maps(pc, m);
}
#endif

#else

/* ISO C wants a declaration in every file. */
typedef int rf_stack_modules_are_not_known_here;

#endif

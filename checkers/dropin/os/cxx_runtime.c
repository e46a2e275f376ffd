#include "cxx_runtime.h"

#include <stddef.h>
#include <string.h>

#include "checkers/os/maps.h"
#include "lib/core/compiler.h"

#define PATH_BYTES 1024
#define KEPT 16U

/* The name that typeid gives std::bad_alloc, as a whole string: only a C++ runtime has it. In symbol tables letters
 * stand before it. */
static const char runtime_mark[] = "St9bad_alloc";

typedef struct search {
  uintptr_t address;
  char path[PATH_BYTES]; /* of the module; "" until it is known */
  bool ours;             /* the module has this code in it */
  bool found;
} search;

static bool within(const rf_map *m, uintptr_t address) {
  return address >= m->start && address < m->end;
}

RF_COLD static bool find_module(const rf_map *m, void *context) {
  search *const s = context;
  if (within(m, s->address) && m->name[0] == '/' && m->name_length < sizeof s->path) {
    memcpy(s->path, m->name, m->name_length + 1);
  }
  return s->path[0] == '\0';
}

static bool is_of_name(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static bool contains_mark(uintptr_t start, uintptr_t end) {
  const char *at = (const char *)start + 1;
  const char *const last = (const char *)end - sizeof runtime_mark;
  while (at <= last && (at = memchr(at, runtime_mark[0], (size_t)(last - at) + 1)) != NULL) {
    if (!is_of_name(at[-1]) && memcmp(at, runtime_mark, sizeof runtime_mark) == 0) {
      return true;
    }
    at++;
  }
  return false;
}

RF_COLD static bool look_for_mark(const rf_map *m, void *context) {
  search *const s = context;
  if (strcmp(m->name, s->path) != 0) {
    return true;
  }
  s->ours = s->ours || within(m, (uintptr_t)&rf_cxx_runtime_is_private);
  if (!s->found && m->readable && !m->writable) {
    s->found = contains_mark(m->start, m->end);
  }
  return true;
}

static bool look(uintptr_t address) {
  search s = {.address = address};
  (void)rf_maps_each(find_module, &s);
  if (s.path[0] != '\0') {
    (void)rf_maps_each(look_for_mark, &s);
  }
  return s.found && !s.ours;
}

/* The last calls asked about are remembered: a program that does this does it again and again. Findings are made one at
 * a time, so there is no lock. */
bool rf_cxx_runtime_is_private(uintptr_t address) {
  static struct {
    uintptr_t address;
    bool own;
  } kept[KEPT];
  static unsigned next;
  for (unsigned i = 0; i < KEPT; i++) {
    if (kept[i].address == address && address != 0) {
      return kept[i].own;
    }
  }
  bool const own = look(address);
  kept[next % KEPT].address = address;
  kept[next % KEPT].own = own;
  next++;
  return own;
}

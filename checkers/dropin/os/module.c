#define _GNU_SOURCE /* _dl_find_object */
#include "module.h"

#include <dlfcn.h>
#include <link.h>
#include <ringfence/frames.h>
#include <string.h>
#include <unistd.h>

#include "checkers/os/base_name.h"
#include "checkers/os/maps.h"
#include "checkers/os/modules.h"
#include "checkers/os/proc_self.h"
#include "checkers/os/symbols.h"
#include "lib/core/compiler.h"

#define PATH_BYTES 4096

typedef struct search {
  uintptr_t address;
  rf_known_module *out;
  bool found;
} search;

static bool begins_with_any(const char *text, const char *const *beginnings, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (strncmp(text, beginnings[i], strlen(beginnings[i])) == 0) {
      return true;
    }
  }
  return false;
}

bool rf_module_is_users(const char *path) {
  static const char *const systems[] = {"/usr/", "/lib/", "/lib32/", "/lib64/", "/libx32/", "/bin/", "/sbin/"};
  static const char *const users[] = {"/usr/local/", "/usr/src/"};
  return !begins_with_any(path, systems, sizeof systems / sizeof systems[0]) ||
         begins_with_any(path, users, sizeof users / sizeof users[0]);
}

static void read_program_path(char out[static PATH_BYTES]) {
  ssize_t const length = rf_read_program_link(out, PATH_BYTES - 1);
  out[length > 0 ? length : 0] = '\0';
}

/* The program's file may have been replaced while it runs. */
RF_COLD static bool is_program(const char *path) {
  char program[PATH_BYTES];
  read_program_path(program);
  return strcmp(path, program) == 0;
}

/* A library may be deleted or replaced once it is loaded, and a program may give up the right to read its own files:
 * then nobody can tell that there are no names. */
static bool may_have_names(const char *path) {
  return rf_symbols_present(path) || !rf_symbols_readable(path);
}

static bool program_has_names(void) {
  return may_have_names(rf_program_link());
}

static bool is_loader(const char *path) {
  static const char *const names[] = {"ld-linux", "ld-2.", "ld64.so."};
  return begins_with_any(rf_base_name(path), names, sizeof names / sizeof names[0]);
}

/* Code that was made at run time may lie in a file, too, and has no names. */
#if defined(DLFO_STRUCT_HAS_EH_DBASE)
#pragma weak _dl_find_object

static bool is_loaded(uintptr_t address) {
  struct dl_find_object found;
  return _dl_find_object != NULL && _dl_find_object((void *)address, &found) == 0;
}
#else
static bool is_loaded(uintptr_t address) {
  (void)address;
  return false;
}
#endif

static bool has_names(const char *path, bool is_library) {
  if (is_program(path)) {
    return program_has_names();
  }
  return is_library && path[0] == '/' ? may_have_names(path) : rf_symbols_present(path);
}

RF_COLD static rf_known_module describe(uintptr_t start, uintptr_t end, const char *path, bool is_library) {
  return (rf_known_module){.start = start,
                           .end = end,
                           .runtime = rf_frame_is_runtime(path, NULL),
                           .loader = is_loader(path),
                           .named = has_names(path, is_library),
                           .users = rf_module_is_users(path)};
}

RF_COLD static bool visit_mapping(const rf_map *map, void *context) {
  search *const s = context;
  if (map->executable && s->address >= map->start && s->address < map->end) {
    *s->out = describe(map->start, map->end, map->name, is_loaded(s->address));
    s->found = true;
  }
  return !s->found;
}

/* One that was closed, and had code where nobody else has now. */
RF_COLD static void find_unloaded(search *s) {
  uintptr_t start;
  uintptr_t end;
  const char *const path = rf_modules_unloaded(s->address, &start, &end);
  if (path != NULL) {
    *s->out = describe(start, end, path, true);
    s->found = true;
  }
}

/* Not by asking the loader: in a child of fork its lock may be held by a thread that is not there. */
RF_COLD static const rf_known_module *add(rf_known_modules *modules, uintptr_t address) {
  if (modules->count == RF_KNOWN_MODULES) {
    return NULL;
  }
  search s = {address, &modules->list[modules->count], false};
  char line[RF_MAPS_BYTES];
  (void)rf_maps_each_in(line, sizeof line, visit_mapping, &s);
  if (!s.found) {
    find_unloaded(&s);
  }
  return s.found ? &modules->list[modules->count++] : NULL;
}

const rf_known_module *rf_known_module_find(rf_known_modules *modules, uintptr_t address) {
  for (size_t i = 0; i < modules->count; i++) {
    const rf_known_module *const m = &modules->list[i];
    if (address >= m->start && address < m->end) {
      return m;
    }
  }
  return address != 0 ? add(modules, address) : NULL;
}

RF_COLD const rf_known_module *rf_known_module_of_program(rf_known_modules *modules) {
  if (modules->program.end == 0) {
    char path[PATH_BYTES];
    read_program_path(path);
    modules->program =
        (rf_known_module){.end = UINTPTR_MAX, .named = program_has_names(), .users = rf_module_is_users(path)};
  }
  return &modules->program;
}

static bool put_path(const char *path, char *out, size_t room) {
  size_t const length = strlen(path);
  if (length >= room) {
    return false;
  }
  memcpy(out, path, length + 1);
  return true;
}

typedef struct naming {
  uintptr_t address;
  char *out;
  size_t room;
  bool found;
} naming;

RF_COLD static bool visit_name(const rf_map *map, void *context) {
  naming *const n = (naming *)context;
  bool const here = n->address >= map->start && n->address < map->end;
  n->found = here && put_path(is_program(map->name) ? "" : map->name, n->out, n->room);
  return !here;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): it is written to */
static bool path_from_maps(uintptr_t address, char *out, size_t room) {
  naming n = {address, out, room, false};
  char line[RF_MAPS_BYTES];
  (void)rf_maps_each_in(line, sizeof line, visit_name, &n);
  return n.found;
}

#if defined(DLFO_STRUCT_HAS_EH_DBASE)
RF_COLD bool rf_module_path_of(uintptr_t address, char *out, size_t room) {
  struct dl_find_object found;
  if (_dl_find_object == NULL || _dl_find_object((void *)address, &found) != 0 || found.dlfo_link_map == NULL) {
    return path_from_maps(address, out, room);
  }
  return put_path(found.dlfo_link_map->l_name, out, room);
}
#else
RF_COLD bool rf_module_path_of(uintptr_t address, char *out, size_t room) {
  return path_from_maps(address, out, room);
}
#endif

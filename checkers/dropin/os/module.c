#define _GNU_SOURCE
#include "module.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "checkers/os/maps.h"

#define PROGRAM "/proc/self/exe"

/* ---- What a file on disk has ---- */

static bool read_at(int file, void *out, size_t size, uint64_t offset) {
  return pread(file, out, size, (off_t)offset) == (ssize_t)size;
}

static bool section_names_code(int file, const ElfW(Shdr) * section, const ElfW(Shdr) * names) {
  char name[16] = "";
  if (section->sh_type == SHT_SYMTAB) {
    return true;
  }
  if (section->sh_type != SHT_PROGBITS || section->sh_name >= names->sh_size) {
    return false;
  }
  ssize_t const got = pread(file, name, sizeof name - 1, (off_t)(names->sh_offset + section->sh_name));
  return got > 0 && strcmp(name, ".debug_line") == 0;
}

static bool file_names_code(int file) {
  ElfW(Ehdr) header;
  ElfW(Shdr) names;
  if (!read_at(file, &header, sizeof header, 0) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_shentsize != sizeof names || header.e_shstrndx >= header.e_shnum ||
      !read_at(file, &names, sizeof names, header.e_shoff + (uint64_t)header.e_shstrndx * sizeof names)) {
    return false;
  }
  for (unsigned i = 0; i < header.e_shnum; i++) {
    ElfW(Shdr) section;
    if (read_at(file, &section, sizeof section, header.e_shoff + (uint64_t)i * sizeof section) &&
        section_names_code(file, &section, &names)) {
      return true;
    }
  }
  return false;
}

static bool path_names_code(const char *path) {
  int const file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return false;
  }
  bool const named = file_names_code(file);
  (void)close(file);
  return named;
}

/* ---- What is loaded ---- */

static bool is_runtime(const char *path) {
  static const char *const starts[] = {"libc.so",      "libc-2.",    "ld-linux",  "ld-2.",     "libpthread",
                                       "libringfence", "libstdc++.", "libc++.so", "libc++abi", "libgcc_s"};
  const char *const slash = strrchr(path, '/');
  const char *const name = slash != NULL ? slash + 1 : path;
  for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
    if (strncmp(name, starts[i], strlen(starts[i])) == 0) {
      return true;
    }
  }
  return false;
}

typedef struct search {
  uintptr_t address;
  rf_known_module *out;
  bool found;
} search;

/* The program's file may have been replaced while it runs. */
static bool is_program(const char *path) {
  char program[4096];
  ssize_t const length = readlink("/proc/self/exe", program, sizeof program - 1);
  program[length > 0 ? length : 0] = '\0';
  return strcmp(path, program) == 0;
}

static bool visit_mapping(const rf_map *map, void *context) {
  search *const s = context;
  if (map->executable && s->address >= map->start && s->address < map->end) {
    const char *const file = is_program(map->name) ? PROGRAM : map->name;
    *s->out = (rf_known_module){map->start, map->end, is_runtime(map->name), path_names_code(file)};
    s->found = true;
  }
  return !s->found;
}

/* Not by asking the loader: in a child of fork its lock may be held by a thread that is not there. */
static const rf_known_module *add(rf_known_modules *modules, uintptr_t address) {
  if (modules->count == RF_KNOWN_MODULES) {
    return NULL;
  }
  search s = {address, &modules->list[modules->count], false};
  char line[RF_MAPS_BYTES];
  (void)rf_maps_each_in(line, sizeof line, visit_mapping, &s);
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

const rf_known_module *rf_known_module_of_program(rf_known_modules *modules) {
  if (modules->program.end == 0) {
    modules->program = (rf_known_module){0, UINTPTR_MAX, false, path_names_code(PROGRAM)};
  }
  return &modules->program;
}

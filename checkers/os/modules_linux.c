#define _GNU_SOURCE /* O_CLOEXEC, _dl_find_object */
#include "modules.h"

#include "demangle.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "elf_image.h"
#include "forbidden_calls.h"
#include "host.h"
#include "lib/core/compiler.h"
#include "map_query.h"
#include "maps.h"
#include "proc_self.h"
#include "symbols.h"
#include "uncancelled.h"

/* ---- A module's own headers ---- */

typedef ElfW(Nhdr) note_header;

static void hex_text(char *out, const unsigned char *bytes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    *out++ = "0123456789abcdef"[bytes[i] >> 4];
    *out++ = "0123456789abcdef"[bytes[i] & 15];
  }
  *out = '\0';
}

static uint64_t padded(uint64_t size) { /* no size of a note wraps */
  return (size + 3) & ~(uint64_t)3;
}

/* An owner's name has three characters and a NUL. */
static const note_header *find_in(uintptr_t notes, size_t size, const char owner[static 4], unsigned type) {
  if (notes % _Alignof(note_header) != 0 || !rf_host_readable((const void *)notes, size)) {
    return NULL;
  }
  while (size >= sizeof(note_header)) {
    const note_header *const note = (const note_header *)notes;
    uint64_t const name_size = padded(note->n_namesz);
    uint64_t const whole = sizeof *note + name_size + padded(note->n_descsz);
    if (name_size > size || whole > size) {
      return NULL;
    }
    if (note->n_type == type && note->n_namesz == 4 && memcmp(note + 1, owner, 4) == 0) {
      return note;
    }
    notes += (uintptr_t)whole;
    size -= (size_t)whole;
  }
  return NULL;
}

RF_COLD static const note_header *find_note(uintptr_t bias, const rf_program_header *headers, unsigned count,
                                            const char owner[static 4], unsigned type) {
  const note_header *note = NULL;
  for (unsigned i = 0; i < count && note == NULL; i++) {
    if (headers[i].p_type == PT_NOTE) {
      note = find_in(bias + headers[i].p_vaddr, headers[i].p_memsz, owner, type);
    }
  }
  return note;
}

RF_COLD static void read_notes(rf_module *m, const rf_program_header *headers, unsigned count) {
  const note_header *const note = find_note(m->bias, headers, count, "GNU", NT_GNU_BUILD_ID);
  if (note != NULL) {
    const unsigned char *const id = (const unsigned char *)(note + 1) + padded(note->n_namesz);
    hex_text(m->build_id, id, note->n_descsz < RF_BUILD_ID_BYTES ? note->n_descsz : RF_BUILD_ID_BYTES);
  }
}

static void read_headers(rf_module *m, uintptr_t base) {
  unsigned count = 0;
  const rf_program_header *const headers = rf_program_headers(base, &count);
  m->base = base;
  m->bias = base;
  m->build_id[0] = '\0';
  if (headers == NULL) {
    return;
  }
  m->bias = rf_elf_bias(base, headers, count);
  read_notes(m, headers, count);
}

RF_COLD void rf_modules_program_id(char out[2 * RF_BUILD_ID_BYTES + 1]) {
  const rf_program_header *const headers = (const rf_program_header *)getauxval(AT_PHDR);
  unsigned const count = (unsigned)getauxval(AT_PHNUM);
  rf_module program = {.bias = 0};
  if (!rf_host_readable(headers, count * sizeof *headers)) {
    out[0] = '\0';
    return;
  }
  for (unsigned i = 0; i < count; i++) {
    if (headers[i].p_type == PT_PHDR) {
      program.bias = (uintptr_t)headers - headers[i].p_vaddr;
    }
  }
  read_notes(&program, headers, count);
  memcpy(out, program.build_id, sizeof program.build_id);
}

/* ---- The map ---- */

typedef struct search {
  rf_modules *modules;
  const rf_trace *const *traces;
  unsigned count;
  uintptr_t base; /* of the file whose mappings are being visited */
  char name[1024];
  size_t name_length;
} search;

static bool has_frame_in(const rf_trace *t, uintptr_t start, uintptr_t end) {
  for (unsigned i = 0; i < t->depth; i++) {
    if (t->frames[i] > start && t->frames[i] <= end) {
      return true;
    }
  }
  return false;
}

static bool wanted(const search *s, uintptr_t start, uintptr_t end) {
  for (unsigned i = 0; i < s->count; i++) {
    if (has_frame_in(s->traces[i], start, end)) {
      return true;
    }
  }
  return false;
}

/* A new module at [start, end), without its headers; NULL where there is no room. */
RF_COLD static rf_module *add(rf_modules *modules, uintptr_t start, uintptr_t end, const char *name, size_t length) {
  if (modules->count == RF_MODULES || length + 1 > sizeof modules->text - modules->used) {
    return NULL;
  }
  rf_module *const m = &modules->modules[modules->count++];
  *m = (rf_module){.start = start, .end = end, .path = (uint16_t)modules->used};
  memcpy(modules->text + modules->used, name, length);
  modules->text[modules->used + length] = '\0';
  modules->used += length + 1;
  return m;
}

RF_COLD static bool visit(const rf_map *map, void *context) {
  search *const s = (search *)context;
  bool const same = map->name_length == s->name_length && memcmp(map->name, s->name, s->name_length) == 0;
  if (!same && map->name_length <= sizeof s->name) {
    memcpy(s->name, map->name, map->name_length);
    s->name_length = map->name_length;
    s->base = map->start;
  } else if (map->file_offset == 0 && !rf_elf_goes_on(s->base, map->start)) {
    s->base = map->start;
  }
  if (map->executable && wanted(s, map->start, map->end)) {
    rf_module *const m = add(s->modules, map->start, map->end, s->name, s->name_length);
    if (m != NULL) {
      read_headers(m, s->base);
    }
  }
  return true;
}

/* ---- The map, by questions ---- */

static const rf_module *module_of(const rf_modules *modules, uintptr_t pc) {
  for (unsigned i = 0; i < modules->count; i++) {
    if (pc > modules->modules[i].start && pc <= modules->modules[i].end) {
      return &modules->modules[i];
    }
  }
  return NULL;
}

/* Whether the module whose first page is mapped at `base`, for execution, begins there: the page may be mapped for each
 * of several segments (rf_elf_goes_on). */
static bool begins_with_code(uintptr_t base) {
  unsigned count = 0;
  const rf_program_header *const headers = rf_program_headers(base, &count);
  for (unsigned i = 0; headers != NULL && i < count; i++) {
    if (headers[i].p_type == PT_LOAD && headers[i].p_offset == 0) {
      return (headers[i].p_flags & PF_X) != 0;
    }
  }
  return true;
}

/* The address of the first byte of the file of `place`, which is executable; 0 if the text of the maps has to tell. */
static uintptr_t base_of(int maps, const rf_map_place *place) {
  rf_map_place first;
  uintptr_t const base = place->start - (uintptr_t)place->file_offset;
  if (place->inode == 0 || place->file_offset > place->start) {
    return 0;
  }
  if (place->file_offset == 0) {
    return begins_with_code(base) ? base : 0;
  }
  bool const found = rf_map_query(maps, base, &first, NULL, 0) == RF_MAP_FOUND;
  bool const same = found && first.inode == place->inode && first.major == place->major && first.minor == place->minor;
  return same && first.start == base && first.file_offset == 0 ? base : 0;
}

/* False where the text has to tell. */
static bool ask_for(search *s, int maps, uintptr_t pc, rf_map_place *last) {
  rf_map_answer const answer = rf_map_query(maps, pc - 1, last, s->name, sizeof s->name);
  if (answer != RF_MAP_FOUND || !last->executable) {
    return answer != RF_MAP_UNKNOWN;
  }
  uintptr_t const base = base_of(maps, last);
  if (base == 0) {
    return false;
  }
  rf_module *const m = add(s->modules, last->start, last->end, s->name, strlen(s->name));
  if (m != NULL) {
    read_headers(m, base);
  }
  return true;
}

static bool ask_for_all(search *s, int maps) {
  rf_map_place last = {.start = 0};
  for (unsigned i = 0; i < s->count; i++) {
    for (unsigned k = 0; k < s->traces[i]->depth; k++) {
      uintptr_t const pc = s->traces[i]->frames[k];
      bool const known = pc == 0 || (pc > last.start && pc <= last.end) || module_of(s->modules, pc) != NULL;
      if (!known && !ask_for(s, maps, pc, &last)) {
        return false;
      }
    }
  }
  return true;
}

static bool load_by_questions(search *s) {
  int const saved_errno = errno;
  int const cancellation = rf_uncancelled_begin();
  int const maps =
      rf_is_forbidden(RF_CALL_OPEN | RF_CALL_IOCTL) ? -1 : open(RF_PROC_PATH("maps"), O_RDONLY | O_CLOEXEC);
  bool const done = maps >= 0 && ask_for_all(s, maps);
  if (maps >= 0) {
    (void)close(maps);
  }
  rf_uncancelled_end(cancellation);
  errno = saved_errno;
  return done;
}

/* ---- No map: /proc is not there, a sandbox forbids to open files, or too many are open ---- */

#define PATH_BYTES 1024

static char program[PATH_BYTES]; /* its path; each thread writes the same */
static bool program_is_known;    /* accessed atomically */

static bool read_program_path(char *out, size_t room) {
  int const saved_errno = errno;
  ssize_t const length = rf_is_forbidden(RF_CALL_OPEN) ? 0 : rf_read_program_link(out, room - 1);
  out[length > 0 ? length : 0] = '\0';
  errno = saved_errno;
  return length > 0;
}

bool rf_modules_program_path(char *out, size_t room) {
  if (!__atomic_load_n(&program_is_known, __ATOMIC_ACQUIRE)) {
    return read_program_path(out, room);
  }
  size_t const length = strlen(program);
  size_t const kept = length < room ? length : room - 1;
  memcpy(out, program, kept);
  out[kept] = '\0';
  return true;
}

RF_COLD void rf_modules_keep_program(void) {
  if (!__atomic_load_n(&program_is_known, __ATOMIC_ACQUIRE)) {
    __atomic_store_n(&program_is_known, read_program_path(program, sizeof program), __ATOMIC_RELEASE);
  }
}

#if defined(DLFO_STRUCT_HAS_EH_DBASE)
#pragma weak _dl_find_object

/* The dynamic linker has no name for the program. Without /proc, the one that it was started by has to do. */
static const char *program_path(char out[static PATH_BYTES]) {
  const char *const started_as = (const char *)getauxval(AT_EXECFN);
  return rf_modules_program_path(out, PATH_BYTES) || started_as == NULL ? out : started_as;
}

static void ask_linker(rf_modules *modules, uintptr_t pc) {
  char path[PATH_BYTES];
  struct dl_find_object found;
  if (_dl_find_object((void *)(pc - 1), &found) != 0 || found.dlfo_link_map == NULL) {
    return;
  }
  const char *const known = found.dlfo_link_map->l_name;
  const char *const name = known[0] != '\0' ? known : program_path(path);
  rf_module *const m = add(modules, (uintptr_t)found.dlfo_map_start, (uintptr_t)found.dlfo_map_end, name, strlen(name));
  if (m != NULL) {
    read_headers(m, m->start);
    m->bias = found.dlfo_link_map->l_addr;
  }
}

/* It neither locks nor allocates, but in a static program, which no linker started. */
static void load_by_linker(const search *s) {
  for (unsigned i = 0; i < s->count && _dl_find_object != NULL && getauxval(AT_BASE) != 0; i++) {
    for (unsigned k = 0; k < s->traces[i]->depth; k++) {
      uintptr_t const pc = s->traces[i]->frames[k];
      if (pc != 0 && module_of(s->modules, pc) == NULL) {
        ask_linker(s->modules, pc);
      }
    }
  }
}
#else
static void load_by_linker(const search *s) {
  (void)s;
}
#endif

/* ---- Modules that were unloaded ---- */

typedef struct gone_module {
  rf_module module;
  const char *path;
} gone_module;

static gone_module unloaded[RF_MODULES_UNLOADED];
static uint32_t unloaded_count; /* ever; accessed atomically */

RF_COLD void rf_modules_remember(const rf_module *module, const char *path) {
  uint32_t const count = __atomic_load_n(&unloaded_count, __ATOMIC_RELAXED);
  unloaded[count % RF_MODULES_UNLOADED].module = *module;
  unloaded[count % RF_MODULES_UNLOADED].path = path;
  __atomic_store_n(&unloaded_count, count + 1, __ATOMIC_RELEASE);
}

/* The module `back` steps from the last of `count` that were ever unloaded; NULL where it is no longer known. */
static const gone_module *from_the_last(uint32_t count, uint32_t back) {
  return back <= count && back <= RF_MODULES_UNLOADED ? &unloaded[(count - back) % RF_MODULES_UNLOADED] : NULL;
}

const char *rf_modules_unloaded(uintptr_t address, uintptr_t *start, uintptr_t *end) {
  uint32_t const count = __atomic_load_n(&unloaded_count, __ATOMIC_ACQUIRE);
  const gone_module *gone;
  for (uint32_t back = 1; (gone = from_the_last(count, back)) != NULL; back++) {
    if (address >= gone->module.start && address < gone->module.end) {
      *start = gone->module.start;
      *end = gone->module.end;
      return gone->path;
    }
  }
  return NULL;
}

/* The newest first. Tables are searched in order, so a module that is mapped now comes before any of these. */
static void add_unloaded(const search *s) {
  uint32_t const count = __atomic_load_n(&unloaded_count, __ATOMIC_ACQUIRE);
  const gone_module *gone;
  for (uint32_t back = 1; (gone = from_the_last(count, back)) != NULL; back++) {
    const rf_module *const was = &gone->module;
    rf_module *const m =
        wanted(s, was->start, was->end) ? add(s->modules, was->start, was->end, gone->path, strlen(gone->path)) : NULL;
    if (m != NULL) {
      m->bias = was->bias;
      memcpy(m->build_id, was->build_id, sizeof m->build_id);
    }
  }
}

static void forget(rf_modules *modules) {
  modules->count = 0;
  modules->used = 0;
}

RF_COLD void rf_modules_load(rf_modules *modules, const rf_trace *const *traces, unsigned count) {
  search s;
  s.modules = modules;
  s.traces = traces;
  s.count = count;
  s.base = 0;
  s.name_length = 0;
  forget(modules);
  if (!load_by_questions(&s)) {
    forget(modules);
    if (!rf_maps_each(visit, &s)) {
      load_by_linker(&s);
    }
  }
  add_unloaded(&s);
}

RF_COLD bool rf_modules_is_go(uintptr_t address) {
  enum { GO_BUILD_ID = 4 };
  rf_modules modules;
  rf_trace const here = {.depth = 1, .frames = {address + 1}};
  const rf_trace *const list[] = {&here};
  rf_modules_load(&modules, list, 1);
  unsigned count = 0;
  const rf_module *const m = &modules.modules[0];
  const rf_program_header *const headers = modules.count != 0 ? rf_program_headers(m->base, &count) : NULL;
  return headers != NULL && find_note(m->bias, headers, count, "Go\0", GO_BUILD_ID) != NULL;
}

/* ---- Names ---- */

RF_COLD static bool name_place(void *context, uintptr_t pc, unsigned inlined, rf_frame_name *out) {
  const rf_modules *const modules = (const rf_modules *)context;
  const rf_module *const m = inlined == 0 ? module_of(modules, pc) : NULL;
  if (m == NULL) {
    return false;
  }
  memset(out, 0, sizeof *out);
  out->module = modules->text + m->path;
  out->build_id = m->build_id[0] != '\0' ? m->build_id : NULL;
  out->offset = pc - m->bias;
  return true;
}

static unsigned char naming; /* some thread is in name_for_people; accessed atomically */

void rf_modules_forked(void) {
  if (__atomic_load_n(&naming, __ATOMIC_RELAXED) != 0) {
    __atomic_store_n(&naming, 0, __ATOMIC_RELAXED);
  }
}

/* Fills in the names of the function whose linker's name stands in modules->symbol. If two threads name functions at
 * once, or a handler interrupted one that does, the second gets the linker's name. */
static void name_for_people(rf_modules *modules, rf_frame_name *out) {
  static rf_demangle memory;
  out->function = modules->symbol;
  if (strncmp(modules->symbol, "_Z", 2) != 0 || __atomic_exchange_n(&naming, 1, __ATOMIC_ACQUIRE) != 0) {
    return;
  }
  const char *const name = rf_demangle_name(&memory, modules->symbol);
  if (name != NULL) {
    size_t const size = strlen(name);
    size_t const kept = size < sizeof modules->function ? size : sizeof modules->function - 1;
    memcpy(modules->function, name, kept);
    modules->function[kept] = '\0';
    out->function = modules->function;
    out->symbol = modules->symbol;
  }
  __atomic_store_n(&naming, 0, __ATOMIC_RELEASE);
}

RF_COLD static bool name_function(void *context, uintptr_t pc, unsigned inlined, rf_frame_name *out) {
  rf_modules *const modules = (rf_modules *)context;
  if (!name_place(context, pc, inlined, out)) {
    return false;
  }
  if (rf_symbols_function(out->module, out->offset - 1, modules->symbol, sizeof modules->symbol)) {
    name_for_people(modules, out);
  }
  return true;
}

RF_COLD rf_symbolizer rf_modules_symbolizer(rf_modules *modules, bool functions) {
  return (rf_symbolizer){functions ? name_function : name_place, modules};
}

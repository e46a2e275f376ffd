#define _GNU_SOURCE /* O_CLOEXEC */
#include "symbols.h"

#include "forbidden_calls.h"
#include "lib/core/compiler.h"
#include "uncancelled.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <ringfence/sink.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef ElfW(Ehdr) elf_header;
typedef ElfW(Shdr) section_header;
typedef ElfW(Sym) symbol;

/* A file in memory. Each offset in it is checked before use. */
typedef struct image {
  const unsigned char *data;
  size_t size;
  int saved_errno;
  int cancellation;
} image;

static bool map_file(const char *path, image *out) {
  struct stat about;
  void *data = MAP_FAILED;
  int const fd = rf_is_forbidden(RF_CALL_OPEN | RF_CALL_MMAP | RF_CALL_MUNMAP) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  out->data = (const unsigned char *)data;
  if (fd == -1) {
    return false;
  }
  if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size > 0) {
    data = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    out->size = (size_t)about.st_size;
  }
  (void)close(fd);
  out->data = (const unsigned char *)data;
  return data != MAP_FAILED;
}

/* `size` bytes at `offset` of the file; NULL where they lie outside, or are not aligned to `align`. */
static const void *part(const image *file, uint64_t offset, uint64_t size, size_t align) {
  if (offset > file->size || size > file->size - offset || offset % align != 0) {
    return NULL;
  }
  return file->data + offset;
}

static const section_header *sections(const image *file, unsigned *count) {
  const elf_header *const elf = (const elf_header *)part(file, 0, sizeof *elf, _Alignof(elf_header));
  unsigned char const class = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
  if (elf == NULL || memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0 || elf->e_ident[EI_CLASS] != class ||
      elf->e_shentsize != sizeof(section_header)) {
    return NULL;
  }
  *count = elf->e_shnum;
  return (const section_header *)part(file, elf->e_shoff, *count * sizeof(section_header), _Alignof(section_header));
}

/* The full table, or that for dynamic linking in a stripped file. */
static const section_header *symbol_table(const section_header *all, unsigned count) {
  const section_header *found = NULL;
  for (unsigned i = 0; i < count; i++) {
    if (all[i].sh_type == SHT_SYMTAB || (all[i].sh_type == SHT_DYNSYM && found == NULL)) {
      found = &all[i];
    }
  }
  return found;
}

/* The bit of a function's address that tells its instruction set: that of Thumb, on 32-bit ARM. */
static uint64_t mode_bit(const image *file) {
  return ((const elf_header *)(const void *)file->data)->e_machine == EM_ARM ? 1 : 0;
}

static bool covers(const symbol *s, uint64_t address, uint64_t mode) {
  unsigned const type = s->st_info & 0xFU;
  uint64_t const start = s->st_value & ~mode;
  return (type == STT_FUNC || type == STT_GNU_IFUNC) && s->st_shndx != SHN_UNDEF && address >= start &&
         address - start < s->st_size;
}

static const symbol *find(const symbol *all, size_t count, uint64_t address, uint64_t mode) {
  for (size_t i = 0; i < count; i++) {
    if (covers(&all[i], address, mode)) {
      return &all[i];
    }
  }
  return NULL;
}

static bool copy_name(const char *names, size_t size, size_t at, char *out, size_t room) {
  const char *const end = at < size ? (const char *)memchr(names + at, '\0', size - at) : NULL;
  if (end == NULL || end == names + at || room == 0) {
    return false;
  }
  size_t const length = (size_t)(end - (names + at));
  size_t const kept = length < room ? length : room - 1;
  memcpy(out, names + at, kept);
  out[kept] = '\0';
  return true;
}

static bool function_in(const image *file, uint64_t address, char *out, size_t room) {
  unsigned count = 0;
  const section_header *const all = sections(file, &count);
  const section_header *const table = all != NULL ? symbol_table(all, count) : NULL;
  if (table == NULL || table->sh_link >= count) {
    return false;
  }
  const section_header *const strings = &all[table->sh_link];
  const symbol *const symbols = (const symbol *)part(file, table->sh_offset, table->sh_size, _Alignof(symbol));
  const char *const names = (const char *)part(file, strings->sh_offset, strings->sh_size, 1);
  if (symbols == NULL || names == NULL) {
    return false;
  }
  const symbol *const found = find(symbols, table->sh_size / sizeof(symbol), address, mode_bit(file));
  return found != NULL && copy_name(names, strings->sh_size, found->st_name, out, room);
}

/* A section without contents has no name here. */
static bool has_name(const image *file, const section_header *section, const section_header *names, const char *name) {
  size_t const size = strlen(name) + 1;
  const char *const found = section->sh_type == SHT_PROGBITS && section->sh_name < names->sh_size
                                ? (const char *)part(file, names->sh_offset + section->sh_name, size, 1)
                                : NULL;
  return found != NULL && memcmp(found, name, size) == 0;
}

/* The sections of a file, and which of them has their names; NULL where these are damaged. */
static const section_header *named_sections(const image *file, unsigned *count, const section_header **names) {
  const section_header *const all = sections(file, count);
  unsigned const index = all != NULL ? ((const elf_header *)(const void *)file->data)->e_shstrndx : 0;
  if (all == NULL || index >= *count) {
    return NULL;
  }
  *names = &all[index];
  return all;
}

static bool any_names_code(const image *file) {
  unsigned count = 0;
  const section_header *names;
  const section_header *const all = named_sections(file, &count, &names);
  for (unsigned i = 0; all != NULL && i < count; i++) {
    if (all[i].sh_type == SHT_SYMTAB || has_name(file, &all[i], names, ".debug_line")) {
      return true;
    }
  }
  return false;
}

/* ---- Files for debuggers, where they look for them ---- */

#define DEBUG_FOLDER "/usr/lib/debug"
#define PATH_BYTES 1024U

/* A path that is put together; longer ones than PATH_BYTES name no file. */
typedef struct path_text {
  rf_sink_buffer buffer;
  char bytes[PATH_BYTES + 1];
} path_text;

static const rf_sink *path_begin(path_text *out) {
  rf_sink_buffer_init(&out->buffer, out->bytes, sizeof out->bytes);
  return &out->buffer.sink;
}

static bool names_code_in(const path_text *path) {
  image file;
  if (path->buffer.length == PATH_BYTES || !map_file(path->bytes, &file)) {
    return false;
  }
  bool const names = any_names_code(&file);
  (void)munmap((void *)(uintptr_t)file.data, file.size);
  return names;
}

static bool has_file_of_id(const unsigned char *id, size_t size) {
  static const char digits[] = "0123456789abcdef";
  path_text path;
  const rf_sink *const to = path_begin(&path);
  rf_sink_str(to, DEBUG_FOLDER "/.build-id/");
  for (size_t i = 0; i < size; i++) {
    char const pair[] = {digits[id[i] >> 4], digits[id[i] & 0xFU], '/'};
    rf_sink_mem(to, pair, i == 0 ? 3 : 2);
  }
  rf_sink_str(to, ".debug");
  return size > 1 && names_code_in(&path);
}

/* By the build id, among the notes of one section. */
static bool has_file_by_notes(const image *file, const section_header *section) {
  static const char owner[4] = "GNU";
  const unsigned char *const notes = (const unsigned char *)part(file, section->sh_offset, section->sh_size, 4);
  ElfW(Nhdr) note;
  uint64_t at = 0;
  while (notes != NULL && section->sh_size - at >= sizeof note + sizeof owner) {
    memcpy(&note, notes + at, sizeof note);
    uint64_t const id = at + sizeof note + sizeof owner;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof owner && note.n_descsz <= section->sh_size - id &&
        memcmp(notes + at + sizeof note, owner, sizeof owner) == 0) {
      return has_file_of_id(notes + id, note.n_descsz);
    }
    uint64_t const next =
        at + sizeof note + (((uint64_t)note.n_namesz + 3) & ~3ULL) + (((uint64_t)note.n_descsz + 3) & ~3ULL);
    if (next > section->sh_size) {
      return false;
    }
    at = next;
  }
  return false;
}

/* Beside the file at `path`, in a folder there, and in that of the system. */
static bool has_file_by_link(const image *file, const section_header *section, const char *path) {
  static const char *const places[][2] = {{"", ""}, {"", ".debug/"}, {DEBUG_FOLDER, ""}};
  char resolved[PATH_BYTES]; /* /proc/self/exe */
  ssize_t const length = readlink(path, resolved, sizeof resolved - 1);
  const char *const name = (const char *)part(file, section->sh_offset, section->sh_size, 1);
  if (name == NULL || memchr(name, '\0', section->sh_size) == NULL || length == (ssize_t)sizeof resolved - 1) {
    return false;
  }
  resolved[length > 0 ? length : 0] = '\0';
  const char *const own = resolved[0] == '/' ? resolved : path;
  const char *const slash = strrchr(own, '/');
  size_t const folder = slash != NULL ? (size_t)(slash + 1 - own) : 0;
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    path_text candidate;
    const rf_sink *const to = path_begin(&candidate);
    rf_sink_str(to, places[i][0]);
    rf_sink_mem(to, own, folder);
    rf_sink_str(to, places[i][1]);
    rf_sink_str(to, name);
    if (names_code_in(&candidate)) {
      return true;
    }
  }
  return false;
}

/* Another file has the names of a stripped one: the symbolizers of the command look there. */
static bool has_debug_file(const image *file, const char *path) {
  unsigned count = 0;
  const section_header *names;
  const section_header *const all = named_sections(file, &count, &names);
  for (unsigned i = 0; all != NULL && i < count; i++) {
    if ((all[i].sh_type == SHT_NOTE && has_file_by_notes(file, &all[i])) ||
        (has_name(file, &all[i], names, ".gnu_debuglink") && has_file_by_link(file, &all[i], path))) {
      return true;
    }
  }
  return false;
}

/* ---- Files ---- */

/* close_file ends what this began, whether the file was there or not. The program sees no change of errno. */
static bool open_file(const char *path, image *file) {
  file->saved_errno = errno;
  file->cancellation = rf_uncancelled_begin();
  return map_file(path, file);
}

static void close_file(const image *file) {
  if (file->data != MAP_FAILED) {
    (void)munmap((void *)(uintptr_t)file->data, file->size);
  }
  rf_uncancelled_end(file->cancellation);
  errno = file->saved_errno;
}

RF_COLD bool rf_symbols_function(const char *path, uint64_t address, char *out, size_t room) {
  image file;
  bool const found = open_file(path, &file) && function_in(&file, address, out, room);
  close_file(&file);
  return found;
}

RF_COLD bool rf_symbols_readable(const char *path) {
  image file;
  bool const readable = open_file(path, &file);
  close_file(&file);
  return readable;
}

RF_COLD bool rf_symbols_present(const char *path) {
  image file;
  bool const present = open_file(path, &file) && (any_names_code(&file) || has_debug_file(&file, path));
  close_file(&file);
  return present;
}

/* The obstacles are those that tools/ringfence/run/inspect.c knows of for the program that the command starts, as far
 * as the file's header tells. */
#define _GNU_SOURCE
#include "exec_target.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <ringfence/port.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "checkers/dropin/runtime/output.h"
#include "checkers/os/base_name.h"
#include "checkers/os/chars.h"
#include "checkers/os/host.h"
#include "checkers/os/library_kind.h"
#include "checkers/os/uncancelled.h"
#include "lib/core/compiler.h"

#define VARIABLE "LD_PRELOAD="
#define OPTIONS "RINGFENCE_OPTIONS="
#define HELPER "RINGFENCE_HELPER="
#define SCRIPTS_DEEP 5   /* Linux follows this many scripts to a program */
#define FIRST_LINE 256   /* of which it reads so much */
#define MOST_SEGMENTS 64 /* of a program that is looked at */

extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

static const char *own_name = "";
static const char *own_path = "";
static bool was_preloaded; /* by the environment, and not by other means that a child has as well */

/* ---- LD_PRELOAD ---- */

/* The entry that begins with `variable`, whose last character is '='. */
static const char *entry_of(char *const envp[], const char *variable) {
  for (size_t i = 0; envp != NULL && envp[i] != NULL; i++) {
    if (strncmp(envp[i], variable, strlen(variable)) == 0) {
      return envp[i];
    }
  }
  return NULL;
}

static const char *preload_of(char *const envp[]) {
  return entry_of(envp, VARIABLE);
}

/* `length` bytes at `item` are a path of the library. */
static bool is_own(const char *item, size_t length) {
  size_t const size = strlen(own_name);
  return size != 0 && length >= size && memcmp(item + length - size, own_name, size) == 0 &&
         (length == size || item[length - size - 1] == '/');
}

/* Copies `entry` to `out`, where that is not NULL, with `other` in place of the library; "": without it. True where the
 * library was in it. */
static bool replace(const char *entry, const char *other, char *out) {
  bool found = false;
  const char *at = entry + strlen(VARIABLE);
  size_t used = strlen(VARIABLE);
  if (out != NULL) {
    memcpy(out, entry, used);
  }
  while (*at != '\0') {
    size_t const gap = rf_chars_in(at, " :");
    size_t const length = gap + rf_chars_not_in(at + gap, " :");
    bool const own = is_own(at + gap, length - gap);
    bool const keeps_gap = !own || other[0] != '\0';
    if (out != NULL && keeps_gap) {
      size_t const size = own ? strlen(other) : length - gap;
      memcpy(out + used, at, gap);
      memcpy(out + used + gap, own ? other : at + gap, size);
      used += gap + size;
    }
    found = found || own;
    at += length;
  }
  if (out != NULL) {
    out[used] = '\0';
  }
  return found;
}

static bool preloads(char *const envp[]) {
  const char *const entry = preload_of(envp);
  return entry != NULL && replace(entry, "", NULL);
}

/* True where our file, which LD_PRELOAD names, is not there for the new program: after chroot, since it was removed, or
 * for a user who may not read it. The loader would say so on standard error. */
static bool is_missing(char *const envp[]) {
  const char *const entry = preload_of(envp);
  const char *at = entry != NULL ? entry + strlen(VARIABLE) : "";
  bool named = false;
  while (*at != '\0') {
    at += rf_chars_in(at, " :");
    size_t const length = rf_chars_not_in(at, " :");
    if (is_own(at, length)) {
      if (strncmp(at, own_path, length) != 0 || own_path[length] != '\0') {
        return false; /* another one, or the loader's affair where to find it */
      }
      named = true;
    }
    at += length;
  }
  return named && own_path[0] == '/' && access(own_path, R_OK) != 0 &&
         (errno == ENOENT || errno == ENOTDIR || errno == EACCES);
}

void rf_exec_target_init(void) {
  Dl_info self;
  if (dladdr((const void *)(uintptr_t)&rf_exec_target_init, &self) != 0 && self.dli_fname != NULL) {
    own_name = rf_base_name(self.dli_fname);
    own_path = self.dli_fname;
  }
  was_preloaded = preloads(environ);
}

size_t rf_exec_target_entries(char *const envp[]) {
  size_t count = 0;
  while (envp != NULL && envp[count] != NULL) {
    count++;
  }
  return count + 1;
}

/* The library may be named several times, each at least by its name. */
RF_COLD size_t rf_exec_target_preload_size(const rf_exec_target *target, char *const envp[]) {
  const char *const entry = preload_of(envp);
  size_t const size = entry != NULL ? strlen(entry) + 1 : 1;
  return size + (own_name[0] != '\0' ? size / strlen(own_name) * strlen(target->library) : 0);
}

RF_COLD void rf_exec_target_environment(const rf_exec_target *target, char *const envp[], char **out, char *preload) {
  const char *const entry = preload_of(envp);
  for (size_t i = 0; envp != NULL && envp[i] != NULL; i++) {
    if (envp[i] == entry) {
      (void)replace(entry, target->library, preload);
    }
    if (envp[i] != entry || preload[strlen(VARIABLE)] != '\0') {
      *out++ = envp[i] == entry ? preload : envp[i];
    }
  }
  *out = NULL;
}

/* ---- The file ---- */

/* Fields of an ELF header, whether it is of 32 or 64 bit. */
typedef struct program {
  bool is64;
  uint16_t machine;
  uint16_t segments;
  uint64_t at; /* of the first segment's header */
} program;

static bool read_program(int fd, program *out) {
  union {
    unsigned char ident[EI_NIDENT];
    Elf32_Ehdr narrow;
    Elf64_Ehdr wide;
  } header;
  ssize_t const size = pread(fd, &header, sizeof header, 0);
  if (size < (ssize_t)sizeof header.narrow || memcmp(header.ident, ELFMAG, SELFMAG) != 0 ||
      header.ident[EI_DATA] != __ehdr_start.e_ident[EI_DATA]) {
    return false;
  }
  out->is64 = header.ident[EI_CLASS] == ELFCLASS64;
  out->machine = header.narrow.e_machine; /* at the same place in both */
  out->segments = out->is64 ? header.wide.e_phnum : header.narrow.e_phnum;
  out->at = out->is64 ? header.wide.e_phoff : header.narrow.e_phoff;
  return !out->is64 || size == (ssize_t)sizeof header;
}

/* The place in the file, and the size, of segment number `i` if it names the loader; 0 where it does not. */
static uint64_t loader_at(int fd, const program *p, unsigned i, uint64_t *size) {
  Elf32_Phdr narrow;
  Elf64_Phdr wide;
  void *const to = p->is64 ? (void *)&wide : (void *)&narrow;
  size_t const bytes = p->is64 ? sizeof wide : sizeof narrow;
  if (pread(fd, to, bytes, (off_t)(p->at + i * bytes)) != (ssize_t)bytes ||
      (p->is64 ? wide.p_type : narrow.p_type) != PT_INTERP) {
    return 0;
  }
  *size = p->is64 ? wide.p_filesz : narrow.p_filesz;
  return p->is64 ? wide.p_offset : narrow.p_offset;
}

/* Reads the loader's path; false where the program names none. */
static bool read_loader(int fd, const program *p, char path[PATH_MAX]) {
  for (unsigned i = 0; i < p->segments && i < MOST_SEGMENTS; i++) {
    uint64_t size = 0;
    uint64_t const at = loader_at(fd, p, i, &size);
    if (at != 0 && size < PATH_MAX) {
      ssize_t const length = pread(fd, path, (size_t)size, (off_t)at);
      path[length > 0 ? length : 0] = '\0';
      return length > 0;
    }
  }
  return false;
}

/* Privileges that the program gains make the loader ignore LD_PRELOAD, as does a user that is not the real one. */
static const char *privileges(int fd) {
  struct stat file;
  struct statvfs mount;
  if (getuid() != geteuid() || getgid() != getegid()) {
    return "with the rights of another user";
  }
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 || fstat(fd, &file) != 0 ||
      (fstatvfs(fd, &mount) == 0 && (mount.f_flag & ST_NOSUID) != 0)) {
    return NULL;
  }
  bool const other_user = (file.st_mode & S_ISUID) != 0 && file.st_uid != getuid();
  bool const other_group = (file.st_mode & S_ISGID) != 0 && (file.st_mode & S_IXGRP) != 0 && file.st_gid != getgid();
  if (other_user || other_group) {
    return "setuid or setgid";
  }
  return getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0 ? "with file capabilities" : NULL;
}

/* ---- The library that it needs ---- */

#if defined(__x86_64__)
#define OTHER_MACHINE EM_386
#elif defined(__i386__)
#define OTHER_MACHINE EM_X86_64
#else
#define OTHER_MACHINE EM_NONE
#endif

#if defined(__GLIBC__)
#define OWN_LIBC RF_LIBC_GLIBC
#else
#define OWN_LIBC RF_LIBC_MUSL
#endif

static bool is_our_width(const program *p) {
  return p->is64 == (__ehdr_start.e_ident[EI_CLASS] == ELFCLASS64);
}

/* True, and its path in `library`, where there is one. A path with a character that ends an entry of LD_PRELOAD cannot
 * be named there. */
static bool find_library(rf_library_kind kind, char library[PATH_MAX]) {
  bool const is64 = __ehdr_start.e_ident[EI_CLASS] == ELFCLASS64;
  rf_library_kind const own = rf_library_kind_of(__ehdr_start.e_machine, is64, OWN_LIBC);
  bool const can_be_named = own_path[rf_chars_not_in(own_path, " :$")] == '\0';
  for (unsigned i = 0; can_be_named && i < RF_LIBRARY_LAYOUTS; i++) {
    if (rf_library_beside(own_path, own, kind, i, library, PATH_MAX) && access(library, R_OK) == 0) {
      return true;
    }
  }
  library[0] = '\0';
  return false;
}

/* A program of another width or C library than ours, whose processor can run it. */
static void look_at_kind(const program *p, rf_libc libc, rf_exec_target *out) {
  if (is_our_width(p) && libc == OWN_LIBC) {
    return;
  }
  const char *const kind = !is_our_width(p)       ? (p->is64 ? "64-bit" : "32-bit")
                           : libc == RF_LIBC_MUSL ? "with musl"
                                                  : "with glibc";
  out->unchecked = find_library(rf_library_kind_of(p->machine, p->is64, libc), out->library) ? NULL : kind;
}

static bool is_our_machine(const program *p) {
  return is_our_width(p) ? p->machine == __ehdr_start.e_machine
                         : OTHER_MACHINE != EM_NONE && p->machine == OTHER_MACHINE;
}

/* True for a program whose loader would end it because of our library: that of another C library. A loader that is run
 * as a program honours LD_PRELOAD. */
static bool look_at_loader(int fd, const program *p, rf_exec_target *out) {
  bool const named = read_loader(fd, p, out->library); /* which is not known yet: some stacks have no room for both */
  rf_libc const libc = rf_libc_of_loader(rf_base_name(named ? out->library : out->file));
  out->library[0] = '\0';
  if (named && libc == RF_LIBC_OTHER) {
    out->unchecked = "with another C library";
    return true;
  }
  bool const fixed = !named && libc == RF_LIBC_OTHER;
  look_at_kind(p, fixed ? OWN_LIBC : libc, out);
  if (fixed && out->unchecked == NULL) {
    out->unchecked = "static";
  }
  return !fixed && libc != OWN_LIBC;
}

static void look_at_program(int fd, char *const envp[], rf_exec_target *out) {
  program p;
  bool other_libc = false;
  if (!read_program(fd, &p)) {
    return;
  }
  if (is_our_machine(&p)) {
    other_libc = look_at_loader(fd, &p, out);
  } else {
    out->unchecked = is_our_width(&p) ? "for another processor" : p.is64 ? "64-bit" : "32-bit";
  }
  out->unchecked = out->unchecked != NULL ? out->unchecked : privileges(fd);
  if (out->unchecked == NULL && was_preloaded && !preloads(envp) && entry_of(envp, HELPER) == NULL) {
    out->unchecked = "without LD_PRELOAD";
  }
  if (out->unchecked == NULL && !rf_output_shares_log(entry_of(envp, OPTIONS))) {
    out->unchecked = "without the command's options";
  }
  bool const missing = out->library[0] == '\0' && is_missing(envp);
  if (missing && out->unchecked == NULL) {
    out->unchecked = "without the library";
  }
  if (out->unchecked != NULL) {
    out->library[0] = '\0'; /* ours stays, for programs of our kind that this one starts */
  }
  out->other_preload = other_libc || missing || out->library[0] != '\0';
  if (out->unchecked == NULL && rf_output_log_is_lost()) {
    out->unchecked = "without access to the records";
  }
}

/* Puts the interpreter of a script in place of the script. False where it is none. */
static bool follow_script(int fd, char file[PATH_MAX]) {
  char line[FIRST_LINE];
  ssize_t const length = pread(fd, line, sizeof line - 1, 0);
  if (length < 3 || line[0] != '#' || line[1] != '!') {
    return false;
  }
  line[length] = '\0';
  const char *const start = line + 2 + rf_chars_in(line + 2, " \t");
  size_t const size = rf_chars_not_in(start, " \t\r\n");
  memcpy(file, start, size);
  file[size] = '\0';
  return size != 0;
}

/* Not opened where it cannot be executed: what execve says then is not ours to foresee. */
static int open_program(const char *file) {
  struct stat st;
  if (stat(file, &st) != 0 || !S_ISREG(st.st_mode) || access(file, X_OK) != 0) {
    return -1;
  }
  return open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

/* ---- The name ---- */

/* The C library goes on where it finds a folder of that name. */
static bool can_be_executed(const char *file) {
  struct stat st;
  return access(file, X_OK) == 0 && stat(file, &st) == 0 && !S_ISDIR(st.st_mode);
}

static bool search_path(const char *name, char file[PATH_MAX]) {
  const char *const variable = getenv("PATH");
  const char *at = variable != NULL ? variable : "/bin:/usr/bin";
  for (;;) {
    size_t const length = rf_chars_not_in(at, ":");
    if (length + strlen(name) + 2 <= PATH_MAX) {
      memcpy(file, at, length);
      file[length] = '/';
      memcpy(file + length + (length != 0), name, strlen(name) + 1);
      if (can_be_executed(file)) {
        return true;
      }
    }
    if (at[length] == '\0') {
      return false;
    }
    at += length + 1;
  }
}

/* ---- Pointers that lead nowhere ----
 *
 * The system reads all of these, and fails where it cannot. */

#define SMALLEST_PAGE 4096U
#define NO_PAGE UINTPTR_MAX

/* *page: the number of the one that was found readable last, or NO_PAGE. */
static bool can_read(const void *start, size_t size, uintptr_t *page) {
  uintptr_t const last = ((uintptr_t)start + size - 1) / SMALLEST_PAGE;
  if (last == *page && (uintptr_t)start / SMALLEST_PAGE == last) {
    return true;
  }
  if (!rf_host_readable(start, size)) {
    return false;
  }
  *page = last;
  return true;
}

static bool can_read_text(const char *text, uintptr_t *page) {
  do {
    if (!can_read(text, 1, page)) {
      return false;
    }
  } while (*text++ != '\0');
  return true;
}

static bool can_read_list(char *const list[]) {
  uintptr_t page = NO_PAGE;
  uintptr_t page_of_texts = NO_PAGE;
  for (; can_read(list, sizeof *list, &page); list++) {
    if (*list == NULL) {
      return true;
    }
    if (!can_read_text(*list, &page_of_texts)) {
      return false;
    }
  }
  return false;
}

RF_COLD bool rf_exec_target_can_read(const char *file) {
  uintptr_t page = NO_PAGE;
  return can_read_text(file, &page);
}

RF_COLD void rf_exec_target_find(const char *file, bool search, char *const envp[], rf_exec_target *out) {
  int const saved = errno;
  out->unchecked = NULL;
  out->other_preload = false;
  out->file[0] = '\0';
  out->library[0] = '\0';
  out->time_ns = rf_port_now_ns();
  if (!rf_exec_target_can_read(file) || strlen(file) >= PATH_MAX || (envp != NULL && !can_read_list(envp))) {
    return;
  }
  int const cancellation = rf_uncancelled_begin(); /* posix_spawn and execve are no points of cancellation */
  bool found = true;
  if (search && strchr(file, '/') == NULL) {
    found = search_path(file, out->file);
  } else {
    memcpy(out->file, file, strlen(file) + 1);
  }
  for (int scripts = 0; found && scripts <= SCRIPTS_DEEP; scripts++) {
    int const fd = open_program(out->file);
    found = fd >= 0 && follow_script(fd, out->file);
    if (fd >= 0 && !found) {
      look_at_program(fd, envp, out);
    }
    if (fd >= 0) {
      (void)close(fd);
    }
  }
  rf_uncancelled_end(cancellation);
  errno = saved;
}

#include "tools/ringfence/base/paths.h"

#include "checkers/report/web_address.h"
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/elf.h"
#include "tools/ringfence/base/words.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LIBRARY "libringfence.so"

void rf_paths_enter(void) {
  const char *const directory = getenv("BUILD_WORKING_DIRECTORY");
  char here[PATH_MAX];
  /* Programs that a program of `bazel run` starts inherit the variable: only in a runfiles tree is it meant for this
   * one. */
  if (directory == NULL || getcwd(here, sizeof here) == NULL || strstr(here, ".runfiles/") == NULL) {
    return;
  }
  if (chdir(directory) != 0) {
    rf_diag("cannot enter %s: %s; going on in %s", directory, strerror(errno), here);
  } else if (getenv("PWD") != NULL) {
    (void)setenv("PWD", directory, 1);
  }
}

bool rf_ends_with(const char *text, const char *end) {
  size_t const length = strlen(text);
  return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

int rf_by_name(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *rf_env_or(const char *name, const char *fallback) {
  const char *const value = getenv(name);
  return value == NULL || value[0] == '\0' ? fallback : value;
}

bool rf_collector_is_folder(const char *named_by, const char *value, size_t length) {
  if (length == 0 || rf_web_scheme(value) == 0) {
    return true;
  }
  rf_diag("%s takes a folder, not the address %.*s: `ringfence forward --to %.*s` sends on what lies in folders",
          named_by, (int)length, value, (int)length, value);
  return false;
}

static bool is_executable(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

const char *rf_paths_in_path(rf_bump_arena *arena, const char *name) {
  const char *path = getenv("PATH");
  /* The default of glibc's execvp. */
  path = path != NULL ? path : "/bin:/usr/bin";
  for (;;) {
    size_t const length = strcspn(path, ":");
    /* An empty entry is the current directory. */
    const char *const folder = length == 0 ? "." : rf_bump_arena_text(arena, path, length);
    const char *const file = rf_bump_arena_print(arena, "%s/%s", folder, name);
    if (is_executable(file)) {
      return file;
    }
    if (path[length] == '\0') {
      return NULL;
    }
    path += length + 1;
  }
}

/* A program of the machine, or a script, by its first bytes: `chmod +x` would let it run. Else it is text or data. */
static bool begins_as_program(const char *path) {
  char first[SELFMAG] = {0};
  int const fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  ssize_t const length = fd < 0 ? -1 : read(fd, first, sizeof first);
  if (fd >= 0) {
    (void)close(fd);
  }
  /* One that cannot be read gets the benefit of the doubt. */
  return length < 0 || memcmp(first, ELFMAG, SELFMAG) == 0 || memcmp(first, "#!", 2) == 0;
}

static void explain_not_executable(const char *name, const struct stat *st) {
  struct statvfs mount;
  if (statvfs(name, &mount) == 0 && (mount.f_flag & ST_NOEXEC) != 0) {
    rf_diag("%s lies on a file system from which nothing is executed (noexec)", name);
  } else if ((st->st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0) {
    rf_diag("%s may not be executed by this user", name);
  } else if (begins_as_program(name)) {
    rf_diag("%s is not executable (%s); `chmod +x` makes it so", name, strerror(EACCES));
  } else {
    rf_diag("%s is not executable, and no program: it begins neither as one (ELF) nor as a script (#!)", name);
  }
}

/* The mistake by which a word that names no program stands in its place, as a rest of a sentence; "" for none. */
static const char *slip(const char *word) {
  static const char builtins[] =
      ". : alias bg cd command eval exec exit export fg jobs read set shift source time trap "
      "type ulimit umask unset wait";
  const char *const sign = strchr(word, '=');
  if (sign != NULL && strcspn(word, "/ ") > (size_t)(sign - word)) {
    return "; variables stand before the command: NAME=VALUE ringfence check -- PROGRAM";
  }
  if (word[strspn(word, "0123456789")] == '\0') {
    return "; the number of --hunt or --wait stands behind an equals sign: --hunt=N";
  }
  if (strpbrk(word, " ;|&<>$`") != NULL) {
    return "; each argument is a word of its own, and a line for the shell goes to one: "
           "ringfence check -- sh -c 'LINE'";
  }
  return rf_is_word_of(word, builtins) ? "; the shell itself has this word: ringfence check -- sh -c 'LINE'" : "";
}

/* A name with a slash: execve would give one errno for several of these reasons. */
static const char *named_program(const char *name, int *status) {
  struct stat st;
  *status = RF_EXIT_CANNOT_RUN;
  if (stat(name, &st) != 0) {
    *status = errno == ENOENT || errno == ENOTDIR ? RF_EXIT_NOT_FOUND : RF_EXIT_CANNOT_RUN;
    rf_diag("%s: %s%s", name, strerror(errno), slip(name));
  } else if (S_ISDIR(st.st_mode)) {
    rf_diag("%s is a directory, not a program", name);
  } else if (!S_ISREG(st.st_mode)) {
    rf_diag("%s is a device, pipe or socket, not a program", name);
  } else if (access(name, X_OK) != 0) {
    explain_not_executable(name, &st);
  } else {
    return name;
  }
  return NULL;
}

const char *rf_paths_program(rf_bump_arena *arena, const char *name, int *status) {
  *status = RF_EXIT_NOT_FOUND;
  if (name[0] == '\0') {
    rf_diag("the program name is empty");
    return NULL;
  }
  if (strchr(name, '/') != NULL) {
    return named_program(name, status);
  }
  const char *const found = rf_paths_in_path(arena, name);
  if (found == NULL && is_executable(name)) {
    rf_diag("program %s not found in PATH; to run the one in this directory, use ./%s", name, name);
  } else if (found == NULL) {
    rf_diag("program %s not found in PATH%s", name, slip(name));
  }
  return found;
}

const char *rf_paths_self(rf_bump_arena *arena) {
  char path[PATH_MAX];
  /* Without /proc, the name that the command was started by. */
  const char *const started_as = (const char *)getauxval(AT_EXECFN); /* NOLINT(performance-no-int-to-ptr) */
  if (realpath("/proc/self/exe", path) == NULL && (started_as == NULL || realpath(started_as, path) == NULL)) {
    return NULL;
  }
  const char *const slash = strrchr(path, '/');
  return slash == NULL ? NULL : rf_bump_arena_text(arena, path, (size_t)(slash - path));
}

/* The absolute path of `path` if that is a readable file; else NULL. */
static const char *file_at(rf_bump_arena *arena, const char *path) {
  char absolute[PATH_MAX];
  struct stat st;
  if (realpath(path, absolute) == NULL || stat(absolute, &st) != 0 || !S_ISREG(st.st_mode) ||
      access(absolute, R_OK) != 0) {
    return NULL;
  }
  return rf_bump_arena_copy(arena, absolute);
}

static bool is_library(rf_bump_arena *arena, const char *path) {
  rf_elf elf;
  if (rf_elf_open(&elf, path, arena) != RF_ELF_OK) {
    return false;
  }
  bool const dynamic = elf.type == ET_DYN;
  rf_elf_close(&elf);
  return dynamic;
}

static const char *named_library(rf_bump_arena *arena, const char *path, const char *named_by) {
  const char *const found = file_at(arena, path);
  if (found == NULL) {
    rf_diag("cannot read the library %s that %s names", path, named_by);
    return NULL;
  }
  if (!is_library(arena, found)) {
    rf_diag("%s, which %s names, is not a library", found, named_by);
    return NULL;
  }
  return found;
}

/* Relative to the folder of the command: installed side by side, installed under a prefix, and in Bazel's tree, which
 * has the same shape in bazel-bin, in runfiles and as another project's dependency. */
static const char *const places[] = {LIBRARY, "../lib/" LIBRARY, "../lib/" LIBRARY ".0",
                                     "../../checkers/dropin/" LIBRARY};

const char *rf_paths_library(rf_bump_arena *arena, const char *given) {
  const char *const variable = getenv("RINGFENCE_LIB");
  if (given != NULL) {
    return named_library(arena, given, "--library");
  }
  if (variable != NULL && variable[0] != '\0') {
    return named_library(arena, variable, "RINGFENCE_LIB");
  }
  const char *const self = rf_paths_self(arena);
  for (size_t i = 0; self != NULL && i < sizeof places / sizeof places[0]; i++) {
    const char *const found = file_at(arena, rf_bump_arena_print(arena, "%s/%s", self, places[i]));
    if (found != NULL && is_library(arena, found)) {
      return found;
    }
  }
  rf_diag("cannot find " LIBRARY
          ": it is neither beside this command nor in ../lib; name it with --library or RINGFENCE_LIB");
  return NULL;
}

static bool is_of_glibc(const char *needed) {
  return strcmp(needed, "libc.so.6") == 0;
}

static bool is_of_musl(const char *needed) {
  return strcmp(needed, "libc.so") == 0 || strncmp(needed, "libc.musl", strlen("libc.musl")) == 0;
}

rf_library_kind rf_paths_kind(rf_bump_arena *arena, const char *library) {
  rf_elf elf;
  if (rf_elf_open(&elf, library, arena) != RF_ELF_OK) {
    return RF_LIBRARY_NONE;
  }
  bool const musl = rf_elf_dynamic_string(&elf, DT_NEEDED, is_of_musl) != NULL;
  bool const glibc = !musl || rf_elf_dynamic_string(&elf, DT_NEEDED, is_of_glibc) != NULL;
  rf_library_kind const kind = rf_library_kind_of(elf.machine, elf.is64, glibc ? RF_LIBC_GLIBC : RF_LIBC_MUSL);
  rf_elf_close(&elf);
  return kind;
}

/* Paths are not resolved: processes go from one library to another by these names. */
const char *rf_paths_beside(rf_bump_arena *arena, const char *library, rf_library_kind kind) {
  rf_library_kind const own = rf_paths_kind(arena, library);
  char path[PATH_MAX];
  for (unsigned i = 0; i < RF_LIBRARY_LAYOUTS; i++) {
    if (rf_library_beside(library, own, kind, i, path, sizeof path) && file_at(arena, path) != NULL &&
        rf_paths_kind(arena, path) == kind) {
      return rf_bump_arena_copy(arena, path);
    }
  }
  return NULL;
}

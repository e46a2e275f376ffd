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

#define VARIABLE "LD_PRELOAD="
#define SCRIPTS_DEEP 5   /* Linux follows this many scripts that are interpreters of scripts */
#define FIRST_LINE 256   /* of which it reads so much */
#define MOST_SEGMENTS 64 /* of a program that is looked at */

extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

static const char *own_name = "";
static bool was_preloaded; /* by the environment, and not by other means that a child has as well */

static const char *base_name(const char *path) {
  const char *const slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

/* ---- LD_PRELOAD ---- */

static const char *preload_of(char *const envp[]) {
  for (size_t i = 0; envp != NULL && envp[i] != NULL; i++) {
    if (strncmp(envp[i], VARIABLE, strlen(VARIABLE)) == 0) {
      return envp[i];
    }
  }
  return NULL;
}

/* `length` bytes at `item` are a path of the library. */
static bool is_own(const char *item, size_t length) {
  size_t const size = strlen(own_name);
  return size != 0 && length >= size && memcmp(item + length - size, own_name, size) == 0 &&
         (length == size || item[length - size - 1] == '/');
}

/* Copies `entry` without the library to `out`, where that is not NULL. True where the library was in it. */
static bool take_out(const char *entry, char *out) {
  bool found = false;
  const char *at = entry + strlen(VARIABLE);
  size_t used = strlen(VARIABLE);
  if (out != NULL) {
    memcpy(out, entry, used);
  }
  while (*at != '\0') {
    size_t const gap = strspn(at, " :");
    size_t const length = gap + strcspn(at + gap, " :");
    bool const own = is_own(at + gap, length - gap);
    found = found || own;
    if (out != NULL && !own) {
      memcpy(out + used, at, length);
      used += length;
    }
    at += length;
  }
  if (out != NULL) {
    out[used] = '\0';
  }
  return found;
}

static bool preloads(char *const envp[]) {
  const char *const entry = preload_of(envp);
  return entry != NULL && take_out(entry, NULL);
}

void rf_exec_target_init(void) {
  Dl_info self;
  if (dladdr((const void *)(uintptr_t)&rf_exec_target_init, &self) != 0 && self.dli_fname != NULL) {
    own_name = base_name(self.dli_fname);
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

size_t rf_exec_target_preload_size(char *const envp[]) {
  const char *const entry = preload_of(envp);
  return entry != NULL ? strlen(entry) + 1 : 1;
}

void rf_exec_target_environment(char *const envp[], char **out, char *preload) {
  const char *const entry = preload_of(envp);
  for (size_t i = 0; envp != NULL && envp[i] != NULL; i++) {
    if (envp[i] == entry) {
      (void)take_out(entry, preload);
    }
    if (envp[i] != entry || preload[strlen(VARIABLE)] != '\0') {
      *out++ = envp[i] == entry ? preload : envp[i];
    }
  }
  *out = NULL;
}

/* ---- The file ---- */

static bool is_glibc_loader(const char *path) {
  const char *const name = base_name(path);
  return strncmp(name, "ld-linux", strlen("ld-linux")) == 0 || strncmp(name, "ld64.so", strlen("ld64.so")) == 0 ||
         strcmp(name, "ld.so.1") == 0;
}

/* Reads the loader's path; false where the program names none. */
static bool read_loader(int fd, const ElfW(Ehdr) * header, char path[PATH_MAX]) {
  for (unsigned i = 0; i < header->e_phnum && i < MOST_SEGMENTS; i++) {
    ElfW(Phdr) segment;
    off_t const at = (off_t)(header->e_phoff + i * sizeof segment);
    if (pread(fd, &segment, sizeof segment, at) != (ssize_t)sizeof segment) {
      return false;
    }
    if (segment.p_type == PT_INTERP && segment.p_filesz < PATH_MAX) {
      ssize_t const length = pread(fd, path, segment.p_filesz, (off_t)segment.p_offset);
      path[length > 0 ? length : 0] = '\0';
      return length > 0;
    }
  }
  return false;
}

static void look_at_loader(int fd, const ElfW(Ehdr) * header, rf_exec_target *out) {
  char loader[PATH_MAX];
  if (read_loader(fd, header, loader)) {
    bool const glibc = is_glibc_loader(loader);
    bool const musl = strncmp(base_name(loader), "ld-musl", strlen("ld-musl")) == 0;
    out->without_preload = !glibc;
    out->unchecked = glibc ? NULL : musl ? "with musl" : "with another C library";
  } else if (!is_glibc_loader(out->file)) { /* the loader itself, run as a program, honours LD_PRELOAD */
    out->unchecked = "static";
  }
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

static void look_at_program(int fd, char *const envp[], rf_exec_target *out) {
  ElfW(Ehdr) header;
  if (pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
    return;
  }
  if (header.e_ident[EI_CLASS] != __ehdr_start.e_ident[EI_CLASS]) {
    out->unchecked = header.e_ident[EI_CLASS] == ELFCLASS32 ? "32-bit" : "64-bit";
  } else if (header.e_machine != __ehdr_start.e_machine) {
    out->unchecked = "for another processor";
  } else {
    look_at_loader(fd, &header, out);
  }
  out->unchecked = out->unchecked != NULL ? out->unchecked : privileges(fd);
  if (out->unchecked == NULL && was_preloaded && !preloads(envp)) {
    out->unchecked = "without LD_PRELOAD";
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
  const char *const start = line + 2 + strspn(line + 2, " \t");
  size_t const size = strcspn(start, " \t\r\n");
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

static bool search_path(const char *name, char file[PATH_MAX]) {
  const char *const variable = getenv("PATH");
  const char *at = variable != NULL ? variable : "/bin:/usr/bin";
  for (;;) {
    size_t const length = strcspn(at, ":");
    if (length + strlen(name) + 2 <= PATH_MAX) {
      memcpy(file, at, length);
      file[length] = '/';
      strcpy(file + length + (length != 0), name);
      if (access(file, X_OK) == 0) {
        return true;
      }
    }
    if (at[length] == '\0') {
      return false;
    }
    at += length + 1;
  }
}

void rf_exec_target_find(const char *file, bool search, char *const envp[], rf_exec_target *out) {
  int const saved = errno;
  out->unchecked = NULL;
  out->without_preload = false;
  out->time_ns = rf_port_now_ns();
  if (file == NULL || strlen(file) >= PATH_MAX) {
    return;
  }
  bool found = true;
  if (search && strchr(file, '/') == NULL) {
    found = search_path(file, out->file);
  } else {
    strcpy(out->file, file);
  }
  for (int i = 0; found && i < SCRIPTS_DEEP; i++) {
    int const fd = open_program(out->file);
    found = fd >= 0 && follow_script(fd, out->file);
    if (fd >= 0 && !found) {
      look_at_program(fd, envp, out);
    }
    if (fd >= 0) {
      (void)close(fd);
    }
  }
  errno = saved;
}

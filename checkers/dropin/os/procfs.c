#define _GNU_SOURCE
#include "procfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- Mappings ---- */

#define LINE_MAX_BYTES 4608U /* a path of PATH_MAX and what stands before it */

static bool hex(const char **at, uintptr_t *out) {
  const char *p = *at;
  *out = 0;
  for (;; p++) {
    unsigned digit;
    if (*p >= '0' && *p <= '9') {
      digit = (unsigned)(*p - '0');
    } else if (*p >= 'a' && *p <= 'f') {
      digit = (unsigned)(*p - 'a' + 10);
    } else {
      break;
    }
    *out = *out << 4 | digit;
  }
  bool const any = p != *at;
  *at = p;
  return any;
}

/* start-end perms offset dev inode path */
static bool parse(const char *line, rf_mapping *out) {
  const char *at = line;
  if (!hex(&at, &out->start) || *at++ != '-' || !hex(&at, &out->end) || *at++ != ' ' || strlen(at) < 5) {
    return false;
  }
  out->readable = at[0] == 'r';
  out->writable = at[1] == 'w';
  out->executable = at[2] == 'x';
  out->shared = at[3] == 's';
  for (int field = 0; field < 4; field++) {
    at = strchr(at, ' ');
    if (at == NULL) {
      out->path = "";
      return true;
    }
    at += strspn(at, " ");
  }
  out->path = at;
  return true;
}

bool rf_procfs_each_mapping(void (*visit)(const rf_mapping *mapping, void *context), void *context) {
  char text[LINE_MAX_BYTES];
  size_t have = 0;
  ssize_t got;
  int const file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return false;
  }
  while ((got = read(file, text + have, sizeof text - 1 - have)) > 0) {
    have += (size_t)got;
    text[have] = '\0';
    char *line = text;
    for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
      rf_mapping mapping;
      *end = '\0';
      if (parse(line, &mapping)) {
        visit(&mapping, context);
      }
    }
    have -= (size_t)(line - text);
    memmove(text, line, have);
  }
  (void)close(file);
  return got == 0;
}

/* ---- Threads ---- */

/* The layout of getdents64. */
typedef struct entry {
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[];
} entry;

static uint32_t number(const char *text) {
  uint32_t value = 0;
  for (; *text >= '0' && *text <= '9'; text++) {
    value = value * 10 + (uint32_t)(*text - '0');
  }
  return value;
}

bool rf_procfs_each_thread(void (*visit)(uint32_t id, void *context), void *context) {
  _Alignas(entry) char list[2048];
  long got;
  int const folder = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) {
    return false;
  }
  while ((got = syscall(SYS_getdents64, folder, list, sizeof list)) > 0) {
    for (long at = 0; at < got;) {
      const entry *const e = (const entry *)(const void *)(list + at);
      uint32_t const id = number(e->name);
      if (id != 0) {
        visit(id, context);
      }
      at += e->length;
    }
  }
  (void)close(folder);
  return got == 0;
}

static void append(char *text, size_t *length, const char *more) {
  size_t const n = strlen(more);
  memcpy(text + *length, more, n + 1);
  *length += n;
}

static void append_number(char *text, size_t *length, uint32_t value) {
  char digits[11];
  size_t at = sizeof digits - 1;
  digits[at] = '\0';
  do {
    digits[--at] = (char)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  append(text, length, digits + at);
}

/* "123 (name) S ...": the name may hold anything, so the state stands after the last parenthesis. */
bool rf_procfs_is_dead(uint32_t id) {
  char text[512];
  size_t length = 0;
  append(text, &length, "/proc/self/task/");
  append_number(text, &length, id);
  append(text, &length, "/stat");
  int const file = open(text, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return true;
  }
  ssize_t const got = read(file, text, sizeof text - 1);
  (void)close(file);
  if (got <= 0) {
    return true;
  }
  text[got] = '\0';
  const char *const after = strrchr(text, ')');
  return after != NULL && (after[2] == 'Z' || after[2] == 'X');
}

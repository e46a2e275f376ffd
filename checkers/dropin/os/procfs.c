#define _GNU_SOURCE
#include "procfs.h"

#include "checkers/os/proc_self.h"

#include <errno.h>
#include <fcntl.h>
#include <ringfence/sink.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/* Calls `visit` with each entry of the folder whose name is a number. */
static bool each_number(const char *path, void (*visit)(uint32_t number, void *context), void *context) {
  _Alignas(entry) char list[2048];
  long got;
  int const folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) {
    return false;
  }
  while ((got = syscall(SYS_getdents64, folder, list, sizeof list)) > 0) {
    for (long at = 0; at < got;) {
      const entry *const e = (const entry *)(const void *)(list + at);
      if (e->name[0] >= '0' && e->name[0] <= '9') {
        visit(number(e->name), context);
      }
      at += e->length;
    }
  }
  (void)close(folder);
  return got == 0;
}

bool rf_procfs_each_thread(void (*visit)(uint32_t id, void *context), void *context) {
  return each_number("/proc/self/task", visit, context);
}

bool rf_procfs_each_descriptor(void (*visit)(uint32_t descriptor, void *context), void *context) {
  return each_number(RF_PROC_PATH("fd"), visit, context);
}

/* "123 (name) S ...": the name may hold anything, so the state stands after the last parenthesis. */
bool rf_procfs_is_dead(uint32_t id) {
  char text[512];
  rf_sink_buffer path;
  rf_sink_buffer_init(&path, text, sizeof text);
  rf_sink_str(&path.sink, "/proc/self/task/");
  rf_sink_uint(&path.sink, id);
  rf_sink_str(&path.sink, "/stat");
  int const file = open(text, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return errno == ENOENT || errno == ESRCH;
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

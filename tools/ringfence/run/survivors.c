#include "tools/ringfence/run/survivors.h"

#include "tools/ringfence/base/read_file.h"

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define AFTER_NAME 20 /* the start is the field 22, and the name, the second one, may have spaces in it */

/* When the process was started, in the kernel's ticks; 0 where that cannot be told. */
static unsigned long long start_of(rf_bump_arena *arena, const char *id) {
  size_t length = 0;
  const char *const line = rf_read_file(arena, rf_bump_arena_print(arena, "/proc/%s/stat", id), &length);
  const char *at = line != NULL ? memrchr(line, ')', length) : NULL;
  for (unsigned i = 0; i < AFTER_NAME && at != NULL; i++) {
    at = memchr(at + 1, ' ', length - (size_t)(at + 1 - line));
  }
  return at != NULL ? strtoull(at, NULL, 10) : 0;
}

/* A zombie has no environment. To read one is slow where its process is busy: not that of processes that were there
 * before this one. */
static bool has_text(rf_bump_arena *arena, const char *id, unsigned long long since, const char *text) {
  struct stat st;
  size_t length = 0;
  if (stat(rf_bump_arena_print(arena, "/proc/%s", id), &st) != 0 || st.st_uid != geteuid() ||
      start_of(arena, id) < since) {
    return false;
  }
  const char *const environment = rf_read_file(arena, rf_bump_arena_print(arena, "/proc/%s/environ", id), &length);
  return environment != NULL && memmem(environment, length, text, strlen(text)) != NULL;
}

size_t rf_survivors_find(rf_bump_arena *arena, const char *text, uint32_t **ids) {
  size_t count = 0;
  DIR *const list = opendir("/proc");
  if (list == NULL) {
    return 0;
  }
  unsigned long long const since = start_of(arena, "self");
  for (const struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
    rf_bump_arena unkept = {NULL};
    if (isdigit((unsigned char)entry->d_name[0]) && has_text(&unkept, entry->d_name, since, text)) {
      RF_APPENDED(arena, *ids, count) = (uint32_t)strtoul(entry->d_name, NULL, 10);
    }
    rf_bump_arena_free(&unkept);
  }
  (void)closedir(list);
  return count;
}

#include "tools/ringfence/run/survivors.h"

#include "tools/ringfence/base/read_file.h"

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A zombie has no environment. */
static bool has_text(rf_bump_arena *arena, const char *id, const char *text) {
  struct stat st;
  size_t length = 0;
  if (stat(rf_bump_arena_print(arena, "/proc/%s", id), &st) != 0 || st.st_uid != geteuid()) {
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
  for (const struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
    rf_bump_arena unkept = {NULL};
    if (isdigit((unsigned char)entry->d_name[0]) && has_text(&unkept, entry->d_name, text)) {
      RF_APPENDED(arena, *ids, count) = (uint32_t)strtoul(entry->d_name, NULL, 10);
    }
    rf_bump_arena_free(&unkept);
  }
  (void)closedir(list);
  return count;
}

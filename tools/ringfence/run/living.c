#include "tools/ringfence/run/living.h"

#include "tools/ringfence/base/read.h"

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A process that has ended has no environment left, even where nobody has waited for it yet. */
static bool has_text(rf_stash *stash, const char *id, const char *text) {
  struct stat st;
  size_t length = 0;
  if (stat(rf_stash_print(stash, "/proc/%s", id), &st) != 0 || st.st_uid != geteuid()) {
    return false;
  }
  const char *const environment = rf_read_file(stash, rf_stash_print(stash, "/proc/%s/environ", id), &length);
  return environment != NULL && memmem(environment, length, text, strlen(text)) != NULL;
}

size_t rf_living_with(rf_stash *stash, const char *text, uint32_t **ids) {
  size_t count = 0;
  DIR *const list = opendir("/proc");
  if (list == NULL) {
    return 0;
  }
  for (const struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
    rf_stash unkept = {NULL};
    if (isdigit((unsigned char)entry->d_name[0]) && has_text(&unkept, entry->d_name, text)) {
      *ids = (uint32_t *)rf_stash_grow(stash, *ids, count, sizeof **ids);
      (*ids)[count++] = (uint32_t)strtoul(entry->d_name, NULL, 10);
    }
    rf_stash_free(&unkept);
  }
  (void)closedir(list);
  return count;
}

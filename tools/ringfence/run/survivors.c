#include "tools/ringfence/run/survivors.h"

#include "tools/ringfence/base/read_file.h"

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Fields of /proc/PID/stat behind the name, the second one, which may have spaces in it. */
enum { STATE = 3, FLAGS = 9, THREADS = 20, START = 22 };

/* The kernel's flag of a thread that ends, PF_EXITING. */
enum { EXITING = 4 };

typedef struct process_stat {
  bool ends;                /* its first thread does, and is no zombie yet */
  bool runs;                /* a thread of it: a zombie has none, but for itself */
  unsigned long long start; /* in the kernel's ticks; 0 where that cannot be told */
} process_stat;

static process_stat stat_of(rf_bump_arena *arena, const char *id) {
  size_t length = 0;
  const char *const line = rf_read_file(arena, rf_bump_arena_print(arena, "/proc/%s/stat", id), &length);
  const char *at = line != NULL ? memrchr(line, ')', length) : NULL;
  process_stat found = {false, false, 0};
  bool zombie = true;
  for (int field = STATE; field <= START && at != NULL; field++) {
    at = memchr(at + 1, ' ', length - (size_t)(at + 1 - line));
    if (at != NULL && field == STATE) {
      zombie = at[1] == 'Z' || at[1] == 'X';
    } else if (at != NULL && field == FLAGS) {
      found.ends = !zombie && (strtoul(at, NULL, 10) & EXITING) != 0;
    } else if (at != NULL && field == THREADS) {
      found.runs = !zombie || strtoul(at, NULL, 10) > 1;
    }
  }
  found.start = at != NULL ? strtoull(at, NULL, 10) : 0;
  return found;
}

/* To read an environment is slow where its process is busy: not that of processes that were there before this one. */
static bool is_survivor(rf_bump_arena *arena, const char *id, unsigned long long since, const char *folder) {
  process_stat const now = stat_of(arena, id);
  if (!now.runs || now.start < since) {
    return false;
  }
  if (access(rf_bump_arena_print(arena, "%s/%s", folder, id), F_OK) == 0) {
    return true;
  }
  size_t length = 0;
  const char *const environment = rf_read_file(arena, rf_bump_arena_print(arena, "/proc/%s/environ", id), &length);
  return environment != NULL && memmem(environment, length, folder, strlen(folder)) != NULL;
}

size_t rf_survivors_find(rf_bump_arena *arena, const char *folder, uint32_t **ids) {
  size_t count = 0;
  DIR *const list = opendir("/proc");
  if (list == NULL) {
    return 0;
  }
  unsigned long long const since = stat_of(arena, "self").start;
  for (const struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
    rf_bump_arena unkept = {NULL};
    if (isdigit((unsigned char)entry->d_name[0]) && is_survivor(&unkept, entry->d_name, since, folder)) {
      RF_APPENDED(arena, *ids, count) = (uint32_t)strtoul(entry->d_name, NULL, 10);
    }
    rf_bump_arena_free(&unkept);
  }
  (void)closedir(list);
  return count;
}

/* A set of signals in /proc/PID/status. */
static unsigned long long signals_of(const char *status, const char *name) {
  const char *const at = strstr(status, name);
  return at == NULL ? 0 : strtoull(at + strlen(name), NULL, 16);
}

/* It ends already, or a signal waits for it that it has not blocked. */
static bool is_about_to_end(rf_bump_arena *arena, uint32_t id) {
  size_t length = 0;
  const char *const status = rf_read_file(arena, rf_bump_arena_print(arena, "/proc/%u/status", id), &length);
  if (status == NULL || stat_of(arena, rf_bump_arena_print(arena, "%u", id)).ends) {
    return true;
  }
  unsigned long long const waiting = signals_of(status, "\nSigPnd:") | signals_of(status, "\nShdPnd:");
  return (waiting & ~signals_of(status, "\nSigBlk:")) != 0;
}

/* Between the moment when a process takes its signal and that when the kernel marks it as ending, neither is seen:
 * a few looks in turn must agree that it stays. */
size_t rf_survivors_that_stay(rf_bump_arena *arena, const char *folder, uint32_t **ids) {
  enum { PAUSE_MS = 2, LOOKS = 1000 / PAUSE_MS, AGREEING = 6 };
  struct timespec const pause = {0, PAUSE_MS * 1000000L};
  unsigned agreed = 0;
  for (unsigned look = 0;; look++) {
    *ids = NULL;
    size_t const count = rf_survivors_find(arena, folder, ids);
    bool ends = false;
    for (size_t i = 0; i < count && !ends && look < LOOKS; i++) {
      rf_bump_arena unkept = {NULL};
      ends = is_about_to_end(&unkept, (*ids)[i]);
      rf_bump_arena_free(&unkept);
    }
    agreed = ends ? 0 : agreed + 1;
    if (count == 0 || agreed == AGREEING) {
      return count;
    }
    (void)nanosleep(&pause, NULL);
  }
}

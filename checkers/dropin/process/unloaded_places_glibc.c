#define _GNU_SOURCE
#include "unloaded_places.h"

#include "checkers/dropin/os/futex.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/os/base_name.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/modules.h"
#include "lib/core/compiler.h"

#include <errno.h>
#include <ringfence/port.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#define FORBIDDEN (RF_CALL_MMAP | RF_CALL_MUNMAP)
#define SECOND INT64_C(1000000000)

typedef struct place {
  void *start; /* NULL: not in use */
  size_t size;
  const char *path;
} place;

/* At each moment another thread may fork, and the child goes on with the places as they are. */
static rf_futex lock; /* tried only: a thread that finds it taken leaves all as it is */
static place places[RF_MODULES_UNLOADED];
static unsigned next; /* the oldest, whose names are forgotten as well */

void rf_unloaded_places_forked(void) {
  if (__atomic_load_n(&lock.state, __ATOMIC_RELAXED) != 0) {
    __atomic_store_n(&lock.state, 0, __ATOMIC_RELAXED);
  }
}

static void give(place *p) {
  if (p->start != NULL) {
    /* First: a child that took it for its own would take it away from whoever has got these addresses since. */
    void *const start = __atomic_exchange_n(&p->start, NULL, __ATOMIC_SEQ_CST);
    (void)munmap(start, p->size);
  }
}

RF_COLD void rf_unloaded_places_keep(uintptr_t start, uintptr_t end, const char *path) {
  int const saved = errno;
  if (rf_is_forbidden(FORBIDDEN) || !rf_futex_try(&lock)) {
    return;
  }
  place *const p = &places[next++ % RF_MODULES_UNLOADED];
  give(p);
  size_t const size = end - start;
  void *const taken =
      mmap((void *)start, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (taken == (void *)start) {
    p->size = size;
    p->path = path;
    __atomic_store_n(&p->start, taken, __ATOMIC_RELEASE);
  } else if (taken != MAP_FAILED) {
    (void)munmap(taken, size); /* a kernel before 4.17 takes the address for a wish */
  }
  rf_futex_unlock(&lock);
  errno = saved;
}

/* Nanoseconds since 1970 at which the process began. */
static int64_t process_began(void) {
  struct timespec now = {0};
  (void)clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * SECOND + now.tv_nsec - (int64_t)(rf_port_now_ns() - rf_process.start_ns);
}

/* Since the process began. File systems take the time from a clock that lags by some milliseconds. */
static bool is_unchanged(const struct stat *file) {
  return file->st_ctim.tv_sec * SECOND + file->st_ctim.tv_nsec + SECOND / 10 < process_began();
}

/* A name without a folder is searched for where the first one was found. */
static bool is_same(const char *file, const char *path) {
  struct stat wanted;
  struct stat unloaded;
  if (strcmp(rf_base_name(file), rf_base_name(path)) != 0 || stat(path, &unloaded) != 0 || !is_unchanged(&unloaded)) {
    return false;
  }
  return rf_base_name(file) == file ||
         (stat(file, &wanted) == 0 && wanted.st_dev == unloaded.st_dev && wanted.st_ino == unloaded.st_ino);
}

RF_COLD void rf_unloaded_places_give(const char *file) {
  int const saved = errno;
  if (file == NULL || rf_is_forbidden(FORBIDDEN | RF_CALL_OPEN | RF_CALL_CLOCK) || !rf_futex_try(&lock)) {
    return;
  }
  for (unsigned i = 0; i < RF_MODULES_UNLOADED; i++) {
    if (places[i].start != NULL && is_same(file, places[i].path)) {
      give(&places[i]);
    }
  }
  rf_futex_unlock(&lock);
  errno = saved;
}

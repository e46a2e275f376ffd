/* The system below the page store: POSIX. */
#define _GNU_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE, sched_yield */
#include "page_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "checkers/os/forbidden_calls.h"
#include "checkers/os/held_signals.h"
#include "checkers/os/host.h"
#include "checkers/os/proc_self.h"
#include "checkers/os/uncancelled.h"
#include "lib/core/compiler.h"

/* ---- Pages ---- */

size_t rf_page_size_known;

size_t rf_page_size_ask(void) {
  long const told = sysconf(_SC_PAGESIZE);
  size_t const size = told > 0 ? (size_t)told : 0;
  __atomic_store_n(&rf_page_size_known, size, __ATOMIC_RELAXED);
  return size;
}

/* MAP_NORESERVE: what is never opened must not count, and pages that come and go must not make mappings that differ
 * from their neighbours and cannot be joined to them. */
static void *map(void *at, size_t size, int protection, int more) {
  int const saved = errno;
  void *const p = mmap(at, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | more, -1, 0);
  errno = saved;
  return p == MAP_FAILED ? NULL : p;
}

/* All of them side by side, a good way below where the system puts mappings: rf_page_may_be is then false for nearly
 * all that is not here. An address is only a wish, and what comes instead of it will do. */
#if UINTPTR_MAX > UINT32_MAX
#define APART ((uintptr_t)1 << 40)

static uintptr_t lowest; /* of them; 0: none yet; accessed atomically */

static void *map_below(uintptr_t end, size_t size) {
  uintptr_t const wish = end > size ? (end - size) & ~(uintptr_t)(rf_page_size() - 1) : 0;
  void *const p = map((void *)wish, size, PROT_NONE, 0);
  if (p != NULL && (uintptr_t)p < end) {
    __atomic_store_n(&lowest, (uintptr_t)p, __ATOMIC_RELAXED);
  }
  return p;
}

void *rf_page_reserve(size_t size) {
  uintptr_t const end = __atomic_load_n(&lowest, __ATOMIC_RELAXED);
  if (end != 0) {
    return map_below(end, size);
  }
  void *const near = map(NULL, size, PROT_NONE, 0);
  void *const p = near != NULL && (uintptr_t)near > 2 * APART ? map_below((uintptr_t)near - APART, size) : NULL;
  if (p == NULL) {
    return near;
  }
  rf_page_release(near, size);
  return p;
}
#else
void *rf_page_reserve(size_t size) {
  return map(NULL, size, PROT_NONE, 0);
}
#endif

void *rf_page_records(size_t size) {
  return map(NULL, size, PROT_READ | PROT_WRITE, 0);
}

void rf_page_release(void *start, size_t size) {
  int const saved = errno;
  if (start != NULL) {
    (void)munmap(start, size);
  }
  errno = saved;
}

bool rf_page_open(void *start, size_t size) {
  int const saved = errno;
  bool const opened = !rf_is_forbidden(RF_CALL_MPROTECT) && mprotect(start, size, PROT_READ | PROT_WRITE) == 0;
  errno = saved;
  return opened;
}

/* A fresh mapping in place of the old one joins those beside it. Where the kernel has none left, protection must do. */
void rf_page_close(void *start, size_t size) {
  int const saved = errno;
  if (!rf_is_forbidden(RF_CALL_MMAP) && map(start, size, PROT_NONE, MAP_FIXED) == NULL) {
    (void)mprotect(start, size, PROT_NONE);
    (void)madvise(start, size, MADV_DONTNEED);
  }
  errno = saved;
}

void rf_page_shut(void *start, size_t size) {
  int const saved = errno;
  if (rf_is_forbidden(RF_CALL_MPROTECT) || mprotect(start, size, PROT_NONE) != 0) {
    rf_page_close(start, size);
  }
  errno = saved;
}

/* ---- Markers ---- */

#if defined(__linux__)

/* The C library's headers may be older than the kernel. */
#define GUARD_INSTALL 102
#define GUARD_REMOVE 103

static bool advise(void *start, size_t size, int advice) {
  int const saved = errno;
  int result;
  if (rf_is_forbidden(RF_CALL_MADVISE)) {
    return false;
  }
  do {
    result = madvise(start, size, advice);
  } while (result != 0 && errno == EINTR);
  errno = saved;
  return result == 0;
}

bool rf_page_mark(void *start, size_t size) {
  return advise(start, size, GUARD_INSTALL);
}

bool rf_page_unmark(void *start, size_t size) {
  return advise(start, size, GUARD_REMOVE);
}

static bool try_mark(void) {
  size_t const size = rf_page_size();
  void *const page = rf_page_records(size);
  bool works = false;
  if (page != NULL && rf_page_mark(page, size)) {
    works = !rf_host_readable(page, 1) && rf_page_unmark(page, size) && rf_host_readable(page, 1);
  }
  rf_page_release(page, size);
  return works;
}

bool rf_page_has_marks(void) {
  static uint32_t known; /* 1: no; 2: yes */
  uint32_t now = __atomic_load_n(&known, __ATOMIC_RELAXED);
  if (now == 0) {
    now = try_mark() ? 2 : 1;
    __atomic_store_n(&known, now, __ATOMIC_RELAXED);
  }
  return now == 2;
}

#else

bool rf_page_mark(void *start, size_t size) {
  (void)start;
  (void)size;
  return false;
}

bool rf_page_unmark(void *start, size_t size) {
  (void)start;
  (void)size;
  return false;
}

bool rf_page_has_marks(void) {
  return false;
}

#endif

/* ---- Files of the system ---- */

#if defined(__linux__)

typedef void (*reader)(const char *text, size_t size, void *context);

static bool read_file(const char *path, reader read_part, void *context) {
  int const saved = errno;
  int const cancellation = rf_uncancelled_begin();
  int const file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = 0;
  if (file >= 0) {
    char buffer[4096];
    while ((got = read(file, buffer, sizeof buffer)) > 0) {
      read_part(buffer, (size_t)got, context);
    }
    (void)close(file);
  }
  rf_uncancelled_end(cancellation);
  errno = saved;
  return file >= 0 && got == 0;
}

/* A number that is too large is SIZE_MAX. */
static void add_digits(const char *text, size_t size, void *context) {
  size_t *const number = (size_t *)context;
  for (size_t i = 0; i < size && text[i] >= '0' && text[i] <= '9'; i++) {
    size_t const digit = (size_t)(text[i] - '0');
    *number = *number <= (SIZE_MAX - digit) / 10 ? *number * 10 + digit : SIZE_MAX;
  }
}

static void count_lines(const char *text, size_t size, void *context) {
  size_t *const lines = (size_t *)context;
  for (size_t i = 0; i < size; i++) {
    *lines += text[i] == '\n' ? 1 : 0;
  }
}

bool rf_page_data_is_free(void) {
  static bool was; /* accessed atomically; who may not ask sets no limit any more */
  if (!rf_is_forbidden(RF_CALL_LIMIT)) {
    struct rlimit data;
    bool const is = getrlimit(RLIMIT_DATA, &data) == 0 && data.rlim_cur == RLIM_INFINITY;
    __atomic_store_n(&was, is, __ATOMIC_RELAXED);
  }
  return __atomic_load_n(&was, __ATOMIC_RELAXED);
}

bool rf_page_writable_is_free(void) {
  size_t policy = 0;
  return rf_page_data_is_free() && (!read_file("/proc/sys/vm/overcommit_memory", add_digits, &policy) || policy != 2);
}

#define GROUP_BYTES 512U

/* The group's paths in a file like /proc/self/cgroup: in the unified hierarchy, "0::/path", and in that of memory
 * alone, which older systems have, "4:memory:/path". "" where there is none. */
typedef struct group_paths {
  char line[GROUP_BYTES];
  size_t length;
  char unified[GROUP_BYTES];
  char memory[GROUP_BYTES];
} group_paths;

static bool has_memory(const char *controllers) {
  static const char name[] = "memory";
  size_t const size = sizeof name - 1;
  const char *at = controllers;
  while (strncmp(at, name, size) != 0 || (at[size] != ',' && at[size] != ':')) {
    at += strcspn(at, ",:");
    if (*at != ',') {
      return false;
    }
    at++;
  }
  return true;
}

static size_t put(char *out, size_t at, const char *bytes, size_t size) {
  memcpy(out + at, bytes, size);
  return at + size;
}

static void take_group(group_paths *paths) {
  paths->line[paths->length] = '\0';
  const char *const controllers = strchr(paths->line, ':');
  const char *const path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
  if (path != NULL && path == controllers + 1) {
    (void)put(paths->unified, 0, path + 1, strlen(path));
  } else if (path != NULL && has_memory(controllers + 1)) {
    (void)put(paths->memory, 0, path + 1, strlen(path));
  }
  paths->length = 0;
}

static void add_groups(const char *text, size_t size, void *context) {
  group_paths *const paths = (group_paths *)context;
  for (size_t i = 0; i < size; i++) {
    if (text[i] == '\n') {
      take_group(paths);
    } else if (paths->length < sizeof paths->line - 1) {
      paths->line[paths->length++] = text[i];
    }
  }
}

/* `folder` and the first `length` bytes of `group` and `file`; false where that is too long. */
static bool join(char out[2 * GROUP_BYTES], const char *folder, const char *group, size_t length, const char *file) {
  size_t const before = strlen(folder);
  size_t const after = strlen(file) + 1;
  if (before + length + after > 2 * (size_t)GROUP_BYTES) {
    return false;
  }
  (void)put(out, put(out, put(out, 0, folder, before), group, length), file, after);
  return true;
}

/* The least of the limits of the group and of those around it. A container sees its own group as root. */
static size_t least_limit(const char *folder, const char *group, const char *file) {
  char path[2 * GROUP_BYTES];
  size_t least = SIZE_MAX;
  for (size_t length = strlen(group);; length--) {
    size_t limit = 0;
    if (join(path, folder, group, length, file) && read_file(path, add_digits, &limit) && limit != 0 && limit < least) {
      least = limit; /* "max" is no number */
    }
    while (length != 0 && group[length - 1] != '/') {
      length--;
    }
    if (length == 0) {
      return least;
    }
  }
}

RF_COLD size_t rf_page_group_limit(const char *list, const char *root) {
  group_paths paths = {.length = 0};
  char folder[2 * GROUP_BYTES];
  (void)read_file(list, add_groups, &paths);
  size_t const unified = least_limit(root, paths.unified, "/memory.max");
  size_t const older =
      join(folder, root, "", 0, "/memory") ? least_limit(folder, paths.memory, "/memory.limit_in_bytes") : SIZE_MAX;
  return unified < older ? unified : older;
}

size_t rf_page_map_limit(void) {
  size_t limit = 0;
  return read_file("/proc/sys/vm/max_map_count", add_digits, &limit) && limit != 0 ? limit : SIZE_MAX;
}

size_t rf_page_map_count(void) {
  size_t lines = 0;
  (void)read_file(RF_PROC_PATH("maps"), count_lines, &lines);
  return lines;
}

#else

size_t rf_page_map_limit(void) {
  return SIZE_MAX;
}

size_t rf_page_map_count(void) {
  return 0;
}

bool rf_page_data_is_free(void) {
  return false;
}

bool rf_page_writable_is_free(void) {
  return false;
}

RF_COLD size_t rf_page_group_limit(const char *list, const char *root) {
  (void)list;
  (void)root;
  return SIZE_MAX;
}

#endif

/* `result`: of getrlimit, whose first parameter has another type with each C library; `limit`: what it wrote. */
static size_t soft_limit(int result, const struct rlimit *limit) {
  return result == 0 && limit->rlim_cur < SIZE_MAX ? (size_t)limit->rlim_cur : SIZE_MAX;
}

RF_COLD size_t rf_page_space_share(void) {
  static size_t was = SIZE_MAX; /* accessed atomically; who may not ask sets no limit any more */
  if (!rf_is_forbidden(RF_CALL_LIMIT)) {
    struct rlimit limit;
    size_t const space = soft_limit(getrlimit(RLIMIT_AS, &limit), &limit);
    __atomic_store_n(&was, space != SIZE_MAX ? space / 4 : SIZE_MAX, __ATOMIC_RELAXED);
  }
  return __atomic_load_n(&was, __ATOMIC_RELAXED);
}

RF_COLD size_t rf_page_memory_share(void) {
  long const pages = sysconf(_SC_PHYS_PAGES);
  size_t const machine =
      /* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): every system knows the size of its pages */
      pages > 0 && (size_t)pages < SIZE_MAX / rf_page_size() ? (size_t)pages * rf_page_size() : SIZE_MAX;
  size_t const group = rf_page_group_limit("/proc/self/cgroup", "/sys/fs/cgroup");
  struct rlimit limit;
  size_t const data = soft_limit(getrlimit(RLIMIT_DATA, &limit), &limit);
  size_t const space = soft_limit(getrlimit(RLIMIT_AS, &limit), &limit);
  size_t const memory = group < machine ? group : machine;
  size_t const limits = data < space ? data : space;
  return (memory < limits ? memory : limits) / 4;
}

/* ---- Locks ---- */

#define YIELDS 100

_Static_assert(sizeof(sigset_t) <= sizeof(rf_page_mask), "rf_page_mask holds a signal set");

void rf_page_lock(rf_mutex *mutex, rf_page_mask *mask) {
  sigset_t before;
  rf_signals_hold_back(&before);
  rf_mutex_lock(mutex);
  memcpy(mask, &before, sizeof before); /* not before: all who take the same lock may have one mask to share */
}

void rf_page_unlock(rf_mutex *mutex, const rf_page_mask *mask) {
  sigset_t before;
  memcpy(&before, mask, sizeof before);
  rf_mutex_unlock(mutex);
  rf_signals_let_through(&before);
}

/* The port's mutex is one of pthreads (lib/port/posix.c). */
bool rf_page_try(rf_mutex *mutex, unsigned times) {
  unsigned given_way = 0;
  while (pthread_mutex_trylock((pthread_mutex_t *)(void *)mutex->opaque) != 0) {
    if (given_way == times) {
      return false;
    }
    rf_page_give_way(given_way++);
  }
  return true;
}

bool rf_page_try_lock(rf_mutex *mutex, rf_page_mask *mask, unsigned times) {
  sigset_t before;
  rf_signals_hold_back(&before);
  if (!rf_page_try(mutex, times)) {
    rf_signals_let_through(&before);
    return false;
  }
  memcpy(mask, &before, sizeof before);
  return true;
}

/* A thread of a lower priority does not run while one of a higher, real-time one only gives way to its equals. */
void rf_page_give_way(unsigned times) {
  int const saved = errno;
  if (times < YIELDS || rf_is_forbidden(RF_CALL_NANOSLEEP)) {
    (void)sched_yield();
  } else {
    rf_uncancelled_nap(50000);
  }
  errno = saved;
}

const char *rf_page_store_why_not(void) {
  return NULL;
}

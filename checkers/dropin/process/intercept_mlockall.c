/* mlockall: locks what the program has mapped, and not the drop-in's own memory, most of which is address space kept
 * for later. The kernel would give pages to all of it, or refuse where it is more than the program may lock
 * (RLIMIT_MEMLOCK). Where blocks are in that memory, too (modes guard and page), the program goes on as if they, and
 * all that it maps later, were locked. See mlock(2), and do_mlockall in Linux's mm/mlock.c for the call's answers. */
#define _GNU_SOURCE
#include "checkers/dropin/inspect/own_memory.h"
#include "checkers/dropin/malloc/forward.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/maps.h"
#include "checkers/page/page_store.h"
#include "intercept.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WAIT_MS 1000U

/* Older headers lack them. */
#define ALL_ON_FAULT 4   /* MCL_ONFAULT */
#define LOCK_ON_FAULT 1U /* MLOCK_ONFAULT */

RF_EXPORT int OURS(mlockall)(int flags);

typedef struct locking {
  rf_ranges own; /* sorted */
  size_t passed; /* of them, those that lie below what is being locked */
  size_t bytes;  /* of all pieces */
  unsigned how;  /* the last argument of mlock2: 0, or MLOCK_ONFAULT */
  int error;     /* what the program is told */
} locking;

/* ---- One piece ---- */

static int error_of(long result) {
  return result == 0 ? 0 : errno;
}

/* Memory that cannot be read, as behind the end of a file, is locked without its pages. If that is refused, too, the
 * limit is reached, unless another thread has unmapped the piece meanwhile. */
static int lock(uintptr_t start, size_t size, unsigned how) {
  int error = error_of(syscall(SYS_mlock2, start, size, how));
  if (error == ENOMEM) {
    error = error_of(syscall(SYS_mlock2, start, size, LOCK_ON_FAULT));
  }
  if (error == ENOMEM && error_of(syscall(SYS_msync, start, size, MS_ASYNC)) == ENOMEM) {
    return 0;
  }
  return error == EAGAIN ? 0 : error;
}

static rf_range whole_pages(uintptr_t start, uintptr_t end) {
  uintptr_t const inside = rf_pages_round(1) - 1;
  rf_range const pages = {(start + inside) & ~inside, end & ~inside};
  return pages.start < pages.end ? pages : (rf_range){0, 0};
}

static bool lock_piece(uintptr_t start, uintptr_t end, void *context) {
  locking *const w = context;
  rf_range const pages = whole_pages(start, end);
  if (pages.end != 0) {
    w->error = lock(pages.start, pages.end - pages.start, w->how);
  }
  return w->error == 0;
}

static bool count_piece(uintptr_t start, uintptr_t end, void *context) {
  locking *const w = context;
  rf_range const pages = whole_pages(start, end);
  w->bytes += pages.end - pages.start;
  return true;
}

/* ---- All that is not the drop-in's ---- */

static bool lock_others(const rf_map *map, void *context) {
  locking *const w = context;
  return rf_ranges_each_outside(&w->own, &w->passed, map->start, map->end, lock_piece, w);
}

static bool count_others(const rf_map *map, void *context) {
  locking *const w = context;
  return rf_ranges_each_outside(&w->own, &w->passed, map->start, map->end, count_piece, w);
}

/* The limit is for those who lack a privilege, which no call tells of but one that needs it: the lock of more than the
 * limit, of pages that are never touched. */
static bool may_lock(size_t bytes) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || bytes <= limit.rlim_cur) {
    return true;
  }
  size_t const more = rf_pages_round((size_t)limit.rlim_cur + 1);
  void *const nothing = rf_pages_map(more, 1, 0);
  bool const may = nothing == NULL || syscall(SYS_mlock2, nothing, more, LOCK_ON_FAULT) == 0 || errno != ENOMEM;
  if (nothing != NULL) {
    rf_pages_unmap(nothing, more);
  }
  return may;
}

/* All of it or nothing, as the kernel does: what the program has locked before stays locked. False where the map cannot
 * be read. */
static bool lock_all_others(locking *w) {
  if (!rf_maps_each(count_others, w)) {
    return false;
  }
  if (!may_lock(w->bytes)) {
    w->error = ENOMEM;
    return true;
  }
  w->passed = 0;
  return rf_maps_each(lock_others, w);
}

/* ---- The call ---- */

/* NULL where nothing may be asked now, or there is no room. *bytes: for rf_pages_unmap. */
static rf_range *list_own(rf_ranges *own, size_t *bytes) {
  if (!rf_lock_blocks(WAIT_MS)) {
    return NULL;
  }
  size_t const capacity = rf_own_memory_count() + 1;
  *bytes = capacity * sizeof(rf_range);
  rf_range *const list = rf_pages_map(*bytes, 1, 0);
  *own = (rf_ranges){list, list != NULL ? capacity : 0, 0};
  bool const whole = rf_own_memory_add(own) && rf_ranges_add(own, (uintptr_t)list, (uintptr_t)list + *bytes);
  rf_unlock_blocks();
  if (list != NULL && !whole) {
    rf_pages_unmap(list, *bytes);
  }
  return whole ? list : NULL;
}

/* An error's number; -1 where the system's own call is to be made instead. */
static int lock_current(unsigned how) {
  locking w = {.passed = 0, .bytes = 0, .how = how, .error = 0};
  size_t bytes;
  rf_range *const list = list_own(&w.own, &bytes);
  if (list == NULL) {
    return -1;
  }
  rf_ranges_sort(&w.own);
  bool const read = lock_all_others(&w);
  rf_pages_unmap(list, bytes);
  return read && w.error != ENOSYS ? w.error : -1;
}

/* It may lock something: a call for nothing tells. */
static int ask_permission(void) {
  return error_of(syscall(SYS_mlock, 0, 0));
}

static bool is_understood(int flags) {
  return (flags & (MCL_CURRENT | MCL_FUTURE)) != 0 && (flags & ~(MCL_CURRENT | MCL_FUTURE | ALL_ON_FAULT)) == 0 &&
         rf_process.ready && !rf_is_forbidden(UINT32_MAX);
}

int OURS(mlockall)(int flags) {
  int const saved = errno;
  int error = is_understood(flags) ? ask_permission() : -1;
  if (error == 0 && (flags & MCL_CURRENT) != 0) {
    error = lock_current((flags & ALL_ON_FAULT) != 0 ? LOCK_ON_FAULT : 0);
  }
  if (error == 0 && (flags & MCL_FUTURE) != 0 && rf_forward.now == RF_FORWARD_ON) {
    error = error_of(syscall(SYS_mlockall, flags & ~MCL_CURRENT));
  }
  errno = saved;
  if (error < 0) {
    return (int)syscall(SYS_mlockall, flags);
  }
  if (error > 0) {
    errno = error;
  }
  return error == 0 ? 0 : -1;
}

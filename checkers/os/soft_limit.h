/* For a file of ours more than the program's soft limits allow: where it has used up its descriptors (EMFILE), or files
 * may not become that large (EFBIG). */
#ifndef RINGFENCE_CHECKERS_SOFT_LIMIT_H
#define RINGFENCE_CHECKERS_SOFT_LIMIT_H

#include <stdbool.h>
#include <sys/resource.h>

#include "checkers/os/forbidden_calls.h"

typedef struct rf_soft_limit {
  bool files; /* it is that of sizes of files, not that of descriptors */
  struct rlimit before;
} rf_soft_limit;

/* True, and the limit that was, where it is the hard one now; to be lowered again at once. False, and nothing changed,
 * where it was that already, or the system refuses. Any thread, signal handlers. */
static inline bool rf_soft_limit_raise(rf_soft_limit *limit) {
  struct rlimit before;
  if (rf_is_forbidden(RF_CALL_LIMIT) || getrlimit(limit->files ? RLIMIT_FSIZE : RLIMIT_NOFILE, &before) != 0 ||
      before.rlim_cur >= before.rlim_max) {
    return false;
  }
  struct rlimit const raised = {before.rlim_max, before.rlim_max};
  if (setrlimit(limit->files ? RLIMIT_FSIZE : RLIMIT_NOFILE, &raised) != 0) {
    return false;
  }
  limit->before = before;
  return true;
}

static inline void rf_soft_limit_lower(const rf_soft_limit *limit) {
  (void)setrlimit(limit->files ? RLIMIT_FSIZE : RLIMIT_NOFILE, &limit->before);
}

#endif /* RINGFENCE_CHECKERS_SOFT_LIMIT_H */

/* For a file of ours in a program that has used up its descriptors (EMFILE): more than its soft limit allows. */
#ifndef RINGFENCE_CHECKERS_DESCRIPTOR_LIMIT_H
#define RINGFENCE_CHECKERS_DESCRIPTOR_LIMIT_H

#include <stdbool.h>
#include <sys/resource.h>

#include "checkers/os/forbidden_calls.h"

/* True, and the limit that was, where it is the hard one now; to be lowered again at once. Any thread, signal
 * handlers. */
static inline bool rf_descriptor_limit_raise(struct rlimit *before) {
  if (rf_is_forbidden(RF_CALL_LIMIT) || getrlimit(RLIMIT_NOFILE, before) != 0 || before->rlim_cur >= before->rlim_max) {
    return false;
  }
  struct rlimit const raised = {before->rlim_max, before->rlim_max};
  return setrlimit(RLIMIT_NOFILE, &raised) == 0;
}

static inline void rf_descriptor_limit_lower(const struct rlimit *before) {
  (void)setrlimit(RLIMIT_NOFILE, before);
}

#endif /* RINGFENCE_CHECKERS_DESCRIPTOR_LIMIT_H */

/* Pages that children are to have as they are. Internal to checkers/. */
#ifndef RINGFENCE_KEEP_ON_FORK_H
#define RINGFENCE_KEEP_ON_FORK_H

#include "forbidden_calls.h"

#include <errno.h>
#include <sys/mman.h>

#define RF_KEEP_ON_FORK 19 /* MADV_KEEPONFORK, which older headers lack */

/* Children get what these whole pages hold, whatever the program said before (MADV_WIPEONFORK). errno is left alone. */
static inline void rf_keep_on_fork(void *start, size_t size) {
  int const saved = errno;
  if (!rf_is_forbidden(RF_CALL_MADVISE)) {
    (void)madvise(start, size, RF_KEEP_ON_FORK);
  }
  errno = saved;
}

#endif /* RINGFENCE_KEEP_ON_FORK_H */

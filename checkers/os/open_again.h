/* Pages that the program has closed, or kept from its children, and that are needed. Internal to checkers/. */
#ifndef RINGFENCE_OPEN_AGAIN_H
#define RINGFENCE_OPEN_AGAIN_H

#include "forbidden_calls.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Older headers lack them. */
#define RF_KEEP_ON_FORK 19  /* MADV_KEEPONFORK */
#define RF_GUARD_REMOVE 103 /* MADV_GUARD_REMOVE */

#define RF_KEY_OF_ALL 0 /* pages that have no key of protection have this one */

/* These whole pages may be read and written, and children get what they hold, whatever the program said before:
 * mprotect; pkey_mprotect, whose key stays with a page that mprotect opens; MADV_GUARD_INSTALL; MADV_WIPEONFORK. False
 * where the system refuses. errno is left alone. */
static inline bool rf_open_again(void *start, size_t size) {
  int const saved = errno;
  bool const opened = !rf_is_forbidden(RF_CALL_MPROTECT) && mprotect(start, size, PROT_READ | PROT_WRITE) == 0;
#if defined(SYS_pkey_mprotect)
  if (opened && !rf_is_forbidden(RF_CALL_KEY)) { /* refused where the processor has no keys */
    (void)syscall(SYS_pkey_mprotect, start, size, PROT_READ | PROT_WRITE, RF_KEY_OF_ALL);
  }
#endif
  if (opened && !rf_is_forbidden(RF_CALL_MADVISE)) {
    (void)madvise(start, size, RF_GUARD_REMOVE);
    (void)madvise(start, size, RF_KEEP_ON_FORK);
  }
  errno = saved;
  return opened;
}

#endif /* RINGFENCE_OPEN_AGAIN_H */

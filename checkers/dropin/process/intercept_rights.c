/* mprotect, pkey_mprotect: a block from whose pages the program has taken access rights may be freed all the same, and
 * is passed over by checks that could not read it. madvise: no block is kept from children; one that is zero in them
 * (MADV_WIPEONFORK) is so until it is freed. */
#define _GNU_SOURCE
#include "checkers/dropin/heap/rights.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "intercept.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ALL_RIGHTS (PROT_READ | PROT_WRITE)
#define WIPE_ON_FORK 18 /* MADV_WIPEONFORK, which older headers lack */

RF_EXPORT int OURS(mprotect)(void *start, size_t size, int rights);
RF_EXPORT int OURS(pkey_mprotect)(void *start, size_t size, int rights, int key);
RF_EXPORT int OURS(madvise)(void *start, size_t size, int advice);

/* True where there are blocks. */
static bool note(void *start, size_t size) {
  bool const ours = rf_heap_restricted(start, size);
  return (rf_guarded_blocks.store != NULL && rf_page_store_restricted(rf_guarded_blocks.store, start, size)) || ours;
}

/* The drop-in's own calls of these functions come here too, even before it has begun. */
int OURS(mprotect)(void *start, size_t size, int rights) {
  int const result = (int)syscall(SYS_mprotect, start, size, rights);
  if (result == 0 && (rights & ALL_RIGHTS) != ALL_RIGHTS) {
    (void)note(start, size);
  }
  return result;
}

/* A key may allow less at any moment. */
int OURS(pkey_mprotect)(void *start, size_t size, int rights, int key) {
  int const result = (int)syscall(SYS_pkey_mprotect, start, size, rights, key);
  if (result == 0 && (key > 0 || (rights & ALL_RIGHTS) != ALL_RIGHTS)) {
    (void)note(start, size);
  }
  return result;
}

/* Children get all blocks: in the place of one that they lack, the system would put something else, which checks would
 * take for it. */
int OURS(madvise)(void *start, size_t size, int advice) {
  if (advice == MADV_DONTFORK && note(start, size)) {
    return 0;
  }
  int const result = (int)syscall(SYS_madvise, start, size, advice);
  if (result == 0 && advice == WIPE_ON_FORK) {
    (void)note(start, size);
  }
  return result;
}

/* mprotect, pkey_mprotect, madvise: a block from whose pages the program has taken access rights, or which its children
 * do not get, may be freed all the same, and is passed over by checks that could not read it. */
#define _GNU_SOURCE
#include "checkers/dropin/heap/rights.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "intercept.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ALL_RIGHTS (PROT_READ | PROT_WRITE)

RF_EXPORT int OURS(mprotect)(void *start, size_t size, int rights);
RF_EXPORT int OURS(pkey_mprotect)(void *start, size_t size, int rights, int key);
RF_EXPORT int OURS(madvise)(void *start, size_t size, int advice);

static void note(void *start, size_t size) {
  rf_heap_restricted(start, size);
  if (rf_guarded_blocks.store != NULL) {
    rf_page_store_restricted(rf_guarded_blocks.store, start, size);
  }
}

/* The drop-in's own calls of these functions come here too, even before it has begun. */
int OURS(mprotect)(void *start, size_t size, int rights) {
  int const result = (int)syscall(SYS_mprotect, start, size, rights);
  if (result == 0 && (rights & ALL_RIGHTS) != ALL_RIGHTS) {
    note(start, size);
  }
  return result;
}

/* A key may allow less at any moment. */
int OURS(pkey_mprotect)(void *start, size_t size, int rights, int key) {
  int const result = (int)syscall(SYS_pkey_mprotect, start, size, rights, key);
  if (result == 0 && (key > 0 || (rights & ALL_RIGHTS) != ALL_RIGHTS)) {
    note(start, size);
  }
  return result;
}

int OURS(madvise)(void *start, size_t size, int advice) {
  int const result = (int)syscall(SYS_madvise, start, size, advice);
  if (result == 0 && advice == MADV_DONTFORK) {
    note(start, size);
  }
  return result;
}

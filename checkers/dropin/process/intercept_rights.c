/* mprotect: a block from whose pages the program has taken access rights may be freed all the same. */
#define _GNU_SOURCE
#include "checkers/dropin/heap/rights.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "intercept.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ALL_RIGHTS (PROT_READ | PROT_WRITE)

RF_EXPORT int OURS(mprotect)(void *start, size_t size, int rights);

/* The drop-in's own calls come here too, even before it has begun. */
int OURS(mprotect)(void *start, size_t size, int rights) {
  int const result = (int)syscall(SYS_mprotect, start, size, rights);
  if (result == 0 && (rights & ALL_RIGHTS) != ALL_RIGHTS) {
    rf_heap_restricted(start, size);
    if (rf_guarded_blocks.store != NULL) {
      rf_page_store_restricted(rf_guarded_blocks.store, start, size);
    }
  }
  return result;
}

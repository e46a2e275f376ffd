/* mprotect, pkey_mprotect: a block from whose pages the program has taken access rights may be freed all the same, and
 * is passed over by checks that could not read it. madvise: no block is kept from children; one that is zero in them
 * (MADV_WIPEONFORK) is so until it is freed. Pages that the program empties are those of its block alone to glibc, also
 * where a large one ends within the last of them; here the guard bytes behind it stay. */
#define _GNU_SOURCE
#include "checkers/dropin/heap/rights.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/os/pages.h"
#include "intercept.h"
#include "intercept_unseen.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ALL_RIGHTS (PROT_READ | PROT_WRITE)

/* Older headers lack them. */
#define FREE_LATER 8       /* MADV_FREE */
#define WIPE_ON_FORK 18    /* MADV_WIPEONFORK */
#define DONTNEED_LOCKED 24 /* MADV_DONTNEED_LOCKED */
#define GUARD_INSTALL 102  /* MADV_GUARD_INSTALL */

RF_EXPORT int OURS(mprotect)(void *start, size_t size, int rights);
RF_EXPORT int OURS(pkey_mprotect)(void *start, size_t size, int rights, int key);
RF_EXPORT int OURS(madvise)(void *start, size_t size, int advice);

/* True where there are blocks. */
static bool note(void *start, size_t size) {
  bool const ours = rf_heap_restricted(start, size);
  return (rf_guarded_blocks.store != NULL && rf_page_store_restricted(rf_guarded_blocks.store, start, size)) || ours;
}

static void note_emptied(void *start, size_t size) {
  (void)rf_heap_emptied(start, size);
  if (rf_guarded_blocks.store != NULL) {
    (void)rf_page_store_emptied(rf_guarded_blocks.store, start, size);
  }
}

/* ---- Calls that take something from pages ---- */

typedef struct change {
  long number; /* of the system's call */
  void *start;
  size_t size;
  int how;
  int key;
  bool empties;
} change;

static int make(void *context) {
  const change *const c = context;
  int const result = (int)syscall(c->number, c->start, c->size, c->how, c->key);
  if (result == 0 && c->empties) {
    note_emptied(c->start, c->size);
  } else if (result == 0) {
    (void)note(c->start, c->size);
  }
  return result;
}

static int make_unseen(change c) {
  return rf_make_unseen(c.start, c.size, make, &c);
}

/* The drop-in's own calls of these functions come here too, even before it has begun. */
int OURS(mprotect)(void *start, size_t size, int rights) {
  if ((rights & ALL_RIGHTS) == ALL_RIGHTS) {
    return (int)syscall(SYS_mprotect, start, size, rights);
  }
  return make_unseen((change){SYS_mprotect, start, size, rights, 0, false});
}

/* A key may allow less at any moment. */
int OURS(pkey_mprotect)(void *start, size_t size, int rights, int key) {
  if (key <= 0 && (rights & ALL_RIGHTS) == ALL_RIGHTS) {
    return (int)syscall(SYS_pkey_mprotect, start, size, rights, key);
  }
  return make_unseen((change){SYS_pkey_mprotect, start, size, rights, key, false});
}

/* ---- Pages that are emptied ---- */

static bool empties(int advice) {
  return advice == MADV_DONTNEED || advice == FREE_LATER || advice == DONTNEED_LOCKED;
}

/* 0: no block of ours is there whose end is to be looked after. */
static uintptr_t end_of_block(const void *address) {
  uintptr_t const end = rf_heap_large_end(address);
  return end == 0 && rf_guarded_blocks.store != NULL ? rf_page_store_block_end(rf_guarded_blocks.store, address) : end;
}

static bool is_restricted(const void *address) {
  return rf_heap_is_restricted(address) ||
         (rf_guarded_blocks.store != NULL && rf_page_store_is_restricted(rf_guarded_blocks.store, address));
}

/* A page that cannot be written to now cannot be spared. */
static int empty_all(void *start, size_t size, int advice) {
  if (is_restricted(start)) {
    return make_unseen((change){SYS_madvise, start, size, advice, 0, true});
  }
  return (int)syscall(SYS_madvise, start, size, advice);
}

/* A last page with a block's end, and guard bytes behind it, stays: the block's bytes there are cleared, unless they
 * may stay as they are. */
static int empty(void *start, size_t size, int advice) {
  size_t const page = rf_pages_round(1);
  uintptr_t const first = (uintptr_t)start;
  uintptr_t const block_end = end_of_block(start);
  uintptr_t const last = block_end & ~(uintptr_t)(page - 1);
  bool const whole = first % page != 0 || last == block_end || last < first;
  if (whole || first + rf_pages_round(size) != last + page) {
    return empty_all(start, size, advice);
  }
  int const result = last != first ? (int)syscall(SYS_madvise, start, last - first, advice) : 0;
  if (result == 0 && advice != FREE_LATER) {
    memset((void *)last, 0, block_end - last);
  }
  return result;
}

/* ---- Advice ---- */

/* Children get all blocks: in the place of one that they lack, the system would put something else, which checks would
 * take for it. */
int OURS(madvise)(void *start, size_t size, int advice) {
  if (advice == MADV_DONTFORK && note(start, size)) {
    return 0;
  }
  if (advice == WIPE_ON_FORK || advice == GUARD_INSTALL) {
    return make_unseen((change){SYS_madvise, start, size, advice, 0, true});
  }
  return empties(advice) ? empty(start, size, advice) : (int)syscall(SYS_madvise, start, size, advice);
}

/* Handing requests on to the next malloc (next_malloc.h). Modes off and sample do so with each request that is not
 * sampled (docs/checkers/dropin.md), and in every mode it gets back the blocks that are its own.
 *
 * The common request costs a countdown, which is over at once where nothing is handed on, and the common free one
 * comparison with the range of addresses in which blocks may be ours, which is all of them until handing on begins.
 *
 * Any thread, and signal handlers as far as the next malloc serves them.
 */
#ifndef RINGFENCE_DROPIN_FORWARD_H
#define RINGFENCE_DROPIN_FORWARD_H

#include "next_malloc.h"

#include <ringfence/guard.h>
#include <ringfence/options.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/core/compiler.h"

typedef enum rf_forwarding {
  RF_FORWARD_NOTHING, /* every request is for our own heap */
  RF_FORWARD_SOON,    /* the functions are being looked up: requests are for the early area */
  RF_FORWARD_ON
} rf_forwarding;

typedef struct rf_forward_state {
  /* Blocks of ours lie between `low` and the byte `last` bytes behind it, that one included, so that the two can stand
   * for all addresses. They change only before the first of them is given out, so who holds one has seen the change. */
  uintptr_t low;
  size_t last;
  rf_malloc_functions next; /* complete while ON */
  rf_malloc_functions libc; /* the same behind __libc_malloc and its like: a malloc behind ours may be built on these */
  rf_forwarding now;
} rf_forward_state;

extern rf_forward_state rf_forward __attribute__((visibility("hidden")));

/* Allocations of this thread to hand on before the next one is looked at. */
extern RF_THREAD_LOCAL int32_t rf_forward_left __attribute__((visibility("hidden")));

/* True where an allocation is for the next malloc, and counted; false where it is to be looked at. */
RF_INLINE bool rf_forward_counts(void) {
  int32_t const left = rf_forward_left;
  if (RF_LIKELY(left > 0)) {
    rf_forward_left = left - 1;
    return true;
  }
  return false;
}

/* True where `ptr` is certainly a block of the next malloc, or NULL, and requests are handed on. */
RF_INLINE bool rf_forward_is_others(const void *ptr) {
  return RF_LIKELY((uintptr_t)ptr - rf_forward.low > rf_forward.last);
}

/* Finds the functions and, in modes off and sample, hands requests on from now on: not where the options have them
 * served or recorded here, or where there is no next malloc. Once, before there are other threads. */
void rf_forward_begin(const rf_options *options);

/* Calls `call`, whose requests are the drop-in's own: those that would come from our heap do not, where they would
 * count as the program's. Once, before there are other threads. */
void rf_forward_own(void (*call)(void));

/* The same: what is to be sampled is known. */
void rf_forward_begin_sampling(void);

/* The next malloc makes now the calls with which it begins: the program is about to forbid itself some. Any thread. */
void rf_forward_settle(void);

/* `block` (or NULL), which is about to be given out, is ours. Returns it. */
void *rf_forward_include(void *block);

/* ---- Requests while they are handed on, or soon are: sampled, or the next malloc's. As in malloc_impl.h. ---- */

void *rf_forward_alloc(size_t size, size_t align, rf_family family, const rf_origin *origin);
void *rf_forward_zalloc(size_t count, size_t size, const rf_origin *origin);

/* A sampled block; NULL where the request is the next malloc's. A request that cannot be served is reported, if the
 * options say so, and left to that malloc to refuse. */
void *rf_forward_sample(size_t size, size_t align, rf_family family, const rf_origin *origin);

/* True where `ptr` is a block of ours, or nothing is handed on. */
bool rf_forward_is_ours(const void *ptr);

/* False, with nothing done, where `ptr`, which is not NULL, is ours. */
bool rf_forward_free(void *ptr);
bool rf_forward_realloc(void *ptr, size_t size, const rf_origin *origin, void **moved);

/* True where `ptr` is a block that was asked for while the functions were looked up: such blocks stay where they are,
 * and their memory is never used again. *size is then its size. */
bool rf_forward_is_early(const void *ptr, size_t *size);

/* ---- Where requests are not handed on: blocks of another malloc of the process, as libraries that were loaded with
 * RTLD_DEEPBIND have them, and as the other functions of a program's own malloc make them. Ours never come from the
 * program break, the C library's small ones always do. ---- */

/* True where `ptr`, which is not in the heap, is for the next malloc. */
bool rf_forward_is_foreign(const void *ptr);

#endif /* RINGFENCE_DROPIN_FORWARD_H */

/* All live blocks as a table, and which of them a program can still reach.
 *
 * LeakSanitizer's definition: a block is reachable if an aligned word in a root, or in a reachable block, is an address
 * inside it: its start or its interior, not one past its end, but for an array without elements, whose number lies
 * before them. Bits above the address space are ignored, so that tagged pointers count. An unreachable block has
 * leaked: directly, or indirectly if only other leaked blocks point to it. One block of a leaked ring counts as direct.
 *
 * Complexity: O(bytes of roots and blocks); blocks on pages of their own are searched for, O(log of their number).
 * Memory: 32 bytes per block and 4 bytes per slot of the heap, from the caller.
 */
#ifndef RINGFENCE_DROPIN_REACHABILITY_H
#define RINGFENCE_DROPIN_REACHABILITY_H

#include "checkers/dropin/runtime/own_cache.h"
#include "roots.h"

typedef enum rf_reachability_state {
  RF_REACHABILITY_UNKNOWN,          /* not (yet) found from anywhere: leaked, when all is done */
  RF_REACHABILITY_REACHABLE,        /* from a root */
  RF_REACHABILITY_LEAKED,           /* leaked */
  RF_REACHABILITY_LEAKED_INDIRECTLY /* leaked, and kept by other leaked blocks */
} rf_reachability_state;

typedef struct rf_reachability_block {
  uintptr_t start;
  size_t size;
  uint32_t state;                     /* rf_reachability_state */
  bool paged;                         /* on pages of its own */
  bool counted;                       /* may be an array behind the number of its elements, and without any */
  struct rf_reachability_block *todo; /* the next block to be read */
} rf_reachability_block;

typedef struct rf_reachability {
  rf_reachability_block *blocks;
  size_t capacity;
  size_t count;
  uint32_t *index; /* of each slot of the heap, its block's number + 1; 0: none */
  size_t index_capacity;
  uint32_t *first; /* of each span of the heap by its number: where its slots begin in `index` */
  size_t first_capacity;
  uintptr_t low; /* all blocks lie in [low, high] */
  uintptr_t high;
  rf_roots *roots;
  rf_reachability_block *todo;
  rf_reachability_block *reading; /* whose words are looked at; NULL: roots */
  rf_reachability_state found;    /* what a block becomes that a word points into */
  size_t first_paged;             /* blocks on pages of their own come last, in address order */
} rf_reachability;

/* How many live blocks there are, how many slots, and numbers of spans; with the heap locked. */
size_t rf_reachability_count_blocks(void);
size_t rf_reachability_count_slots(void);
size_t rf_reachability_count_spans(void);

/* Fills the table; the heap locked, other threads stopped. `live` has its memory and its roots, which are not read
 * yet. */
void rf_reachability_collect(rf_reachability *table);

/* Gives every block its state. False where the roots cannot be read: nothing is then known. */
bool rf_reachability_mark(rf_reachability *table);

#endif /* RINGFENCE_DROPIN_REACHABILITY_H */

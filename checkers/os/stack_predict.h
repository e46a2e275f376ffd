/* The stack that is to be expected after those of the last two requests. Internal to checkers/.
 *
 * A program's requests come in sequences that it repeats. Each record of a depot names its successors: the stacks that
 * came after it, each in one of four places by the stack that came before. The next request compares its stack with the
 * successor's words first, which were fetched while the request before was served, and looks for another guess
 * (stack_guess.h) only where that one does not hold.
 *
 * Algorithm: a Markov predictor of the second order, as processors have them for branches and for prefetches. Every
 * second wrong successor is replaced, so that an exception leaves most of them as they are; with several threads, which
 * share the records and would take their lines of memory from each other, one of 32. It begins where stacks part that
 * are guessed otherwise, which takes longer than all of this, and pauses while fewer than two of three successors are
 * right, as where requests follow each other at random.
 * Complexity: some fifteen instructions, and no line of memory beside the record's; two where it does not try.
 * Threads: one for each predictor; the records are shared, and a successor is only a guess.
 */
#ifndef RINGFENCE_STACK_PREDICT_H
#define RINGFENCE_STACK_PREDICT_H

#include "stack_record.h"

#include "lib/core/compiler.h"

/* All zero: nothing is expected yet. */
typedef struct rf_stack_predictor {
  uint32_t next;  /* the number of the stack that is expected; 0: of none */
  uint32_t last;  /* that of the last request; 0: there was none */
  uint8_t way;    /* which of its successors is meant */
  uint8_t misses; /* wrong successors; wraps */
  int8_t trust;   /* successors are tried while it is above 0 */
} rf_stack_predictor;

#define RF_TRUST_MOST 64
#define RF_TRUST_LOST 2     /* by a wrong successor, while a right one gains 1 */
#define RF_TRUST_LEAST -100 /* then so many stacks are to part before successors are tried again */

#define RF_WRONG_BORNE 1U         /* of so many and one wrong successors one is replaced: a power of two, less one */
#define RF_WRONG_BORNE_SHARED 31U /* where several threads share them */

/* One of the two; set at any time, by any thread; accessed atomically. */
extern uint32_t rf_stack_wrong_borne;

#define RF_SUCCESSOR_SHIFT 30U

_Static_assert(RF_SUCCESSORS == 1U << (32U - RF_SUCCESSOR_SHIFT), "a place for each value of the bits that are left");

/* The place that a stack's successors have where the one before it was `before`: the upper bits of a product with 2^32
 * over the golden ratio. */
RF_INLINE uint8_t rf_stack_way(uint32_t before) {
  return (uint8_t)(before * 0x9E3779B1U >> RF_SUCCESSOR_SHIFT);
}

RF_INLINE uint32_t *rf_stack_successor(const rf_stack_depot *depot, const rf_stack_predictor *p) {
  return &layout_of(record_at(depot, p->last))->successors[p->way];
}

RF_INLINE bool rf_stack_is_predicted(const rf_stack_predictor *p) {
  return p->trust > 0;
}

/* A stack was looked for where several part. */
RF_INLINE void rf_stack_parted(rf_stack_predictor *p) {
  if (!rf_stack_is_predicted(p) && ++p->trust > 0) {
    p->trust = RF_TRUST_MOST;
  }
}

/* A first successor is kept at once. */
RF_INLINE void note_other(const rf_stack_depot *depot, rf_stack_predictor *p, uint32_t id) {
  bool const was_wrong = p->next != 0;
  if (was_wrong) {
    p->trust = (int8_t)(p->trust > RF_TRUST_LOST ? p->trust - RF_TRUST_LOST : RF_TRUST_LEAST);
  }
  if (p->last != 0 && (!was_wrong || (p->misses++ & depot_load(&rf_stack_wrong_borne)) == 0)) {
    depot_store(rf_stack_successor(depot, p), id);
  }
}

/* While successors are tried: the stack of this request is that of the record, which has a layout. */
RF_INLINE void rf_stack_note(const rf_stack_depot *depot, rf_stack_predictor *p, uint32_t id) {
  if (RF_LIKELY(id == p->next)) {
    p->trust = (int8_t)(p->trust + (p->trust < RF_TRUST_MOST));
  } else {
    note_other(depot, p, id);
  }
  p->way = rf_stack_way(p->last);
  p->last = id;
  p->next = depot_load(rf_stack_successor(depot, p));
  const char *const words = (const char *)record_at(depot, p->next);
  RF_FETCH_TO_READ(words - RF_CACHE_LINE);
  RF_FETCH_TO_READ(words);
  RF_FETCH_TO_READ(words + RF_CACHE_LINE);
}

#endif /* RINGFENCE_STACK_PREDICT_H */

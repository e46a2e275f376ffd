/* Stacks that a depot has, found again by comparing words of the stack with those of a record.
 *
 * Algorithm: a table of guesses, hashed by the place of a call and its depth on the stack. Mostly the guess is the
 * stack. If one word differs, the same table, hashed by the guess and that word, has the stack that turned out to
 * be there before: so the records are the nodes of a tree whose edges are the words in which stacks part. Each guess is
 * verified word by word, so that a wrong one costs time alone. A stack that no guess meets is followed frame by frame,
 * and takes the place of the last guess.
 * Complexity: four instructions for each word that is compared; the number of turns is bounded.
 * Threads: lock-free; a table's entry is one number.
 */
#include "stack_guess.h"
#include "stack_walk.h"

/* Each turn reads a record, which is in no cache where a program has many stacks. To follow all frames by their rules,
 * which are few, costs as much as three turns. */
#define TURNS_MOST 2U
#define TURN_HASH 0x85EBCA6BU /* another odd factor, of MurmurHash3's: ids and words differ in the same bits */

uint32_t rf_stack_depot_put_caller(rf_stack_depot *depot, uintptr_t caller, bool frees) {
  static const rf_stack_layout freeing = {.frees = true};
  if (depot == NULL || caller == 0) {
    return 0;
  }
  uint32_t *const place = rf_stack_guess_at(depot, caller, 0);
  uint32_t id = depot_load(place);
  const rf_stack_record *const r = record_at(depot, id);
  if (RF_LIKELY(r->depth == 1) && RF_LIKELY(r->frames[0] == caller)) {
    return id;
  }
  id = rf_stack_depot_put_laid_out(depot, &caller, 1, frees ? &freeing : NULL, 0);
  if (id != 0) {
    depot_store(place, id);
  }
  return id;
}

#if RF_HOST_STACKS

/* The entry of the stack that was found when record `id` matched but for one word, which was `word`. */
static inline uint32_t *turn_for(const rf_stack_depot *depot, uint32_t id, uintptr_t word) {
  uint32_t const x = (uint32_t)word * RF_STACK_HASH ^ id * TURN_HASH;
  return &depot->recent[x >> 16 & depot_load(&depot->recent_mask)];
}

static uint32_t put_anew(rf_stack_depot *depot, const rf_origin *origin, unsigned max, uint32_t *place) {
  uintptr_t frames[RF_TRACE_DEPTH];
  rf_stack_layout from;
  uint32_t const generation = depot_load(&rf_stack_generation);
  unsigned const most = (max & ~RF_FREES) < RF_TRACE_DEPTH ? max & ~RF_FREES : RF_TRACE_DEPTH;
  unsigned const depth = rf_stack_capture_laid_out(origin, frames, most, &from);
  from.frees = (max & RF_FREES) != 0;
  from.sited = false;
  uint32_t const id = depth != 0 ? rf_stack_depot_put_laid_out(depot, frames, depth, &from, generation) : 0;
  if (id != 0 && from.fixed) {
    depot_store(place, id);
  }
  return id;
}

uint32_t rf_stack_guess_again(rf_stack_depot *depot, uintptr_t caller, const void *frame, unsigned max, uint32_t id,
                              uintptr_t word) {
  uint32_t *place = turn_for(depot, id, word);
  for (unsigned turn = 1;; turn++) {
    id = depot_load(place);
    rf_stack_verdict const v = rf_stack_compare(record_at(depot, id), caller, frame, max & ~RF_FREES, &word);
    if (v == RF_STACK_SAME) {
      return id;
    }
    if (v == RF_STACK_UNKNOWN || turn == TURNS_MOST) {
      break;
    }
    place = turn_for(depot, id, word);
  }
  rf_origin const origin = {NULL, caller, frame};
  return put_anew(depot, &origin, max, place);
}

uint32_t rf_stack_guess_none(rf_stack_depot *depot, uintptr_t caller, const void *frame, unsigned max) {
  rf_origin const origin = {NULL, caller, frame};
  return put_anew(depot, &origin, max, rf_stack_guess_at(depot, caller, (uintptr_t)frame));
}

uint32_t rf_stack_depot_put_from(rf_stack_depot *depot, const rf_origin *origin, unsigned max) {
  return depot != NULL ? rf_stack_guess(depot, origin->caller, origin->frame, max, 0) : 0;
}

uint32_t rf_stack_depot_put_free_from(rf_stack_depot *depot, const rf_origin *origin, unsigned max) {
  return depot != NULL ? rf_stack_guess(depot, origin->caller, origin->frame, max, RF_FREES) : 0;
}

#else

uint32_t rf_stack_depot_put_from(rf_stack_depot *depot, const rf_origin *origin, unsigned max) {
  uintptr_t caller;
  return rf_stack_depot_put(depot, &caller, rf_stack_capture(origin, &caller, max < 1 ? max : 1));
}

uint32_t rf_stack_depot_put_free_from(rf_stack_depot *depot, const rf_origin *origin, unsigned max) {
  return rf_stack_depot_put_from(depot, origin, max);
}

#endif

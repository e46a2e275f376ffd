/* The first guess for a stack, where it is wanted: inlined into the common requests. Internal to checkers/.
 *
 * Mostly the stack is the one that was met last from this place, at this depth: then its words are compared with those
 * of the record, and that is all. See stack_guess.c for what is done else.
 */
#ifndef RINGFENCE_STACK_GUESS_H
#define RINGFENCE_STACK_GUESS_H

#include "host.h"
#include "stack_record.h"
#include "stack_rules.h"

#include "lib/core/compiler.h"

#define RF_FREES 0x80000000U /* beside the most frames of a stack: it is of a call that frees */

/* 2^32 over the golden ratio: spreads keys of the table of guesses. */
#define RF_STACK_HASH 0x9E3779B1U

/* The guess for calls from one place at one depth. `frame`: 0 where the place alone is kept. Depths differ in bits in
 * which places of one module hardly do: side by side, many pairs of the two would have one key. */
static inline uint32_t *rf_stack_guess_at(const rf_stack_depot *depot, uintptr_t caller, uintptr_t frame) {
  uint32_t const x = ((uint32_t)caller ^ (uint32_t)frame << 12) * RF_STACK_HASH;
  return &depot->recent[x >> 16 & depot_load(&depot->recent_mask)];
}

#if RF_HOST_STACKS

typedef enum rf_stack_verdict {
  RF_STACK_SAME,
  RF_STACK_OTHER,  /* in one word, at least */
  RF_STACK_UNKNOWN /* not to be compared */
} rf_stack_verdict;

/* True where all that the layout depends on is in the part of the stack that is known to be there. Not where the stack
 * is another than the last one. */
RF_INLINE bool is_reachable(uint32_t reach, uintptr_t base) {
  return base >= rf_host_last_stack.low && (intptr_t)(rf_host_last_stack.high - base) >= (intptr_t)reach;
}

RF_NO_SANITIZE static inline bool is_word(const uintptr_t *base, uint32_t slot, const uintptr_t *word) {
  return base[slot] == *word;
}

/* The slot of the first of four words that is not where the layout says; NULL where all are. */
RF_NO_SANITIZE RF_INLINE const uint32_t *other_of_four(const uintptr_t *word, const uint32_t *slot,
                                                       const uintptr_t *base) {
  return RF_UNLIKELY(!is_word(base, slot[0], &word[0]))   ? slot
         : RF_UNLIKELY(!is_word(base, slot[1], &word[1])) ? slot + 1
         : RF_UNLIKELY(!is_word(base, slot[2], &word[2])) ? slot + 2
         : RF_UNLIKELY(!is_word(base, slot[3], &word[3])) ? slot + 3
                                                          : NULL;
}

#define USUAL_ROOM 12U /* for the words of a stack of the depth that options have by default */

/* The same of all words; without a loop where there are as many as usual. */
RF_NO_SANITIZE RF_INLINE const uint32_t *other_word(const rf_stack_record *r, const uintptr_t *base) {
  const uintptr_t *word = r->frames;
  const uint32_t *slot = slots_of(r);
  const uint32_t *other;
  if (RF_LIKELY(r->room == USUAL_ROOM)) {
    slot = (const uint32_t *)(word + USUAL_ROOM);
    other = other_of_four(word, slot, base);
    other = RF_LIKELY(other == NULL) ? other_of_four(word + 4, slot + 4, base) : other;
    return RF_LIKELY(other == NULL) ? other_of_four(word + 8, slot + 8, base) : other;
  }
  const uintptr_t *const end = word + r->room; /* not the first: it has a layout */
  do {
    other = other_of_four(word, slot, base);
    slot += 4;
    word += 4;
  } while (RF_LIKELY(other == NULL) && word != end);
  return other;
}

/* The same of the words that depend on where the stack is. */
RF_NO_SANITIZE RF_INLINE const rf_stack_check *other_pointer(const rf_stack_record *r, const uintptr_t *base) {
  const rf_stack_check *check = checks_of(r);
  for (const rf_stack_check *const end = check + layout_of(r)->checks; check != end; check++) {
    if (RF_UNLIKELY(base[check->slot] != (uintptr_t)(base + check->value))) {
      return check;
    }
  }
  return NULL;
}

/* `*word`: in which the stack differs from the record. The generation is looked at again after all was read: a layout
 * changes only for a later one. */
RF_NO_SANITIZE RF_INLINE rf_stack_verdict rf_stack_compare(const rf_stack_record *r, uintptr_t caller,
                                                           const void *frame, unsigned max, uintptr_t *word) {
  const uintptr_t *const base = (const uintptr_t *)frame;
  uint32_t const generation = depot_load(&rf_stack_generation);
  if (RF_UNLIKELY(depot_load(&r->stamp) != generation) || RF_UNLIKELY(max - r->depth > layout_of(r)->slack) ||
      RF_UNLIKELY(!is_reachable(layout_of(r)->reach, (uintptr_t)base))) {
    return RF_STACK_UNKNOWN;
  }
  if (RF_UNLIKELY(r->frames[0] != caller)) {
    *word = caller;
    return RF_STACK_OTHER;
  }
  const uint32_t *const slot = other_word(r, base);
  if (RF_UNLIKELY(slot != NULL)) {
    *word = base[*slot];
    return RF_STACK_OTHER;
  }
  if (layout_of(r)->checks != 0) {
    const rf_stack_check *const check = other_pointer(r, base);
    if (RF_UNLIKELY(check != NULL)) {
      *word = base[check->slot] - (uintptr_t)base;
      return RF_STACK_OTHER;
    }
  }
  return RF_LIKELY(depot_load_after(&rf_stack_generation) == generation) ? RF_STACK_SAME : RF_STACK_UNKNOWN;
}

/* The stack where `id` would be the number but for `word`. */
uint32_t rf_stack_guess_again(rf_stack_depot *depot, uintptr_t caller, const void *frame, unsigned max, uint32_t id,
                              uintptr_t word);

/* The stack where there was nothing to compare with. */
uint32_t rf_stack_guess_none(rf_stack_depot *depot, uintptr_t caller, const void *frame, unsigned max);

/* As rf_stack_depot_put_from with an origin of these two; where `frees` is RF_FREES, and not 0, as
 * rf_stack_depot_put_free_from. */
RF_INLINE uint32_t rf_stack_guess(rf_stack_depot *depot, uintptr_t caller, const void *frame, unsigned max,
                                  unsigned frees) {
  uint32_t const id = depot_load(rf_stack_guess_at(depot, caller, (uintptr_t)frame));
  uintptr_t word;
  rf_stack_verdict const verdict = rf_stack_compare(record_at(depot, id), caller, frame, max, &word);
  if (RF_LIKELY(verdict == RF_STACK_SAME)) {
    return id;
  }
  return verdict == RF_STACK_OTHER ? rf_stack_guess_again(depot, caller, frame, max | frees, id, word)
                                   : rf_stack_guess_none(depot, caller, frame, max | frees);
}

#else

RF_INLINE uint32_t rf_stack_guess(rf_stack_depot *depot, uintptr_t caller, const void *frame, unsigned max,
                                  unsigned frees) {
  rf_origin const origin = {NULL, caller, frame};
  return frees != 0 ? rf_stack_depot_put_free_from(depot, &origin, max) : rf_stack_depot_put_from(depot, &origin, max);
}

#endif

#endif /* RINGFENCE_STACK_GUESS_H */

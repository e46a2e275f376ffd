/* The guess for a stack, where it is wanted: inlined into the common requests. Internal to checkers/.
 *
 * Mostly one stack was met from this place, at this depth, or a word or two tell it from the others: then its words are
 * compared with those of the record, and that is all. See stack_guess.c for what is done else.
 *
 * Before that, the stack is tried that is to be expected after those of the last requests (stack_predict.h).
 */
#ifndef RINGFENCE_STACK_GUESS_H
#define RINGFENCE_STACK_GUESS_H

#include "host.h"
#include "stack_predict.h"
#include "stack_record.h"
#include "stack_rules.h"

#include "lib/core/compiler.h"

#define RF_FREES 0x80000000U /* beside the most frames of a stack: it is of a call that frees */

/* Bit of an entry: stacks part here, and the other bits are the number of one of them. */
#define RF_GUESS_BRANCH 0x80000000U

#define RF_GUESS_SHIFT 14U /* bits of a key that are not in its place in the table */

/* A branch, beside the number: how many words there are from the frame to the one in which stacks part, with that one;
 * 0 for an entry that is a guess itself. The other bits are those of the key that are not in its place in the table. */
#define RF_BRANCH_WORDS 0xFFFFU
#define RF_BRANCHES_MOST 8U /* on the way to a guess */

/* The key of calls from one place at one depth: a product with 2^32 over the golden ratio. `frame`: 0 where the place
 * alone is kept. Depths differ in bits in which places of one module hardly do: side by side, many pairs of the two
 * would have one key. */
static inline uint32_t rf_guess_key(uintptr_t caller, uintptr_t frame) {
  return ((uint32_t)caller ^ (uint32_t)frame << 12) * 0x9E3779B1U;
}

/* The key of the stacks that have `word` where those of `key` part; another odd factor, of MurmurHash3's. */
static inline uint32_t rf_guess_key_behind(uint32_t key, uintptr_t word) {
  return (key ^ (uint32_t)word) * 0x85EBCA6BU;
}

/* The first of the two places of a key; the requests look at no other. */
static inline uint32_t rf_guess_index(const rf_stack_depot *depot, uint32_t key) {
  return key >> RF_GUESS_SHIFT & depot_load(&depot->recent_mask);
}

/* Sets *id to the number of the stack of `caller` alone, where it was the last one with its key: else false. */
RF_INLINE bool rf_guess_is_caller(const rf_stack_depot *depot, uintptr_t caller, uint32_t *id) {
  *id = depot_load(guess_at(depot, rf_guess_index(depot, rf_guess_key(caller, 0)))) & ~RF_GUESS_BRANCH;
  const rf_stack_record *const r = record_at(depot, *id);
  return RF_LIKELY(r->depth == 1) && RF_LIKELY(r->frames[0] == caller);
}

#if RF_HOST_STACKS

/* True where all that the layout depends on is in the part of the stack that is known to be there. Not where the stack
 * is another than the last one. */
RF_INLINE bool is_reachable(uint32_t reach, uintptr_t base) {
  return base >= rf_host_last_stack.low && (intptr_t)(rf_host_last_stack.high - base) >= (intptr_t)reach;
}

RF_NO_SANITIZE static inline bool is_word(const uintptr_t *base, uint32_t slot, const uintptr_t *word) {
  uintptr_t seen = base[slot];
  RF_FORGET(seen); /* so that the record's word is no load of its own */
  return seen == *word;
}

/* True where four words are where the layout says; where the first one is, the other three. Slots go backward. */
RF_NO_SANITIZE RF_INLINE bool are_three(const uintptr_t *word, const uint32_t *slot, const uintptr_t *base) {
  return RF_LIKELY(is_word(base, *(slot - 1), &word[1])) && RF_LIKELY(is_word(base, *(slot - 2), &word[2])) &&
         RF_LIKELY(is_word(base, *(slot - 3), &word[3]));
}

RF_NO_SANITIZE RF_INLINE bool are_four(const uintptr_t *word, const uint32_t *slot, const uintptr_t *base) {
  return RF_LIKELY(is_word(base, *slot, &word[0])) && are_three(word, slot, base);
}

/* The same of all words that count. `own`, a constant: the first is known to be where the layout says. */
RF_NO_SANITIZE RF_INLINE bool are_words(const rf_stack_record *r, const uintptr_t *base, bool own) {
  const uintptr_t *word = r->frames;
  const uint32_t *slot = first_slot_of(r);
  if (RF_UNLIKELY(!(own ? are_three(word, slot, base) : are_four(word, slot, base)))) {
    return false;
  }
  for (unsigned left = layout_of(r)->compared - 4U; left != 0; left -= 4) { /* not 0 before: it has a layout */
    word += 4;
    slot -= 4;
    if (RF_UNLIKELY(!are_four(word, slot, base))) {
      return false;
    }
  }
  return true;
}

/* The same where all that counts is as many words as the shape says. */
RF_NO_SANITIZE RF_INLINE bool are_words_of_shape(const rf_stack_record *r, const uintptr_t *base, bool own) {
  const uint32_t *const slot = first_slot_of(r);
  return (own ? are_three(r->frames, slot, base) : are_four(r->frames, slot, base)) &&
         (r->shape == RF_SHAPE_FOUR || (are_four(r->frames + 4, slot - 4, base) &&
                                        (r->shape == RF_SHAPE_EIGHT || are_four(r->frames + 8, slot - 8, base))));
}

RF_NO_SANITIZE static inline bool is_pointer(const uintptr_t *base, const rf_stack_check *check) {
  return base[check->slot] == (uintptr_t)(base + check->value);
}

/* The same of the words that depend on where the stack is. */
RF_NO_SANITIZE RF_INLINE bool are_pointers(const rf_stack_record *r, const uintptr_t *base) {
  const rf_stack_check *check = checks_of(r);
  for (const rf_stack_check *const end = check + layout_of(r)->checks; check != end; check++) {
    if (RF_UNLIKELY(!is_pointer(base, check))) {
      return false;
    }
  }
  return true;
}

/* True where the record has a layout of code as it is, for this depth. */
RF_INLINE bool is_up_to_date(const rf_stack_record *r, unsigned max, uint32_t generation) {
  return RF_LIKELY(depot_load(&r->stamp) == generation) &&
         (RF_LIKELY(max == (r->asked & ~RF_ASKED_OTHER)) || max - r->depth <= layout_of(r)->slack);
}

/* The same, where the stack is as long as the layout. */
RF_INLINE bool rf_stack_may_be_compared(const rf_stack_record *r, const void *frame, unsigned max,
                                        uint32_t generation) {
  return is_up_to_date(r, max, generation) && RF_LIKELY(is_reachable(layout_of(r)->reach, (uintptr_t)frame));
}

/* True where the record has a layout of code as it is, for just this depth, and its shape says all. */
RF_INLINE bool has_plain_layout(const rf_stack_record *r, unsigned max, uint32_t generation) {
  return RF_LIKELY(depot_load(&r->stamp) == generation) && RF_LIKELY(max == r->asked);
}

/* True where the stack is that of the record, whatever its shape. `own`: as in rf_stack_is. */
RF_NO_SANITIZE RF_INLINE bool is_of_other_shape(const rf_stack_record *r, uintptr_t caller, const void *frame,
                                                unsigned max, uint32_t generation, bool own) {
  const uintptr_t *const base = (const uintptr_t *)frame;
  return is_up_to_date(r, max, generation) && r->frames[0] == caller &&
         ((own && layout_of(r)->checks == 0) || is_reachable(layout_of(r)->reach, (uintptr_t)frame)) &&
         are_words(r, base, own) && are_pointers(r, base);
}

/* True where the stack is that of the record. `own`, a constant: `caller` is the return address in `frame`. Then it is
 * not asked how long the stack is, but where frame pointers count: each word is the return address of a frame of which
 * the word before it says that it is there, and how far away. The generation is looked at again after all was read: a
 * layout changes only for a later one. */
RF_NO_SANITIZE RF_INLINE bool rf_stack_is(const rf_stack_record *r, uintptr_t caller, const void *frame, unsigned max,
                                          bool own) {
  uint32_t const generation = depot_load(&rf_stack_generation);
  bool const is = RF_LIKELY(has_plain_layout(r, max, generation))
                      ? RF_LIKELY(r->frames[0] == caller) &&
                            (own || RF_LIKELY(is_reachable(layout_of(r)->reach, (uintptr_t)frame))) &&
                            are_words_of_shape(r, (const uintptr_t *)frame, own)
                      : is_of_other_shape(r, caller, frame, max, generation, own);
  return is && RF_LIKELY(depot_load_after(&rf_stack_generation) == generation);
}

RF_NO_SANITIZE static inline uint32_t rf_guess_key_at(uint32_t key, const void *frame, uint32_t words) {
  return rf_guess_key_behind(key, ((const uintptr_t *)frame + words)[-1]);
}

/* True where the last of so many words from the frame on is in the part of the stack that is known to be there. */
RF_INLINE bool rf_guess_may_read(const void *frame, uint32_t words) {
  uintptr_t const end = (uintptr_t)frame + words * sizeof(uintptr_t);
  return end > rf_host_last_stack.low && end <= rf_host_last_stack.high;
}

/* The guess behind the branches of `key`, to the first of which `id` belongs. An entry that is marked as a branch may
 * be none by now, or that of another key: it is not asked, since such a guess is not met. */
RF_INLINE uint32_t rf_guess_behind(const rf_stack_depot *depot, uint32_t key, const void *frame, uint32_t id) {
  uint32_t const mask = depot_load(&depot->recent_mask);
  RF_FORGET(key); /* so that who is not led here needs no address of the entry */
  const uint32_t *entry = guess_at(depot, key >> RF_GUESS_SHIFT & mask);
  for (unsigned left = RF_BRANCHES_MOST; left != 0; left--) {
    uint32_t const words = depot_load(&entry[1]) & RF_BRANCH_WORDS;
    if (RF_UNLIKELY(!rf_guess_may_read(frame, words))) {
      break;
    }
    key = rf_guess_key_at(key, frame, words);
    entry = guess_at(depot, key >> RF_GUESS_SHIFT & mask);
    id = depot_load(entry);
    if ((id & RF_GUESS_BRANCH) == 0) {
      return id;
    }
  }
  return id & ~RF_GUESS_BRANCH;
}

/* The number of a stack that may be the caller's; 0 for none. `predictor`: it is told where stacks part; or NULL. */
RF_INLINE uint32_t rf_guess_of(const rf_stack_depot *depot, rf_stack_predictor *predictor, uintptr_t caller,
                               const void *frame) {
  uint32_t const key = rf_guess_key(caller, (uintptr_t)frame);
  uint32_t const id = depot_load(guess_at(depot, rf_guess_index(depot, key)));
  if (RF_LIKELY((id & RF_GUESS_BRANCH) == 0)) {
    return id;
  }
  if (predictor != NULL) {
    rf_stack_parted(predictor);
  }
  return rf_guess_behind(depot, key, frame, id);
}

/* Makes `id`, which is this stack's, the guess for it. */
void rf_guess_enter(rf_stack_depot *depot, uintptr_t caller, const void *frame, unsigned max, uint32_t id);

/* The number of a stack that no guess holds for. `max`: the most frames, with RF_FREES where the call frees. */
uint32_t rf_stack_guess_anew(rf_stack_depot *depot, uintptr_t caller, const void *frame, unsigned max);

/* Sets *id to the number of the caller's stack, where a guess for it holds: else false. `own`: as in rf_stack_is. */
RF_INLINE bool rf_stack_guess_holds(const rf_stack_depot *depot, rf_stack_predictor *predictor, uintptr_t caller,
                                    const void *frame, unsigned max, bool own, uint32_t *id) {
  bool guessed = !rf_stack_is_predicted(predictor);
  bool const predicts = !guessed;
  *id = predictor->next;
  for (;;) {
    if (guessed) {
      *id = rf_guess_of(depot, predictor, caller, frame);
    }
    if (RF_LIKELY(rf_stack_is(record_at(depot, *id), caller, frame, max, own))) {
      break;
    }
    if (guessed) {
      return false;
    }
    guessed = true;
  }
  if (predicts) {
    rf_stack_note(depot, predictor, *id);
  }
  return true;
}

#else

RF_INLINE bool rf_stack_guess_holds(const rf_stack_depot *depot, rf_stack_predictor *predictor, uintptr_t caller,
                                    const void *frame, unsigned max, bool own, uint32_t *id) {
  (void)depot;
  (void)predictor;
  (void)caller;
  (void)frame;
  (void)max;
  (void)own;
  *id = 0;
  return false;
}

RF_INLINE uint32_t rf_stack_guess_anew(rf_stack_depot *depot, uintptr_t caller, const void *frame, unsigned max) {
  unsigned const asked = max & ~RF_FREES;
  rf_origin const origin = {NULL, caller, frame};
  return asked != max ? rf_stack_depot_put_free_from(depot, &origin, asked)
                      : rf_stack_depot_put_from(depot, &origin, asked);
}

#endif

#endif /* RINGFENCE_STACK_GUESS_H */

/* Stacks that a depot has, found again by comparing words of the stack with those of a record.
 *
 * Algorithm: a table of guesses, hashed by the place of a call and its depth on the stack. Mostly the guess is the
 * stack. Where one word differs, the same table, hashed by the guess and that word, has the stack that turned out to
 * be there before: so the records are the nodes of a tree whose edges are the words in which stacks part. Each guess is
 * verified word by word, so that a wrong one costs time alone. A stack that no guess meets is followed frame by frame.
 * Complexity: four instructions for each word that is compared; the number of turns is bounded.
 * Threads: lock-free; a table's entry is one number.
 */
#include "host.h"
#include "stack_record.h"
#include "stack_rules.h"
#include "stack_walk.h"

#include "lib/core/compiler.h"

#define HASH_FACTOR 0x9E3779B1U

/* Calls from one place at one depth mostly have the same stack. `frame`: 0 where the place alone is kept. */
static inline uint32_t *guess_for(const rf_stack_depot *depot, uintptr_t caller, uintptr_t frame) {
  uint32_t const x = (uint32_t)(caller ^ frame >> 4) * HASH_FACTOR;
  return &depot->recent[x >> 16 & load(&depot->recent_mask)];
}

uint32_t rf_stack_depot_put_caller(rf_stack_depot *depot, uintptr_t caller, bool frees) {
  static const rf_stack_layout freeing = {.frees = true};
  if (depot == NULL || caller == 0) {
    return 0;
  }
  uint32_t *const place = guess_for(depot, caller, 0);
  uint32_t id = load(place);
  const record *const r = record_at(depot, id);
  if (RF_LIKELY(r->depth == 1) && RF_LIKELY(r->frames[0] == caller)) {
    return id;
  }
  id = rf_stack_depot_put_laid_out(depot, &caller, 1, frees ? &freeing : NULL, 0);
  if (id != 0) {
    store(place, id);
  }
  return id;
}

#if RF_HOST_STACKS

#define TURNS_MOST 6U

/* Where the stack is that was met when record `id` would have been right but for one word, which was `word`. */
static inline uint32_t *turn_for(const rf_stack_depot *depot, uint32_t id, uintptr_t word) {
  uint32_t const x = ((uint32_t)word ^ id << 7) * HASH_FACTOR;
  return &depot->recent[x >> 14 & load(&depot->recent_mask)];
}

/* True where all that the layout depends on is in the part of the stack that is known to be there. Not where the stack
 * is another than the last one. */
static inline bool is_reachable(uint32_t reach, uintptr_t base) {
  uintptr_t const high = rf_host_last_stack.high;
  return base % sizeof base == 0 && base >= rf_host_last_stack.low && base <= high && high - base >= reach;
}

RF_NO_SANITIZE static inline bool is_word(const uintptr_t *base, uint32_t slot, const uintptr_t *word) {
  return base[slot] == *word;
}

/* The slot of the first word that is not where the layout says; NULL where all are. */
RF_NO_SANITIZE RF_INLINE const uint32_t *other_word(const record *r, const uintptr_t *base) {
  const uintptr_t *word = r->frames;
  const uint32_t *slot = slots_of(r);
  const uintptr_t *const end = word + r->room; /* not the first: it has a layout */
  do {
    if (RF_UNLIKELY(!is_word(base, slot[0], &word[0]))) {
      return slot;
    }
    if (RF_UNLIKELY(!is_word(base, slot[1], &word[1]))) {
      return slot + 1;
    }
    if (RF_UNLIKELY(!is_word(base, slot[2], &word[2]))) {
      return slot + 2;
    }
    if (RF_UNLIKELY(!is_word(base, slot[3], &word[3]))) {
      return slot + 3;
    }
    slot += 4;
    word += 4;
  } while (word != end);
  return NULL;
}

/* The same of the words that depend on where the stack is. */
RF_NO_SANITIZE RF_INLINE const rf_stack_check *other_pointer(const record *r, const uintptr_t *base) {
  const rf_stack_check *check = checks_of(r);
  for (const rf_stack_check *const end = check + layout_of(r)->checks; check != end; check++) {
    if (RF_UNLIKELY(base[check->slot] != (uintptr_t)(base + check->value))) {
      return check;
    }
  }
  return NULL;
}

typedef enum verdict {
  STACK_SAME,
  STACK_OTHER,  /* in one word, at least */
  STACK_UNKNOWN /* not to be compared */
} verdict;

/* `*word`: in which the stack differs from the record. The generation is looked at again after all was read: a layout
 * changes only for a later one. */
RF_NO_SANITIZE RF_INLINE verdict compare(const record *r, const rf_origin *origin, unsigned max, uintptr_t *word) {
  const uintptr_t *const base = (const uintptr_t *)origin->frame;
  uint32_t const generation = load(&rf_stack_generation);
  if (RF_UNLIKELY(load(&r->stamp) != generation) || RF_UNLIKELY(max - r->depth > layout_of(r)->slack) ||
      RF_UNLIKELY(!is_reachable(layout_of(r)->reach, (uintptr_t)base))) {
    return STACK_UNKNOWN;
  }
  if (RF_UNLIKELY(r->frames[0] != origin->caller)) {
    *word = origin->caller;
    return STACK_OTHER;
  }
  const uint32_t *const slot = other_word(r, base);
  if (slot != NULL) {
    *word = base[*slot];
    return STACK_OTHER;
  }
  if (layout_of(r)->checks != 0) {
    const rf_stack_check *const check = other_pointer(r, base);
    if (RF_UNLIKELY(check != NULL)) {
      *word = base[check->slot] - (uintptr_t)base;
      return STACK_OTHER;
    }
  }
  return load_after(&rf_stack_generation) == generation ? STACK_SAME : STACK_UNKNOWN;
}

/* Not inlined, and called last, so that what mostly happens needs few registers. As is the next. */
static RF_RARE uint32_t put_anew(rf_stack_depot *depot, const rf_origin *origin, unsigned max, uint32_t *place,
                                 bool frees) {
  uintptr_t frames[RF_TRACE_DEPTH];
  rf_stack_layout from;
  uint32_t const generation = load(&rf_stack_generation);
  unsigned const most = max < RF_TRACE_DEPTH ? max : RF_TRACE_DEPTH;
  unsigned const depth = rf_stack_capture_laid_out(origin, frames, most, &from);
  from.frees = frees;
  uint32_t const id = depth != 0 ? rf_stack_depot_put_laid_out(depot, frames, depth, &from, generation) : 0;
  if (id != 0 && from.fixed) {
    store(place, id);
  }
  return id;
}

/* From turn to turn. */
static RF_RARE uint32_t put_other(rf_stack_depot *depot, const rf_origin *origin, unsigned max, uint32_t *place,
                                  bool frees) {
  for (unsigned turn = 0; turn < TURNS_MOST; turn++) {
    uint32_t const id = load(place);
    uintptr_t word;
    verdict const v = compare(record_at(depot, id), origin, max, &word);
    if (v == STACK_SAME) {
      return id;
    }
    if (v == STACK_UNKNOWN) {
      break;
    }
    place = turn_for(depot, id, word);
  }
  return put_anew(depot, origin, max, place, frees);
}

RF_INLINE uint32_t put_from(rf_stack_depot *depot, const rf_origin *origin, unsigned max, bool frees) {
  if (depot == NULL) {
    return 0;
  }
  uint32_t const id = load(guess_for(depot, origin->caller, (uintptr_t)origin->frame));
  uintptr_t word;
  verdict const v = compare(record_at(depot, id), origin, max, &word);
  if (RF_LIKELY(v == STACK_SAME)) {
    return id;
  }
  return v == STACK_OTHER
             ? put_other(depot, origin, max, turn_for(depot, id, word), frees)
             : put_anew(depot, origin, max, guess_for(depot, origin->caller, (uintptr_t)origin->frame), frees);
}

uint32_t rf_stack_depot_put_from(rf_stack_depot *depot, const rf_origin *origin, unsigned max) {
  return put_from(depot, origin, max, false);
}

uint32_t rf_stack_depot_put_free_from(rf_stack_depot *depot, const rf_origin *origin, unsigned max) {
  return put_from(depot, origin, max, true);
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

/* Stacks that a depot has, found again by comparing words of the stack with those of a record.
 *
 * Algorithm: a decision tree (a trie) for each place of a call and depth on the stack, whose leaves are guesses. A
 * branch names the lowest word in which two stacks of its place differ; below that the two are alike, so that it
 * belongs to the same frame in both, and the word leads on. All nodes lie in one hash table: behind a branch, the key
 * is one of the branch's key and the word. A guess is verified word by word, so that a wrong one costs time alone. A
 * stack that no guess meets is followed frame by frame, and the leaf that was found for it becomes a branch, or its
 * own. A key has two places in the table. The requests look at the first one; a node that is in the second one comes
 * to the first when it is wanted.
 * Complexity: four instructions for each word that is compared, some fifteen for a branch, of which there are few.
 * Threads: lock-free; an entry's two numbers may be of two states of it, which leads to a wrong guess.
 */
#include "stack_guess.h"
#include "stack_walk.h"

uint32_t rf_stack_wrong_borne = RF_WRONG_BORNE;

uint32_t rf_stack_depot_put_caller(rf_stack_depot *depot, uintptr_t caller, bool frees) {
  static const rf_stack_layout freeing = {.frees = true};
  if (depot == NULL || caller == 0) {
    return 0;
  }
  uint32_t id;
  if (rf_guess_is_caller(depot, caller, &id)) {
    return id;
  }
  id = rf_stack_depot_put_laid_out(depot, &caller, 1, frees ? &freeing : NULL, 0);
  if (id != 0) {
    depot_store(guess_at(depot, rf_guess_index(depot, rf_guess_key(caller, 0))), id);
  }
  return id;
}

#if RF_HOST_STACKS

/* ---- Nodes ---- */

typedef struct node {
  uint32_t key;
  uint32_t id;    /* of a stack of this node; 0: there is none */
  uint32_t words; /* up to where such stacks part; 0 for a leaf */
  bool was_aside; /* in the second place of its key */
} node;

static uint32_t second_index(const rf_stack_depot *depot, uint32_t index) {
  return (index ^ 1) & depot_load(&depot->recent_mask);
}

/* The words of an entry; above RF_BRANCH_WORDS where it is another key's. */
static uint32_t words_at(const rf_stack_depot *depot, uint32_t index, uint32_t key) {
  return depot_load(&guess_at(depot, index)[1]) ^ key << 16;
}

static void store_entry(uint32_t *entry, uint32_t id, uint32_t branch) {
  depot_store(&entry[1], branch);
  depot_store(&entry[0], id);
}

/* Puts the node into the first place of its key. An entry of another key that is there moves to the second place, which
 * is the first one of some keys, and is found there by the others. */
static void set_node(rf_stack_depot *depot, const node *n) {
  uint32_t const at = rf_guess_index(depot, n->key);
  uint32_t *const first = guess_at(depot, at);
  uint32_t const there = depot_load(first);
  if (there != 0 && words_at(depot, at, n->key) > RF_BRANCH_WORDS) {
    store_entry(guess_at(depot, second_index(depot, at)), there, depot_load(&first[1]));
  }
  store_entry(first, n->words != 0 ? n->id | RF_GUESS_BRANCH : n->id, n->key << 16 | n->words);
}

static void set_leaf(rf_stack_depot *depot, uint32_t key, uint32_t id) {
  set_node(depot, &(node){.key = key, .id = id});
}

/* The node of the key, from either place, without what the stack is too short for. */
static node node_of(const rf_stack_depot *depot, uint32_t key, const void *frame) {
  node n = {.key = key};
  uint32_t at = rf_guess_index(depot, key);
  uint32_t words = words_at(depot, at, key);
  if (words > RF_BRANCH_WORDS) {
    at = second_index(depot, at);
    words = words_at(depot, at, key);
    n.was_aside = true;
  }
  uint32_t const id = depot_load(guess_at(depot, at));
  bool const branches = (id & RF_GUESS_BRANCH) != 0;
  if (words == 0 || (branches && rf_guess_may_read(frame, words))) {
    n.id = id & ~RF_GUESS_BRANCH;
    n.words = words;
  }
  return n;
}

static node node_behind(const rf_stack_depot *depot, const node *n, const void *frame) {
  return node_of(depot, rf_guess_key_at(n->key, frame, n->words), frame);
}

/* The guess that the requests did not meet as some of its nodes were in second places: those are in the first ones
 * now. 0 where there is none. */
static uint32_t guess_aside(rf_stack_depot *depot, uintptr_t caller, const void *frame) {
  bool moved = false;
  node n = node_of(depot, rf_guess_key(caller, (uintptr_t)frame), frame);
  for (unsigned left = RF_BRANCHES_MOST;; left--) {
    if (n.was_aside && n.id != 0) {
      set_node(depot, &n);
      moved = true;
    }
    if (n.words == 0 || left == 0) {
      return moved ? n.id : 0;
    }
    n = node_behind(depot, &n, frame);
  }
}

/* ---- Differences ---- */

typedef struct difference {
  uint32_t words; /* up to the lowest one in which a stack is not as a record has it; 0 where none is known */
  uintptr_t word; /* which the record has there */
} difference;

RF_NO_SANITIZE static difference difference_from(const rf_stack_record *r, const void *frame, unsigned max) {
  const uintptr_t *const base = (const uintptr_t *)frame;
  difference found = {0, 0};
  if (!rf_stack_may_be_compared(r, frame, max, depot_load(&rf_stack_generation))) {
    return found;
  }
  uint32_t least = RF_BRANCH_WORDS;
  for (unsigned i = 0; i < layout_of(r)->room; i++) {
    uint32_t const slot = *(first_slot_of(r) - i);
    if (slot < least && !is_word(base, slot, &r->frames[i])) {
      least = slot;
      found = (difference){least + 1, r->frames[i]};
    }
  }
  const rf_stack_check *const checks = checks_of(r);
  for (unsigned i = 0; i < layout_of(r)->checks; i++) {
    if (checks[i].slot < least && !is_pointer(base, &checks[i])) {
      least = checks[i].slot;
      found = (difference){least + 1, (uintptr_t)(base + checks[i].value)};
    }
  }
  return found;
}

/* ---- Entering ---- */

/* The stacks of a node part where `d` says: behind it are the one that it had and `id`. */
static void split(rf_stack_depot *depot, node n, const difference *d, const void *frame, uint32_t id) {
  set_leaf(depot, rf_guess_key_behind(n.key, d->word), n.id);
  set_leaf(depot, rf_guess_key_at(n.key, frame, d->words), id);
  n.words = d->words;
  set_node(depot, &n);
}

/* A stack that differs from those of the last branch before the word in which these part has something else there: then
 * that branch is made anew, and what was behind it is entered again in time. */
void rf_guess_enter(rf_stack_depot *depot, uintptr_t caller, const void *frame, unsigned max, uint32_t id) {
  node n = node_of(depot, rf_guess_key(caller, (uintptr_t)frame), frame);
  node above = {0};
  unsigned branches = 0;
  for (; n.words != 0 && branches < RF_BRANCHES_MOST; branches++) {
    above = n;
    n = node_behind(depot, &n, frame);
  }
  bool const is_leaf = n.id != 0 && n.words == 0;
  node const other = is_leaf ? n : above;
  difference const d = other.id != 0 ? difference_from(record_at(depot, other.id), frame, max) : (difference){0, 0};
  if (d.words != 0 && (is_leaf ? branches < RF_BRANCHES_MOST : d.words < above.words)) {
    split(depot, other, &d, frame, id);
  } else {
    set_leaf(depot, n.key, id);
  }
}

uint32_t rf_stack_guess_anew(rf_stack_depot *depot, uintptr_t caller, const void *frame, unsigned max) {
  unsigned const asked = max & ~RF_FREES;
  uint32_t const aside = guess_aside(depot, caller, frame);
  if (aside != 0 && rf_stack_is(record_at(depot, aside), caller, frame, asked, false)) {
    return aside;
  }
  rf_origin const origin = {NULL, caller, frame};
  uintptr_t frames[RF_TRACE_DEPTH];
  rf_stack_layout from;
  uint32_t const generation = depot_load(&rf_stack_generation);
  unsigned const depth =
      rf_stack_capture_laid_out(&origin, frames, asked < RF_TRACE_DEPTH ? asked : RF_TRACE_DEPTH, &from);
  from.frees = (max & RF_FREES) != 0;
  from.sited = false;
  uint32_t const id = depth != 0 ? rf_stack_depot_put_laid_out(depot, frames, depth, &from, generation) : 0;
  if (id != 0 && from.fixed) {
    rf_guess_enter(depot, caller, frame, asked, id);
  }
  return id;
}

RF_INLINE uint32_t put_from(rf_stack_depot *depot, uintptr_t caller, const void *frame, unsigned max, unsigned frees) {
  uint32_t const id = rf_guess_of(depot, NULL, caller, frame);
  return RF_LIKELY(rf_stack_is(record_at(depot, id), caller, frame, max, false))
             ? id
             : rf_stack_guess_anew(depot, caller, frame, max | frees);
}

uint32_t rf_stack_depot_put_from(rf_stack_depot *depot, const rf_origin *origin, unsigned max) {
  return depot != NULL ? put_from(depot, origin->caller, origin->frame, max, 0) : 0;
}

uint32_t rf_stack_depot_put_free_from(rf_stack_depot *depot, const rf_origin *origin, unsigned max) {
  return depot != NULL ? put_from(depot, origin->caller, origin->frame, max, RF_FREES) : 0;
}

#else

uint32_t rf_stack_depot_put_from(rf_stack_depot *depot, const rf_origin *origin, unsigned max) {
  uintptr_t caller = 0;
  return rf_stack_depot_put(depot, &caller, rf_stack_capture(origin, &caller, max < 1 ? max : 1));
}

uint32_t rf_stack_depot_put_free_from(rf_stack_depot *depot, const rf_origin *origin, unsigned max) {
  return rf_stack_depot_put_from(depot, origin, max);
}

#endif

/* Functions that the parts of rf_guard share, from the lowest part up: each calls those above it in this file, and no
 * other. Internal to guard*.c and asan.c. */
#ifndef RINGFENCE_GUARD_IMPL_H
#define RINGFENCE_GUARD_IMPL_H

#include <ringfence/track.h>

#include "checkers/os/host.h"
#include "checkers/os/memory_tags.h"
#include "checkers/shared/family.h"
#include "checkers/shared/origin.h"
#include "checkers/shared/pattern.h"
#include "checkers/shared/wrapper.h"
#include "guard_header.h"

static inline rf_guard *guard_of(rf_allocator *self) {
  return (rf_guard *)self;
}

/* ---- Tracking ----
 *
 * A watched guard tells the watcher which bytes the program may touch: the payload of a live block, and nothing else.
 * The inner allocator finds all of its block accessible whenever it is called about one. */

static inline bool is_watched(const rf_guard *guard) {
  return RF_TRACK && guard->options.watched;
}

static inline bool is_tagged(const rf_guard *guard) {
  return RF_MEMORY_TAGS && guard->options.tagged;
}

static inline const char *mode_of(const rf_guard *guard) {
  return is_tagged(guard) ? "mte" : !is_watched(guard) ? "guard" : RF_TRACK_ASAN ? "asan" : "valgrind";
}

/* A new block of `size` bytes, header and guards written. */
static inline void track_live(const rf_guard *guard, const rf_guard_header *h) {
  if (is_watched(guard)) {
    rf_track_resize(block_of(h), total_of(h), payload_of(h),
                    h->size); /* what the inner allocator said of its block is now of ours */
  }
}

/* A live block, its header and guards open to the inner allocator, and closed again. */
static inline void track_open(const rf_guard *guard, const rf_guard_header *h) {
  if (is_watched(guard)) {
    rf_track_arena_end(block_of(h), prefix_of(h));
    rf_track_arena_end(payload_of(h) + h->size, h->back);
  }
}

static inline void track_closed(const rf_guard *guard, const rf_guard_header *h) {
  if (is_watched(guard)) {
    rf_track_arena(block_of(h), prefix_of(h));
    rf_track_resize(payload_of(h), h->size + h->back, payload_of(h), h->size);
  }
}

/* A freed block, filled. */
static inline void track_freed(const rf_guard *guard, const rf_guard_header *h) {
  if (is_watched(guard)) {
    rf_track_free(payload_of(h), h->size);
  }
}

/* A block that goes back to the inner allocator. */
static inline void track_returned(const rf_guard *guard, const void *payload, const void *block, size_t total) {
  if (is_watched(guard)) {
    rf_track_resize(payload, 0, block, total);
  }
}

/* ---- Tags of memory (mte.h), in processes that have them on ---- */

/* The tag of a live block and of pointers to it. */
static inline unsigned tag_of_block(const rf_guard_header *h) {
  return h->size == 0 ? RF_TAG_MOST : rf_memory_tags_at((uintptr_t)payload_of(h));
}

/* A live block whose size is not known any more gives its memory back. */
static inline void untag_lost(const rf_guard *guard, const rf_guard_header *h) {
  if (is_tagged(guard)) {
    rf_memory_tags_clear((uintptr_t)payload_of(h));
  }
}

/* ---- guard_report.c: findings ---- */

/* Starts a finding: everything that does not depend on a block. */
void rf_guard_finding(const rf_guard *guard, rf_finding *f, rf_bug bug, rf_access access, const void *address,
                      const rf_origin *origin);

/* Adds the block that starts with `h`, intact: place, size, offset, and both origins. */
void rf_guard_finding_block(const rf_guard *guard, rf_finding *f, const rf_guard_header *h);

/* Adds the bytes around `at` as far as they belong to the block. */
void rf_guard_finding_window(const rf_guard *guard, rf_finding *f, const rf_guard_header *h, const unsigned char *at);

/* Adds the bytes of a damaged header and of the redzone after it. */
void rf_guard_finding_header(rf_finding *f, const rf_guard_header *h);

/* Decodes an origin as kept in a header. */
void rf_guard_trace(const rf_guard *guard, origin_kind kind, uintptr_t origin, uint32_t thread, rf_trace *out);

/* The trace of the allocation of `h`, intact. */
void rf_guard_allocated(const rf_guard *guard, const rf_guard_header *h, rf_trace *out);

/* Stores the stack of `origin` with its site in the depot. Returns its number, 0 where there is no room. */
uint32_t rf_guard_put_stack_and_site(rf_guard *guard, const rf_origin *origin, bool frees);

/* ---- guard_lookup.c: blocks by address and in order ---- */

/* True where `size` bytes at `p` can be read: they lie in the inner allocator's memory or, where that cannot tell, in
 * memory that the system says can be read. */
bool rf_guard_has_memory(const rf_guard *guard, const void *p, size_t size);

/* The same for the header before `ptr`. */
bool rf_guard_reachable(const rf_guard *guard, const void *ptr);

/* True where `ptr` starts a live block with an intact header. */
bool rf_guard_is_live(const rf_guard *guard, const void *ptr);

/* The same for an aligned `ptr` on a page that is not known, with the parts of its checksum. */
bool rf_guard_is_live_on_new_page(rf_guard *guard, const void *ptr, guard_checksum *parts);

/* True where the header is intact and in that state. */
static inline bool rf_guard_sound(const rf_guard *guard, const rf_guard_header *h, guard_state state) {
  return intact(guard, h) && state_of(h) == state;
}

/* Ends the walk of a list that leads back into itself: an inner allocator whose own data are damaged may give the same
 * memory out twice, and the second block's links replace the first one's. Each block is compared with the last one
 * whose number was a power of two, so no more than three times as many are passed as there are (R. P. Brent, An
 * improved Monte Carlo factorization algorithm, 1980). */
typedef struct guard_lap {
  const rf_guard_header *mark;
  size_t steps;
} guard_lap;

static inline bool comes_again(guard_lap *lap, const rf_guard_header *h) {
  bool const again = h == lap->mark;
  lap->steps++;
  lap->mark = (lap->steps & (lap->steps - 1)) == 0 ? h : lap->mark;
  return again;
}

/* A walk over every block, damaged or not: live ones from the newest to the oldest, then quarantined ones, queue by
 * queue, oldest first. Passes damaged headers as far as links that agree lead on. */
typedef struct guard_cursor {
  rf_guard_header *h; /* NULL: at the end */
  bool intact;
  bool freed;
  unsigned queue; /* where freed */
  guard_lap lap;  /* in the ring, or in the queue */
} guard_cursor;

guard_cursor rf_guard_first(const rf_guard *guard);
void rf_guard_next(const rf_guard *guard, guard_cursor *at);

/* The header after `h` in the ring of live blocks, and in a queue of freed ones, where `h` may be damaged. */
rf_guard_header *rf_guard_skip_damaged(const rf_guard *guard, const rf_guard_header *h);
rf_guard_header *rf_guard_next_freed(const rf_guard *guard, const rf_guard_header *h);

/* The intact block that ends nearest before `address`; NULL where there is none. */
rf_guard_header *rf_guard_block_before(const rf_guard *guard, const void *address);

/* The nearest block, intact or not, whose header is at or after `address`. */
guard_cursor rf_guard_block_after(const rf_guard *guard, const void *address);

/* The intact block that `ptr` points into, header and redzones included; NULL where there is none. */
const rf_guard_header *rf_guard_block_around(const rf_guard *guard, const void *ptr);

/* ---- guard_damage.c: damage to blocks whose header is intact, and to the inner allocator ---- */

typedef struct guard_damage {
  rf_bug bug;
  rf_pattern_area area; /* from the first wrong byte to the last */
  const char *detail;
} guard_damage;

/* Looks for damage in and around a live or freed block whose header is intact. */
bool rf_guard_inspect(const rf_guard *guard, const rf_guard_header *h, guard_damage *out);

/* Reports every damage of such a block and restores the patterns. Returns the number of findings. */
size_t rf_guard_report_damage(rf_guard *guard, rf_guard_header *h, const rf_origin *origin);

/* Reports overflows that ran on into headers: each explains all the headers that it went over. Returns the number of
 * findings. */
size_t rf_guard_report_overruns(rf_guard *guard, const rf_origin *origin);

/* Writes a valid header over a damaged one that was reported: the block is never used again. The memory stays with the
 * inner allocator, since the start of its block is no longer known. */
void rf_guard_abandon(rf_guard *guard, rf_guard_header *h, bool freed);

/* Bytes from the end of a block's redzone to the next header that one overflow may have reached: the inner allocator's
 * own data between two blocks. */
#define GUARD_REACH 128

/* True where live blocks are missing from the ring: damage has gone over several headers. */
bool rf_guard_has_lost_blocks(const rf_guard *guard);

/* Asks the inner allocator for its own check. False where it fails; then *where says why. */
bool rf_guard_inner_is_whole(rf_guard *guard, rf_fault *where);

/* After bytes beyond a block were overwritten: true where the inner allocator was damaged by the same write, whose
 * finding explains that. */
bool rf_guard_inner_was_hit(rf_guard *guard);

/* Reports the fault that a call into the inner allocator raised. */
void rf_guard_report_inner(rf_guard *guard, const rf_fault *fault, const rf_origin *origin);

/* Adds to a finding about the inner allocator's own data the block that ends shortly before, where there is one. */
void rf_guard_blame_before(const rf_guard *guard, rf_finding *f);

/* ---- guard_repair.c: damaged headers ---- */

/* Takes damaged headers out of the ring of live blocks and out of the quarantine, reporting each. Returns the number of
 * findings. */
size_t rf_guard_repair(rf_guard *guard, const rf_origin *origin);

/* ---- guard_registry.c: all guards of the process ---- */

void rf_guard_register(rf_guard *guard);
void rf_guard_unregister(rf_guard *guard);

/* The other guard of which `ptr` starts a live block; NULL where there is none. */
const rf_guard *rf_guard_owner(const rf_guard *guard, const void *ptr);

/* The watched guard whose memory `address` lies in or near to, and in *nearest its nearest block, live or in
 * quarantine; both NULL where there is none. Safe at the moment of a fault, in any thread, while others go on: misses a
 * block at worst. */
const rf_guard *rf_guard_nearest(const void *address, const rf_guard_header **nearest);

/* The same for guards whose blocks have tags, and an access by a pointer with this one: of the blocks that do not have
 * the address inside, one with the tag comes before all others. */
const rf_guard *rf_guard_nearest_tagged(const void *address, unsigned tag, const rf_guard_header **nearest);

/* ---- guard_bad_free.c: pointers that start no live block ---- */

/* Reports the free, realloc or resize of such a pointer. Returns the status to answer with. */
rf_status rf_guard_bad_free(rf_guard *guard, void *ptr, const rf_origin *origin);

/* ---- guard_quarantine.c ---- */

/* Starts new ages after the free of `total` bytes. */
void rf_guard_begin_age(rf_guard *guard, size_t total);

/* Gives a block that left the quarantine back. Its header says so as long as the memory is not used again. */
void rf_guard_retire(rf_guard *guard, rf_guard_header *h, guard_checksum parts, const rf_origin *origin);

/* rf_guard_flush with an origin. */
void rf_guard_flush_from(rf_guard *guard, size_t keep, const rf_origin *origin);

/* ---- guard_alloc.c, guard_free.c, guard_realloc.c: the operations, and parts of them for realloc ---- */

void *rf_guard_op_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site);
rf_status rf_guard_op_free(rf_allocator *self, void *ptr, const rf_site *site);
void *rf_guard_op_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site);
rf_status rf_guard_op_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site);
rf_status rf_guard_resize_from(rf_guard *guard, void *ptr, size_t size, const rf_origin *origin);

/* A live block with redzones; the payload is not written, and nothing is counted. */
rf_guard_header *rf_guard_make_block(rf_guard *guard, size_t size, size_t align, rf_family family,
                                     const rf_origin *origin);

/* Sets the size of a block that offers `got` bytes in all. Returns the size of its back redzone, which it writes. */
uint16_t rf_guard_set_size(rf_guard_header *h, size_t size, size_t prefix, size_t got);

/* A live block, checked, becomes a freed one; one whose header was overwritten since is reported. */
void rf_guard_release(rf_guard *guard, rf_guard_header *h, const rf_origin *origin);

/* Reports a free or realloc by another family or size (SIZE_MAX: not named) than those of the allocation. */
void rf_guard_report_mismatch(rf_guard *guard, const rf_guard_header *h, rf_bug bug, rf_family family, size_t size,
                              const rf_origin *origin);

static inline void check_family(rf_guard *guard, const rf_guard_header *h, rf_family family, size_t size,
                                const rf_origin *origin) {
  rf_bug const bug = rf_family_mismatch(family_of(h), h->size, family, size);
  if (RF_UNLIKELY(bug != RF_BUG_COUNT)) {
    rf_guard_report_mismatch(guard, h, bug, family, size, origin);
  }
}

/* ---- guard_query.c: operations that change nothing ---- */

size_t rf_guard_op_usable_size(rf_allocator *self, const void *ptr);
bool rf_guard_op_owns(rf_allocator *self, const void *ptr);
rf_status rf_guard_op_walk(rf_allocator *self, rf_walk_fn visit, void *context);
rf_status rf_guard_op_check(rf_allocator *self, rf_fault *where);
void rf_guard_op_stats(rf_allocator *self, rf_stats *out);
void rf_guard_op_counters(rf_allocator *self, rf_counters *out);
rf_allocator *rf_guard_op_inner(rf_allocator *self);

#endif /* RINGFENCE_GUARD_IMPL_H */

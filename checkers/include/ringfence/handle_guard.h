/* rf_handle_guard: wraps a heap of handles (handles.h) and finds writes outside blocks, stale and doubly freed handles, unlocks
 * without a lock, addresses that were kept while their block was not locked, and leaks.
 *
 *     rf_handle_guard guard;
 *     rf_handle_guard_init(&guard, &heap.base, NULL);
 *     rf_handles *const h = &guard.base;
 *     rf_handle const window = rf_handle_alloc(h, 100);
 *     char *p = rf_handle_address(h, window);
 *     rf_handle_alloc(h, 8);                             may move every block that is not locked
 *     p[0] = 'x';                                        use-after-move, found by the next sweep
 *
 * It is to rf_handles what rf_guard is to rf_allocator: each block carries a header with a checksum bound to its handle, guard
 * bytes before and after the payload down to the exact byte, and where it was allocated. Freed blocks are filled with 0xCC
 * and wait in a quarantine.
 *
 * A real heap moves a block now and then. This one moves, at each allocation, resize and compaction, every block whose address
 * was given out and that is not locked: to a place of its own, the old one filled with 0xCC and put in quarantine. So a read
 * through an address that was kept shows 0xCC, and a write is found when the place is checked again. Built with
 * AddressSanitizer, quarantined places are poisoned, and either stops at the access.
 *
 * Finds damage at the next free or realloc of the block, when it moves or leaves the quarantine, at rf_handle_guard_sweep,
 * rf_handle_check and deinit. Free memory is watched, too.
 *
 * Complexity: that of the inner heap, plus 3 * size bytes to fill, copy and check for each block and each move.
 * Memory: all of it in the blocks; see handle_guard_impl.h.
 * Threads and interrupts: none, as the heap.
 * Returns RF_HANDLE_NULL iff the inner heap does, for the size plus overhead, with all of the quarantine given back to it.
 */
#ifndef RINGFENCE_HANDLE_GUARD_H
#define RINGFENCE_HANDLE_GUARD_H

#include <ringfence/finding.h>
#include <ringfence/handles.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_handle_guard_options {
  size_t quarantine;     /* bytes of freed blocks and left places (overhead included) kept back; 0: none */
  bool move;             /* blocks whose address was given out move as soon as they may */
  rf_reporter *reporter; /* NULL: rf_reporter_plain, which halts at the first finding */
  bool leaks_at_deinit;  /* report what is live at deinit */
  bool sweep_at_deinit;  /* check everything at deinit */
} rf_handle_guard_options;

/* The caller's storage, its fields the guard's own. */
typedef struct rf_handle_guard {
  rf_handles base;
  rf_handles *inner; /* NULL: ended */
  rf_handle_guard_options options;
  uintptr_t secret; /* mixed into every checksum */
  size_t align;     /* of the inner heap */
  size_t prefix;    /* bytes of an inner block before the payload */
  rf_handle shown;  /* blocks whose address was given out since they were placed, linked by `next` */
  rf_handle oldest; /* quarantine, likewise: leaves first */
  rf_handle newest;
  size_t quarantined; /* bytes in it */
  unsigned char *low; /* the inner heap's memory, as it was fresh */
  unsigned char *high;
  rf_counters counters;
} rf_handle_guard;

/* The options that NULL stands for. */
void rf_handle_guard_options_default(rf_handle_guard_options *out);

/* Wraps `inner`, fresh, which must outlive the guard and be used through it only. `options` is copied; NULL takes defaults. RF_OK, or
 * RF_ERR_INVALID for NULL arguments. Then use &guard->base.
 *
 * Its deinit sweeps and reports what is live if so told, and gives every block back to the inner heap. */
rf_status rf_handle_guard_init(rf_handle_guard *guard, rf_handles *inner, const rf_handle_guard_options *options);

/* Checks every block, everything in quarantine, free memory and the inner heap, and reports each damage once (guard and fill
 * bytes are written anew). Returns the number of findings. */
size_t rf_handle_guard_sweep(rf_handle_guard *guard);

/* Gives what is in quarantine back to the inner heap, oldest first, after checking it, until at most `keep` bytes remain. */
void rf_handle_guard_flush(rf_handle_guard *guard, size_t keep);

/* Reports every live block as leaked. Returns the number of blocks. */
size_t rf_handle_guard_report_live(rf_handle_guard *guard);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_HANDLE_GUARD_H */

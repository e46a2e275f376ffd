/* Stacks: taking them fast, and keeping each only once.
 *
 * rf_stack_capture goes from frame to frame within the bounds of the stack. On Linux for x86-64 and i386 it does so by
 * the tables that compilers write for exceptions (.eh_frame), which it reads itself and keeps as a rule for each place
 * in code; frame pointers serve where code has no tables, and on other processors. It neither allocates nor locks, and
 * may be called in signal handlers. A depot stores equal stacks once and hands out a 32-bit id, so that a block carries
 * four bytes.
 */
#ifndef RINGFENCE_STACK_H
#define RINGFENCE_STACK_H

#include <ringfence/site.h>
#include <ringfence/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The place of a call. Any part may be missing. */
typedef struct rf_origin {
  const rf_site *site; /* call site, or NULL */
  uintptr_t caller;    /* return address into the program, or 0 */
  /* The frame of the function that `caller` returns from, or of one that it called and that has not returned; NULL: not
   * known. By __builtin_frame_address(0), not a register's value, which in code without frame pointers is anything. */
  const void *frame;
} rf_origin;

/* Writes up to `max` return addresses, innermost first, beginning with origin->caller. Returns how many. */
unsigned rf_stack_capture(const rf_origin *origin, uintptr_t *frames, unsigned max);

/* As deep and exact as the system can (unwind tables): for the moment of a finding only, slow, not for every
 * allocation. Falls back on rf_stack_capture. */
unsigned rf_stack_capture_slow(const rf_origin *origin, uintptr_t *frames, unsigned max);

/* A store of stacks in memory that the caller gives. Lock-free: any thread may put and get at any time. */
typedef struct rf_stack_depot {
  uint32_t *first;   /* hash heads for depots of few stacks, or NULL; accessed atomically, as are the next */
  uint32_t *buckets; /* hash heads: offsets into records */
  uint32_t bucket_mask;
  uint32_t *recent; /* ids by place of the call, for a guess that is verified; hosted systems: beside each of these the
                     * word that tells several stacks of a place apart. Accessed atomically, as is the next. */
  uint32_t recent_mask; /* of those in use */
  uint32_t recent_most; /* what it will be once there are many stacks */
  unsigned char *records;
  size_t capacity; /* accessed atomically, as is the next */
  size_t used;
  void (*added)(void); /* called after each stack that was not there; NULL: nothing is, as of the next */
  /* Hosted systems: the same with where the innermost call returns to, and true where that call frees. */
  void (*added_call)(uintptr_t caller, bool frees);
} rf_stack_depot;

/* Makes a depot in `memory`, `size` bytes aligned to 8, zeroed by the caller (fresh mmap or .bss) and owned by the
 * caller. RF_OK, or RF_ERR_INVALID where size is too small to hold anything. */
rf_status rf_stack_depot_init(rf_stack_depot *depot, void *memory, size_t size);

/* Lets a depot keep no more than `spare` bytes for stacks to come, at least one of the deepest that is put; other
 * threads may put and get meanwhile. Returns how many bytes of its memory it still has: the rest is the caller's. */
size_t rf_stack_depot_shrink(rf_stack_depot *depot, size_t spare);

/* The id of this stack, not 0, equal for equal stacks; 0 where the depot is full or depth is 0. */
uint32_t rf_stack_depot_put(rf_stack_depot *depot, const uintptr_t *frames, unsigned depth);

/* The same for one word of the caller's own, which may be anything, and the stack behind it: `count` of both. `frees`:
 * the stack is of a call that frees. */
uint32_t rf_stack_depot_put_sited(rf_stack_depot *depot, const uintptr_t *words, unsigned count, bool frees);

/* The same for the stack of one return address, faster for one that was put before; 0 also for address 0. `frees`: of a
 * call that frees. */
uint32_t rf_stack_depot_put_caller(rf_stack_depot *depot, uintptr_t caller, bool frees);

/* The same for the stack that rf_stack_capture finds. Mostly it was met before at this place: then its words are
 * compared, and nothing is followed or hashed. */
uint32_t rf_stack_depot_put_from(rf_stack_depot *depot, const rf_origin *origin, unsigned max);

/* The same for a call that frees, which matters to `added_call` alone. */
uint32_t rf_stack_depot_put_free_from(rf_stack_depot *depot, const rf_origin *origin, unsigned max);

/* Copies the stack `id` to `frames`, at most `max`; returns how many. 0 for an id that was never handed out. */
unsigned rf_stack_depot_get(const rf_stack_depot *depot, uint32_t id, uintptr_t *frames, unsigned max);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_STACK_H */

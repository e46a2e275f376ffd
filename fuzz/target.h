/* Describes an allocator to the fuzz harness: how to make one, and its promises.
 *
 * A harness is a function that fills in an rf_fuzz_target and one macro. For an allocator
 * that keeps every promise this is all:
 *
 *     #include <my/heap.h>
 *     #include <ringfence/fuzz/target.h>
 *
 *     static my_heap heap;
 *
 *     static rf_allocator *make(void *context, void *arena, size_t size)
 *     {
 *       (void)context;
 *       return my_heap_init(&heap, arena, size) == RF_OK ? &heap.base : NULL;
 *     }
 *
 *     static rf_fuzz_target target(void) { return rf_fuzz_target_default("my_heap", make); }
 *
 *     RF_FUZZ_TARGET(target())
 *
 * C and C++ alike. All promises of the interface are on by default. A harness switches off those that its allocator's
 * documentation does not claim, and says why. docs/fuzzing.md lists the checks.
 */
#ifndef RINGFENCE_FUZZ_TARGET_H
#define RINGFENCE_FUZZ_TARGET_H

#include <ringfence/allocator.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of pointer that a free, realloc or resize must refuse; combine them by |. */
enum {
  RF_FUZZ_FOREIGN = 1,    /* in other memory of the program: a static object, close before the arena */
  RF_FUZZ_WILD = 2,       /* unmapped: near address 0 and near the top */
  RF_FUZZ_MISALIGNED = 4, /* a live block's address plus a few bytes */
  RF_FUZZ_INTERIOR = 8,   /* well aligned, inside a live block, whatever stale bytes lie before it */
  RF_FUZZ_REPEATED = 16,  /* a block that was freed before, now or long ago, its memory used again or not */
  RF_FUZZ_IN_ARENA = 32,  /* any other place in the arena: headers, control data, free memory */
  RF_FUZZ_ALL_BAD = 63,
  RF_FUZZ_FORGED = 64, /* interior, behind a copy of the bytes before a live block: not every layout can tell */
  RF_FUZZ_BAD_KINDS = 7
};

typedef struct rf_fuzz_target {
  const char *name;

  /* Makes an allocator over `size` bytes at `arena`, of any alignment and with any contents; NULL where it refuses.
   * Called many times, each time after rf_deinit of the previous allocator: one static object will do. */
  rf_allocator *(*init)(void *context, void *arena, size_t size);

  /* Optional: adds memory to `allocator`, and removes it where no block is left in it (else RF_ERR_BUSY). */
  rf_status (*add_region)(void *context, rf_allocator *allocator, void *region, size_t size);
  rf_status (*remove_region)(void *context, rf_allocator *allocator, void *region);

  /* Optional: the number of misuses that the allocator has reported elsewhere than to rf_fault_handler (a checker's
   * reporter). Never reset. */
  size_t (*reports)(void *context);

  void *context; /* handed to the functions above */

  size_t min_arena;     /* an aligned arena of this size is never refused */
  size_t max_arena;     /* no larger one is tried; at most RF_FUZZ_MAX_ARENA */
  size_t max_request;   /* no larger well-formed request is made, except hopeless ones near RF_SIZE_LIMIT */
  size_t default_align; /* of every block, unless another was requested */
  size_t always_serves; /* requests up to this size never fail */
  size_t max_align;     /* no larger alignment has to be served; 0: any */
  size_t align_factor;  /* size + align * align_factor + align_slack <= largest_free is served at any alignment */
  size_t align_slack;

  size_t region_record; /* bytes at the beginning of an added region that only check does not trust */

  unsigned refuses; /* kinds of bad pointer that are refused, reported once, and change nothing */

  bool in_arena;          /* every block lies inside the arena or a region */
  bool exact_counters;    /* used, peak, blocks, peak_blocks, allocations and failures are right to the byte */
  bool accounts_capacity; /* used + free_bytes + overhead == capacity */
  bool serves_largest;    /* requests up to largest_free succeed */
  bool largest_is_bound;  /* larger requests fail */
  bool names_run_out;     /* handles may run out: then largest_free is 0, though memory is free */
  bool shrinks;           /* realloc and resize of an aligned block to a smaller size succeed */
  bool shrinks_in_place;  /* such a realloc does not move */
  bool quiet_failure;     /* a failed operation leaves free memory unchanged, too */
  bool walks_sizes;       /* walk visits every block, and has the requested sizes of used ones */
  bool walks_in_order;    /* walk goes by address, region by region */
  bool walk_adds_up;      /* its free blocks sum up to free_bytes; all blocks always cover the same part of capacity */
  bool coalesces;         /* when everything is freed, free memory is as after init */

  /* Beyond the interface. */
  bool survives_damage;  /* after a stray write to the allocator's data, except region_record, no operation crashes or
                            hangs, and a refused one changes nothing */
  bool gives_up_damaged; /* the same, but the damaged part may be lost */
  bool stale_records;   /* a block may hold the record of one that was freed there before, so that a free of an interior
                            pointer may be told as a double free */
  bool refuses_ended;   /* after deinit, every request is refused */
  bool reports_rejects; /* malformed requests are reported as well as refused */
} rf_fuzz_target;

#define RF_FUZZ_MAX_ARENA ((size_t)1 << 20)

/* A target with one arena that keeps every promise of <ringfence/allocator.h>. RF_FUZZ_FORGED and the promises beyond
 * the interface are off. */
static inline rf_fuzz_target rf_fuzz_target_default(const char *name,
                                                    rf_allocator *(*init)(void *context, void *arena, size_t size)) {
  rf_fuzz_target target;
  target.name = name;
  target.init = init;
  target.add_region = NULL;
  target.remove_region = NULL;
  target.reports = NULL;
  target.context = NULL;
  target.min_arena = 4096;
  target.max_arena = RF_FUZZ_MAX_ARENA;
  target.max_request = 2 * RF_FUZZ_MAX_ARENA;
  target.default_align = RF_ALIGN_DEFAULT;
  target.always_serves = 0;
  target.max_align = 0;
  target.align_factor = 1;
  target.align_slack = 64;
  target.region_record = 0;
  target.refuses = RF_FUZZ_ALL_BAD;
  target.in_arena = true;
  target.exact_counters = true;
  target.accounts_capacity = true;
  target.serves_largest = true;
  target.largest_is_bound = true;
  target.names_run_out = false;
  target.shrinks = true;
  target.shrinks_in_place = true;
  target.quiet_failure = true;
  target.walks_sizes = true;
  target.walks_in_order = true;
  target.walk_adds_up = true;
  target.coalesces = true;
  target.survives_damage = false;
  target.gives_up_damaged = false;
  target.stale_records = false;
  target.refuses_ended = false;
  target.reports_rejects = false;
  return target;
}

/* Runs the operations of the input `data` on an allocator of this target. If the allocator breaks a promise, aborts
 * with the number of the operation and the promise; otherwise returns, with everything freed. With RF_FUZZ_TRACE in
 * the environment, prints each operation. Not thread-safe. */
void rf_fuzz_run(const rf_fuzz_target *target, const uint8_t *data, size_t size);

/* The entry point of libFuzzer and of the standalone driver; RF_FUZZ_TARGET defines it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifdef __cplusplus
}
#define RF_FUZZ_EXTERN_C extern "C"
#else
#define RF_FUZZ_EXTERN_C
#endif

/* Makes this file a fuzz harness for the target that the expression `make_target` gives. */
#define RF_FUZZ_TARGET(make_target)                                                                                    \
  RF_FUZZ_EXTERN_C int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {                                      \
    const rf_fuzz_target rf_fuzz_the_target = (make_target);                                                           \
    rf_fuzz_run(&rf_fuzz_the_target, data, size);                                                                      \
    return 0;                                                                                                          \
  }

#endif /* RINGFENCE_FUZZ_TARGET_H */

/* guard: wraps any rf_allocator and finds writes outside blocks, writes after free, double and bad frees, and leaks.
 *
 * Each block carries a header with integrity magic bound to its address and size, guard bytes before and after the
 * payload down to the exact byte, and the place of its allocation. Freed blocks are filled with 0xCC and wait in a
 * quarantine bounded in bytes; they are checked again when they leave it. Damage is found at free, realloc, check,
 * sweep or exit.
 *
 *   inner block:  | gap | header | front guard | payload (size) | back guard … to the end of the inner block |
 *
 * All bookkeeping lives in the blocks: guard never allocates anything else, and every operation is O(1) but for filling
 * and checking bytes.
 *
 * Threads: not synchronised; put rf_lock outside (program -> lock -> guard -> heap).
 */
#ifndef RINGFENCE_GUARD_H
#define RINGFENCE_GUARD_H

#include <ringfence/allocator.h>
#include <ringfence/finding.h>
#include <ringfence/stack.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How a block was asked for, so that new/free and the like are told apart (hosted drop-in). */
typedef enum rf_family { RF_FAMILY_MALLOC, RF_FAMILY_NEW, RF_FAMILY_NEW_ARRAY } rf_family;

typedef struct rf_guard_options {
  size_t quarantine;       /* bytes of freed blocks (overhead included) kept back; 0: none */
  size_t fill_alloc;       /* fill at most so many bytes of each new block with RF_FILL_ALLOC; 0: none */
  size_t fill_free;        /* fill and later check at most so many bytes of each freed block; SIZE_MAX: all */
  size_t move_below;       /* realloc moves blocks up to this size even where they could stay: stale pointers show */
  unsigned stack_depth;    /* return addresses to keep per allocation and free; 0: call sites only */
  rf_stack_depot *depot;   /* where stacks are kept; NULL: the caller's return address alone is kept */
  rf_reporter *reporter;   /* NULL: the process-wide default reporter */
  bool leaks_at_deinit;    /* report what is live at deinit */
} rf_guard_options;

#define RF_FILL_FREE 0xCC  /* freed payload */
#define RF_FILL_ALLOC 0xCD /* new payload */
#define RF_FILL_GUARD 0xFD /* guard bytes */

typedef struct rf_guard_header rf_guard_header;

typedef struct rf_guard {
  rf_allocator base;
  rf_allocator *inner;
  rf_guard_options options;
  uintptr_t secret;              /* mixed into every magic */
  rf_guard_header *live;         /* newest live block */
  rf_guard_header *oldest;       /* quarantine: leaves first */
  rf_guard_header *newest;
  size_t quarantined;            /* bytes in it */
  rf_counters counters;
} rf_guard;

/* The options that NULL stands for. */
void rf_guard_options_default(rf_guard_options *out);

/* Wraps `inner`, which must outlive the guard and be used through it only. `options` is copied; NULL takes defaults. RF_OK,
 * or RF_ERR_INVALID for NULL arguments. Then use &guard->base. */
rf_status rf_guard_init(rf_guard *guard, rf_allocator *inner, const rf_guard_options *options);

/* Checks every live and quarantined block and reports each damage once. Returns the number of findings. */
size_t rf_guard_sweep(rf_guard *guard);

/* Gives quarantined blocks back to the inner allocator, after checking them, until at most `keep` bytes remain. */
void rf_guard_flush(rf_guard *guard, size_t keep);

/* One live block, for leak lists and snapshots. */
typedef struct rf_guard_block {
  void *ptr;
  size_t size;
  rf_family family;
  rf_trace allocated;
} rf_guard_block;

/* Fills *out for the live block that starts at `ptr`; false where there is none. Does not report. */
bool rf_guard_describe(rf_guard *guard, const void *ptr, rf_guard_block *out);

/* Reports every live block as leaked (arenas without roots: tests, bare targets). Returns the number of blocks. */
size_t rf_guard_report_live(rf_guard *guard);

/* As rf_alloc_at, free and realloc of guard.base, with the kind of call, and for sized delete the size that the caller
 * believes (SIZE_MAX: not given). `caller` is the return address in the program where it is known, else 0, and `frame` the
 * frame pointer from which to walk the stack (NULL: no walk). */
void *rf_guard_alloc_from(rf_guard *guard, size_t size, size_t align, rf_family family, const rf_origin *origin);
rf_status rf_guard_free_from(rf_guard *guard, void *ptr, rf_family family, size_t size, const rf_origin *origin);
void *rf_guard_realloc_from(rf_guard *guard, void *ptr, size_t size, size_t align, const rf_origin *origin);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_GUARD_H */

/* rf_page: wraps any rf_allocator and stops every read and write outside blocks, and after free, at the instruction.
 *
 *     rf_page page;
 *     rf_page_init(&page, &heap.base, NULL);
 *     char *p = rf_alloc(&page.base, 16);
 *     return p[16];    heap-buffer-overflow: read 0 bytes after a 16-byte block
 *
 * Algorithm: each block has pages of its own, beside a page that must not be touched; a freed block's pages must not be
 * touched either. The hardware does the checking. After Electric Fence and the debug heaps that followed it.
 *
 * A block lies at one end of its pages: at the right end a touch behind it is stopped at once, at the left end one
 * before it; by default the sides take turns. The bytes that alignment leaves over, and those at the other end, are
 * filled and checked when the block is freed.
 *
 * The inner allocator still decides who gets memory: for each block one of the same size is taken from it, and given
 * back with it, so that its limits, failures and statistics hold. The program never sees that one. If
 * blocks have as much memory as they may (options.memory), further blocks are the inner allocator's, checked by
 * rf_guard. So are blocks above 1 GiB (32 bit: 64 MiB) and, before Linux 6.13, those near the kernel's limit of
 * mappings (vm.max_map_count: two for each block), which is said once.
 *
 * A walk shows the blocks on pages, then those under guard and free memory, where the inner allocator walks: each part
 * in address order, and free memory as the statistics have it.
 *
 * Complexity: a few system calls per operation. Memory: pages, at least one per block, and what the inner allocator
 * needs. Alignment: any power of two. Threads and interrupts: not synchronised (statistics); put rf_lock outside. The
 * blocks themselves may be used by any thread: a fault is reported in the thread that made it.
 * Returns NULL iff the inner allocator does, or the system has no more pages and the inner allocator cannot serve the
 * size with a guard's overhead, both once the blocks that wait in guard's quarantine were given back to it.
 *
 * Needs a system with pages and signals (POSIX); elsewhere rf_page_init answers RF_ERR_UNSUPPORTED.
 */
#ifndef RINGFENCE_PAGE_H
#define RINGFENCE_PAGE_H

#include <ringfence/guard.h>

#ifdef __cplusplus
extern "C" {
#endif

/* At which end of its pages a block lies.
 *
 * On the right alignment comes first: 13 bytes aligned to 16 leave 3 bytes behind them in which reads are not noticed.
 * EXACT aligns blocks of which no more than RF_ALIGN_DEFAULT was asked to the largest power of two that divides their
 * size, as objects of that size need at most, so that every one ends with its page. UNALIGNED does without, so that no
 * request but for more alignment leaves anything. Code that takes the alignment for granted, vector instructions for
 * instance, may fail in both. */
typedef enum rf_page_side {
  RF_PAGE_LEFT,
  RF_PAGE_RIGHT,
  RF_PAGE_BOTH, /* left and right in turn */
  RF_PAGE_EXACT,
  RF_PAGE_UNALIGNED
} rf_page_side;

typedef struct rf_page_options {
  rf_page_side side;
  size_t quarantine;        /* bytes of address space of freed blocks that stay closed, the last in any case; 0: none */
  size_t memory;            /* bytes of pages that blocks have at once; 0: a quarter of what the machine, the control
                               group or limits of the process give */
  uint64_t seed;            /* of a lot that decides the end with RF_PAGE_BOTH, and which blocks get none of the second
                               half of that memory; 0: in turn, and as long as there is some */
  size_t fill_alloc;        /* fill at most so many bytes of each new block with RF_PATTERN_NEW; 0: none */
  unsigned stack_depth;     /* return addresses to keep per allocation and free; 0: call sites only */
  rf_stack_depot *depot;    /* where stacks are kept; NULL: the caller's return address alone is kept */
  rf_reporter *reporter;    /* NULL: rf_reporter_plain, which halts at the first finding */
  bool leaks_at_deinit;     /* report what is live at deinit */
  bool sweep_at_deinit;     /* check slack at deinit */
  rf_guard_options guarded; /* for blocks that get no pages; its reporter is taken from above */
} rf_page_options;

struct rf_page_store;

typedef struct rf_page {
  rf_allocator base;
  rf_allocator *inner;
  rf_page_options options;
  struct rf_page_store *store;
  rf_guard guarded;     /* over the same inner allocator */
  rf_reporter reporter; /* of the guard: says mode page where a finding is about no block of its own */
  rf_counters counters;
} rf_page;

/* The options that NULL stands for. */
void rf_page_options_default(rf_page_options *out);

/* Wraps `inner`, which must outlive *page and be used through it only. `options` is copied; NULL takes defaults. RF_OK;
 * RF_ERR_INVALID for NULL arguments; RF_ERR_UNSUPPORTED where the target has no pages that can be closed;
 * RF_ERR_NO_MEMORY. Then use &page->base.
 *
 * Installs a handler for SIGSEGV and SIGBUS, once per process. Faults that are not about blocks go to the handler that
 * was there before, or end the process as without. A handler that the program installs later is found when the next
 * block is allocated, and from then on called in the same way.
 *
 * Its deinit checks slack and reports what is live if so told, and gives every block back to the inner allocator. */
rf_status rf_page_init(rf_page *page, rf_allocator *inner, const rf_page_options *options);

/* Checks the slack of live blocks, the blocks under guard and the inner allocator, and reports each damage once.
 * Returns the number of findings. */
size_t rf_page_sweep(rf_page *page);

/* The same for about `budget_ns` nanoseconds at a time, half of them for the blocks under guard, each call going on
 * where the last one stopped; the inner allocator is left to rf_page_sweep. */
size_t rf_page_sweep_step(rf_page *page, uint64_t budget_ns);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_PAGE_H */

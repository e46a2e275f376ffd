/* rf_sample: wraps any rf_allocator and watches one allocation in some thousands to the byte, for programs in
 * production.
 *
 *     rf_sample sample;
 *     rf_sample_init(&sample, &heap.base, NULL);
 *     char *p = rf_alloc(&sample.base, 16);
 *     return p[16];    once in 5000 times: heap-buffer-overflow: read 0 bytes after a 16-byte block
 *
 * Algorithm: a sampled block gets pages of its own between pages that must not be touched, as in rf_page, in one of a
 * fixed number of slots; a freed one's slot is used again as late as possible. Other blocks are the inner
 * allocator's, at the cost of a countdown in thread-local storage and a jump: no lock, no memory. After GWP-ASan. A bug
 * that happens on many machines is found on some.
 *
 * For each sampled block one of the same size is taken from the inner allocator, so that its limits, failures and
 * statistics are those of the program; the program never sees that one.
 *
 * A walk shows a sampled block in place of the inner allocator's, with the call site, which other blocks do not have.
 *
 * Double and bad frees are findings whether sampled or not, as far as the inner allocator refuses them; requests that
 * can never be served are findings.
 *
 * Complexity: the inner allocator's, plus a few system calls for a sampled block. Memory: slots * largest bytes of
 * address space, of which only what is used is touched, a page for each slot, and about 330 bytes per slot.
 * Alignment: the inner allocator's. Threads: as the inner allocator; what is added here is synchronised by itself.
 * Returns NULL iff the inner allocator does.
 *
 * Needs a system with pages and signals (POSIX); elsewhere rf_sample_init answers RF_ERR_UNSUPPORTED.
 */
#ifndef RINGFENCE_SAMPLE_H
#define RINGFENCE_SAMPLE_H

#include <ringfence/page.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RF_SAMPLE_RATE_DEFAULT 5000U
#define RF_SAMPLE_RATE_MOST (1U << 24)
#define RF_SAMPLE_SLOTS_DEFAULT 64U
#define RF_SAMPLE_LARGEST_DEFAULT ((size_t)64 * 1024)

typedef struct rf_sample_options {
  unsigned rate;         /* one allocation in so many on average; 1: every one, while there are slots; at most 2^24 */
  unsigned slots;        /* sampled blocks at once, freed ones that are kept included; at least 1 */
  size_t largest;        /* larger blocks are not sampled */
  rf_page_side side;     /* at which end of its pages a block lies */
  uint64_t seed;         /* of what is sampled: the same seed, the same allocations of each thread; 0: by chance */
  unsigned stack_depth;  /* return addresses to keep per sampled allocation and free */
  rf_stack_depot *depot; /* where stacks are kept; NULL: the caller's return address alone is kept */
  rf_reporter *reporter; /* NULL: rf_reporter_plain, which halts at the first finding */
} rf_sample_options;

struct rf_page_store;

typedef struct rf_sample {
  rf_allocator base;
  rf_allocator *inner;
  rf_sample_options options;
  struct rf_page_store *store;
  uintptr_t start; /* of the slots' address space; 0 bytes before the first sample */
  size_t bytes;
  uint32_t number;  /* of this object among all that ever were */
  uint32_t threads; /* that have sampled here, for their seeds; accessed atomically */
  /* Which of the inner allocator's blocks stand for sampled ones, by address: the program must not free these. The
   * store's. */
  const uint16_t *backing_tags;
  size_t backing_mask;
} rf_sample;

/* The options that NULL stands for. */
void rf_sample_options_default(rf_sample_options *out);

/* Wraps `inner`, which must outlive *sample and be used through it only. `options` is copied; NULL takes defaults.
 * RF_OK; RF_ERR_INVALID for NULL arguments, rate or slots 0, a rate too large; RF_ERR_UNSUPPORTED where the target has
 * no pages that can be closed; RF_ERR_NO_MEMORY. Then use &sample->base. Signal handlers: as rf_page_init.
 *
 * Its deinit checks the slack of sampled blocks and gives them back to the inner allocator. */
rf_status rf_sample_init(rf_sample *sample, rf_allocator *inner, const rf_sample_options *options);

/* True where the live block at `ptr` is a sampled one. Any thread. */
bool rf_sample_has(rf_sample *sample, const void *ptr);

/* Checks the slack of sampled blocks, and reports each damage once. Returns the number of findings. Any thread. */
size_t rf_sample_sweep(rf_sample *sample);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_SAMPLE_H */

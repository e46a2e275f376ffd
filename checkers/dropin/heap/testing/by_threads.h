/* The heap of the drop-in as virtual threads (fuzz/threads.h) use it, each with a cache of its own: `thread` is its
 * number. */
#ifndef RINGFENCE_DROPIN_HEAP_BY_THREADS_H
#define RINGFENCE_DROPIN_HEAP_BY_THREADS_H

#include <ringfence/guard.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Before the threads begin. NULL: nothing is checked. `heaps`: how many of the heaps serve the threads; with fewer than
 * threads, some share one. */
void rf_dropin_threads_options(const rf_guard_options *g, unsigned heaps);

void rf_dropin_threads_begin(unsigned thread);
void rf_dropin_threads_end(unsigned thread);

/* True in the memory of blocks, and of the guards between them, that there are. For the harness's look at accesses. */
bool rf_dropin_threads_has(const volatile void *at);

void *rf_dropin_threads_alloc(unsigned thread, size_t size, size_t align, bool zeroed);
bool rf_dropin_threads_free(unsigned thread, void *ptr);
void *rf_dropin_threads_realloc(unsigned thread, void *ptr, size_t size);
size_t rf_dropin_threads_size(unsigned thread, const void *ptr);
void rf_dropin_threads_flush(unsigned thread);

/* The number of findings; 0, too, where others cannot be stopped. */
size_t rf_dropin_threads_sweep(void);

/* Right while no call is under way. */
rf_counters rf_dropin_threads_counters(void);

#ifdef __cplusplus
}
#endif

#endif

/* The heap of the drop-in as an rf_allocator, for the fuzzer and for tests: one at a time, by one thread. */
#ifndef RINGFENCE_DROPIN_HEAP_AS_ALLOCATOR_H
#define RINGFENCE_DROPIN_HEAP_AS_ALLOCATOR_H

#include <ringfence/guard.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `g`: the options of a guard; NULL: nothing is checked, and misuse is refused. Its deinit frees all blocks. */
rf_allocator *rf_heap_as_allocator(const rf_guard_options *g);

/* From now on without wide.c, as on a processor that has no such registers; until the next rf_heap_as_allocator. */
void rf_heap_as_allocator_narrow(void);

/* The sweep of a checked one: the number of findings. */
size_t rf_heap_as_allocator_sweep(void);

/* Takes and gives back the lock that its blocks come from, as another thread's request does. */
void rf_heap_as_allocator_lock(void);
void rf_heap_as_allocator_unlock(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_DROPIN_HEAP_AS_ALLOCATOR_H */

/* Recording of a process's requests to a file (option trace; docs/traces.md): each call of malloc, free and their like,
 * with size, alignment, block, stack, thread and time.
 *
 * Any thread, and signal handlers: the requests of a handler that interrupts its own thread in here are left out and
 * counted. The recorder's lock comes before those of heaps and of records; at the end of the process, which may come
 * inside the heap, it is waited for in vain rather than for ever.
 *
 * A child of fork records to a file of its own if the name has %p in it, else not at all, nor where a handler that
 * interrupted the recorder made it. If several processes are told the same name, the first one records.
 */
#ifndef RINGFENCE_DROPIN_TRACE_HOOK_H
#define RINGFENCE_DROPIN_TRACE_HOOK_H

#include <ringfence/guard.h>

/* Whether requests are recorded; accessed atomically. */
extern bool rf_tracing_on __attribute__((visibility("hidden")));

static inline bool rf_tracing(void) {
  return __builtin_expect(__atomic_load_n(&rf_tracing_on, __ATOMIC_RELAXED), 0);
}

/* Opens the file of the option, if there is one, and begins. */
void rf_tracing_begin(void);

/* After a request; `ptr` NULL: it was not served. */
void rf_tracing_alloc(const void *ptr, size_t size, size_t align, const rf_origin *origin);

/* Before the block is freed. */
void rf_tracing_free(const void *ptr, const rf_origin *origin);

/* Before a realloc: takes the block out, so that its old address may serve another thread at once; false: it is not
 * recorded. After it: `ptr` is where the block is now, the old address if that failed. */
bool rf_tracing_take(const void *ptr, size_t *block);
void rf_tracing_resized(size_t block, const void *ptr, size_t size, bool failed, const rf_origin *origin);

/* The process ends, or becomes another program: the trace is complete so far. */
void rf_tracing_end(void);

/* Around fork: before all other locks, and after them. False where others keep its lock for `ms` milliseconds: they may
 * have been interrupted by a handler that is about to fork, too. */
bool rf_tracing_fork_prepare(unsigned ms);
void rf_tracing_fork_parent(void);
void rf_tracing_fork_child(void);

#endif /* RINGFENCE_DROPIN_TRACE_HOOK_H */

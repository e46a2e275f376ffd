// Data races between virtual threads (threads_races.cc). The calls are made by threads_hooks.c, threads.cc and
// threads_port.cc just before the access, by the thread that runs; outside of Threads::run they do nothing.
#ifndef RINGFENCE_FUZZ_THREADS_RACES_H
#define RINGFENCE_FUZZ_THREADS_RACES_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

void rf_fuzz_read(const volatile void *at, size_t size);
void rf_fuzz_write(const volatile void *at, size_t size);
// `order` is one of __ATOMIC_…; `change` reads and writes at once.
void rf_fuzz_atomic_load(const volatile void *at, size_t size, int order);
void rf_fuzz_atomic_store(const volatile void *at, size_t size, int order);
void rf_fuzz_atomic_change(const volatile void *at, size_t size, int order);
void rf_fuzz_fence(int order);

#ifdef __cplusplus
}

namespace ringfence::fuzz {

// Threads begin; nothing is known of any memory.
void races_begin(bool watch);
// Accesses for which this is true are left out from now on; nullptr: none.
void races_leave_out(bool (*is_left_out)(const volatile void *at));
// The running thread has taken, or is about to give up, a lock, or has seen or sets an event.
void races_acquire(const void *what);
void races_release(const void *what);

} // namespace ringfence::fuzz
#endif

#endif // RINGFENCE_FUZZ_THREADS_RACES_H

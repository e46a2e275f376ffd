// Locks and events of virtual threads, by their words: for threads_port.cc.
#ifndef RINGFENCE_FUZZ_THREADS_PORT_H
#define RINGFENCE_FUZZ_THREADS_PORT_H

#include "threads.h"

inline void rf_fuzz_point() {
  if (--rf_fuzz_points_left <= 0) {
    rf_fuzz_switch();
  }
}

namespace ringfence::fuzz {

// *holder: 0, or the thread + 1.
void virtual_lock(uint64_t *holder, unsigned me);
void virtual_unlock(uint64_t *holder, unsigned me);

void virtual_set(uint64_t *is_set);
// False: not set in time.
bool virtual_wait(uint64_t *is_set, bool may_wait, bool timed);

// For locks that the code under test makes by itself: the running thread sleeps until another one wakes those that
// sleep on `address`. False: its time has elapsed before.
bool virtual_sleep(const void *address, bool timed);
void virtual_wake(const void *address);

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_THREADS_PORT_H

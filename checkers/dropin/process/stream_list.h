/* The C library's lock of its list of streams. Threads that flush all streams hold it while they wait for a stream
 * whose holder may allocate, and fork takes it after our preparation: so it comes before our own locks, which it may
 * then wait for. */
#ifndef RINGFENCE_DROPIN_STREAM_LIST_H
#define RINGFENCE_DROPIN_STREAM_LIST_H

#include <stdbool.h>

/* Waits until no other thread flushes all streams, and has those wait that begin. False, and nothing is locked, in a
 * process of one thread and, of musl, where this thread has the list locked itself; glibc's lock is recursive. With
 * signals blocked, or at the end of the process. */
bool rf_stream_list_lock(void);

void rf_stream_list_unlock(void);

/* In the child, by the thread that had it locked before fork. */
void rf_stream_list_reset(void);

#endif /* RINGFENCE_DROPIN_STREAM_LIST_H */

/* Snapshots of what is live in the whole process (snapshot.h), written where findings go. */
#ifndef RINGFENCE_DROPIN_PROCESS_SNAPSHOT_H
#define RINGFENCE_DROPIN_PROCESS_SNAPSHOT_H

/* Has a snapshot written whenever the signal of the option snapshot_signal comes, unless the program handles it
 * already. A signal that comes in the middle of an allocation is sent once more a little later. */
void rf_process_snapshot_init(void);

/* Says that snapshot_every does nothing in this mode, unless a collector hears of the run. At the start of the process,
 * if the user asked for snapshots and not a policy. */
void rf_process_snapshot_warn(void);

/* One of those that snapshot_every asks for: to the collector alone where one is named, else as any. It is left out
 * where the heap is busy. Not inside the heap. */
void rf_process_snapshot_regular(const char *name);

/* In a child of fork: a thread that was taking one is not there. */
void rf_process_snapshot_forked(void);

#endif /* RINGFENCE_DROPIN_PROCESS_SNAPSHOT_H */

/* Snapshots of what is live in the whole process (snapshot.h), written where findings go. */
#ifndef RINGFENCE_DROPIN_PROCESS_SNAPSHOT_H
#define RINGFENCE_DROPIN_PROCESS_SNAPSHOT_H

/* Has a snapshot written whenever the signal of the option snapshot_signal comes, unless the program handles it
 * already. Where it comes in the middle of an allocation it is sent once more a little later. */
void rf_process_snapshot_init(void);

#endif /* RINGFENCE_DROPIN_PROCESS_SNAPSHOT_H */

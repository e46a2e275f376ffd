/* The collector's side of a spool: takes what processes have appended, and deletes it once it is committed.
 *
 * Algorithm: rename spool/current, and spool/segment-N of processes, to spool/taken-N; see that no writer holds its
 * lock, without waiting (one that is held is left for the next time); read it line by line; commit the lines together
 * with the position in it; unlink. A crash at any point loses nothing and counts nothing twice.
 * Threads: one at a time, and one collector for each folder (rf_spool_open holds a lock).
 */
#ifndef RINGFENCE_TOOLS_SERVICE_SPOOL_H
#define RINGFENCE_TOOLS_SERVICE_SPOOL_H

#include "tools/service/intake/intake.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_SPOOL_SEGMENTS = 256, RF_SPOOL_LABEL = 64 };

typedef struct rf_spool {
  int directory; /* of the collector; holds the lock */
  int folder;    /* DIR/spool; -1: closed */
  int doorbell;  /* -1: none can be made (no /proc), the spool is only polled */
  char *buffer;
  char label[RF_SPOOL_LABEL]; /* before names of segments in the store: tells shared folders apart */
  size_t held;                /* segments that a writer holds */
  int64_t next;               /* number of the next segment */
  int64_t numbers[RF_SPOOL_SEGMENTS];
  size_t count;
  char finished[RF_SPOOL_LABEL + 32]; /* a segment that is unlinked and whose position can be forgotten */
} rf_spool;

/* Opens DIR alone, made with mode 0700 where it is missing, as are those above it. False with a message in `error`
 * where that fails, or it does not belong to this user. *fd is the caller's to close, also then, where it is not -1. */
bool rf_spool_open_directory(const char *directory, int *fd, char *error, size_t error_size);

/* Opens DIR, which must belong to this user, and makes what is missing in it. False with a message in `error`. */
bool rf_spool_open(rf_spool *spool, const char *directory, char *error, size_t error_size);

/* Opens one of the folders that processes fall back on (/dev/shm/ringfence-UID), if it is there, this user's, and no
 * other collector's. Else leaves it closed, which rf_spool_take passes over. */
void rf_spool_open_shared(rf_spool *spool, const char *directory);

void rf_spool_close(rf_spool *spool);

/* Takes the lock of a collector's open folder, which ends with the descriptor. Waits for a second: whoever had it and
 * was killed may leave a child that has it until it becomes another program. False, with errno set, where another
 * process has it. */
bool rf_spool_lock(int directory);

/* Reads what the doorbell holds. */
void rf_spool_drain_doorbell(const rf_spool *spool);

/* Takes all that is there, or one transaction of it when `once`: then *more tells if there is more. False, with
 * intake->store->error set, where a transaction failed; nothing is lost then. */
bool rf_spool_take(rf_spool *spool, rf_intake *intake, bool once, bool *more);

/* Bytes that wait in the spool of `directory`. */
uint64_t rf_spool_waiting(const char *directory);

#ifdef __cplusplus
}
#endif

#endif

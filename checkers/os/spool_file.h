/* The writer's side of a spool: records that `ringfence serve` collects (docs/service/format.md), appended to a file by
 * processes that share nothing else. If the collector's folder cannot be written, a folder of the user's in /dev/shm
 * or /tmp takes them, which every collector of the user's looks at.
 *
 * Each record is one write to DIR/spool/current, which is opened for it and closed again, under a shared lock: nothing
 * of the process waits for a collector, dead or alive, and no descriptor stays open. Allocates nothing; usable in
 * signal handlers, in children of fork and after chroot. Hosted systems only. Internal to checkers/.
 */
#ifndef RINGFENCE_SPOOL_FILE_H
#define RINGFENCE_SPOOL_FILE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RF_SPOOL_PATH ((size_t)512)

/* Starts of the folders for what cannot be written to the collector's own; the user's id follows. Collectors and
 * commands look there as well. */
#define RF_SPOOL_SHARED_PLACES ((size_t)2)
#define RF_SPOOL_SHARED_STARTS                                                                                         \
  { "/dev/shm/ringfence-", "/tmp/ringfence-" }

typedef struct rf_spool_file {
  char places[2][RF_SPOOL_PATH];              /* absolute; empty: none */
  const char *shared[RF_SPOOL_SHARED_PLACES]; /* further places, of RF_SPOOL_SHARED_STARTS, to the first NULL */
  bool too_large;                             /* a write was refused for the limit of files' sizes */
  size_t arrived;                             /* bytes of the last append that a collector finds, from its first on */
  int descriptor;                             /* in use at the moment, for children of fork; 0 or less: none */
} rf_spool_file;

/* Prepares for the folder `wanted` (`length` bytes), or where that is "auto", for $XDG_STATE_HOME/ringfence and
 * $HOME/.local/state/ringfence. A relative path is taken from the current folder. */
void rf_spool_file_init(rf_spool_file *spool, const char *wanted, size_t length);

/* Appends `size` bytes at `line`, whole lines; the byte before them is the caller's, too, and is overwritten. Rings the
 * collector's doorbell where `ring`. False where no place took all of it; a collector takes the lines that are whole
 * within spool->arrived. */
bool rf_spool_file_append(rf_spool_file *spool, char *line, size_t size, bool ring);

/* True where the open folder or file is this user's, and nobody else may write to it: one in /tmp may be another user's
 * trap. */
bool rf_spool_is_own(int fd);

/* Rings the doorbell of the collector of `folder`, a path. True where one listens. errno stays. */
bool rf_spool_file_ring(const char *folder);

/* In the child of a fork: closes what another thread of the parent had open. */
void rf_spool_file_forked(rf_spool_file *spool);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_SPOOL_FILE_H */

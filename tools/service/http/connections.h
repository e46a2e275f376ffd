/* The connections of one listener, by the time of their last progress.
 *
 * Silent and slow senders must not keep others out: where there are too many connections, the one that has made no
 * progress for longest is closed. Progress is the arrival of a connection, a request's header, each 64 KiB of its body,
 * and the end of an answer; a byte now and then is none. The same holds for the memory of bodies and answers that are
 * under way, and for uploads. A listener of server-sent events waits by design and is never closed for it.
 *
 * Threads: those that run the daemon, one at a time.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_CONNECTIONS_H
#define RINGFENCE_TOOLS_SERVICE_CONNECTIONS_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  RF_CONNECTIONS_MOST = 512,       /* kept at once; less where few descriptors may be open */
  RF_CONNECTIONS_FILES = 130,      /* that must be allowed to be open, those of the rest of the service among them */
  RF_CONNECTIONS_BYTES = 16 << 20, /* of bodies and answers under way */
  RF_CONNECTIONS_UPLOADS = 8       /* files under way */
};

typedef struct rf_connection rf_connection;

struct rf_connection {
  rf_connection *older; /* NULL: not in the list */
  rf_connection *newer;
  int fd;
  bool uploads;
  bool cut;       /* the path of its last request holds a NUL: what is behind it is lost */
  size_t arrived; /* bytes of a body since its last progress */
  size_t bytes;   /* of RF_CONNECTIONS_BYTES */
  int64_t moved;  /* time of the last progress, in milliseconds */
};

typedef struct rf_connections {
  rf_connection list; /* a ring: `newer` is the oldest one, `older` the newest */
  size_t most;
  size_t count; /* in the list */
  size_t bytes;
  size_t uploads;
} rf_connections;

/* Raises the limit of open files as far as they need it, and the process may. False: that is below
 * RF_CONNECTIONS_FILES. */
bool rf_connections_have_files(void);

/* An empty list, after rf_connections_have_files; the limit is that of RF_CONNECTIONS_MOST and RLIMIT_NOFILE. */
void rf_connections_init(rf_connections *all);

/* An MHD_NotifyConnectionCallback whose context is the list. Closes the oldest one where there are too many. */
void rf_connections_notify(void *all, struct MHD_Connection *connection, void **state,
                           enum MHD_ConnectionNotificationCode code);

/* The entry of a connection that rf_connections_notify was told of; NULL where memory was short then. */
rf_connection *rf_connections_find(struct MHD_Connection *connection);

/* Each of these takes NULL for `c`, and does nothing then. */

/* Notes progress. */
void rf_connections_moved(rf_connections *all, rf_connection *c);

/* Notes that `size` bytes of a body have arrived. */
void rf_connections_arrived(rf_connections *all, rf_connection *c, size_t size);

/* Takes it out of the list, so that it is not closed, until its next progress. */
void rf_connections_keep(rf_connections *all, rf_connection *c);

/* Counts bytes that are held for it. Where there are too many, those are closed that have held some without progress
 * for two seconds. False: that was not enough, and nothing was counted. */
bool rf_connections_hold(rf_connections *all, rf_connection *c, size_t bytes);

/* Counts the bytes of its answer in place of all that was held for it. */
void rf_connections_answer(rf_connections *all, rf_connection *c, size_t bytes);

/* As rf_connections_hold, for an upload. */
bool rf_connections_upload(rf_connections *all, rf_connection *c);

/* Its request has ended: it holds nothing. */
void rf_connections_release(rf_connections *all, rf_connection *c);

#ifdef __cplusplus
}
#endif

#endif

/* The stream of server-sent events: a page that is open learns that the store has changed.
 *
 * A listener is suspended while there is nothing to tell, so that it costs a descriptor and no time. One that does not
 * read is told less, not later: a change is a number, and the newest is enough.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_STREAM_H
#define RINGFENCE_TOOLS_SERVICE_STREAM_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_STREAMS = 64, RF_STREAM_BEAT = 20 };

typedef struct rf_streams rf_streams;

typedef struct rf_stream {
  rf_streams *all;
  struct MHD_Connection *connection; /* NULL: a free slot */
  bool suspended;
  bool gone; /* the browser has closed it */
  uint64_t told;
  unsigned quiet; /* seconds since something was sent */
} rf_stream;

struct rf_streams {
  uint64_t version;
  bool ending;
  rf_stream list[RF_STREAMS];
};

/* A response for one more listener; NULL where there are too many. */
struct MHD_Response *rf_streams_open(rf_streams *all, struct MHD_Connection *connection);

/* Once a second: wakes listeners that have something to be told, or that were told nothing for long. */
void rf_streams_tick(rf_streams *all, bool changed);

/* Ends all of them, before the daemon stops. */
void rf_streams_end(rf_streams *all);

#ifdef __cplusplus
}
#endif

#endif

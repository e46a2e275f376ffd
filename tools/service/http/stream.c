#include "tools/service/http/stream.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

enum { BLOCK = 512 };

/* libmicrohttpd asks for the next bytes. */
static ssize_t give(void *context, uint64_t position, char *buffer, size_t size) {
  rf_stream *const s = (rf_stream *)context;
  int length = 0;
  if (s->all->ending || s->gone) {
    return MHD_CONTENT_READER_END_OF_STREAM;
  }
  if (position == 0) {
    length = snprintf(buffer, size, "retry: 3000\nevent: hello\ndata: %" PRIu64 "\n\n", s->all->version);
  } else if (s->told != s->all->version) {
    length = snprintf(buffer, size, "event: change\ndata: %" PRIu64 "\n\n", s->all->version);
  } else if (s->quiet >= RF_STREAM_BEAT) {
    length = snprintf(buffer, size, ":\n\n");
  }
  if (length <= 0 || (size_t)length >= size) {
    MHD_suspend_connection(s->connection);
    s->suspended = true;
    return 0;
  }
  s->told = s->all->version;
  s->quiet = 0;
  return length;
}

static void forget(void *context) {
  rf_stream *const s = (rf_stream *)context;
  s->connection = NULL;
}

static void resume(rf_stream *s) {
  if (s->connection != NULL && s->suspended) {
    s->suspended = false;
    MHD_resume_connection(s->connection);
  }
}

/* libmicrohttpd does not look at suspended connections: those that were closed would stay until the next beat. */
static void end_closed(rf_streams *all) {
  for (size_t i = 0; i < RF_STREAMS; i++) {
    rf_stream *const s = &all->list[i];
    const union MHD_ConnectionInfo *const info =
        s->connection == NULL || !s->suspended
            ? NULL
            : MHD_get_connection_info(s->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd fd = {info == NULL ? -1 : info->connect_fd, POLLRDHUP, 0};
    if (poll(&fd, 1, 0) == 1) {
      s->gone = true;
      resume(s);
    }
  }
}

struct MHD_Response *rf_streams_open(rf_streams *all, struct MHD_Connection *connection) {
  for (size_t i = 0; i < RF_STREAMS; i++) {
    rf_stream *const s = &all->list[i];
    if (s->connection == NULL) {
      *s = (rf_stream){.all = all, .connection = connection, .told = all->version};
      struct MHD_Response *const response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, give, s, forget);
      if (response == NULL) {
        s->connection = NULL;
      }
      return response;
    }
  }
  return NULL;
}

void rf_streams_tick(rf_streams *all, bool changed) {
  end_closed(all);
  all->version += changed;
  for (size_t i = 0; i < RF_STREAMS; i++) {
    rf_stream *const s = &all->list[i];
    s->quiet++;
    if (s->told != all->version || s->quiet >= RF_STREAM_BEAT) {
      resume(s);
    }
  }
}

void rf_streams_end(rf_streams *all) {
  all->ending = true;
  for (size_t i = 0; i < RF_STREAMS; i++) {
    resume(&all->list[i]);
  }
}

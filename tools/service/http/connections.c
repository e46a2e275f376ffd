#include "tools/service/http/connections.h"

#include "tools/service/store/store.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { PROGRESS = 64 * 1024, STALE_MS = 2000, OTHER_FILES = 100, FILES_MOST = OTHER_FILES + 3 * RF_CONNECTIONS_MOST };

bool rf_connections_have_files(void) {
  struct rlimit limit = {0, 0};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= FILES_MOST) {
    return true;
  }
  struct rlimit more = limit;
  more.rlim_cur = limit.rlim_max < FILES_MOST ? limit.rlim_max : FILES_MOST;
  return (setrlimit(RLIMIT_NOFILE, &more) == 0 ? more : limit).rlim_cur >= RF_CONNECTIONS_FILES;
}

void rf_connections_init(rf_connections *all) {
  struct rlimit limit = {0, 0};
  *all = (rf_connections){.most = RF_CONNECTIONS_MOST};
  all->list.older = all->list.newer = &all->list;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < FILES_MOST) {
    all->most = (size_t)(limit.rlim_cur - OTHER_FILES) / 3;
  }
}

/* ---- The list ---- */

static void take_out(rf_connections *all, rf_connection *c) {
  if (c->older != NULL) {
    c->older->newer = c->newer;
    c->newer->older = c->older;
    c->older = c->newer = NULL;
    all->count--;
  }
}

void rf_connections_moved(rf_connections *all, rf_connection *c) {
  if (c != NULL && c->fd >= 0) {
    take_out(all, c);
    c->older = all->list.older;
    c->newer = &all->list;
    c->older->newer = c->newer->older = c;
    all->count++;
    c->moved = rf_store_steady();
    c->arrived = 0;
  }
}

void rf_connections_arrived(rf_connections *all, rf_connection *c, size_t size) {
  if (c != NULL && (c->arrived += size) >= PROGRESS) {
    rf_connections_moved(all, c);
  }
}

void rf_connections_keep(rf_connections *all, rf_connection *c) {
  if (c != NULL) {
    take_out(all, c);
  }
}

void rf_connections_release(rf_connections *all, rf_connection *c) {
  if (c != NULL) {
    all->bytes -= c->bytes;
    all->uploads -= c->uploads;
    c->bytes = 0;
    c->uploads = false;
  }
}

/* ---- Closing ---- */

/* libmicrohttpd sees the end of what is sent, and closes it as if the other side had. */
static void end_connection(rf_connections *all, rf_connection *c) {
  take_out(all, c);
  rf_connections_release(all, c);
  (void)shutdown(c->fd, SHUT_RDWR);
  c->fd = -1;
}

/* Closes those that hold something, and have made no progress for long, until there is room. */
static void end_stale(rf_connections *all, const rf_connection *but, bool (*is_room)(const rf_connections *, size_t),
                      size_t more) {
  int64_t const now = rf_store_steady();
  for (rf_connection *c = all->list.newer; c != &all->list && !is_room(all, more) && now - c->moved > STALE_MS;) {
    rf_connection *const next = c->newer;
    if (c != but && (c->bytes != 0 || c->uploads)) {
      end_connection(all, c);
    }
    c = next;
  }
}

static bool is_room_for_bytes(const rf_connections *all, size_t more) {
  return all->bytes + more <= RF_CONNECTIONS_BYTES;
}

static bool is_room_for_uploads(const rf_connections *all, size_t more) {
  return all->uploads + more <= RF_CONNECTIONS_UPLOADS;
}

bool rf_connections_hold(rf_connections *all, rf_connection *c, size_t bytes) {
  if (c == NULL || c->fd < 0) {
    return c == NULL;
  }
  end_stale(all, c, is_room_for_bytes, bytes);
  bool const room = is_room_for_bytes(all, bytes);
  c->bytes += room ? bytes : 0;
  all->bytes += room ? bytes : 0;
  return room;
}

void rf_connections_answer(rf_connections *all, rf_connection *c, size_t bytes) {
  rf_connections_release(all, c);
  if (c != NULL && c->fd >= 0) {
    end_stale(all, c, is_room_for_bytes, bytes);
    c->bytes = bytes;
    all->bytes += bytes;
  }
}

bool rf_connections_upload(rf_connections *all, rf_connection *c) {
  if (c == NULL || c->fd < 0) {
    return c == NULL;
  }
  end_stale(all, c, is_room_for_uploads, 1);
  c->uploads = is_room_for_uploads(all, 1);
  all->uploads += c->uploads;
  return c->uploads;
}

/* ---- Arrival and end ---- */

static void begin(rf_connections *all, struct MHD_Connection *connection, void **state) {
  const union MHD_ConnectionInfo *const info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  rf_connection *const c = info == NULL ? NULL : (rf_connection *)calloc(1, sizeof *c);
  *state = c;
  if (c == NULL) {
    return;
  }
  c->fd = info->connect_fd;
  rf_connections_moved(all, c);
  if (all->count > all->most) {
    end_connection(all, all->list.newer);
  }
}

void rf_connections_notify(void *all, struct MHD_Connection *connection, void **state,
                           enum MHD_ConnectionNotificationCode code) {
  rf_connections *const list = (rf_connections *)all;
  rf_connection *const c = (rf_connection *)*state;
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    begin(list, connection, state);
  } else if (c != NULL) {
    take_out(list, c);
    rf_connections_release(list, c);
    free(c);
    *state = NULL;
  }
}

rf_connection *rf_connections_find(struct MHD_Connection *connection) {
  const union MHD_ConnectionInfo *const info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  return info == NULL ? NULL : (rf_connection *)info->socket_context;
}

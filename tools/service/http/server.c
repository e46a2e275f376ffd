/* The server: listeners start, run and stop. */
#include "tools/service/http/listen.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CLOSING = 64, CONNECTION_MEMORY = 32 * 1024, TIMEOUT_S = 30 };

static bool has_files(char *error) {
  if (!rf_connections_have_files()) {
    (void)snprintf(error, RF_HTTP_ERROR, "at least %d files must be allowed to be open (ulimit -n)",
                   RF_CONNECTIONS_FILES);
    return false;
  }
  return true;
}

static bool start_daemon(rf_listener *l, int fd, char *error) {
  rf_connections_init(&l->connections);
  unsigned const most = (unsigned)l->connections.most + RF_STREAMS + CLOSING;
  l->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, rf_request_arrives, l,
                               MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, most,
                               MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
                               MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_NOTIFY_COMPLETED,
                               rf_request_ends, NULL, MHD_OPTION_URI_LOG_CALLBACK, rf_request_is_named, NULL,
                               MHD_OPTION_NOTIFY_CONNECTION, rf_connections_notify, &l->connections, MHD_OPTION_END);
  const union MHD_DaemonInfo *const info =
      l->daemon == NULL ? NULL : MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD);
  if (info == NULL) {
    (void)snprintf(error, RF_HTTP_ERROR, "libmicrohttpd does not start");
    (void)close(fd);
    return false;
  }
  l->epoll = info->epoll_fd;
  return true;
}

static bool start_listeners(rf_http *http, char *error) {
  http->listeners[0] = (rf_listener){.http = http, .epoll = -1};
  http->listeners[1] = (rf_listener){.http = http, .local = true, .epoll = -1};
  int const fd = rf_listen_on(http, error);
  if (fd < 0) {
    return false;
  }
  rf_listen_name(http);
  if (!start_daemon(&http->listeners[0], fd, error)) {
    return false;
  }
  int const local = rf_listen_in(http->options->directory);
  return local < 0 || start_daemon(&http->listeners[1], local, error);
}

static void stop_listeners(rf_http *http) {
  for (size_t i = 0; i < RF_HTTP_LISTENERS; i++) {
    if (http->listeners[i].daemon != NULL) {
      MHD_stop_daemon(http->listeners[i].daemon);
    }
  }
}

rf_http *rf_http_start(const rf_http_options *options, rf_store *store, rf_intake *intake, char error[RF_HTTP_ERROR]) {
  rf_http *const http = (rf_http *)calloc(1, sizeof *http);
  if (http == NULL) {
    (void)snprintf(error, RF_HTTP_ERROR, "no memory");
    return NULL;
  }
  http->options = options;
  http->store = store;
  http->intake = intake;
  if (!has_files(error) || !rf_rights_init(&http->rights, options, error) || !start_listeners(http, error)) {
    stop_listeners(http);
    free(http);
    return NULL;
  }
  return http;
}

void rf_http_stop(rf_http *http) {
  if (http != NULL) {
    char path[4096];
    rf_streams_end(&http->streams);
    rf_turns_end(&http->turns);
    rf_http_run(http);
    if (http->listeners[1].daemon != NULL) {
      (void)snprintf(path, sizeof path, "%s/" RF_LISTEN_SOCKET, http->options->directory);
      (void)unlink(path);
    }
    stop_listeners(http);
    rf_answers_free(&http->answers);
    free(http);
  }
}

int rf_http_descriptor(const rf_http *http, size_t listener) {
  return http->listeners[listener].epoll;
}

int rf_http_timeout(const rf_http *http) {
  int least = rf_turns_are_waited_for(&http->turns) ? 0 : -1;
  for (size_t i = 0; i < RF_HTTP_LISTENERS; i++) {
    MHD_UNSIGNED_LONG_LONG ms = 0;
    if (http->listeners[i].daemon != NULL && MHD_get_timeout(http->listeners[i].daemon, &ms) == MHD_YES) {
      int const bounded = ms > 1000 ? 1000 : (int)ms;
      least = least < 0 || bounded < least ? bounded : least;
    }
  }
  return least;
}

static void run_once(rf_http *http) {
  for (size_t i = 0; i < RF_HTTP_LISTENERS; i++) {
    if (http->listeners[i].daemon != NULL) {
      (void)MHD_run(http->listeners[i].daemon);
    }
  }
}

void rf_http_run(rf_http *http) {
  rf_turns_begin(&http->turns);
  run_once(http);
  for (bool more = true; more && rf_turns_next(&http->turns); more = rf_turns_have_time(&http->turns)) {
    run_once(http);
  }
}

void rf_http_changed(rf_http *http, bool changed) {
  rf_streams_tick(&http->streams, changed);
}

const char *rf_http_url(const rf_http *http) {
  return http->url;
}

const char *rf_http_sign_in_path(rf_http *http) {
  (void)snprintf(http->path, sizeof http->path, "/sign-in?code=%s", rf_rights_new_code(&http->rights));
  return http->path;
}

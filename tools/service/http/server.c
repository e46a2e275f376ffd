#include "tools/service/http/request.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/service/exchange/symbol_files.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET "serve.sock"

/* Versions of libmicrohttpd call 413 by different names. */
enum { CLOSING = 64, CONNECTION_MEMORY = 32 * 1024, TIMEOUT_S = 30, BACKLOG = 4096, TOO_LARGE = 413 };

/* ---- Requests ---- */

static const char *header(struct MHD_Connection *connection, const char *name) {
  return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* "http://HOST/path", which every server has to take: HOST counts, whatever the header says. */
static const char *path_of(rf_bump_arena *arena, const char *target, const char **host) {
  static const char scheme[] = "http://";
  if (strncasecmp(target, scheme, strlen(scheme)) != 0) {
    return rf_bump_arena_copy(arena, target);
  }
  const char *const name = target + strlen(scheme);
  size_t const length = strcspn(name, "/");
  *host = rf_bump_arena_text(arena, name, length);
  return rf_bump_arena_copy(arena, name[length] == '\0' ? "/" : name + length);
}

static rf_request *begin(rf_listener *l, struct MHD_Connection *connection, const char *method, const char *path) {
  rf_request *const r = (rf_request *)calloc(1, sizeof *r);
  if (r == NULL) {
    return NULL;
  }
  rf_http *const http = l->http;
  r->http = http;
  r->connections = &l->connections;
  r->entry = rf_connections_find(connection);
  r->file = -1;
  r->connection = connection;
  r->method = rf_bump_arena_copy(&r->arena, method);
  const char *host = header(connection, "Host");
  r->path = path_of(&r->arena, path, &host);
  r->sender = (rf_sender){
      .host = host,
      .origin = header(connection, "Origin"),
      .authorization = header(connection, "Authorization"),
      .cookie = MHD_lookup_connection_value(connection, MHD_COOKIE_KIND, http->cookie),
      .site = header(connection, "Sec-Fetch-Site"),
      .writes = strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0,
      .local = l->local,
  };
  r->granted = rf_rights_granted(&http->rights, &r->sender);
  rf_connections_moved(r->connections, r->entry);
  return r;
}

/* Headers that a proxy may read in another way than this program where they come twice. */
static const char *const single[] = {"Host", "Origin", "Authorization", "Content-Length", "Transfer-Encoding"};
enum { SINGLE = sizeof single / sizeof single[0], LENGTH = 3, ENCODING = 4 };

static enum MHD_Result count_header(void *context, enum MHD_ValueKind kind, const char *name, const char *value) {
  unsigned *const counts = (unsigned *)context;
  (void)kind;
  (void)value;
  for (size_t i = 0; i < SINGLE; i++) {
    counts[i] += strcasecmp(name, single[i]) == 0;
  }
  return MHD_YES;
}

static bool has_two_meanings(const rf_request *r) {
  unsigned counts[SINGLE] = {0};
  (void)MHD_get_connection_values(r->connection, MHD_HEADER_KIND, count_header, counts);
  bool twice = counts[LENGTH] != 0 && counts[ENCODING] != 0;
  for (size_t i = 0; i < SINGLE; i++) {
    twice = twice || counts[i] > 1;
  }
  return twice;
}

static bool is_method_of_ours(const rf_request *r) {
  return strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0 || strcmp(r->method, "POST") == 0;
}

/* A compressed body would be taken for text that says nothing. */
static bool is_encoded(const rf_request *r) {
  const char *const encoding = header(r->connection, "Content-Encoding");
  return encoding != NULL && strcasecmp(encoding, "identity") != 0;
}

static const char *what_is_missing(const rf_request *r, rf_right needed) {
  if (r->granted == 0 && r->sender.authorization != NULL) {
    return "this is no token of this collector";
  }
  return needed == RF_RIGHT_TRIAGE ? "this needs a token with the right to triage: sign in"
                                   : "this needs a token: sign in";
}

static enum MHD_Result check(rf_request *r, bool *answered) {
  const char *const refusal = rf_rights_refusal(&r->http->rights, &r->sender);
  rf_right const needed = rf_route_right(r->method, r->path);
  *answered = true;
  if (has_two_meanings(r)) {
    return rf_reply_error(r, MHD_HTTP_BAD_REQUEST,
                          "a header that says whose request this is, or how long, is there twice");
  }
  if (refusal != NULL) {
    return rf_reply_error(r, MHD_HTTP_FORBIDDEN, refusal);
  }
  if (!is_method_of_ours(r)) {
    return rf_reply_error(r, MHD_HTTP_METHOD_NOT_ALLOWED, "use GET, HEAD or POST");
  }
  if (needed != 0 && (r->granted & (unsigned)needed) == 0) {
    return rf_reply_error(r, MHD_HTTP_UNAUTHORIZED, what_is_missing(r, needed));
  }
  if (is_encoded(r)) {
    return rf_reply_error(r, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "send it as it is, without a Content-Encoding");
  }
  *answered = false;
  return MHD_YES;
}

/* The limit is that of the route: only posted records are large. */
static size_t body_limit(const rf_request *r) {
  return strcmp(r->path, "/api/v1/records") == 0 ? (size_t)RF_BODY_MOST : (size_t)RF_FORM_MOST;
}

static void refuse(rf_request *r, unsigned status, const char *why) {
  r->refusal = status;
  r->refused = why;
}

static void add_to_file(rf_request *r, const char *data, size_t size) {
  r->too_large = RF_SYMBOL_FILE_MOST - r->length < size;
  if (!r->too_large && write(r->file, data, size) != (ssize_t)size) {
    refuse(r, MHD_HTTP_INSUFFICIENT_STORAGE, "the collector's disk is full, or cannot be written");
  }
  r->length += size;
}

static void add_body(rf_request *r, const char *data, size_t size) {
  rf_connections_arrived(r->connections, r->entry, size);
  if (r->refused != NULL) {
    return;
  }
  if (r->file >= 0 && !r->too_large) {
    add_to_file(r, data, size);
    return;
  }
  if (r->too_large || size > body_limit(r) - r->length) {
    r->too_large = true;
    return;
  }
  if (!rf_connections_hold(r->connections, r->entry, size)) {
    refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE, RF_REQUEST_TOO_MANY);
    return;
  }
  if (r->length + size + 1 > r->room) {
    size_t const room = (r->length + size + 1) * 2;
    char *const larger = (char *)realloc(r->body, room);
    if (larger == NULL) {
      refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE, RF_REQUEST_TOO_MANY);
      return;
    }
    r->body = larger;
    r->room = room;
  }
  memcpy(r->body + r->length, data, size);
  r->length += size;
  r->body[r->length] = '\0';
}

static enum MHD_Result answer(rf_request *r) {
  if (r->refused != NULL) {
    return rf_reply_error(r, r->refusal, r->refused);
  }
  return !r->too_large
             ? rf_route(r)
             : rf_reply_error(r, TOO_LARGE, r->file < 0 ? "the request is too large" : "the file is larger than 4 GiB");
}

/* The answer is queued: a reader may be slow, so only the answer stays. */
static void forget_contents(rf_request *r) {
  free(r->body);
  r->body = NULL;
  r->length = 0;
  if (r->file < 0) { /* the path of a file that was cut short is in the arena */
    rf_bump_arena_free(&r->arena);
  }
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path, const char *method,
                              const char *version, const char *data, size_t *size, void **state) {
  (void)version;
  rf_request *r = (rf_request *)*state;
  bool answered = false;
  if (r == NULL) {
    r = begin((rf_listener *)context, connection, method, path);
    *state = r;
    if (r == NULL) {
      return MHD_NO;
    }
    enum MHD_Result const result = check(r, &answered);
    if (!answered) {
      rf_upload_begin(r);
    }
    return result;
  }
  if (*size != 0) {
    add_body(r, data, *size);
    *size = 0;
    return MHD_YES;
  }
  if (r->http->turns.ending || (r->its_turn && rf_turns_is_gone(r))) {
    return MHD_NO;
  }
  if (r->refused == NULL && !r->too_large && rf_turns_wait(&r->http->turns, r)) {
    return MHD_YES;
  }
  enum MHD_Result const result = answer(r);
  forget_contents(r);
  return result;
}

static void end(void *context, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code) {
  (void)context;
  (void)connection;
  (void)code;
  rf_request *const r = (rf_request *)*state;
  if (r != NULL) {
    rf_turns_forget(&r->http->turns, r);
    if (r->file >= 0) { /* it was cut short */
      (void)close(r->file);
      (void)unlink(r->file_path);
    }
    rf_connections_release(r->connections, r->entry);
    rf_connections_moved(r->connections, r->entry);
    rf_bump_arena_free(&r->arena);
    free(r->body);
    free(r);
  }
  *state = NULL;
}

/* ---- Listening ---- */

typedef union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} address;

/* 0: `text` is none. */
static socklen_t read_address(const char *text, unsigned port, address *out) {
  *out = (address){.v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}};
  if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
    return sizeof out->v4;
  }
  *out = (address){.v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)}};
  return inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1 ? sizeof out->v6 : 0;
}

bool rf_http_is_address(const char *text) {
  address unused;
  return read_address(text, 0, &unused) != 0;
}

static int listen_on(rf_http *http, char *error) {
  address a;
  socklen_t length = read_address(http->options->address, http->options->port, &a);
  int const one = 1;
  int const fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 || bind(fd, &a.any, length) != 0 ||
      listen(fd, BACKLOG) != 0 || getsockname(fd, &a.any, &length) != 0) {
    (void)snprintf(error, RF_HTTP_ERROR, "cannot listen on %s:%u: %s%s", http->options->address, http->options->port,
                   strerror(errno), errno == EADDRINUSE ? "; choose another with --listen" : "");
    if (fd >= 0) {
      (void)close(fd);
    }
    return -1;
  }
  http->rights.port = ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
  return fd;
}

/* An address that stands for all of the machine's is none that a browser goes to. */
static const char *page_address(const char *listened) {
  struct in_addr v4;
  struct in6_addr v6;
  if (inet_pton(AF_INET, listened, &v4) == 1) {
    return v4.s_addr == htonl(INADDR_ANY) ? "127.0.0.1" : listened;
  }
  return inet_pton(AF_INET6, listened, &v6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&v6) ? "::1" : listened;
}

static void name_it(rf_http *http) {
  const char *const host = page_address(http->options->address);
  bool const v6 = strchr(host, ':') != NULL;
  (void)snprintf(http->url, sizeof http->url, v6 ? "http://[%s]:%u" : "http://%s:%u", host, http->rights.port);
  (void)snprintf(http->cookie, sizeof http->cookie, "ringfence-%u", http->rights.port);
}

/* DIR/serve.sock, by way of the folder's descriptor: names of sockets are short. The one of a collector that was killed
 * is replaced: this collector has the folder's lock. */
static int listen_in(const char *directory) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  int const folder = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
  (void)snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/" SOCKET, folder);
  int const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  (void)unlinkat(folder, SOCKET, 0);
  mode_t const mask = umask(0177);
  bool const bound =
      folder >= 0 && fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof a) == 0 && listen(fd, BACKLOG) == 0;
  (void)umask(mask);
  if (!bound) {
    rf_diag("cannot create " SOCKET " in %s: %s; use the address of the page instead", directory, strerror(errno));
  }
  if (folder >= 0) {
    (void)close(folder);
  }
  if (!bound && fd >= 0) {
    (void)close(fd);
  }
  return bound ? fd : -1;
}

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
  l->daemon =
      MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle, l, MHD_OPTION_LISTEN_SOCKET, fd,
                       MHD_OPTION_CONNECTION_LIMIT, most, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
                       MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_NOTIFY_COMPLETED, end, NULL,
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
  int const fd = listen_on(http, error);
  if (fd < 0) {
    return false;
  }
  name_it(http);
  if (!start_daemon(&http->listeners[0], fd, error)) {
    return false;
  }
  int const local = listen_in(http->options->directory);
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
      (void)snprintf(path, sizeof path, "%s/" SOCKET, http->options->directory);
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

/* Requests as they arrive, a piece at a time: the sender, what is refused before the body is there, and the body. */
#include "tools/service/http/request.h"

#include "tools/service/exchange/symbol_files.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Versions of libmicrohttpd call 413 by different names. */
enum { TOO_LARGE = 413 };

/* ---- The sender ---- */

static const char *header(struct MHD_Connection *connection, const char *name) {
  return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* "http://HOST/path", which every server has to take: HOST counts, whatever the header says. The base path is left
 * out: some proxies take it off, and others do not. */
static const char *path_of(rf_bump_arena *arena, const char *base, const char *target, const char **host) {
  static const char scheme[] = "http://";
  if (strncasecmp(target, scheme, strlen(scheme)) != 0) {
    return rf_bump_arena_copy(arena, rf_base_path_behind(base, target));
  }
  const char *const name = target + strlen(scheme);
  size_t const length = strcspn(name, "/");
  *host = rf_bump_arena_text(arena, name, length);
  return rf_bump_arena_copy(arena, name[length] == '\0' ? "/" : rf_base_path_behind(base, name + length));
}

/* libmicrohttpd decodes it before anybody else sees it. */
void *rf_request_is_named(void *context, const char *target, struct MHD_Connection *connection) {
  static const char nul[] = "%00";
  rf_connection *const c = rf_connections_find(connection);
  (void)context;
  if (c != NULL) {
    c->cut = memmem(target, strcspn(target, "?"), nul, strlen(nul)) != NULL;
  }
  return NULL;
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
  r->path = path_of(&r->arena, http->options->base, path, &host);
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

/* ---- What is refused before the body ---- */

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

/* libmicrohttpd would wait for its end until the connection closes, and take the next request for a part of it. */
static bool is_coded(const rf_request *r) {
  const char *const coding = header(r->connection, "Transfer-Encoding");
  return coding != NULL && strcasecmp(coding, "chunked") != 0;
}

static const char *what_is_missing(const rf_request *r, rf_right needed) {
  if (r->granted == 0 && r->sender.authorization != NULL) {
    return "this is no token of this collector";
  }
  switch (needed) {
  case RF_RIGHT_POST:
    return "this needs a token with the right to post";
  case RF_RIGHT_TRIAGE:
    return "this needs a token with the right to triage: sign in";
  case RF_RIGHT_STEER:
    return "this needs a token with the right to steer: sign in";
  default:
    return "this needs a token with the right to read: sign in";
  }
}

static enum MHD_Result check(rf_request *r, bool *answered) {
  const char *const refusal = rf_rights_refusal(&r->http->rights, &r->sender);
  rf_right const needed = rf_route_right(r->method, r->path);
  *answered = true;
  if (has_two_meanings(r)) {
    return rf_reply_error(r, MHD_HTTP_BAD_REQUEST,
                          "a header that says whose request this is, or how long, is there twice");
  }
  if (is_coded(r)) {
    return rf_reply_error(r, MHD_HTTP_NOT_IMPLEMENTED, "of transfer codings only chunked is known");
  }
  if (refusal != NULL) {
    return rf_reply_error(r, MHD_HTTP_FORBIDDEN, refusal);
  }
  if (r->entry != NULL && r->entry->cut) {
    return rf_reply_error(r, MHD_HTTP_BAD_REQUEST, "a path cannot hold a NUL (%00)");
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

/* ---- The body ---- */

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

/* ---- The whole ---- */

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

enum MHD_Result rf_request_arrives(void *listener, struct MHD_Connection *connection, const char *path,
                                   const char *method, const char *version, const char *data, size_t *size,
                                   void **state) {
  (void)version;
  rf_request *r = (rf_request *)*state;
  bool answered = false;
  if (r == NULL) {
    r = begin((rf_listener *)listener, connection, method, path);
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

void rf_request_ends(void *context, struct MHD_Connection *connection, void **state,
                     enum MHD_RequestTerminationCode code) {
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

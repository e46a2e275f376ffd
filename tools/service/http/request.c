#include "tools/service/http/request.h"

#include "checkers/report/json_writer.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/words.h"
#include "tools/service/page/page.h"

#include <string.h>

/* ---- The contents of a request ---- */

const char *rf_request_argument(const rf_request *r, const char *name) {
  return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

static int digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static char *decoded(rf_bump_arena *arena, const char *text, size_t length) {
  char *const out = rf_bump_arena_text(arena, text, length);
  size_t used = 0;
  for (size_t i = 0; i < length; i++) {
    char c = text[i];
    if (c == '+') {
      c = ' ';
    } else if (c == '%' && i + 2 < length && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      c = (char)(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    }
    out[used++] = c;
  }
  out[used] = '\0';
  return out;
}

const char *rf_request_field(rf_request *r, const char *name) {
  size_t const wanted = strlen(name);
  for (const char *at = r->body; at != NULL && at < r->body + r->length;) {
    size_t const left = (size_t)(r->body + r->length - at);
    const char *const end = (const char *)memchr(at, '&', left);
    size_t const length = end == NULL ? left : (size_t)(end - at);
    if (length > wanted && at[wanted] == '=' && memcmp(at, name, wanted) == 0) {
      return decoded(&r->arena, at + wanted + 1, length - wanted - 1);
    }
    at += length + 1;
  }
  return NULL;
}

typedef struct target {
  rf_bump_arena *arena;
  rf_text_sink text;
  bool begun; /* its query string has */
} target;

static enum MHD_Result add_to_target(void *context, enum MHD_ValueKind kind, const char *name, const char *value) {
  target *const t = (target *)context;
  (void)kind;
  rf_sink_char(&t->text.sink, t->begun ? '&' : '?');
  rf_sink_str(&t->text.sink, rf_web_encoded(t->arena, name));
  rf_sink_char(&t->text.sink, '=');
  rf_sink_str(&t->text.sink, rf_web_encoded(t->arena, value == NULL ? "" : value));
  t->begun = true;
  return MHD_YES;
}

const char *rf_request_target(rf_request *r) {
  target t = {.arena = &r->arena};
  rf_text_sink_init(&t.text, &r->arena);
  rf_sink_str(&t.text.sink, r->path);
  (void)MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, add_to_target, &t);
  return t.text.text;
}

/* With their lengths, so that no name and no value looks like two. */
static enum MHD_Result add_argument(void *context, enum MHD_ValueKind kind, const char *name, const char *value) {
  const rf_sink *const sink = (const rf_sink *)context;
  const char *const parts[] = {name, value == NULL ? "" : value};
  (void)kind;
  for (size_t i = 0; i < 2; i++) {
    rf_sink_uint(sink, strlen(parts[i]));
    rf_sink_char(sink, ':');
    rf_sink_str(sink, parts[i]);
  }
  return MHD_YES;
}

const char *rf_request_question(rf_request *r) {
  rf_text_sink t;
  rf_text_sink_init(&t, &r->arena);
  rf_sink_uint(&t.sink, r->granted);
  rf_sink_str(&t.sink, r->path);
  (void)MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, add_argument, &t.sink);
  return t.text;
}

/* ---- Answers ---- */

void rf_reply_headers(struct MHD_Response *response) {
  static const char *const headers[][2] = {
      {"Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
                                  "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
      {"X-Content-Type-Options", "nosniff"},
      /* With "no-referrer" browsers would post forms with the origin "null". */
      {"Referrer-Policy", "same-origin"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"X-Frame-Options", "DENY"},
      {"Cache-Control", "no-store"},
  };
  for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
    (void)MHD_add_response_header(response, headers[i][0], headers[i][1]);
  }
}

static enum MHD_Result send_response(const rf_request *r, unsigned status, struct MHD_Response *response) {
  if (response == NULL) {
    return MHD_NO;
  }
  rf_reply_headers(response);
  if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
    (void)MHD_add_response_header(response, "Allow", "GET, HEAD, POST");
  }
  enum MHD_Result const queued = MHD_queue_response(r->connection, status, response);
  MHD_destroy_response(response);
  return queued;
}

/* As send_response, but others may get it as well. */
static enum MHD_Result share_response(const rf_request *r, struct MHD_Response *response, size_t length) {
  rf_reply_headers(response);
  enum MHD_Result const queued = MHD_queue_response(r->connection, MHD_HTTP_OK, response);
  if (!rf_answers_keep(&r->http->answers, r->http->store, r->question, response, length)) {
    MHD_destroy_response(response);
  }
  return queued;
}

enum MHD_Result rf_reply(const rf_request *r, unsigned status, const char *type, const char *text, size_t length) {
  struct MHD_Response *const response =
      MHD_create_response_from_buffer(length, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
  if (response != NULL) {
    rf_connections_answer(r->connections, r->entry, length);
    (void)MHD_add_response_header(response, "Content-Type", type);
  }
  return response != NULL && r->question != NULL && status == MHD_HTTP_OK ? share_response(r, response, length)
                                                                          : send_response(r, status, response);
}

enum MHD_Result rf_reply_json(const rf_request *r, unsigned status, const char *text) {
  return rf_reply(r, status, "application/json; charset=utf-8", text, strlen(text));
}

static bool wants_page(const rf_request *r) {
  const char *const accept = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Accept");
  return strncmp(r->path, "/api/", 5) != 0 && accept != NULL && strstr(accept, "text/html") != NULL;
}

static const char *title_of(unsigned status) {
  return status == 403 || status == 401 ? "Not allowed" : status == 404 ? "Not found" : "Not done";
}

/* Where a browser goes once it has signed in: a wrong token does not change that. A form's own path has no page: the
 * page of the finding is the one to go to. */
static const char *path_back(rf_request *r) {
  static const char finding[] = "/finding/";
  if (strcmp(r->path, "/sign-in") == 0) {
    const char *const back = rf_request_field(r, "back");
    return back == NULL ? "/" : back;
  }
  if (!r->sender.writes) {
    return rf_request_target(r);
  }
  if (strncmp(r->path, finding, strlen(finding)) != 0) {
    return r->path;
  }
  size_t const length = strlen(finding) + strcspn(r->path + strlen(finding), "/");
  return rf_bump_arena_text(&r->arena, r->path, length);
}

enum MHD_Result rf_reply_error(rf_request *r, unsigned status, const char *message) {
  rf_text_sink t;
  rf_text_sink_init(&t, &r->arena);
  if (wants_page(r)) {
    rf_page_message(&t.sink, r->http->options->base, title_of(status), message, status == 401 ? path_back(r) : NULL);
    return rf_reply(r, status, "text/html; charset=utf-8", t.text, t.length);
  }
  rf_json_writer w = {.sink = &t.sink};
  rf_json_open(&w, NULL, "{");
  rf_json_put_text(&w, "error", message);
  rf_json_close(&w, "}");
  return rf_reply_json(r, status, t.text);
}

enum MHD_Result rf_reply_store_error(rf_request *r, unsigned otherwise, const char *message) {
  int const code = r->http->store->code & 0xFF;
  unsigned const status = code == SQLITE_FULL   ? MHD_HTTP_INSUFFICIENT_STORAGE
                          : code == SQLITE_BUSY ? MHD_HTTP_SERVICE_UNAVAILABLE
                                                : otherwise;
  return rf_reply_error(r, status, message);
}

enum MHD_Result rf_reply_redirect(rf_request *r, const char *path, const char *session) {
  static char nothing[1];
  struct MHD_Response *const response = MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
  if (response != NULL) {
    (void)MHD_add_response_header(response, "Location",
                                  rf_bump_arena_print(&r->arena, "%s%s", r->http->options->base, path));
  }
  if (response != NULL && session != NULL) {
    const char *const base = r->http->options->base;
    /* A browser that came by a proxy with TLS must not send it without. */
    bool const by_tls = r->sender.origin != NULL && strncmp(r->sender.origin, "https://", 8) == 0;
    (void)MHD_add_response_header(response, "Set-Cookie",
                                  rf_bump_arena_print(&r->arena,
                                                      "%s=%s; Path=%s; HttpOnly; SameSite=Strict; "
                                                      "Max-Age=%d%s",
                                                      r->http->cookie, session, base[0] == '\0' ? "/" : base,
                                                      session[0] == '\0' ? 0 : RF_SESSION_DAYS * 24 * 60 * 60,
                                                      by_tls ? "; Secure" : ""));
  }
  return send_response(r, MHD_HTTP_SEE_OTHER, response);
}

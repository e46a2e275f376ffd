/* Paths and what they answer. */
#include "tools/service/http/arguments.h"
#include "tools/service/http/request.h"

#include "tools/ringfence/base/sinks.h"
#include "tools/service/life/triage.h"
#include "tools/service/page/page.h"
#include "tools/service/query/query.h"
#include "tools/service/steering/query.h"
#include "tools/service/steering/rules.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HELD_MS = 1000, HELD_WAIT_MS = 200 };

static const char html[] = "text/html; charset=utf-8";
static const char finding_path[] = "/finding/";
static const char process_path[] = "/process/";
static const char module_path[] = "/coverage/";
static const char api_finding_path[] = "/api/v1/findings/";

/* ---- Rights ---- */

rf_right rf_route_right(const char *method, const char *path) {
  static const char *const open[] = {"/style.css", "/script.js", "/sign-in", "/sign-out", "/favicon.svg"};
  for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
    if (strcmp(path, open[i]) == 0) {
      return (rf_right)0;
    }
  }
  if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) {
    return RF_RIGHT_READ;
  }
  if (strcmp(path, "/api/v1/steering") == 0 || strcmp(path, "/steering") == 0) {
    return RF_RIGHT_STEER;
  }
  bool const posts = strcmp(path, "/api/v1/records") == 0 || strcmp(path, "/api/v1/symbols") == 0;
  return posts ? RF_RIGHT_POST : RF_RIGHT_TRIAGE;
}

/* ---- Turns ---- */

/* The pages and lists over many findings or sites; records, each with a commit. */
rf_turn_kind rf_route_turn(const rf_request *r) {
  static const char api[] = "/api/v1";
  static const char *const lists[] = {"/findings", "/processes", "/builds", "/coverage", "/activity", "/why"};
  bool const program = strncmp(r->path, api, strlen(api)) == 0;
  const char *const path = program ? r->path + strlen(api) : r->path;
  bool const numbered = strncmp(path, process_path, strlen(process_path)) == 0 ||
                        strncmp(path, "/processes/", 11) == 0 || strncmp(path, module_path, strlen(module_path)) == 0;
  bool list = !program && strcmp(path, "/") == 0;
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
    list = list || strcmp(path, lists[i]) == 0;
  }
  if (strcmp(r->method, "POST") == 0) {
    return program && strcmp(path, "/records") == 0 ? RF_TURN_RECORDS : RF_TURN_AT_ONCE;
  }
  if (!list && !numbered) {
    return RF_TURN_AT_ONCE;
  }
  bool const plain = !numbered && MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, NULL, NULL) == 0;
  return plain ? RF_TURN_FIRST : program ? RF_TURN_PROGRAM : RF_TURN_PAGE;
}

/* ---- Questions ---- */

static int64_t number(const rf_request *r, const char *name) {
  return rf_argument_number(rf_request_argument(r, name), 0);
}

static const char *not_empty(const char *text) {
  return text == NULL || text[0] == '\0' ? NULL : text;
}

static rf_findings_filter filter_of(const rf_request *r) {
  return (rf_findings_filter){
      .state = not_empty(rf_request_argument(r, "state")),
      .build = not_empty(rf_request_argument(r, "build")),
      .new_in = not_empty(rf_request_argument(r, "new_in")),
      .environment = not_empty(rf_request_argument(r, "environment")),
      .search = not_empty(rf_request_argument(r, "search")),
      .order = not_empty(rf_request_argument(r, "order")),
      .limit = number(r, "limit"),
      .offset = number(r, "offset"),
  };
}

/* The number at the start of `text`, and what follows; -1 where there is none. */
static int64_t id_of(const char *text, const char **rest) {
  char *end = NULL;
  errno = 0;
  long long const id = text[0] >= '0' && text[0] <= '9' ? strtoll(text, &end, 10) : -1;
  *rest = end;
  return id < 0 || errno != 0 || (*end != '\0' && *end != '/') ? -1 : id;
}

static bool ask_process(const rf_request *r, int64_t id, rf_query *q) {
  return rf_query_process(q, id, number(r, "snapshot"), number(r, "against"));
}

static bool ask_processes(const rf_request *r, rf_query *q) {
  rf_processes_filter const f = {
      .program = not_empty(rf_request_argument(r, "program")),
      .host = not_empty(rf_request_argument(r, "host")),
      .environment = not_empty(rf_request_argument(r, "environment")),
      .limit = number(r, "limit"),
      .offset = number(r, "offset"),
  };
  return rf_query_processes(q, &f);
}

static bool ask_coverage(const rf_request *r, rf_query *q) {
  rf_coverage_filter const f = {.module = not_empty(rf_request_argument(r, "module")),
                                .limit = number(r, "limit"),
                                .offset = number(r, "offset")};
  return rf_query_coverage(q, &f);
}

static bool ask_sites(const rf_request *r, int64_t id, rf_query *q) {
  rf_sites_filter const f = {
      .module = id,
      .watched = not_empty(rf_request_argument(r, "watched")),
      .limit = number(r, "limit"),
      .offset = number(r, "offset"),
  };
  return rf_query_sites(q, &f);
}

/* Writes the JSON that answers; false where the path asks nothing. *fine: the store was read. */
static bool ask(const rf_request *r, const char *what, rf_query *q, bool *fine) {
  const char *rest = NULL;
  if (strcmp(what, "findings") == 0) {
    rf_findings_filter const f = filter_of(r);
    *fine = rf_query_findings(q, &f);
  } else if (strncmp(what, "findings/", 9) == 0 && id_of(what + 9, &rest) >= 0 && *rest == '\0') {
    *fine = rf_query_finding(q, id_of(what + 9, &rest), number(r, "event"), number(r, "limit"));
  } else if (strcmp(what, "processes") == 0) {
    *fine = ask_processes(r, q);
  } else if (strncmp(what, "processes/", 10) == 0 && id_of(what + 10, &rest) >= 0 && *rest == '\0') {
    *fine = ask_process(r, id_of(what + 10, &rest), q);
  } else if (strcmp(what, "builds") == 0) {
    *fine = rf_query_builds(q, number(r, "limit"), number(r, "offset"));
  } else if (strcmp(what, "coverage") == 0) {
    *fine = ask_coverage(r, q);
  } else if (strncmp(what, "coverage/", 9) == 0 && id_of(what + 9, &rest) >= 0 && *rest == '\0') {
    *fine = ask_sites(r, id_of(what + 9, &rest), q);
  } else if (strcmp(what, "steering") == 0) {
    *fine = rf_query_steering(q, number(r, "limit"));
  } else if (strcmp(what, "symbols") == 0) {
    *fine = rf_query_symbols(q);
  } else if (strcmp(what, "status") == 0) {
    *fine = rf_query_status(q, r->http->options->directory);
  } else if (strcmp(what, "activity") == 0) {
    *fine = rf_query_activity(q, number(r, "after"), number(r, "limit"));
  } else if (strcmp(what, "why") == 0) {
    *fine = rf_query_why(q, number(r, "a"), number(r, "b"));
  } else {
    return false;
  }
  return true;
}

static enum MHD_Result store_failed(rf_request *r) {
  const char *const message = rf_bump_arena_copy(&r->arena, r->http->store->error);
  r->http->store->failed = false;
  return rf_reply_store_error(r, MHD_HTTP_INTERNAL_SERVER_ERROR, message);
}

/* The fault of the query string; NULL if it has none. */
static const char *question_error(rf_request *r, const char *what) {
  char message[RF_FILTER_MESSAGE] = "";
  const char *const wrong = rf_argument_error(r, what);
  if (wrong != NULL || strcmp(what, "findings") != 0) {
    return wrong;
  }
  rf_findings_filter const f = filter_of(r);
  bool const known = rf_query_filter_is_known(r->http->store, &f, message);
  return known || r->http->store->failed ? NULL : rf_bump_arena_copy(&r->arena, message);
}

static enum MHD_Result answer_json(rf_request *r, const char *what) {
  rf_text_sink t;
  rf_text_sink_init(&t, &r->arena);
  rf_query q = {r->http->store, &r->arena, {.sink = &t.sink}};
  bool fine = true;
  const char *const wrong = question_error(r, what);
  if (wrong != NULL) {
    return rf_reply_error(r, MHD_HTTP_BAD_REQUEST, wrong);
  }
  if (!ask(r, what, &q, &fine)) {
    return rf_reply_error(r, MHD_HTTP_NOT_FOUND, "there is nothing at this path");
  }
  bool const missing = fine && strncmp(t.text, "{\"error\":", 9) == 0;
  return !fine ? store_failed(r) : rf_reply_json(r, missing ? MHD_HTTP_NOT_FOUND : MHD_HTTP_OK, t.text);
}

/* ---- Pages ---- */

static bool is_signed_in(const rf_request *r) {
  const char *const secret = r->sender.cookie;
  return secret != NULL && rf_sessions_token(&r->http->rights.sessions, secret, rf_store_now()) != NULL;
}

/* The page of a path, from the JSON of a question. */
static enum MHD_Result answer_page(rf_request *r, const char *what, rf_page_maker *make) {
  rf_text_sink json;
  rf_text_sink page;
  rf_text_sink_init(&json, &r->arena);
  rf_text_sink_init(&page, &r->arena);
  rf_query q = {r->http->store, &r->arena, {.sink = &json.sink}};
  bool fine = true;
  const char *const wrong = rf_argument_value_error(r);
  if (wrong != NULL) {
    return rf_reply_error(r, MHD_HTTP_BAD_REQUEST, wrong);
  }
  if (!ask(r, what, &q, &fine) || !fine) {
    return fine ? rf_reply_error(r, MHD_HTTP_NOT_FOUND, "there is nothing at this path") : store_failed(r);
  }
  const rf_json *const root = rf_json_parse(&r->arena, json.text, json.length);
  if (root == NULL || rf_json_member(root, "error") != NULL) {
    return rf_reply_error(r, MHD_HTTP_NOT_FOUND, rf_json_text(root, "error", "the answer cannot be read"));
  }
  rf_page p = {
      .base = r->http->options->base,
      .arena = &r->arena,
      .sink = &page.sink,
      .json = root,
      .store = r->http->store,
      .source_root = r->http->options->source_root,
      .directory = r->http->options->directory,
      .may_triage = (r->granted & (unsigned)RF_RIGHT_TRIAGE) != 0,
      .may_steer = (r->granted & (unsigned)RF_RIGHT_STEER) != 0,
      .signed_in = is_signed_in(r),
      .state = rf_request_argument(r, "state"),
      .environment = rf_request_argument(r, "environment"),
      .build = rf_request_argument(r, "build"),
      .new_in = rf_request_argument(r, "new_in"),
      .search = rf_request_argument(r, "search"),
      .order = rf_request_argument(r, "order"),
      .limit = rf_request_argument(r, "limit"),
      .back = rf_request_target(r),
      .zoom = number(r, "zoom"),
  };
  make(&p);
  return rf_reply(r, MHD_HTTP_OK, html, page.text, page.length);
}

static enum MHD_Result get_page(rf_request *r) {
  static const struct {
    const char *path;
    const char *what;
    rf_page_maker *make;
  } pages[] = {
      {"/", "findings", rf_page_findings},         {"/processes", "processes", rf_page_processes},
      {"/builds", "builds", rf_page_builds},       {"/coverage", "coverage", rf_page_coverage},
      {"/steering", "steering", rf_page_steering}, {"/status", "status", rf_page_status},
  };
  for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
    if (strcmp(r->path, pages[i].path) == 0) {
      return answer_page(r, pages[i].what, pages[i].make);
    }
  }
  if (strncmp(r->path, finding_path, strlen(finding_path)) == 0) {
    return answer_page(r, rf_bump_arena_print(&r->arena, "findings/%s", r->path + strlen(finding_path)),
                       rf_page_of_finding);
  }
  if (strncmp(r->path, process_path, strlen(process_path)) == 0) {
    return answer_page(r, rf_bump_arena_print(&r->arena, "processes/%s", r->path + strlen(process_path)),
                       rf_page_process);
  }
  if (strncmp(r->path, module_path, strlen(module_path)) == 0) {
    return answer_page(r, rf_bump_arena_print(&r->arena, "coverage/%s", r->path + strlen(module_path)), rf_page_module);
  }
  return rf_reply_error(r, MHD_HTTP_NOT_FOUND, "there is nothing at this path");
}

static enum MHD_Result get_stream(rf_request *r) {
  struct MHD_Response *const response = rf_streams_open(&r->http->streams, r->connection);
  if (response == NULL) {
    return rf_reply_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "too many pages are listening already");
  }
  (void)MHD_add_response_header(response, "Content-Type", "text/event-stream");
  rf_reply_headers(response);
  enum MHD_Result const queued = MHD_queue_response(r->connection, MHD_HTTP_OK, response);
  MHD_destroy_response(response);
  rf_connections_keep(r->connections, r->entry);
  return queued;
}

/* "//host" would lead away, and so would "/<tab>/host": browsers take tabs and line feeds out. */
static bool is_path_of_ours(const char *back) {
  bool plain = back != NULL && back[0] == '/' && back[1] != '/' && back[1] != '\\';
  for (const char *c = back; plain && *c != '\0'; c++) {
    plain = (unsigned char)*c >= ' ' && *c != '\x7f';
  }
  return plain;
}

static enum MHD_Result sign_in(rf_request *r) {
  const char *const code = rf_request_argument(r, "code");
  const char *const given = rf_request_field(r, "token");
  const char *const back = rf_request_field(r, "back");
  const char *const token = code != NULL    ? rf_rights_redeem(&r->http->rights, code)
                            : given != NULL ? rf_rights_token(&r->http->rights, given)
                                            : NULL;
  if (token != NULL) {
    return rf_reply_redirect(r, is_path_of_ours(back) ? back : "/",
                             rf_sessions_begin(&r->http->rights.sessions, token, rf_store_now()));
  }
  if (code != NULL || given != NULL) {
    return rf_reply_error(r, MHD_HTTP_UNAUTHORIZED,
                          "this code or token is not valid, or has expired; `ringfence serve --open` makes a new one");
  }
  rf_text_sink page;
  rf_text_sink_init(&page, &r->arena);
  const char *const from = rf_request_argument(r, "back");
  rf_page_message(&page.sink, r->http->options->base, "Sign in",
                  "Findings can then be marked as fixed, ignored or merged", is_path_of_ours(from) ? from : "/");
  return rf_reply(r, MHD_HTTP_OK, html, page.text, page.length);
}

static enum MHD_Result sign_out(rf_request *r) {
  if (r->sender.cookie != NULL) {
    rf_sessions_end(&r->http->rights.sessions, r->sender.cookie, rf_store_now());
  }
  return rf_reply_redirect(r, "/sign-in", "");
}

static enum MHD_Result get(rf_request *r) {
  static const char api[] = "/api/v1/";
  size_t length = 0;
  const char *type = NULL;
  const char *const file = rf_page_file(r->path, &type, &length);
  if (file != NULL) {
    return rf_reply(r, MHD_HTTP_OK, type, file, length);
  }
  /* Before a kept answer is looked for: it is that of the question as it would be cut. */
  const char *const cut = rf_query_error(r);
  if (cut != NULL) {
    return rf_reply_error(r, MHD_HTTP_BAD_REQUEST, cut);
  }
  if (strcmp(r->path, "/sign-in") == 0) {
    return sign_in(r);
  }
  if (strcmp(r->path, "/api/v1/events") == 0) {
    return get_stream(r);
  }
  if (strncmp(r->path, "/buildid/", 9) == 0) {
    return rf_reply_buildid(r);
  }
  if (rf_route_turn(r) != RF_TURN_AT_ONCE) {
    r->question = rf_request_question(r);
    const rf_answer *const known = rf_answers_find(&r->http->answers, r->http->store, r->question);
    if (known != NULL) {
      rf_connections_answer(r->connections, r->entry, known->length);
      return MHD_queue_response(r->connection, MHD_HTTP_OK, known->response);
    }
  }
  return strncmp(r->path, api, strlen(api)) == 0 ? answer_json(r, r->path + strlen(api)) : get_page(r);
}

/* ---- Changes ---- */

/* JSON lines, as a spool has them: for other machines, and for what has no file system. */
static enum MHD_Result post_records(rf_request *r) {
  rf_intake *const intake = r->http->intake;
  uint64_t const before = intake->events;
  uint64_t const twice = intake->twice;
  uint64_t const unreadable = intake->unreadable;
  for (char *at = r->body; at != NULL && at < r->body + r->length;) {
    size_t const left = (size_t)(r->body + r->length - at);
    char *const feed = (char *)memchr(at, '\n', left);
    size_t const length = feed == NULL ? left : (size_t)(feed - at);
    if (length != 0) {
      rf_intake_line(intake, at, length);
    }
    at += length + 1;
  }
  if (!rf_intake_commit(intake)) {
    return store_failed(r);
  }
  return rf_reply_json(
      r, MHD_HTTP_OK,
      rf_bump_arena_print(&r->arena, "{\"taken\":%" PRIu64 ",\"twice\":%" PRIu64 ",\"unreadable\":%" PRIu64 "}",
                          intake->events - before, intake->twice - twice, intake->unreadable - unreadable));
}

static enum MHD_Result reply_done(rf_request *r, const char *message) {
  rf_text_sink out;
  rf_text_sink_init(&out, &r->arena);
  rf_json_writer w = {.sink = &out.sink};
  rf_json_open(&w, NULL, "{");
  rf_json_put_text(&w, "done", message);
  rf_json_close(&w, "}");
  return rf_reply_json(r, MHD_HTTP_OK, out.text);
}

/* The finding or the rule does not allow the request, or a transaction failed: then the same request will do later. */
static enum MHD_Result reply_not_done(rf_request *r, rf_store_outcome outcome, const char *message) {
  return outcome == RF_STORE_FAILED ? store_failed(r) : rf_reply_error(r, MHD_HTTP_CONFLICT, message);
}

static enum MHD_Result post_triage(rf_request *r, const char *what, bool page) {
  const char *rest = NULL;
  char message[RF_TRIAGE_MESSAGE] = "";
  int64_t const id = id_of(what, &rest);
  if (id < 0 || *rest != '/') {
    return rf_reply_error(r, MHD_HTTP_NOT_FOUND, "there is nothing at this path");
  }
  rf_triage const t = {
      .action = rest + 1,
      .id = id,
      .other = rf_argument_number(rf_request_field(r, "other"), 0),
      .text = not_empty(rf_request_field(r, "text")),
  };
  rf_store_outcome const outcome = rf_triage_apply(r->http->store, &t, message);
  if (outcome != RF_STORE_DONE) {
    return reply_not_done(r, outcome, message);
  }
  if (page) {
    return rf_reply_redirect(
        r, rf_bump_arena_print(&r->arena, "%s%" PRId64, finding_path, rf_query_root(r->http->store, id)), NULL);
  }
  return reply_done(r, message);
}

static enum MHD_Result post_steering(rf_request *r, bool page) {
  char message[RF_STEER_MESSAGE] = "";
  rf_steer_request const request = {
      .action = rf_request_field(r, "action"),
      .rule = rf_argument_number(rf_request_field(r, "rule"), 0),
      .program = not_empty(rf_request_field(r, "program")),
      .build = not_empty(rf_request_field(r, "build")),
      .environment = not_empty(rf_request_field(r, "environment")),
      .options = not_empty(rf_request_field(r, "options")),
      .because = not_empty(rf_request_field(r, "because")),
  };
  rf_store_outcome const outcome = rf_steer_apply(r->http->store, &request, message);
  if (outcome != RF_STORE_DONE) {
    return reply_not_done(r, outcome, message);
  }
  return page ? rf_reply_redirect(r, "/steering", NULL) : reply_done(r, message);
}

/* Waits a little, but not once more for each of many requests. */
static bool is_held(rf_http *http) {
  int64_t const now = rf_store_steady();
  bool const waited = http->held != 0 && now - http->held < HELD_MS;
  bool const held = rf_store_is_held(http->store, waited ? 0 : HELD_WAIT_MS);
  http->held = held ? now : 0;
  return held;
}

static enum MHD_Result post(rf_request *r) {
  const char *const wrong = rf_form_error(r);
  if (wrong != NULL) {
    return rf_reply_error(r, MHD_HTTP_BAD_REQUEST, wrong);
  }
  if (strcmp(r->path, "/sign-in") == 0) {
    return sign_in(r);
  }
  if (strcmp(r->path, "/sign-out") == 0) {
    return sign_out(r);
  }
  if (is_held(r->http)) {
    return rf_reply_error(r, MHD_HTTP_SERVICE_UNAVAILABLE,
                          "another program holds the database's lock, so that nothing can be changed: try again later");
  }
  if (strcmp(r->path, "/api/v1/records") == 0) {
    return post_records(r);
  }
  if (strcmp(r->path, "/api/v1/symbols") == 0) {
    return rf_upload_end(r);
  }
  if (strcmp(r->path, "/api/v1/steering") == 0 || strcmp(r->path, "/steering") == 0) {
    return post_steering(r, r->path[1] == 's');
  }
  if (strncmp(r->path, api_finding_path, strlen(api_finding_path)) == 0) {
    return post_triage(r, r->path + strlen(api_finding_path), false);
  }
  if (strncmp(r->path, finding_path, strlen(finding_path)) == 0) {
    return post_triage(r, r->path + strlen(finding_path), true);
  }
  return rf_reply_error(r, MHD_HTTP_NOT_FOUND, "there is nothing at this path");
}

enum MHD_Result rf_route(rf_request *r) {
  if (strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0) {
    return get(r);
  }
  return post(r);
}

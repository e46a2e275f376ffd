#include "tools/service/exchange/curl.h"

#include "checkers/report/web_address.h"
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/subprocess.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HOUR = 3600 };

bool rf_is_web_address(const char *text) {
  size_t const scheme = rf_web_scheme(text);
  return scheme != 0 && strcspn(text + scheme, "/?#") != 0;
}

const char *rf_web_below(rf_bump_arena *arena, const char *url, const char *path) {
  size_t length = strlen(url);
  length -= length != 0 && url[length - 1] == '/';
  return rf_bump_arena_print(arena, "%.*s%s", (int)length, url, path);
}

/* A line of the configuration. A line feed in a value would begin another option. */
static void put(const rf_sink *sink, const char *name, const char *value) {
  if (value == NULL) {
    return;
  }
  rf_sink_str(sink, name);
  rf_sink_str(sink, " = \"");
  for (; *value != '\0'; value++) {
    if (*value == '"' || *value == '\\') {
      rf_sink_char(sink, '\\');
    }
    rf_sink_char(sink, (char)(*value == '\n' || *value == '\r' ? ' ' : *value));
  }
  rf_sink_str(sink, "\"\n");
}

static void put_body(const rf_sink *sink, rf_bump_arena *arena, const rf_curl *c) {
  put(sink, "request", "POST");
  if (c->body_file == NULL) {
    put(sink, "data-raw", c->body);
  } else if (c->streamed) {
    put(sink, "upload-file", c->body_file);
  } else {
    /* A redirection gets the body, too: without one, a collector would say that it has taken all. */
    put(sink, "data-binary", rf_bump_arena_print(arena, "@%s", c->body_file));
    rf_sink_str(sink, "post301\npost302\npost303\n");
  }
  put(sink, "header", "Expect:");
  put(sink, "header",
      rf_bump_arena_print(arena, "Content-Type: %s", c->type == NULL ? "application/octet-stream" : c->type));
}

const char *rf_curl_configuration(rf_bump_arena *arena, const rf_curl *c) {
  rf_text_sink t;
  rf_text_sink_init(&t, arena);
  rf_sink_str(&t.sink, "silent\ngloboff\nconnect-timeout = 5\n");
  /* Without `location` a redirection would be a success. */
  rf_sink_str(&t.sink, c->unattended ? "fail\nlocation\nmax-redirs = 0\n" : "location\nmax-redirs = 4\n");
  put(&t.sink, "proto", "=http,https");
  put(&t.sink, "proto-redir", "=http,https");
  if (c->seconds == 0) {
    rf_sink_str(&t.sink, "speed-limit = 1\nspeed-time = 60\n");
  }
  put(&t.sink, "max-time", rf_bump_arena_print(arena, "%u", c->seconds == 0 ? HOUR : c->seconds));
  put(&t.sink, "write-out", c->unattended ? NULL : "\\n%{http_code}");
  put(&t.sink, "output", c->output);
  put(&t.sink, "header", c->header);
  if (c->most_bytes != 0) {
    put(&t.sink, "max-filesize", rf_bump_arena_print(arena, "%" PRIu64, c->most_bytes));
  }
  if (c->body_file != NULL || c->body != NULL) {
    put_body(&t.sink, arena, c);
  }
  put(&t.sink, "url", c->url);
  return t.text;
}

rf_curl_answer rf_curl_answer_of(rf_bump_arena *arena, const char *output) {
  const char *const last = strrchr(output, '\n');
  if (last == NULL) {
    return (rf_curl_answer){0, ""};
  }
  return (rf_curl_answer){(int)strtol(last + 1, NULL, 10), rf_bump_arena_text(arena, output, (size_t)(last - output))};
}

bool rf_curl_run(rf_bump_arena *arena, const rf_curl *request, rf_curl_answer *answer) {
  static const char *const argv[] = {"curl", "-q", "-K", "-", NULL};
  const char *const program = rf_paths_in_path(arena, argv[0]);
  *answer = (rf_curl_answer){0, ""};
  if (program == NULL) {
    rf_diag("curl not found, which is needed for HTTP: install the package curl");
    return false;
  }
  const char *const output = rf_subprocess_output(arena, program, argv, rf_curl_configuration(arena, request));
  if (output != NULL) {
    *answer = rf_curl_answer_of(arena, output);
  }
  return true;
}

/* export: findings in the forms of other tools, to a file or to them. */
#include "tools/ringfence/base/subprocess.h"
#include "tools/ringfence/base/words.h"
#include "tools/service/cli/common.h"
#include "tools/service/cli/filter.h"
#include "tools/service/exchange/curl.h"
#include "tools/service/exchange/export.h"

#include "tools/ringfence/render/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* SENT_AT_ONCE: findings of one request or step, which bounds the memory of a long export. */
enum { SECONDS = 30, SENT_AT_ONCE = 500 };

typedef enum row_id { AS, TO, OUTPUT, STATE, BUILD, ENV, NEW_IN, LIMIT, ROWS } row_id;

static const rf_option rows[ROWS] = {
    [AS] = {"as", '\0', "TOOL", "sentry, otlp, sarif, json, junit, html or text", NULL},
    [TO] = {"to", '\0', "URL",
            "send there: the DSN of Sentry's kind, or the address of an OpenTelemetry collector\n"
            "(http://127.0.0.1:4318)",
            NULL},
    [OUTPUT] = {"output", 'o', "FILE", "write to FILE instead of standard output", NULL},
    [STATE] = {"state", '\0', "STATE", "open (the default), new, reopened, fixed, ignored or all", NULL},
    [BUILD] = {"build", '\0', "BUILD", "only those seen in this version, commit or build-id", NULL},
    [ENV] = {"env", '\0', "NAME", "only those seen in this environment", NULL},
    [NEW_IN] = {"new-in", '\0', "BUILD", "only those first seen, or back again, in this build", NULL},
    [LIMIT] = {"limit", '\0', "N", "at most N (default: all)", NULL},
};

typedef struct asked {
  rf_cli cli;
  rf_findings_filter filter;
  const char *as;
  const char *to;
  const char *sentry_url; /* these two are what a DSN in `to` says */
  const char *sentry_header;
  const char *output;
  int64_t *ids; /* of all findings to export */
  size_t id_count;
  rf_bump_arena read; /* what `list` lies in */
  rf_export *list;    /* of these, the ones that were read last */
  size_t count;
  size_t done; /* that were written or sent */
} asked;

static bool apply(void *context, size_t row, const char *argument) {
  asked *const a = (asked *)context;
  const char **const texts[ROWS] = {[AS] = &a->as,
                                    [TO] = &a->to,
                                    [OUTPUT] = &a->output,
                                    [STATE] = &a->filter.state,
                                    [BUILD] = &a->filter.build,
                                    [ENV] = &a->filter.environment,
                                    [NEW_IN] = &a->filter.new_in};
  if (texts[row] != NULL) {
    *texts[row] = argument;
  } else if (row == LIMIT) {
    a->filter.limit = rf_cli_number("limit", argument);
    return a->filter.limit > 0;
  }
  return true;
}

/* Reads at most `most` findings from the one at `*at` on, which it moves; false at their end, or with a message and
 * *failed set. */
static bool read_next(asked *a, size_t *at, size_t most, bool *failed) {
  size_t const left = a->id_count - *at;
  size_t const count = left < most ? left : most;
  rf_bump_arena_free(&a->read);
  if (count == 0) {
    return false;
  }
  *failed = !rf_export_read(&a->cli.store, &a->read, a->ids + *at, count, &a->list, &a->count);
  *at += count;
  a->done += a->count;
  if (*failed) {
    rf_diag("%s", a->cli.store.error);
  }
  return !*failed;
}

/* ---- To a server ---- */

static bool post(asked *a, const char *url, const char *header, const char *type, const char *text) {
  rf_bump_arena *const arena = &a->read;
  int const fd = rf_subprocess_input(text, strlen(text));
  rf_curl const request = {.url = url,
                           .header = header,
                           .type = type,
                           .body_file = rf_bump_arena_print(arena, "/proc/%d/fd/%d", (int)getpid(), fd),
                           .seconds = SECONDS};
  rf_curl_answer answer;
  if (fd < 0) {
    rf_diag("the request has no place: %s", strerror(errno));
    return false;
  }
  bool const ran = rf_curl_run(arena, &request, &answer);
  (void)close(fd);
  if (!ran || answer.status < 200 || answer.status >= 300) {
    rf_diag(!ran || answer.status == 0 ? "no server answers there" : "the server answers with status %d: %.200s",
            ran ? answer.status : 0, ran ? answer.text : "");
    return false;
  }
  return true;
}

static bool send_sentry(asked *a) {
  for (size_t i = 0; i < a->count; i++) {
    const char *const text = rf_export_sentry(&a->read, &a->list[i]);
    if (!post(a, a->sentry_url, a->sentry_header, "application/x-sentry-envelope", text)) {
      return false;
    }
  }
  return true;
}

static bool send_otlp(asked *a) {
  rf_bump_arena *const arena = &a->read;
  const char *const url = strstr(a->to, "/v1/logs") != NULL ? a->to : rf_web_below(arena, a->to, "/v1/logs");
  return post(a, url, NULL, "application/json", rf_export_otlp(arena, a->list, a->count));
}

static bool send_all(asked *a, bool sentry) {
  bool failed = false;
  size_t at = 0;
  while (!failed && read_next(a, &at, SENT_AT_ONCE, &failed)) {
    failed = a->count != 0 && !(sentry ? send_sentry(a) : send_otlp(a));
  }
  return !failed;
}

/* ---- To a file ---- */

static void put_document(asked *a, rf_output_format format, FILE *file) {
  rf_run run = {.records = NULL};
  rf_document d;
  rf_document_options const options = {.symbolize = false};
  for (size_t i = 0; i < a->count; i++) {
    rf_run_add_record(&run, &a->read, a->list[i].record);
  }
  rf_document_make(&d, &a->read, &run, &options);
  rf_output_put(&a->read, &d, format, file);
}

/* Envelopes follow one another; each other form is one document of all. */
static bool write_all(asked *a, bool sentry, bool otlp, rf_output_format format, FILE *file) {
  bool failed = false;
  size_t at = 0;
  while (sentry && read_next(a, &at, SENT_AT_ONCE, &failed)) {
    for (size_t i = 0; i < a->count; i++) {
      (void)fputs(rf_export_sentry(&a->read, &a->list[i]), file);
    }
  }
  if (!sentry) {
    (void)read_next(a, &at, a->id_count, &failed);
  }
  if (otlp && !failed) {
    (void)fprintf(file, "%s\n", rf_export_otlp(&a->read, a->list, a->count));
  } else if (!sentry && !failed) {
    put_document(a, format, file);
  }
  return !failed;
}

static bool write_file(asked *a, bool sentry, bool otlp, rf_output_format format) {
  FILE *const file = a->output == NULL ? stdout : rf_output_open(a->output);
  if (file == NULL) {
    return false;
  }
  bool const wrote = write_all(a, sentry, otlp, format, file);
  return rf_output_close(file, a->output) && wrote;
}

/* ---- The command ---- */

static bool put_out(asked *a, bool sentry, bool otlp, rf_output_format format) {
  bool const done = a->to == NULL ? write_file(a, sentry, otlp, format) : send_all(a, sentry);
  if (done && a->to != NULL) {
    (void)printf("%s sent\n", rf_counted(&a->cli.arena, a->done, "finding"));
  }
  if (done && a->done != a->id_count) {
    rf_diag("left out: %s whose event cannot be read", rf_counted(&a->cli.arena, a->id_count - a->done, "finding"));
  }
  return done;
}

static bool to_is_right(asked *a, bool sentry, bool otlp) {
  if (a->to == NULL) {
    return true;
  }
  if (sentry && !rf_export_dsn(&a->cli.arena, a->to, &a->sentry_url, &a->sentry_header)) {
    rf_diag("--to %s: use a DSN, as in https://KEY@sentry.example.org/7", a->to);
  } else if (otlp && !rf_is_web_address(a->to)) {
    rf_diag("--to %s: use the address of a collector, as in http://HOST:4318", a->to);
  } else if (!sentry && !otlp) {
    rf_diag("--to is for --as sentry and --as otlp");
  } else {
    return true;
  }
  return false;
}

static int export_findings(asked *a) {
  rf_output_format format = RF_OUTPUT_TEXT;
  bool const sentry = a->as != NULL && strcmp(a->as, "sentry") == 0;
  bool const otlp = a->as != NULL && strcmp(a->as, "otlp") == 0;
  if (a->as == NULL ||
      (!sentry && !otlp && (!rf_output_format_from_name(a->as, &format) || format == RF_OUTPUT_PPROF))) {
    rf_diag("give a format: --as sentry, otlp, sarif, json, junit, html or text");
    return RF_EXIT_USAGE;
  }
  if (!to_is_right(a, sentry, otlp) || !rf_cli_filter_has_words(&a->filter)) {
    return RF_EXIT_USAGE;
  }
  if (!rf_cli_open(&a->cli, RF_STORE_READ)) {
    return RF_EXIT_FAILED;
  }
  int const status = rf_cli_filter_status(&a->cli.store, &a->filter);
  if (status != 0) {
    return status;
  }
  if (!rf_export_list(&a->cli.store, &a->cli.arena, &a->filter, &a->ids, &a->id_count)) {
    rf_diag("%s", a->cli.store.error);
    return RF_EXIT_FAILED;
  }
  return put_out(a, sentry, otlp, format) ? 0 : RF_EXIT_FAILED;
}

int rf_service_export(int argc, char **argv) {
  static const rf_cli_usage usage = {
      .text = "export --as TOOL [OPTIONS]",
      .about = "Writes findings, each with its richest event, in the form of another tool, or sends them there.",
      .rows = rows,
      .mask = (1U << ROWS) - 1,
      .common = RF_CLI_DIR};
  asked a = {.as = NULL};
  int status = rf_cli_read(&a.cli, &usage, apply, &a, argc, argv);
  if (status < 0) {
    status = export_findings(&a);
  }
  rf_bump_arena_free(&a.read);
  rf_cli_close(&a.cli);
  return status;
}

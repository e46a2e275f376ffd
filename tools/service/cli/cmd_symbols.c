/* symbols: files of symbols go to the collector, and which are missing. */
#include "tools/service/cli/common.h"
#include "tools/service/cli/print.h"
#include "tools/service/exchange/forward.h"
#include "tools/service/exchange/symbol_files.h"

#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/words.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum row_id { TO, ROWS } row_id;

static const rf_option rows[ROWS] = {
    [TO] = {"to", '\0', "URL",
            "upload to a collector elsewhere, as in http://127.0.0.1:7117; its token is taken from\n"
            "RINGFENCE_TOKEN",
            NULL},
};

typedef struct asked {
  rf_cli cli;
  const char *to;
} asked;

static bool apply(void *context, size_t row, const char *argument) {
  asked *const a = (asked *)context;
  (void)row;
  a->to = argument;
  return true;
}

/* ---- Upload ---- */

static bool upload_there(asked *a, const char *path) {
  rf_bump_arena *const arena = &a->cli.arena;
  const char *const token = getenv("RINGFENCE_TOKEN");
  rf_curl const request = {
      .url = rf_web_below(
          arena, a->to,
          rf_bump_arena_print(arena, "/api/v1/symbols?name=%s", rf_web_encoded(arena, rf_base_name(path)))),
      .body_file = path,
      .streamed = true,
      .header = token == NULL ? NULL : rf_bump_arena_print(arena, "Authorization: Bearer %s", token),
  };
  rf_curl_answer answer;
  if (access(path, R_OK) != 0) {
    rf_diag("cannot read %s: %s", path, strerror(errno));
    return false;
  }
  if (!rf_curl_run(arena, &request, &answer)) {
    return false;
  }
  const rf_json *const root = rf_json_parse(arena, answer.text, strlen(answer.text));
  if (answer.status != 200 || rf_json_member(root, "done") == NULL) {
    rf_diag("%s: %s", a->to, rf_forward_refusal(arena, &answer));
    return false;
  }
  rf_print_clean("%s\n", a->cli.json ? answer.text : rf_json_text(root, "done", ""));
  return true;
}

static bool upload_here(asked *a, const char *path) {
  char message[RF_SYMBOL_MESSAGE] = "";
  rf_symbol_file file;
  bool const done = rf_symbol_add(&a->cli.store, &a->cli.arena, a->cli.directory, path, &file, message);
  if (!done) {
    rf_diag("%s", message);
  } else if (a->cli.json) {
    rf_json_writer w = {.sink = &a->cli.text.sink};
    rf_text_sink_init(&a->cli.text, &a->cli.arena);
    rf_json_open(&w, NULL, "{");
    rf_json_put_text(&w, "done", message);
    rf_json_put_text(&w, "build_id", file.build_id);
    rf_json_close(&w, "}");
    (void)puts(a->cli.text.text);
  } else {
    rf_print_clean("%s\n", message);
  }
  return done;
}

/* All of them, also after one that is refused: CI uploads what it has. */
static int upload(asked *a, char **paths, int count) {
  int refused = 0;
  if (count == 0) {
    rf_diag("usage: ringfence symbols upload [--to URL] FILE...");
    return RF_EXIT_USAGE;
  }
  if (a->to != NULL && !rf_cli_is_collector("to", a->to)) {
    return RF_EXIT_USAGE;
  }
  if (a->to == NULL && !rf_cli_open(&a->cli, RF_STORE_WRITE)) {
    return RF_EXIT_FAILED;
  }
  for (int i = 0; i < count; i++) {
    refused += !(a->to != NULL ? upload_there(a, paths[i]) : upload_here(a, paths[i]));
  }
  return refused == 0 ? 0 : RF_EXIT_FAILED;
}

/* ---- Lists ---- */

static void print_missing(rf_cli *cli, const rf_json *root) {
  rf_bump_arena *const arena = &cli->arena;
  const rf_json *const list = rf_json_member(root, "missing");
  uint64_t const waiting = rf_json_unsigned(root, "waiting", 0);
  if (waiting != 0) {
    rf_print_clean("the frames of %s are still to be looked up\n", rf_counted(arena, waiting, "event"));
  } else if (list == NULL || list->first == NULL) {
    (void)puts("no symbols are missing");
  }
  for (const rf_json *m = list == NULL ? NULL : list->first; m != NULL; m = m->next) {
    rf_print_clean("%s  %s  %s\n", rf_json_text(m, "build_id", ""),
                   rf_counted(arena, rf_json_unsigned(m, "findings", 0), "finding"), rf_json_text(m, "module", ""));
  }
}

static void print_files(rf_cli *cli, const rf_json *root) {
  rf_bump_arena *const arena = &cli->arena;
  const rf_json *const list = rf_json_member(root, "files");
  if (list == NULL || list->first == NULL) {
    (void)puts("no symbols were uploaded");
  }
  for (const rf_json *m = list == NULL ? NULL : list->first; m != NULL; m = m->next) {
    rf_print_clean("%s  %-10s  %10s  %s\n", rf_json_text(m, "build_id", ""), rf_json_text(m, "kind", ""),
                   rf_bytes_text(arena, rf_json_unsigned(m, "bytes", 0)), rf_json_text(m, "name", ""));
  }
}

static int list(asked *a, bool missing) {
  if (!rf_cli_open(&a->cli, RF_STORE_READ)) {
    return RF_EXIT_FAILED;
  }
  bool const fine = rf_query_symbols(&a->cli.query);
  return rf_cli_answer(&a->cli, fine, missing ? print_missing : print_files) == NULL ? RF_EXIT_FAILED : 0;
}

/* ---- The command ---- */

static int choose(asked *a, char **words, int count) {
  const char *const what = count == 0 ? "" : words[0];
  if (strcmp(what, "upload") == 0) {
    return upload(a, words + 1, count - 1);
  }
  if (a->to == NULL && count == 1 && (strcmp(what, "missing") == 0 || strcmp(what, "list") == 0)) {
    return list(a, what[0] == 'm');
  }
  rf_diag("usage: ringfence symbols upload [--to URL] FILE... | missing | list");
  return RF_EXIT_USAGE;
}

int rf_service_symbols(int argc, char **argv) {
  static const rf_cli_usage usage = {
      .text = "symbols upload [--to URL] FILE... | missing | list",
      .about =
          "Programs, libraries and files of debug information, by their build-id: findings of stripped builds get\n"
          "their functions and lines, also those that are there already.",
      .rows = rows,
      .mask = (1U << ROWS) - 1,
      .common = RF_CLI_DIR | RF_CLI_JSON,
      .most = INT_MAX};
  asked a = {.to = NULL};
  int status = rf_cli_read(&a.cli, &usage, apply, &a, argc, argv);
  if (status < 0) {
    status = choose(&a, a.cli.words, a.cli.word_count);
  }
  rf_cli_close(&a.cli);
  return status;
}

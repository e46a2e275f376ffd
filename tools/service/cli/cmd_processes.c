/* processes: those that sent snapshots of their memory, or one of them. */
#include "tools/service/cli/common.h"
#include "tools/service/cli/print.h"

#include <stdio.h>

typedef enum row_id { DIR, JSON, HELP, PROGRAM, HOST, ENV, LIMIT, SNAPSHOT, AGAINST, ROWS } row_id;

static const rf_option rows[ROWS] = {
    [DIR] = {"dir", '\0', "DIR", "the collector's folder", NULL},
    [JSON] = {"json", '\0', NULL, "print JSON", NULL},
    [HELP] = {"help", 'h', NULL, "print this and exit", NULL},
    [PROGRAM] = {"program", '\0', "TEXT", "only those whose program has this text in its path", NULL},
    [HOST] = {"host", '\0', "NAME", "only those of this host", NULL},
    [ENV] = {"env", '\0', "NAME", "only those of this environment", NULL},
    [LIMIT] = {"limit", '\0', "N", "list at most N (default 100, most 1000)", NULL},
    [SNAPSHOT] = {"snapshot", '\0', "N", "of process ID, show this snapshot instead of the last", NULL},
    [AGAINST] = {"against", '\0', "N", "show what each call site has grown since this snapshot", NULL},
};

typedef struct asked {
  rf_cli cli;
  rf_processes_filter filter;
  int64_t snapshot;
  int64_t against;
} asked;

static bool apply(void *context, size_t row, const char *argument) {
  asked *const a = (asked *)context;
  const char **const texts[ROWS] = {[DIR] = &a->cli.directory,
                                    [PROGRAM] = &a->filter.program,
                                    [HOST] = &a->filter.host,
                                    [ENV] = &a->filter.environment};
  int64_t *const numbers[ROWS] = {[LIMIT] = &a->filter.limit, [SNAPSHOT] = &a->snapshot, [AGAINST] = &a->against};
  a->cli.json = a->cli.json || row == JSON;
  a->cli.help = a->cli.help || row == HELP;
  if (texts[row] != NULL) {
    *texts[row] = argument;
  } else if (numbers[row] != NULL) {
    *numbers[row] = rf_cli_number(rows[row].name, argument);
    return *numbers[row] > 0;
  }
  return true;
}

static int answer(asked *a, const char *word) {
  bool printed = false;
  int64_t const id = word == NULL ? 0 : rf_cli_id_of(word, "process", "processes");
  if (id < 0) {
    return RF_EXIT_USAGE;
  }
  if (word == NULL && (a->snapshot != 0 || a->against != 0)) {
    rf_diag("--snapshot and --against need one process: ringfence processes ID --against N");
    return RF_EXIT_USAGE;
  }
  if (!rf_cli_open(&a->cli, RF_STORE_READ)) {
    return RF_EXIT_FAILED;
  }
  bool const fine = word == NULL ? rf_query_processes(&a->cli.query, &a->filter)
                                 : rf_query_process(&a->cli.query, id, a->snapshot, a->against);
  const rf_json *const root = rf_cli_answer(&a->cli, fine, &printed);
  if (root != NULL && !printed && word == NULL) {
    rf_print_processes(&a->cli.arena, root);
  } else if (root != NULL && !printed) {
    rf_print_process(&a->cli.arena, root);
  }
  return root == NULL ? RF_EXIT_FAILED : 0;
}

static int run(int argc, char **argv) {
  static const rf_cli_usage usage = {"processes [ID [--snapshot N] [--against N]] [OPTIONS]", rows, (1U << ROWS) - 1, 0,
                                     1};
  asked a = {.snapshot = 0};
  rf_cli_options o = {.apply = apply, .context = &a};
  int status = rf_cli_words(&a.cli, &o, &usage, argc, argv);
  if (status < 0) {
    status = answer(&a, a.cli.words[0]);
  }
  rf_cli_close(&a.cli);
  return status;
}

const rf_service_command rf_service_processes = {"processes", "list processes, and what their memory is used for", run};

/* processes: those that sent snapshots of their memory, or one of them. */
#include "tools/service/cli/common.h"
#include "tools/service/cli/print.h"

#include <stdio.h>

typedef enum row_id { PROGRAM, HOST, ENV, LIMIT, SNAPSHOT, AGAINST, ROWS } row_id;

static const rf_option rows[ROWS] = {
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
  const char **const texts[ROWS] = {
      [PROGRAM] = &a->filter.program, [HOST] = &a->filter.host, [ENV] = &a->filter.environment};
  int64_t *const numbers[ROWS] = {[LIMIT] = &a->filter.limit, [SNAPSHOT] = &a->snapshot, [AGAINST] = &a->against};
  if (texts[row] != NULL) {
    *texts[row] = argument;
  } else if (numbers[row] != NULL) {
    *numbers[row] = rf_cli_number(rows[row].name, argument);
    return *numbers[row] > 0;
  }
  return true;
}

static int answer(asked *a, const char *word) {
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
  rf_cli_print *const print = word == NULL ? rf_print_processes : rf_print_process;
  return rf_cli_answer(&a->cli, fine, print) == NULL ? RF_EXIT_FAILED : 0;
}

int rf_service_processes(int argc, char **argv) {
  static const rf_cli_usage usage = {.text = "processes [ID [--snapshot N] [--against N]] [OPTIONS]",
                                     .about = "Lists processes that sent snapshots of their memory.\n"
                                              "With ID, shows the snapshots of that process and what\n"
                                              "was live in the last, or in another, by call site.",
                                     .rows = rows,
                                     .mask = (1U << ROWS) - 1,
                                     .common = RF_CLI_DIR | RF_CLI_JSON,
                                     .most = 1};
  asked a = {.snapshot = 0};
  int status = rf_cli_read(&a.cli, &usage, apply, &a, argc, argv);
  if (status < 0) {
    status = answer(&a, a.cli.words[0]);
  }
  rf_cli_close(&a.cli);
  return status;
}

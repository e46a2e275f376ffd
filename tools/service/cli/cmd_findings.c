/* findings, show, builds, why, status, gate, watch: questions. */
#include "tools/service/cli/common.h"
#include "tools/service/cli/filter.h"
#include "tools/service/cli/print.h"
#include "tools/service/intake/envelope.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Options ---- */

typedef enum row_id {
  DIR,
  JSON,
  HELP,
  NEW,
  OPEN,
  STATE,
  BUILD,
  ENV,
  SEARCH,
  ORDER,
  LIMIT,
  NEW_IN,
  EVENT,
  LISTED,
  ROWS
} row_id;

#define COMMON (1U << DIR | 1U << JSON | 1U << HELP)
#define FILTERS (COMMON | 1U << BUILD | 1U << ENV | 1U << SEARCH | 1U << LIMIT | 1U << NEW_IN)

static const rf_option rows[ROWS] = {
    [DIR] = {"dir", '\0', "DIR", "the collector's folder", NULL},
    [JSON] = {"json", '\0', NULL, "print JSON", NULL},
    [HELP] = {"help", 'h', NULL, "print this and exit", NULL},
    [NEW] = {"new", '\0', NULL, "only findings of the last seven days", NULL},
    [OPEN] = {"open", '\0', NULL, "only open and reopened ones (the default)", NULL},
    [STATE] = {"state", '\0', "STATE", "open, new, reopened, fixed, ignored or all", NULL},
    [BUILD] = {"build", '\0', "BUILD", "only those seen in this version, commit or build-id", NULL},
    [ENV] = {"env", '\0', "NAME", "only those seen in this environment", NULL},
    [SEARCH] = {"search", '\0', "WORDS", "only those whose stacks, kind or program have these words", NULL},
    [ORDER] = {"order", '\0', "ORDER", "last (the default), first or count", NULL},
    [LIMIT] = {"limit", '\0', "N", "show at most N (default 100, most 1000)", NULL},
    [NEW_IN] = {"new-in", '\0', "BUILD", "only those first seen, or back again, in this build", NULL},
    [EVENT] = {"event", '\0', "N", "show this event instead of the richest", NULL},
    [LISTED] = {"limit", '\0', "N", "list at most N builds, hosts, programs and so on (default 20, most 1000)", NULL},
};

typedef struct asked {
  rf_cli cli;
  rf_findings_filter filter;
  int64_t event;
  int64_t ids[2]; /* of show and why */
} asked;

/* A new finding is open, so that the two together are the narrower one. */
static bool choose_state(asked *a, const char *state) {
  const char *const chosen = a->filter.state;
  if (chosen == NULL || (strcmp(chosen, "open") == 0 && strcmp(state, "new") == 0)) {
    a->filter.state = state;
  } else if (strcmp(chosen, state) != 0 && (strcmp(chosen, "new") != 0 || strcmp(state, "open") != 0)) {
    rf_diag("--new, --open and --state contradict one another: %s and %s", chosen, state);
    return false;
  }
  return true;
}

static bool apply(void *context, size_t row, const char *argument) {
  asked *const a = (asked *)context;
  const char **const texts[ROWS] = {
      [DIR] = &a->cli.directory,    [BUILD] = &a->filter.build, [ENV] = &a->filter.environment,
      [SEARCH] = &a->filter.search, [ORDER] = &a->filter.order, [NEW_IN] = &a->filter.new_in};
  a->cli.json = a->cli.json || row == JSON;
  a->cli.help = a->cli.help || row == HELP;
  if (texts[row] != NULL) {
    *texts[row] = argument;
  } else if (row == NEW || row == OPEN || row == STATE) {
    return choose_state(a, row == NEW ? "new" : row == OPEN ? "open" : argument);
  } else if (row == LIMIT || row == LISTED || row == EVENT) {
    int64_t const number = rf_cli_number(rows[row].name, argument);
    *(row == EVENT ? &a->event : &a->filter.limit) = number;
    return number > 0;
  }
  return true;
}

/* Reads the options of a command that takes the numbers of `count` findings, and opens the store. Returns -1 to go on,
 * else the exit status. */
static int read_options(asked *a, const char *usage, uint32_t mask, int count, int argc, char **argv) {
  rf_cli_options o = {.apply = apply, .context = a};
  rf_cli_usage const u = {usage, rows, mask, count, count};
  *a = (asked){.event = 0};
  int const status = rf_cli_words(&a->cli, &o, &u, argc, argv);
  if (status >= 0) {
    return status;
  }
  for (int i = 0; i < count; i++) {
    a->ids[i] = rf_cli_id(a->cli.words[i]);
    if (a->ids[i] < 0) {
      return RF_EXIT_USAGE;
    }
  }
  if (!rf_cli_filter_has_words(&a->filter)) {
    return RF_EXIT_USAGE;
  }
  return rf_cli_open(&a->cli, RF_STORE_READ) ? status : RF_EXIT_FAILED;
}

/* ---- Commands ---- */

static int findings(int argc, char **argv) {
  asked a;
  bool printed = false;
  int status = read_options(&a, "findings [--new] [--open] [--build B] [--env E] [OPTIONS]",
                            FILTERS | 1U << NEW | 1U << OPEN | 1U << STATE | 1U << ORDER, 0, argc, argv);
  if (status < 0) {
    status = rf_cli_filter_status(&a.cli.store, &a.filter);
    if (status == 0) {
      const rf_json *const root = rf_cli_answer(&a.cli, rf_query_findings(&a.cli.query, &a.filter), &printed);
      status = root == NULL ? RF_EXIT_FAILED : 0;
      if (root != NULL && !printed) {
        rf_print_findings(&a.cli.arena, root);
      }
    }
  }
  rf_cli_close(&a.cli);
  return status;
}

static int show(int argc, char **argv) {
  asked a;
  bool printed = false;
  int status = read_options(&a, "show ID [--event N] [OPTIONS]", COMMON | 1U << EVENT | 1U << LISTED, 1, argc, argv);
  if (status < 0) {
    const rf_json *const root =
        rf_cli_answer(&a.cli, rf_query_finding(&a.cli.query, a.ids[0], a.event, a.filter.limit), &printed);
    status = root == NULL ? RF_EXIT_FAILED : 0;
    if (root != NULL && !printed) {
      rf_print_finding(&a.cli.arena, &a.cli.store, root);
    }
  }
  rf_cli_close(&a.cli);
  return status;
}

static int why(int argc, char **argv) {
  asked a;
  bool printed = false;
  int status = read_options(&a, "why A B [OPTIONS]", COMMON, 2, argc, argv);
  if (status < 0) {
    const rf_json *const root = rf_cli_answer(&a.cli, rf_query_why(&a.cli.query, a.ids[0], a.ids[1]), &printed);
    status = root == NULL ? RF_EXIT_FAILED : 0;
    if (root != NULL && !printed) {
      rf_print_why(root);
    }
  }
  rf_cli_close(&a.cli);
  return status;
}

static int status_command(int argc, char **argv) {
  asked a;
  bool printed = false;
  int status = read_options(&a, "status [OPTIONS]", COMMON, 0, argc, argv);
  if (status < 0) {
    const rf_json *const root = rf_cli_answer(&a.cli, rf_query_status(&a.cli.query, a.cli.directory), &printed);
    status = root == NULL ? RF_EXIT_FAILED : 0;
    if (root != NULL && !printed) {
      rf_print_status(&a.cli.arena, root);
    }
  }
  rf_cli_close(&a.cli);
  return status;
}

/* For CI: fails where there is anything that nobody has decided on. */
static int gate(int argc, char **argv) {
  asked a;
  bool printed = false;
  int status = read_options(&a, "gate [--new-in BUILD] [--env E] [OPTIONS]", FILTERS, 0, argc, argv);
  if (status < 0) {
    status = rf_cli_filter_status(&a.cli.store, &a.filter);
    if (status == 0) {
      const rf_json *const root = rf_cli_answer(&a.cli, rf_query_findings(&a.cli.query, &a.filter), &printed);
      uint64_t const total = rf_json_unsigned(root, "total", 0);
      status = root == NULL ? RF_EXIT_FAILED : total != 0 ? RF_EXIT_FOUND : 0;
      if (root != NULL && !printed) {
        rf_print_findings(&a.cli.arena, root);
      }
    }
  }
  rf_cli_close(&a.cli);
  return status;
}

/* ---- watch ---- */

static int64_t print_news(asked *a, int64_t after) {
  bool printed = false;
  rf_bump_arena_mark const mark = rf_bump_arena_mark_of(&a->cli.arena);
  rf_text_sink_init(&a->cli.text, &a->cli.arena);
  a->cli.query.w = (rf_json_writer){.sink = &a->cli.text.sink};
  bool const json = a->cli.json;
  a->cli.json = false;
  const rf_json *const root = rf_cli_answer(&a->cli, rf_query_activity(&a->cli.query, after, 100), &printed);
  a->cli.json = json;
  const rf_json *const list = rf_json_member(root, "activity");
  for (const rf_json *n = list == NULL ? NULL : list->first; n != NULL; n = n->next) {
    after = rf_json_signed(n, "id", after);
  }
  if (list != NULL && list->first != NULL) {
    if (json) {
      (void)puts(a->cli.text.text);
    } else {
      rf_print_activity(root);
    }
    (void)fflush(stdout);
  }
  rf_bump_arena_reset(&a->cli.arena, mark);
  return root == NULL ? -1 : after;
}

static int watch(int argc, char **argv) {
  asked a;
  int status = read_options(&a, "watch [OPTIONS]", COMMON, 0, argc, argv);
  if (status < 0) {
    int64_t after = rf_store_number(&a.cli.store, 0, "SELECT max(id) FROM activity", "");
    while (after >= 0 && ferror(stdout) == 0) {
      after = print_news(&a, after);
      (void)usleep(500000);
    }
    status = RF_EXIT_FAILED;
  }
  rf_cli_close(&a.cli);
  return status;
}

const rf_service_command rf_service_findings = {"findings", "list findings of the service", findings};
const rf_service_command rf_service_show = {"show", "show one finding", show};
const rf_service_command rf_service_why = {"why", "say why two findings are one, or are not", why};
const rf_service_command rf_service_status = {"status", "show what the store holds and what was lost", status_command};
const rf_service_command rf_service_gate = {"gate", "fail where a finding is open, or new in a build: for CI", gate};
const rf_service_command rf_service_watch = {"watch", "print what happens to findings as it happens", watch};

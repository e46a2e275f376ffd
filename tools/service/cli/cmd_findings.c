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

typedef enum row_id { NEW, OPEN, STATE, BUILD, ENV, SEARCH, ORDER, LIMIT, NEW_IN, EVENT, LISTED, ROWS } row_id;

#define FILTERS (1U << BUILD | 1U << ENV | 1U << SEARCH | 1U << LIMIT | 1U << NEW_IN)

static const rf_option rows[ROWS] = {
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
  const char **const texts[ROWS] = {[BUILD] = &a->filter.build,
                                    [ENV] = &a->filter.environment,
                                    [SEARCH] = &a->filter.search,
                                    [ORDER] = &a->filter.order,
                                    [NEW_IN] = &a->filter.new_in};
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

/* A command that asks one question. */
typedef struct question {
  rf_cli_usage usage;
  bool (*ask)(asked *a);
  rf_cli_print *print;
  int found; /* the exit status where the answer is a list that is not empty */
} question;

/* Reads the options and opens the store. Returns -1 to go on, else the exit status. */
static int begin(asked *a, const rf_cli_usage *usage, int argc, char **argv) {
  *a = (asked){.event = 0};
  int const status = rf_cli_read(&a->cli, usage, apply, a, argc, argv);
  if (status >= 0) {
    return status;
  }
  for (int i = 0; i < a->cli.word_count; i++) {
    a->ids[i] = rf_cli_id(a->cli.words[i]);
    if (a->ids[i] < 0) {
      return RF_EXIT_USAGE;
    }
  }
  if (!rf_cli_filter_has_words(&a->filter)) {
    return RF_EXIT_USAGE;
  }
  if (!rf_cli_open(&a->cli, RF_STORE_READ)) {
    return RF_EXIT_FAILED;
  }
  int const wrong = rf_cli_filter_status(&a->cli.store, &a->filter);
  return wrong != 0 ? wrong : status;
}

static int answer(const question *q, int argc, char **argv) {
  asked a;
  int status = begin(&a, &q->usage, argc, argv);
  if (status < 0) {
    const rf_json *const root = rf_cli_answer(&a.cli, q->ask(&a), q->print);
    status = root == NULL ? RF_EXIT_FAILED : rf_json_unsigned(root, "total", 0) != 0 ? q->found : 0;
  }
  rf_cli_close(&a.cli);
  return status;
}

/* ---- Commands ---- */

#define USAGE(...)                                                                                                     \
  { __VA_ARGS__, .rows = rows, .common = RF_CLI_DIR | RF_CLI_JSON }

static bool ask_findings(asked *a) {
  return rf_query_findings(&a->cli.query, &a->filter);
}

int rf_service_findings(int argc, char **argv) {
  static const question q = {
      USAGE(.text = "findings [--new] [--open] [--build B] [--env E] [OPTIONS]",
            .about = "Lists findings, with their numbers, by which the other commands know them.",
            .mask = FILTERS | 1U << NEW | 1U << OPEN | 1U << STATE | 1U << ORDER),
      ask_findings, rf_print_findings, 0};
  return answer(&q, argc, argv);
}

/* For CI: fails where there is anything that nobody has decided on. */
int rf_service_gate(int argc, char **argv) {
  static const question q = {
      USAGE(.text = "gate [--new-in BUILD] [--env E] [OPTIONS]",
            .about = "Lists open findings, or those that are new or back again in a build, and fails where there are\n"
                     "any. In CI, `ringfence serve --once` takes in what tests found before.",
            .exits = "0 if no finding is listed; 99 if any is; 1 if the store cannot be read; 2 if the command\n"
                     "line is wrong, or nothing was ever heard of the build or the environment.",
            .mask = FILTERS),
      ask_findings, rf_print_findings, RF_EXIT_FOUND};
  return answer(&q, argc, argv);
}

static bool ask_finding(asked *a) {
  return rf_query_finding(&a->cli.query, a->ids[0], a->event, a->filter.limit);
}

int rf_service_show(int argc, char **argv) {
  static const question q = {
      USAGE(.text = "show ID [--event N] [OPTIONS]",
            .about =
                "Shows finding ID: its state, counts, builds, programs and hosts, and its richest event as a report.",
            .mask = 1U << EVENT | 1U << LISTED, .least = 1, .most = 1),
      ask_finding, rf_print_finding, 0};
  return answer(&q, argc, argv);
}

static bool ask_why(asked *a) {
  return rf_query_why(&a->cli.query, a->ids[0], a->ids[1]);
}

int rf_service_why(int argc, char **argv) {
  static const question q = {USAGE(.text = "why A B [OPTIONS]",
                                   .about = "Says why the findings A and B are one, or in what they differ.",
                                   .least = 2, .most = 2),
                             ask_why, rf_print_why, 0};
  return answer(&q, argc, argv);
}

static bool ask_status(asked *a) {
  return rf_query_status(&a->cli.query, a->cli.directory);
}

int rf_service_status(int argc, char **argv) {
  static const question q = {
      USAGE(.text = "status [OPTIONS]",
            .about = "Shows what the store holds, what waits to be taken in, and what was lost on the way."),
      ask_status, rf_print_status, 0};
  return answer(&q, argc, argv);
}

/* ---- watch ---- */

static int64_t print_news(asked *a, int64_t after) {
  rf_bump_arena_mark const mark = rf_bump_arena_mark_of(&a->cli.arena);
  rf_text_sink_init(&a->cli.text, &a->cli.arena);
  a->cli.query.w = (rf_json_writer){.sink = &a->cli.text.sink};
  const rf_json *const root = rf_cli_answer(&a->cli, rf_query_activity(&a->cli.query, after, 100), NULL);
  const rf_json *const list = rf_json_member(root, "activity");
  for (const rf_json *n = list == NULL ? NULL : list->first; n != NULL; n = n->next) {
    after = rf_json_signed(n, "id", after);
  }
  if (list != NULL && list->first != NULL) {
    if (a->cli.json) {
      (void)puts(a->cli.text.text);
    } else {
      rf_print_activity(&a->cli, root);
    }
    (void)fflush(stdout);
  }
  rf_bump_arena_reset(&a->cli.arena, mark);
  return root == NULL ? -1 : after;
}

int rf_service_watch(int argc, char **argv) {
  asked a;
  static const rf_cli_usage usage =
      USAGE(.text = "watch [OPTIONS]",
            .about = "Prints what happens to findings as it happens, until it is interrupted.");
  int status = begin(&a, &usage, argc, argv);
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

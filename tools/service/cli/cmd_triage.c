/* fix, ignore, reopen, merge, split, builds: decisions. */
#include "tools/service/cli/common.h"
#include "tools/service/cli/print.h"
#include "tools/service/intake/builds.h"
#include "tools/service/intake/envelope.h"
#include "tools/service/intake/split.h"
#include "tools/service/life/triage.h"

#include <stdio.h>
#include <string.h>

typedef enum row_id { IN, BECAUSE, ADD, VERSION, TIME, BY, EVENTS, UNDO, LIMIT, OFFSET, ROWS } row_id;

static const rf_option rows[ROWS] = {
    [IN] = {"in", '\0', "BUILD",
            "the build that has the fix: its version, commit or build-id, of these two 7 characters or more;\n"
            "also one that comes later; without it, the next build",
            NULL},
    [BECAUSE] = {"because", '\0', "TEXT", "the reason", NULL},
    [ADD] = {"add", '\0', "COMMIT", "tell of a build before its first event", NULL},
    [VERSION] = {"version", '\0', "V", "its version", NULL},
    [TIME] = {"time", '\0', "TIME", "its place in the order, as in 2026-11-20T22:00:00Z (of its commit)", NULL},
    [BY] = {"by", '\0', "RULE",
            "make events findings of their own by their access, allocation or free (stacks), program, build,\n"
            "environment or mode; events to come, too",
            NULL},
    [EVENTS] = {"events", '\0', "N,N...", "make these events a finding of their own", NULL},
    [UNDO] = {"undo", '\0', NULL, "make its pieces one again", NULL},
    [LIMIT] = {"limit", '\0', "N", "list at most N (default 200, most 1000)", NULL},
    [OFFSET] = {"offset", '\0', "N", "begin after the first N", NULL},
};

enum { NAME_MOST = 255 };

typedef struct decision {
  rf_cli cli;
  const char *in;
  const char *because;
  const char *add;
  const char *version;
  const char *time;
  const char *how; /* of split */
  int64_t ids[2];
  int64_t limit; /* of builds, as the next; 0 and 0: not given */
  int64_t offset;
} decision;

static bool apply(void *context, size_t row, const char *argument) {
  decision *const d = (decision *)context;
  const char **const texts[ROWS] = {
      [IN] = &d->in, [BECAUSE] = &d->because, [ADD] = &d->add, [VERSION] = &d->version, [TIME] = &d->time};
  if (row == BY && rf_split_named(argument) == RF_SPLIT_NONE) {
    rf_diag("--by %s: use access, allocation, free, program, build, environment or mode", argument);
    return false;
  }
  if (texts[row] != NULL) {
    *texts[row] = argument;
  } else if (row == LIMIT || row == OFFSET) {
    int64_t const number = rf_cli_number(rows[row].name, argument);
    *(row == LIMIT ? &d->limit : &d->offset) = number;
    return number > 0;
  } else if (row == BY || row == EVENTS || row == UNDO) {
    if (d->how != NULL) {
      rf_diag("use one of --by, --events and --undo");
      return false;
    }
    d->how = row == UNDO ? "undo" : row == BY ? argument : rf_bump_arena_print(&d->cli.arena, "events:%s", argument);
  }
  return true;
}

/* Reads the options. Returns -1 to go on, else the exit status. */
static int begin(decision *d, const rf_cli_usage *usage, int argc, char **argv) {
  *d = (decision){.in = NULL};
  int const status = rf_cli_read(&d->cli, usage, apply, d, argc, argv);
  for (int i = 0; i < d->cli.word_count && status < 0; i++) {
    d->ids[i] = rf_cli_id(d->cli.words[i]);
    if (d->ids[i] < 0) {
      return RF_EXIT_USAGE;
    }
  }
  return status;
}

static void say(const decision *d, const char *name, const char *message) {
  if (d->cli.json) {
    rf_json_writer w = {.sink = &d->cli.text.sink};
    rf_json_open(&w, NULL, "{");
    rf_json_put_text(&w, name, message);
    rf_json_close(&w, "}");
    (void)puts(d->cli.text.text);
  } else {
    rf_print_clean("%s\n", message);
  }
}

static int do_it(decision *d, const rf_triage *t) {
  char message[RF_TRIAGE_MESSAGE] = "";
  if (!rf_triage_check(t, message)) {
    rf_diag("%s", message);
    return RF_EXIT_USAGE;
  }
  if (!rf_cli_open(&d->cli, RF_STORE_WRITE)) {
    return RF_EXIT_FAILED;
  }
  if (rf_triage_apply(&d->cli.store, t, message) != RF_STORE_DONE) {
    rf_diag("%s", message);
    return RF_EXIT_FAILED;
  }
  say(d, "done", message);
  return 0;
}

static int decide(const rf_cli_usage *usage, int argc, char **argv) {
  decision d;
  int status = begin(&d, usage, argc, argv);
  if (status < 0) {
    rf_triage const t = {argv[0], d.ids[0], d.ids[1], d.in != NULL ? d.in : d.because != NULL ? d.because : d.how};
    status = do_it(&d, &t);
  }
  rf_cli_close(&d.cli);
  return status;
}

/* The usage of a command that takes the numbers of `count` findings. */
#define USAGE(count, ...)                                                                                              \
  { __VA_ARGS__, .rows = rows, .common = RF_CLI_DIR | RF_CLI_JSON, .least = (count), .most = (count) }

int rf_service_fix(int argc, char **argv) {
  static const rf_cli_usage usage =
      USAGE(1, .text = "fix ID [--in BUILD]",
            .about = "Marks finding ID as fixed; an event of a build that has the fix reopens it.", .mask = 1U << IN);
  return decide(&usage, argc, argv);
}

int rf_service_ignore(int argc, char **argv) {
  static const rf_cli_usage usage = USAGE(
      1, .text = "ignore ID --because TEXT",
      .about = "Marks finding ID as one that is left as it is; its events are counted on.", .mask = 1U << BECAUSE);
  return decide(&usage, argc, argv);
}

int rf_service_reopen(int argc, char **argv) {
  static const rf_cli_usage usage =
      USAGE(1, .text = "reopen ID", .about = "Makes finding ID, which was fixed or ignored, open again.");
  return decide(&usage, argc, argv);
}

int rf_service_merge(int argc, char **argv) {
  static const rf_cli_usage usage =
      USAGE(2, .text = "merge INTO ID",
            .about = "Makes finding ID a part of finding INTO, which then has the events of both.\n"
                     "`ringfence split ID` undoes it.");
  return decide(&usage, argc, argv);
}

int rf_service_split(int argc, char **argv) {
  static const rf_cli_usage usage = USAGE(
      1, .text = "split ID [--by RULE | --events N,N... | --undo]",
      .about = "Makes finding ID several, by what tells their events apart; without an option, takes it out of the\n"
               "finding that it was merged into.",
      .mask = 1U << BY | 1U << EVENTS | 1U << UNDO);
  return decide(&usage, argc, argv);
}

static bool is_name(const char *option, const char *text) {
  bool plain = text[strspn(text, " ")] != '\0' && strlen(text) <= NAME_MOST;
  for (const char *c = text; *c != '\0' && plain; c++) {
    plain = (unsigned char)*c >= ' ' && *c != '\x7f';
  }
  if (!plain) {
    rf_diag("--%s takes a name of 1 to %d characters, without control characters", option, NAME_MOST);
  }
  return plain;
}

/* Reads the build that --add names; *time is its place in the order. */
static bool read_build(const decision *d, int64_t *time) {
  *time = d->time == NULL ? rf_store_now() : rf_time_read(d->time);
  if (*time < 0) {
    rf_diag("--time %s: use the form 2026-11-20T22:00:00Z, or that of `git show -s --format=%%cI`", d->time);
  }
  return *time >= 0 && is_name("add", d->add) && (d->version == NULL || is_name("version", d->version));
}

static int add_build(decision *d, int64_t time) {
  rf_store_begin(&d->cli.store);
  int64_t const id = rf_build_given(&d->cli.store, d->version == NULL ? "" : d->version, d->add, time);
  if (id == RF_BUILD_AMBIGUOUS) {
    rf_store_rollback(&d->cli.store);
    rf_diag("--add %s: several builds begin so: give more of the commit", d->add);
    return RF_EXIT_USAGE;
  }
  if (!rf_store_commit(&d->cli.store)) {
    rf_diag("%s", d->cli.store.error);
    return RF_EXIT_FAILED;
  }
  if (d->cli.json) {
    say(d, "done", rf_bump_arena_print(&d->cli.arena, "build %s has its place", d->add));
  }
  return 0;
}

static int list_builds(decision *d) {
  bool const fine = rf_query_builds(&d->cli.query, d->limit, d->offset);
  return rf_cli_answer(&d->cli, fine, rf_print_builds) == NULL ? RF_EXIT_FAILED : 0;
}

static int add_or_list(decision *d) {
  int64_t time = 0;
  if (d->add == NULL && (d->version != NULL || d->time != NULL)) {
    rf_diag("--version and --time belong to --add COMMIT");
    return RF_EXIT_USAGE;
  }
  if (d->add != NULL && (d->limit != 0 || d->offset != 0)) {
    rf_diag("--limit and --offset belong to the list: leave out --add");
    return RF_EXIT_USAGE;
  }
  if (d->add != NULL && !read_build(d, &time)) {
    return RF_EXIT_USAGE;
  }
  /* CI may tell of a build before anything was found in any. */
  if (!rf_cli_open(&d->cli, d->add != NULL ? RF_STORE_CREATE : RF_STORE_READ)) {
    return RF_EXIT_FAILED;
  }
  return d->add != NULL ? add_build(d, time) : list_builds(d);
}

int rf_service_builds(int argc, char **argv) {
  decision d;
  static const rf_cli_usage usage =
      USAGE(0, .text = "builds [--add COMMIT [--version V] [--time TIME]] [--limit N]",
            .about = "Lists builds in their order, with their findings, events and hours; or, in CI, tells of\n"
                     "a build and its place in the order, by which a finding is new, fixed or back again.",
            .mask = 1U << ADD | 1U << VERSION | 1U << TIME | 1U << LIMIT | 1U << OFFSET);
  int status = begin(&d, &usage, argc, argv);
  if (status < 0) {
    status = add_or_list(&d);
  }
  rf_cli_close(&d.cli);
  return status;
}

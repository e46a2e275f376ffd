/* fix, ignore, reopen, merge, split, builds: decisions. */
#include "tools/service/cli/common.h"
#include "tools/service/cli/print.h"
#include "tools/service/intake/builds.h"
#include "tools/service/intake/envelope.h"
#include "tools/service/intake/split.h"
#include "tools/service/life/triage.h"

#include <stdio.h>
#include <string.h>

typedef enum row_id { DIR, JSON, HELP, IN, BECAUSE, ADD, VERSION, TIME, BY, EVENTS, UNDO, LIMIT, OFFSET, ROWS } row_id;

static const rf_option rows[ROWS] = {
    [DIR] = {"dir", '\0', "DIR", "the collector's folder", NULL},
    [JSON] = {"json", '\0', NULL, "print JSON", NULL},
    [HELP] = {"help", 'h', NULL, "print this and exit", NULL},
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
  const char **const texts[ROWS] = {[DIR] = &d->cli.directory, [IN] = &d->in,           [BECAUSE] = &d->because,
                                    [ADD] = &d->add,           [VERSION] = &d->version, [TIME] = &d->time};
  d->cli.json = d->cli.json || row == JSON;
  d->cli.help = d->cli.help || row == HELP;
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

/* Reads the options of a command that takes the numbers of `count` findings. Returns -1 to go on, else the exit
 * status. */
static int read_options(decision *d, const char *usage, uint32_t mask, int count, int argc, char **argv) {
  rf_cli_options o = {.apply = apply, .context = d};
  rf_cli_usage const u = {usage, rows, mask | 1U << DIR | 1U << JSON | 1U << HELP, count, count};
  *d = (decision){.in = NULL};
  int const status = rf_cli_words(&d->cli, &o, &u, argc, argv);
  for (int i = 0; i < count && status < 0; i++) {
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

static int decide(const char *usage, uint32_t mask, int count, int argc, char **argv) {
  decision d;
  int status = read_options(&d, usage, mask, count, argc, argv);
  if (status < 0) {
    rf_triage const t = {argv[0], d.ids[0], d.ids[1], d.in != NULL ? d.in : d.because != NULL ? d.because : d.how};
    status = do_it(&d, &t);
  }
  rf_cli_close(&d.cli);
  return status;
}

static int fix(int argc, char **argv) {
  return decide("fix ID [--in BUILD]", 1U << IN, 1, argc, argv);
}

static int ignore(int argc, char **argv) {
  return decide("ignore ID --because TEXT", 1U << BECAUSE, 1, argc, argv);
}

static int reopen(int argc, char **argv) {
  return decide("reopen ID", 0, 1, argc, argv);
}

static int merge(int argc, char **argv) {
  return decide("merge INTO ID", 0, 2, argc, argv);
}

static int split(int argc, char **argv) {
  return decide("split ID [--by RULE | --events N,N... | --undo]", 1U << BY | 1U << EVENTS | 1U << UNDO, 1, argc, argv);
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
  bool printed = false;
  const rf_json *const root = rf_cli_answer(&d->cli, rf_query_builds(&d->cli.query, d->limit, d->offset), &printed);
  if (root != NULL && !printed) {
    rf_print_builds(root);
  }
  return root == NULL ? RF_EXIT_FAILED : 0;
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

static int builds(int argc, char **argv) {
  decision d;
  int status = read_options(&d, "builds [--add COMMIT [--version V] [--time TIME]] [--limit N]",
                            1U << ADD | 1U << VERSION | 1U << TIME | 1U << LIMIT | 1U << OFFSET, 0, argc, argv);
  if (status < 0) {
    status = add_or_list(&d);
  }
  rf_cli_close(&d.cli);
  return status;
}

const rf_service_command rf_service_fix = {"fix", "mark a finding as fixed in a commit or build", fix};
const rf_service_command rf_service_ignore = {"ignore", "mark a finding as one to be left, with the reason", ignore};
const rf_service_command rf_service_reopen = {"reopen", "make a finding open again", reopen};
const rf_service_command rf_service_merge = {"merge", "make two findings one", merge};
const rf_service_command rf_service_split = {
    "split", "split a finding in several, or take it out of the one it was merged into", split};
const rf_service_command rf_service_builds = {"builds", "list builds, or tell of their order", builds};

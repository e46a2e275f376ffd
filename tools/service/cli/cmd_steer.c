/* steer: rules for checked processes, and what was done. */
#include "checkers/os/spool_file.h"
#include "tools/ringfence/base/words.h"
#include "tools/service/cli/common.h"
#include "tools/service/cli/print.h"
#include "tools/service/intake/spool.h"
#include "tools/service/steering/query.h"
#include "tools/service/steering/rules.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum row_id { PROGRAM, BUILD, ENV, OPTIONS, BECAUSE, ROWS } row_id;

static const rf_option rows[ROWS] = {
    [PROGRAM] = {"program", '\0', "NAME", "only programs of this name or path; * stands for any characters", NULL},
    [BUILD] = {"build", '\0', "BUILD", "only this version, or builds whose commit or build-id begins so", NULL},
    [ENV] = {"env", '\0', "NAME", "only this environment", NULL},
    [OPTIONS] = {"options", '\0', "KEY=VALUE:...", "set: the options that are to hold, as in RINGFENCE_OPTIONS", NULL},
    [BECAUSE] = {"because", '\0', "TEXT", "the reason", NULL},
};

typedef struct steering {
  rf_cli cli;
  rf_steer_request request;
} steering;

static bool apply(void *context, size_t row, const char *argument) {
  steering *const s = (steering *)context;
  const char **const texts[ROWS] = {[PROGRAM] = &s->request.program,
                                    [BUILD] = &s->request.build,
                                    [ENV] = &s->request.environment,
                                    [OPTIONS] = &s->request.options,
                                    [BECAUSE] = &s->request.because};
  if (texts[row] != NULL) {
    *texts[row] = argument;
  }
  return true;
}

/* ---- Changes ---- */

static int change(steering *s) {
  char message[RF_STEER_MESSAGE] = "";
  if (rf_steer_apply(&s->cli.store, &s->request, message) != RF_STORE_DONE) {
    rf_diag("%s", message);
    return RF_EXIT_FAILED;
  }
  bool const runs = rf_spool_file_ring(s->cli.directory); /* and its collector writes the policy now */
  if (s->cli.json) {
    rf_json_writer w = {.sink = &s->cli.text.sink};
    rf_json_open(&w, NULL, "{");
    rf_json_put_text(&w, "done", message);
    rf_json_put_bool(&w, "collector_runs", runs);
    rf_json_close(&w, "}");
    (void)puts(s->cli.text.text);
  } else {
    rf_print_clean("%s%s\n", message, runs ? "" : "; processes see it when `ringfence serve` runs on this folder");
  }
  return 0;
}

/* ---- Lists ---- */

static const char *or_any(const char *text) {
  return text[0] == '\0' ? "any" : text;
}

static void print_rule(rf_bump_arena *arena, const rf_json *r) {
  const char *const kind = rf_json_text(r, "kind", "");
  bool const options = strcmp(kind, "options") == 0;
  rf_print_clean("%-5" PRIu64 "%s  program %s, build %s, environment %s\n", rf_json_unsigned(r, "rule", 0),
                 options ? rf_json_text(r, "options", "") : kind, or_any(rf_json_text(r, "program", "")),
                 or_any(rf_json_text(r, "build", "")), or_any(rf_json_text(r, "environment", "")));
  rf_print_clean("     since %s: %s\n", rf_json_text(r, "since", ""), rf_json_text(r, "because", ""));
  uint64_t const reached = rf_json_unsigned(r, "reached", 0);
  if (reached != 0) {
    rf_print_clean("     taken %s by running processes, last %s\n", rf_counted(arena, reached, "time"),
                   rf_json_text(r, "last_reached", ""));
  }
}

static void print_list(rf_cli *cli, const rf_json *root) {
  const rf_json *const rules = rf_json_member(root, "rules");
  const rf_json *const sites = rf_json_member(root, "sites");
  if (rules->first == NULL) {
    (void)puts("there are no rules");
  }
  for (const rf_json *r = rules->first; r != NULL; r = r->next) {
    print_rule(&cli->arena, r);
  }
  for (const rf_json *f = sites->first; f != NULL; f = f->next) {
    rf_print_clean("%s#%" PRIu64 " %s\n",
                   f == sites->first ? "\nCall sites near open findings, at which raise=N looks more often:\n" : "",
                   rf_json_unsigned(f, "finding", 0), rf_json_text(f, "title", ""));
  }
}

static void print_log(rf_cli *cli, const rf_json *root) {
  (void)cli;
  for (const rf_json *s = rf_json_member(root, "steps")->first; s != NULL; s = s->next) {
    uint64_t const rule = rf_json_unsigned(s, "rule", 0);
    rf_print_clean("%s  ", rf_json_text(s, "time", ""));
    if (rule != 0) {
      rf_print_clean("rule %" PRIu64 ": ", rule);
    }
    rf_print_clean("%s, because: %s\n", rf_json_text(s, "done", ""), rf_json_text(s, "because", ""));
  }
}

static int show(steering *s, bool log) {
  bool const fine = rf_query_steering(&s->cli.query, 0);
  return rf_cli_answer(&s->cli, fine, log ? print_log : print_list) == NULL ? RF_EXIT_FAILED : 0;
}

/* ---- The command ---- */

static bool read_rule(const char *word, int64_t *rule) {
  char *end = NULL;
  errno = 0;
  long long const number = strtoll(word, &end, 10);
  *rule = number;
  if (end == word || *end != '\0' || errno != 0 || number <= 0) {
    rf_diag("%s is not the number of a rule; `ringfence steer list` has them", word);
    return false;
  }
  return true;
}

/* How many words the action has behind it; -1: it is none. */
static int words_of(const char *action) {
  static const char *const alone[] = {"list", "log", "set", "sweep", "snapshot"};
  for (size_t i = 0; i < sizeof alone / sizeof alone[0]; i++) {
    if (strcmp(action, alone[i]) == 0) {
      return 0;
    }
  }
  return strcmp(action, "unset") == 0 ? 1 : -1;
}

static int steer(steering *s, int count, char **words) {
  const char *const action = count == 0 ? "list" : words[0];
  int const expected = words_of(action);
  bool const shows = strcmp(action, "list") == 0 || strcmp(action, "log") == 0;
  s->request.action = action;
  if (expected < 0 || (count > 0 && count - 1 != expected)) {
    rf_diag("steer takes list, log, set, sweep, snapshot, or unset RULE; --help tells more");
    return RF_EXIT_USAGE;
  }
  if (strcmp(action, "set") != 0 && s->request.options != NULL) {
    rf_diag("--options belongs to steer set");
    return RF_EXIT_USAGE;
  }
  if (expected == 1 && !read_rule(words[1], &s->request.rule)) {
    return RF_EXIT_USAGE;
  }
  char message[RF_STEER_MESSAGE];
  if (!shows && !rf_steer_check(&s->request, message)) {
    rf_diag("%s", message);
    return RF_EXIT_USAGE;
  }
  if (!rf_cli_open(&s->cli, shows ? RF_STORE_READ : RF_STORE_WRITE)) {
    return RF_EXIT_FAILED;
  }
  return shows ? show(s, strcmp(action, "log") == 0) : change(s);
}

int rf_service_steer(int argc, char **argv) {
  static const rf_cli_usage usage = {
      .text = "steer [list | log]\n"
              "       ringfence steer set --options KEY=VALUE:... [SELECTORS] --because TEXT\n"
              "       ringfence steer sweep | snapshot [SELECTORS] --because TEXT\n"
              "       ringfence steer unset RULE --because TEXT",
      .about = "Rules for checked processes of this user. A process takes those that are for it when it begins;\n"
               "sample_rate, watch, raise, a sweep and a snapshot reach it while it runs. RINGFENCE_OPTIONS win.",
      .rows = rows,
      .mask = (1U << ROWS) - 1,
      .common = RF_CLI_DIR | RF_CLI_JSON,
      .most = INT_MAX};
  steering s = {.request = {.action = NULL}};
  int status = rf_cli_read(&s.cli, &usage, apply, &s, argc, argv);
  if (status < 0) {
    status = steer(&s, s.cli.word_count, s.cli.words);
  }
  rf_cli_close(&s.cli);
  return status;
}

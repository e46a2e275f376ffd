/* coverage: what ran checked, by program and by module, or the call sites of a module. */
#include "tools/service/cli/common.h"
#include "tools/service/cli/print.h"

#include "tools/ringfence/base/words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef enum row_id { MODULE, WATCHED, LIMIT, OFFSET, ROWS } row_id;

static const rf_option rows[ROWS] = {
    [MODULE] = {"module", '\0', "TEXT", "only modules that have this text in their path", NULL},
    [WATCHED] = {"watched", '\0', "SITES", "call sites of module ID: no (never watched; the default), yes, or all",
                 NULL},
    [LIMIT] = {"limit", '\0', "N", "list at most N programs and modules, or call sites (default 200, most 1000)", NULL},
    [OFFSET] = {"offset", '\0', "N", "begin after the first N of each list", NULL},
};

typedef struct asked {
  rf_cli cli;
  const char *module;
  rf_sites_filter sites;
} asked;

static bool apply(void *context, size_t row, const char *argument) {
  asked *const a = (asked *)context;
  if (row == MODULE) {
    a->module = argument;
  } else if (row == WATCHED) {
    a->sites.watched = argument;
    if (!rf_is_word_of(argument, RF_FILTER_WATCHED)) {
      rf_diag("--watched %s: use one of: %s", argument, RF_FILTER_WATCHED);
      return false;
    }
  } else if (row == LIMIT || row == OFFSET) {
    int64_t const number = rf_cli_number(rows[row].name, argument);
    *(row == LIMIT ? &a->sites.limit : &a->sites.offset) = number;
    return number > 0;
  }
  return true;
}

/* ---- Printing ---- */

static void print_modes(const rf_json *module) {
  for (const rf_json *m = rf_json_list(module, "modes"); m != NULL; m = m->next) {
    rf_print_safe(rf_json_text(m, "mode", ""));
    (void)printf(" %s h%s", rf_json_member(m, "hours")->text, m->next == NULL ? "" : ", ");
  }
}

static void print_module(const rf_json *m) {
  uint64_t const sites = rf_json_unsigned(m, "sites", 0);
  uint64_t const watched = rf_json_unsigned(m, "watched", 0);
  (void)printf("%6" PRIu64 "  %6" PRIu64 "  %7" PRIu64 "  %3" PRIu64 " %%  ", rf_json_unsigned(m, "id", 0), sites,
               watched, sites == 0 ? 0 : watched * 100 / sites);
  rf_print_safe(rf_json_text(m, "path", ""));
  const char *const version = rf_json_text(m, "version", "");
  if (version[0] != '\0') {
    (void)putchar(' ');
    rf_print_safe(version);
  }
  (void)fputs(" (", stdout);
  print_modes(m);
  (void)puts(")");
}

static void print_programs(const rf_json *root) {
  const rf_json *const list = rf_json_list(root, "coverage");
  uint64_t const total = rf_json_unsigned(root, "program_count", 0);
  (void)puts(total == 0 ? "no process has reported a run yet"
                        : " processes       hours  allocations  mode    program, build, environment");
  for (const rf_json *c = list; c != NULL; c = c->next) {
    rf_print_clean("%10" PRIu64 "  %10s  %11" PRIu64 "  %-6s  ", rf_json_unsigned(c, "processes", 0),
                   rf_json_member(c, "hours")->text, rf_json_unsigned(c, "allocations", 0),
                   rf_json_text(c, "mode", ""));
    rf_print_safe(rf_json_text(c, "program", ""));
    (void)fputs(", ", stdout);
    rf_print_safe(rf_json_text(c, "build", ""));
    (void)fputs(", ", stdout);
    rf_print_safe(rf_json_text(c, "environment", ""));
    (void)putchar('\n');
  }
  rf_print_part(list, total, "rows of programs");
}

static void print_coverage(rf_cli *cli, const rf_json *root) {
  (void)cli;
  const rf_json *const list = rf_json_list(root, "modules");
  print_programs(root);
  if (list != NULL) {
    (void)puts("\nmodule   sites  watched         path (hours by mode)");
  }
  for (const rf_json *m = list; m != NULL; m = m->next) {
    print_module(m);
  }
  rf_print_part(list, rf_json_unsigned(root, "module_count", 0), "modules");
}

static void print_site(const rf_json *s) {
  const char *const file = rf_json_text(s, "file", NULL);
  (void)printf("  %9" PRIu64 "  %7" PRIu64 "  ", rf_json_unsigned(s, "processes", 0), rf_json_unsigned(s, "blocks", 0));
  rf_print_safe(rf_json_text(s, "function", rf_json_text(s, "offset", "")));
  if (file != NULL) {
    (void)putchar(' ');
    rf_print_safe(file);
    (void)printf(":%" PRIu64, rf_json_unsigned(s, "line", 0));
  }
  for (const rf_json *m = rf_json_list(s, "modes"); m != NULL; m = m->next) {
    rf_print_clean("%s%s %" PRIu64, m == rf_json_list(s, "modes") ? " (" : ", ", rf_json_text(m, "mode", ""),
                   rf_json_unsigned(m, "blocks", 0));
  }
  (void)puts(rf_json_list(s, "modes") == NULL ? "" : ")");
}

static void print_sites(rf_cli *cli, const rf_json *root) {
  (void)cli;
  print_module(root);
  const rf_json *const list = rf_json_list(root, "list");
  (void)puts(list == NULL ? "no such call sites" : "  processes   blocks  call site");
  for (const rf_json *s = list; s != NULL; s = s->next) {
    print_site(s);
  }
  rf_print_part(list, rf_json_unsigned(root, "total", 0), "call sites");
}

/* ---- The command ---- */

static int answer(asked *a, const char *word) {
  a->sites.module = word == NULL ? 0 : rf_cli_id_of(word, "module", "coverage");
  if (a->sites.module < 0) {
    return RF_EXIT_USAGE;
  }
  if (word == NULL ? a->sites.watched != NULL : a->module != NULL) {
    rf_diag(word == NULL ? "--watched needs one module: ringfence coverage ID --watched SITES"
                         : "--module chooses among all modules: leave out the number");
    return RF_EXIT_USAGE;
  }
  if (!rf_cli_open(&a->cli, RF_STORE_READ)) {
    return RF_EXIT_FAILED;
  }
  rf_coverage_filter const f = {.module = a->module, .limit = a->sites.limit, .offset = a->sites.offset};
  bool const fine = word == NULL ? rf_query_coverage(&a->cli.query, &f) : rf_query_sites(&a->cli.query, &a->sites);
  return rf_cli_answer(&a->cli, fine, word == NULL ? print_coverage : print_sites) == NULL ? RF_EXIT_FAILED : 0;
}

int rf_service_coverage(int argc, char **argv) {
  static const rf_cli_usage usage = {.text = "coverage [ID [--watched no|yes|all]] [OPTIONS]",
                                     .about = "Shows what ran checked: programs, and modules with\n"
                                              "how many of their call sites were ever watched. With\n"
                                              "ID, shows the call sites of that module.",
                                     .rows = rows,
                                     .mask = (1U << ROWS) - 1,
                                     .common = RF_CLI_DIR | RF_CLI_JSON,
                                     .most = 1};
  asked a = {.module = NULL};
  int status = rf_cli_read(&a.cli, &usage, apply, &a, argc, argv);
  if (status < 0) {
    status = answer(&a, a.cli.words[0]);
  }
  rf_cli_close(&a.cli);
  return status;
}

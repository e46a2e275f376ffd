/* `ringfence check`: runs a program with the library loaded, and reports the findings. */
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/cli/check_run.h"
#include "tools/ringfence/cli/command.h"
#include "tools/ringfence/cli/hunt.h"
#include "tools/ringfence/render/output.h"
#include "tools/ringfence/run/inspect.h"
#include "tools/ringfence/run/pools.h"
#include "tools/ringfence/run/tempdir.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- Before the run ---- */

/* Better before a long run than after it. */
static bool try_baseline_file(const char *path) {
  /* Its contents stay until there is a new baseline to write. */
  FILE *const file = path == NULL ? NULL : fopen(path, "ae");
  if (path != NULL && file == NULL) {
    rf_diag("cannot write to %s: %s", path, strerror(errno));
  }
  return path == NULL || (file != NULL && fclose(file) == 0);
}

static bool open_outputs(rf_check_state *c) {
  c->out = c->options.log == NULL ? stderr : rf_output_open(c->options.log);
  if (c->out != NULL && c->options.json != NULL) {
    c->json = rf_output_open(c->options.json);
  }
  return c->out != NULL && (c->json != NULL || c->options.json == NULL) && rf_outputs_try(&c->options.common.outputs) &&
         try_baseline_file(c->options.common.write_baseline);
}

/* The processes get the rules as well, so that a suppressed finding does not end them. */
static bool pass_suppressions(rf_check_state *c) {
  if (c->making.suppressions.count == 0) {
    return true;
  }
  const char *const path = rf_bump_arena_print(&c->arena, "%s/suppressions", c->root);
  FILE *const file = rf_output_open(path);
  if (file == NULL) {
    return false;
  }
  for (size_t i = 0; i < c->making.suppressions.count; i++) {
    (void)fprintf(file, "%s\n", rf_document_rule(&c->arena, &c->making.suppressions.rules[i]));
  }
  c->options.passed = rf_bump_arena_print(&c->arena, "%s%ssuppressions=%s", c->options.passed,
                                          c->options.passed[0] == '\0' ? "" : ":", path);
  return rf_output_close(file, path);
}

/* Looks at the program; where it has another width or C library, with the library for that, if there is one. */
static rf_inspection inspect(rf_check_state *c) {
  rf_inspection const seen = rf_inspect(&c->arena, c->program, c->library, rf_identity_own());
  bool const is_other = seen.obstacle == RF_OBSTACLE_WIDTH || seen.obstacle == RF_OBSTACLE_LIBC;
  const char *const other = is_other ? rf_paths_beside(&c->arena, c->library, seen.kind) : NULL;
  if (other == NULL) {
    return seen;
  }
  c->library = other;
  return rf_inspect(&c->arena, c->program, c->library, rf_identity_own());
}

/* 0, or the status to exit with after a message. */
static int prepare(rf_check_state *c) {
  int status = RF_EXIT_USAGE;
  if (!rf_check_options_collector(&c->options)) {
    return status;
  }
  c->library = rf_paths_library(&c->arena, c->options.library);
  if (c->library == NULL) {
    return status;
  }
  c->program = rf_paths_program(&c->arena, c->options.program[0], &status);
  if (c->program == NULL) {
    return status;
  }
  rf_inspection const seen = inspect(c);
  if (seen.obstacle != RF_OBSTACLE_NONE) {
    return rf_inspect_explain(&seen, c->program);
  }
  c->linked_in = seen.linked_in;
  if (!rf_common_options_read(&c->options.common, &c->arena, &c->making) || !open_outputs(c)) {
    return RF_EXIT_USAGE;
  }
  c->root = rf_tempdir_make(&c->arena);
  c->folder = c->root;
  return c->root == NULL || !pass_suppressions(c) ? RF_EXIT_USAGE : 0;
}

/* ---- After the run ---- */

static void put_away(rf_check_state *c) {
  if (c->running != 0) {
    return; /* running processes still write to the folder */
  }
  if (c->root != NULL && c->options.keep) {
    rf_diag("the records of the processes are in %s", c->root);
  } else if (c->root != NULL) {
    rf_tempdir_remove(c->root);
  }
}

static bool ended_as_after_a_finding(const rf_check_state *c) {
  int const status = c->child.wait_status;
  return c->effective.exitcode != 0 && WIFEXITED(status) && WEXITSTATUS(status) == (int)c->effective.exitcode;
}

static const char *host_name(rf_check_state *c) {
  char name[HOST_NAME_MAX + 1] = "";
  return gethostname(name, sizeof name - 1) != 0 || name[0] == '\0' ? NULL : rf_bump_arena_copy(&c->arena, name);
}

static const char *command_line(rf_check_state *c) {
  const char *line = c->options.program[0];
  for (size_t i = 1; c->options.program[i] != NULL; i++) {
    line = rf_bump_arena_print(&c->arena, "%s %s", line, c->options.program[i]);
  }
  return line;
}

/* The name of a program whose own pools hid blocks from a mode that checks every block; NULL if there was none. */
static const char *unchecked_pools(const rf_check_state *c) {
  bool const all = c->run.mode != NULL && strcmp(c->run.mode, rf_mode_name(RF_MODE_OFF)) != 0 &&
                   strcmp(c->run.mode, rf_mode_name(RF_MODE_SAMPLE)) != 0;
  for (size_t i = 0; i < c->run.process_count && all && !c->options.no_pools; i++) {
    const char *const program = c->run.processes[i].program;
    const char *const pools = program != NULL ? rf_pools_of(program) : NULL;
    if (pools != NULL) {
      return pools;
    }
  }
  return NULL;
}

static void understand(rf_check_state *c) {
  c->making.library = c->library;
  c->making.directory = rf_current_folder(&c->arena);
  c->making.symbolize = true;
  c->making.whole = c->options.common.verbose;
  c->making.quiet = c->options.common.quiet;
  rf_document_make(&c->document, &c->arena, &c->run, &c->making);
  c->totals = rf_totals_of(&c->run, &c->document, c->child.elapsed_ns, c->child.wait_status);
  c->document.totals = &c->totals;
  c->document.command = command_line(c);
  c->document.program = c->options.program[0];
  c->document.began = c->began;
  c->document.host = host_name(c);
  c->totals.running = c->running;
  c->totals.pools = unchecked_pools(c);
  c->totals.folder = c->root;
  c->totals.verbose = c->options.common.verbose;
  /* A program without a summary ended by a signal, which is reported as such, or lost its summary. */
  const rf_process *const program = rf_check_process(c, (uint32_t)c->child.pid);
  if (program == NULL || program->ended) {
    return;
  }
  c->totals.unrecorded = c->totals.unrecorded || (c->totals.times == 0 && ended_as_after_a_finding(c));
  c->totals.end_lost = WIFEXITED(c->child.wait_status);
  c->totals.killed--;
}

/* True if the exit status is to report findings. A finding without a record may be new. */
static bool has_new(const rf_check_state *c) {
  return rf_document_new(&c->document) != 0 || c->totals.uncounted != 0 || c->totals.unrecorded;
}

/* The run fails for what it did not check. */
static bool fails_strict(const rf_check_state *c) {
  return c->options.strict && c->totals.unchecked != 0;
}

/* A crash has its own status: that of the signal, or that of whoever waited for the process. */
static bool has_only_crashes(const rf_check_state *c) {
  for (size_t i = 0; i < c->document.count; i++) {
    const rf_record *const record = c->document.records[i];
    if (!record->known && !rf_bug_is_crash(record->finding.bug)) {
      return false;
    }
  }
  return c->totals.uncounted == 0 && !c->totals.unrecorded;
}

/* With --quiet, whether there is something to say. */
static bool is_worth_a_line(const rf_check_state *c) {
  return has_new(c) || fails_strict(c) || !c->options.common.quiet;
}

static void write_text(rf_check_state *c, FILE *file) {
  rf_colour_sink to;
  rf_colour_sink_init(&to, file, rf_colour_wanted(c->options.common.colour, file));
  const rf_sink *const sink = &to.sink;
  rf_document_text(&c->arena, &c->document, sink);
  if (c->options.common.verbose) {
    rf_processes_text(&c->arena, &c->run, sink);
  }
  if (c->totals.processes == 0) {
    rf_sink_str(sink, rf_bump_arena_print(&c->arena,
                                          "ringfence: nothing was checked: libringfence.so was not loaded into %s\n",
                                          c->program));
  } else if (is_worth_a_line(c)) {
    rf_totals_text(&c->arena, &c->totals, sink);
  }
  rf_colour_sink_end(&to);
}

static void write_out(rf_check_state *c) {
  rf_output_format const format =
      rf_outputs_unfixed(&c->options.common.outputs) == 0 ? c->options.common.format : RF_OUTPUT_TEXT;
  if (format == RF_OUTPUT_TEXT || format == RF_OUTPUT_GITHUB) {
    write_text(c, c->out);
  }
  if (format != RF_OUTPUT_TEXT && is_worth_a_line(c)) {
    rf_output_put(&c->arena, &c->document, format, c->out);
  }
  (void)rf_output_close(c->out, c->options.log);
}

static void tell(rf_check_state *c) {
  /* Many lines in one write. */
  (void)setvbuf(stderr, NULL, _IOFBF, (size_t)64 * 1024);
  write_out(c);
  if (c->json != NULL) {
    rf_output_put(&c->arena, &c->document, RF_OUTPUT_JSON, c->json);
    (void)rf_output_close(c->json, c->options.json);
  }
  (void)rf_outputs_write(&c->options.common.outputs, &c->arena, &c->document);
  rf_outputs_write_artifacts(&c->arena, &c->document);
  if (c->options.common.write_baseline != NULL) {
    (void)rf_baseline_write(&c->arena, c->options.common.write_baseline, c->document.records, c->document.count);
    if (c->totals.uncounted != 0) {
      rf_diag("findings beyond max_findings are not in %s; use --option max_findings=0",
              c->options.common.write_baseline);
    }
  }
  if (c->totals.known != 0 && !has_new(c) && ended_as_after_a_finding(c)) {
    rf_diag("a process ended at a finding that is in the baseline; without --halt it would continue");
  }
  if (c->document.hidden_count != 0 && c->totals.times == 0 && ended_as_after_a_finding(c)) {
    rf_diag("a process ended at a finding that only a rule for a source file or a fingerprint suppresses; "
            "--continue avoids that");
  }
}

/* Ends the process. */
static _Noreturn void leave(rf_check_state *c) {
  int const exitcode = (int)c->effective.exitcode;
  rf_totals const totals = c->totals;
  bool const incomplete = fails_strict(c);
  bool const failed = has_new(c) && !has_only_crashes(c) && c->options.common.write_baseline == NULL;
  rf_bump_arena_free(&c->arena);
  if (failed && exitcode != 0) {
    exit(exitcode);
  }
  /* Status 0 would mean that nothing was found. */
  bool const succeeded = WIFEXITED(totals.wait_status) && WEXITSTATUS(totals.wait_status) == 0;
  if ((totals.processes == 0 || incomplete) && succeeded) {
    exit(RF_EXIT_USAGE);
  }
  rf_child_exit_alike(totals.wait_status);
}

/* Returns only where the program could not be run, with the status to exit with. */
static int check_program(rf_check_state *c) {
  int status = prepare(c);
  if (status == 0) {
    status = c->options.hunt != 0 ? rf_hunt(c) : rf_check_run(c);
  }
  if (status == 0) {
    put_away(c);
    rf_child_release_signals();
    understand(c);
    tell(c);
    leave(c);
  }
  put_away(c);
  return status;
}

static int run(int argc, char **argv) {
  rf_check_state c = {0};
  int status = RF_EXIT_USAGE;
  if (rf_check_options_parse(&c.options, &c.arena, argc, argv)) {
    if (c.options.common.help) {
      rf_check_options_help();
      status = 0;
    } else if (c.options.keys) {
      rf_check_options_keys(&c.options);
      status = 0;
    } else {
      status = check_program(&c);
    }
  }
  rf_bump_arena_free(&c.arena);
  return status;
}

const rf_command rf_command_check = {"check", "run a program and find its memory bugs", run, rf_check_options_help};

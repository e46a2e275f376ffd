/* `ringfence check`: runs a program with the library in it, and tells what the library found. */
#include "tools/ringfence/child.h"
#include "tools/ringfence/collect.h"
#include "tools/ringfence/command.h"
#include "tools/ringfence/environment.h"
#include "tools/ringfence/inspect.h"
#include "tools/ringfence/living.h"
#include "tools/ringfence/merge.h"
#include "tools/ringfence/options.h"
#include "tools/ringfence/place.h"
#include "tools/ringfence/report.h"
#include "tools/ringfence/say.h"
#include "tools/ringfence/scratch.h"
#include "tools/ringfence/symbolize.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct check {
  rf_stash stash;
  rf_check_options options;
  const char *program; /* file that is run */
  const char *library; /* libringfence.so */
  bool linked_in;      /* the program has it already */
  const char *folder;  /* for what the processes write */
  FILE *out;           /* for findings and summary */
  FILE *json;          /* for --json; or NULL */
  rf_options effective;
  rf_child child;
  rf_run run;
  size_t living;    /* processes that still run */
  rf_totals totals; /* `findings` of the run's records, at the front, are distinct ones */
} check;

static void put(void *context, const char *text, size_t length) {
  (void)fwrite(text, 1, length, (FILE *)context);
}

static rf_sink sink_of(FILE *file) {
  return (rf_sink){put, file};
}

/* ---- Before the run ---- */

static FILE *open_output(const char *path) {
  FILE *const file = fopen(path, "we");
  if (file == NULL) {
    rf_say("cannot write to %s: %s", path, strerror(errno));
  }
  return file;
}

static bool open_outputs(check *c) {
  c->out = c->options.log == NULL ? stderr : open_output(c->options.log);
  if (c->out != NULL && c->options.json != NULL) {
    c->json = open_output(c->options.json);
  }
  return c->out != NULL && (c->json != NULL || c->options.json == NULL);
}

/* 0, or the status to exit with after a message. */
static int prepare(check *c) {
  int status = RF_EXIT_USAGE;
  rf_place_enter();
  c->library = rf_place_library(&c->stash, c->options.library);
  if (c->library == NULL) {
    return status;
  }
  c->program = rf_place_program(&c->stash, c->options.program[0], &status);
  if (c->program == NULL) {
    return status;
  }
  rf_inspection const seen = rf_inspect(&c->stash, c->program, c->library, rf_identity_own());
  if (seen.obstacle != RF_OBSTACLE_NONE) {
    return rf_inspect_explain(&seen, c->program);
  }
  c->linked_in = seen.linked_in;
  if (!open_outputs(c)) {
    return RF_EXIT_USAGE;
  }
  c->folder = rf_scratch_make(&c->stash);
  return c->folder == NULL ? RF_EXIT_USAGE : 0;
}

/* ---- The run ---- */

/* 0, or the status to exit with after a message. */
static int run_program(check *c) {
  const char *const told = rf_environment_options(&c->stash, c->options.passed, c->folder, &c->effective);
  char **const environment = rf_environment_make(&c->stash, c->linked_in ? NULL : c->library, told, c->folder);
  if (c->options.verbose) {
    rf_say("%s %s, with %s", c->linked_in ? "linked in:" : "library:", c->linked_in ? c->program : c->library, told);
  }
  if (!rf_child_run(&c->child, c->program, c->options.program, environment)) {
    rf_say("cannot start a process: %s", strerror(errno));
    return RF_EXIT_CANNOT_RUN;
  }
  if (c->child.exec_error != 0) {
    rf_say("cannot run %s: %s", c->program, strerror(c->child.exec_error));
    return RF_EXIT_CANNOT_RUN;
  }
  return 0;
}

/* ---- Right after the run ---- */

static rf_process *find_process(check *c, uint32_t id) {
  for (size_t i = 0; i < c->run.process_count; i++) {
    if (c->run.processes[i].id == id) {
      return &c->run.processes[i];
    }
  }
  return NULL;
}

/* Looks up first who still runs: who ends meanwhile has then said so. */
static void collect(check *c) {
  uint32_t *ids = NULL;
  size_t const count = rf_living_with(&c->stash, c->folder, &ids);
  c->run = rf_collect(&c->stash, c->folder);
  for (size_t i = 0; i < count; i++) {
    rf_process *const process = find_process(c, ids[i]);
    if (process == NULL || !process->ended) {
      c->living++;
    }
    if (process != NULL) {
      process->living = !process->ended;
    }
  }
}

static void put_away(check *c) {
  if (c->living != 0) {
    return; /* they could not say what they find */
  }
  if (c->folder != NULL && c->options.keep) {
    rf_say("what the processes recorded is in %s", c->folder);
  } else if (c->folder != NULL) {
    rf_scratch_remove(&c->stash, c->folder);
  }
}

/* ---- After the run ---- */

static size_t add_frames(rf_stack *stack, rf_frame **frames, size_t count) {
  for (unsigned i = 0; i < stack->count; i++) {
    frames[count++] = &stack->frames[i];
  }
  return count;
}

static void name_frames(check *c) {
  size_t const most = c->run.record_count * 3 * RF_TRACE_DEPTH;
  rf_frame **const frames = (rf_frame **)rf_stash_array(&c->stash, most + 1, sizeof(rf_frame *));
  size_t count = 0;
  for (size_t i = 0; i < c->run.record_count; i++) {
    count = add_frames(&c->run.records[i]->found, frames, count);
    count = add_frames(&c->run.records[i]->allocated, frames, count);
    count = add_frames(&c->run.records[i]->released, frames, count);
  }
  rf_symbolize(&c->stash, frames, count);
}

static bool ended_as_after_a_finding(const check *c) {
  int const status = c->child.wait_status;
  return c->effective.exitcode != 0 && WIFEXITED(status) && WEXITSTATUS(status) == (int)c->effective.exitcode;
}

static void understand(check *c) {
  name_frames(c);
  for (size_t i = 0; i < c->run.record_count; i++) {
    rf_record_trim(c->run.records[i], c->library, c->options.verbose);
  }
  size_t const findings = rf_merge(&c->stash, c->run.records, c->run.record_count);
  c->totals = rf_totals_of(&c->run, findings, c->child.elapsed_ns, c->child.wait_status);
  c->totals.living = c->living;
  c->totals.folder = c->folder;
  /* What ended the program is told by its signal. */
  const rf_process *const program = find_process(c, (uint32_t)c->child.pid);
  if (program == NULL || program->ended) {
    return;
  }
  c->totals.unrecorded = c->totals.times == 0 && ended_as_after_a_finding(c);
  c->totals.end_lost = WIFEXITED(c->child.wait_status);
  c->totals.killed--;
}

static const char *current_directory(check *c) {
  char path[PATH_MAX];
  return getcwd(path, sizeof path) == NULL ? NULL : rf_stash_text(&c->stash, path, strlen(path));
}

static void write_json(check *c, FILE *file) {
  rf_sink const sink = sink_of(file);
  for (size_t i = 0; i < c->totals.findings; i++) {
    c->run.records[i]->directory = NULL;
    rf_report_record_json(c->run.records[i], &sink);
  }
  rf_report_totals_json(&c->totals, &sink);
}

static void write_text(check *c, FILE *file) {
  rf_sink const sink = sink_of(file);
  const char *const directory = current_directory(c);
  for (size_t i = 0; i < c->totals.findings; i++) {
    c->run.records[i]->directory = directory;
    rf_report_record_text(c->run.records[i], &sink);
  }
  if (c->options.verbose) {
    rf_report_processes(&c->stash, &c->run, &sink);
  }
  if (c->totals.processes == 0) {
    rf_sink_str(&sink,
                rf_stash_print(&c->stash, "ringfence: nothing was checked: libringfence.so was not loaded into %s\n",
                               c->program));
  } else if (c->totals.times != 0 || c->totals.unrecorded || !c->options.quiet) {
    rf_report_totals_text(&c->stash, &c->totals, &sink);
  }
}

static void close_output(FILE *file, const char *path) {
  bool const failed = ferror(file) != 0;
  if ((file == stderr ? fflush(file) : fclose(file)) != 0 || failed) {
    rf_say("cannot write all to %s: %s", path == NULL ? "standard error" : path, strerror(errno));
  }
}

static void tell(check *c) {
  /* One write for many lines. */
  (void)setvbuf(stderr, NULL, _IOFBF, (size_t)64 * 1024);
  if (c->options.as_json) {
    write_json(c, c->out);
  } else {
    write_text(c, c->out);
  }
  close_output(c->out, c->options.log);
  if (c->json != NULL) {
    write_json(c, c->json);
    close_output(c->json, c->options.json);
  }
}

/* Ends the process. */
static _Noreturn void leave(check *c) {
  int const exitcode = (int)c->effective.exitcode;
  rf_totals const totals = c->totals;
  rf_stash_free(&c->stash);
  if (totals.times != 0 && exitcode != 0) {
    exit(exitcode);
  }
  /* To exit with 0 would say that all is well. */
  bool const succeeded = WIFEXITED(totals.wait_status) && WEXITSTATUS(totals.wait_status) == 0;
  if (totals.processes == 0 && succeeded) {
    exit(RF_EXIT_USAGE);
  }
  rf_child_exit_alike(totals.wait_status);
}

/* Returns only where the program could not be run, with the status to exit with. */
static int check_program(check *c) {
  int status = prepare(c);
  if (status == 0) {
    status = run_program(c);
  }
  if (status == 0) {
    collect(c);
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
  check c = {0};
  int status = RF_EXIT_USAGE;
  if (rf_check_options_parse(&c.options, &c.stash, argc, argv)) {
    if (c.options.help) {
      rf_check_options_help();
      status = 0;
    } else {
      status = check_program(&c);
    }
  }
  rf_stash_free(&c.stash);
  return status;
}

const rf_command rf_command_check = {"check", "run a program and find its memory bugs", run, rf_check_options_help};

#include "tools/ringfence/cli/check_run.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/write_file.h"
#include "tools/ringfence/cli/command.h"
#include "tools/ringfence/run/environment.h"
#include "tools/ringfence/run/survivors.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* 0, or the errno with which a file of this path could not be opened to be written. Makes none. */
static int obstacle_to_writing(rf_bump_arena *arena, const char *path) {
  struct stat status;
  if (stat(path, &status) == 0) {
    return S_ISDIR(status.st_mode) ? EISDIR : access(path, W_OK) == 0 ? 0 : errno;
  }
  const char *const slash = strrchr(path, '/');
  const char *const folder =
      slash == NULL ? "." : rf_bump_arena_print(arena, "%.*s", (int)(slash - path) + 1, path); /* with the slash */
  return access(folder, W_OK | X_OK) == 0 ? 0 : errno;
}

/* It is emptied, and written to by place. A pipe takes it as it comes. */
static bool is_shared(const char *path) {
  struct stat status;
  int const fd = rf_named_descriptor(path);
  return fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/* Better before a long run than in it. What %p becomes may be in the name of the file alone. */
static bool can_write_trace(rf_check_state *c) {
  const rf_options *const o = &c->effective;
  if (o->trace == NULL) {
    return true;
  }
  const char *const path = rf_bump_arena_print(&c->arena, "%.*s", (int)o->trace_length, o->trace);
  if (is_shared(path)) {
    rf_diag("--trace %s: a trace needs a file of its own", path);
    return false;
  }
  int const error = obstacle_to_writing(&c->arena, path);
  if (error != 0) {
    rf_diag("cannot write to %s: %s", path, strerror(error));
  }
  return error == 0;
}

/* 0, or the status to exit with after a message. */
static int run_program(rf_check_state *c) {
  const char *const told = rf_environment_options(&c->arena, c->options.passed, c->folder, &c->effective);
  if (!can_write_trace(c)) {
    return RF_EXIT_USAGE;
  }
  char **const environment =
      rf_environment_make(&c->arena, c->linked_in ? NULL : c->library, told, c->folder, !c->options.no_pools);
  if (c->options.common.verbose) {
    rf_diag("%s %s, with %s", c->linked_in ? "linked in:" : "library:", c->linked_in ? c->program : c->library, told);
  }
  c->began = (int64_t)time(NULL);
  rf_child_program const program = {c->program, c->options.program, environment, c->streams};
  if (!rf_child_run(&c->child, &program)) {
    rf_diag("cannot start a process: %s", strerror(errno));
    return RF_EXIT_CANNOT_RUN;
  }
  if (c->child.exec_error != 0) {
    rf_diag("cannot run %s: %s", c->program, strerror(c->child.exec_error));
    return RF_EXIT_CANNOT_RUN;
  }
  return 0;
}

rf_process *rf_check_process(rf_check_state *c, uint32_t id) {
  for (size_t i = 0; i < c->run.process_count; i++) {
    if (c->run.processes[i].id == id) {
      return &c->run.processes[i];
    }
  }
  return NULL;
}

/* Until none of them is left, the time is over, or a signal asks for the end. */
static void wait_for_survivors(const rf_check_state *c) {
  enum { PAUSE_MS = 50, PAUSES_PER_S = 1000 / PAUSE_MS };
  unsigned left = c->options.wait_s * PAUSES_PER_S;
  for (;;) {
    rf_bump_arena scratch = {NULL};
    uint32_t *ids = NULL;
    size_t const count = rf_survivors_find(&scratch, c->folder, &ids);
    rf_bump_arena_free(&scratch);
    if (count == 0 || !rf_child_sleep(PAUSE_MS)) {
      return;
    }
    if (c->options.wait_s != 0 && --left == 0) {
      return;
    }
  }
}

/* Finds the running processes before it reads the records: one that ends meanwhile has then written its summary. */
static void collect(rf_check_state *c) {
  uint32_t *ids = NULL;
  size_t const count = rf_survivors_that_stay(&c->arena, c->folder, &ids);
  c->run = rf_run_read(&c->arena, c->folder);
  for (size_t i = 0; i < count; i++) {
    rf_process *const process = rf_check_process(c, ids[i]);
    if (process == NULL || !process->ended) {
      c->running++;
    }
    if (process != NULL) {
      process->running = !process->ended;
    }
  }
}

int rf_check_run(rf_check_state *c) {
  int const status = run_program(c);
  if (status == 0) {
    if (c->options.wait) {
      wait_for_survivors(c);
    }
    collect(c);
  }
  return status;
}

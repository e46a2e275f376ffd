#define _GNU_SOURCE
#include "state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkers/checked/mode_options.h"
#include "checkers/dropin/os/raw_syscall.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/host.h"
#include "checkers/os/memory_tags.h"
#include "checkers/report/collector_identity.h"
#include "checkers/report/log_lines.h"
#include "steering.h"

#define DEFAULT_STACK_DEPTH 12U
#define DEFAULT_QUARANTINE ((size_t)4 << 20)
#define DEFAULT_WATCH 2000U
#define PATH_BYTES 512

rf_process_state rf_process;

/* Copies of the options' paths, absolute ones: the environment is the program's, which may write over it, and it may go
 * to another folder. */
static char log_path[PATH_BYTES];
static char trace_path[PATH_BYTES];
static char watch_path[PATH_BYTES];

#define MORE_BYTES 20U /* of a path whose %p is the process's number */

/* Puts the folder of the process at `copy`, and returns its length with a / at its end; 0 where it cannot be had, or
 * has a %, which would be taken for the path's. By a system call of our own: another library's getcwd may be in the
 * place of the C library's, and allocate. */
static size_t put_folder(char *copy) {
  long const bytes = rf_raw_syscall(SYS_getcwd, (const long[6]){(long)copy, PATH_BYTES});
  if (bytes < 2 || copy[0] != '/' || strchr(copy, '%') != NULL) {
    return 0;
  }
  copy[bytes - 1] = '/';
  return bytes == 2 ? 1 : (size_t)bytes;
}

static void keep_path(const char **path, size_t *length, char *copy) {
  if (*path == NULL || *length >= PATH_BYTES) {
    return;
  }
  size_t const folder = (*path)[0] == '/' ? 0 : put_folder(copy);
  size_t const before = folder + *length + MORE_BYTES < PATH_BYTES ? folder : 0;
  memcpy(copy + before, *path, *length);
  *length += before;
  copy[*length] = '\0';
  *path = copy;
}

static void leave_mode_asan(rf_options *o, const rf_sink *out) {
  if (o->mode == RF_MODE_ASAN) {
    rf_sink_str(out, "ringfence: mode asan is for a program's own allocators: AddressSanitizer has its own malloc; "
                     "using mode guard\n");
    o->mode = RF_MODE_GUARD;
  }
}

static void leave_mode_mte(rf_options *o, const rf_sink *out) {
  if (o->mode != RF_MODE_MTE || rf_memory_tags_begin(o->tags_late)) {
    return;
  }
  const char *const why = rf_memory_tags_why_not();
  rf_sink_str(out, "ringfence: mode mte is not available (");
  rf_sink_str(out, why != NULL ? why : "the system refuses to compare tags");
  rf_sink_str(out, "); using mode guard\n");
  o->mode = RF_MODE_GUARD;
}

/* Each program that is started draws anew; a child of fork is as its parent. */
static void draw_mode(rf_options *o) {
  if (o->sample_processes > 1 && (uint32_t)rf_host_secret() % o->sample_processes != 0) {
    o->mode = RF_MODE_OFF;
  }
}

static void set_defaults(rf_options *o) {
  rf_options_default(o);
  o->mode = RF_MODE_GUARD;
  o->stack_depth = DEFAULT_STACK_DEPTH;
  o->quarantine = DEFAULT_QUARANTINE;
  o->watch = secure_getenv(RF_BAZEL_TEST) == NULL ? DEFAULT_WATCH : 0; /* a test is to do the same each time */
}

/* A policy stands between the program's wish and the environment's, which says where it is. */
static void load(rf_options *o, const rf_sink *warnings) {
  (void)rf_options_load_program(o, warnings);
  rf_options const plain = *o;
  (void)rf_options_parse(o, rf_host_environment(), "RINGFENCE_OPTIONS", warnings);
  rf_steering_begin(o, &plain);
}

bool rf_process_read_options(void) {
  static bool done;
  rf_log_lines lines;
  const rf_sink *const warnings = rf_log_lines_init(&lines);
  rf_options *const o = &rf_process.options;
  if (done) {
    return false;
  }
  set_defaults(o);
  if (environ == NULL) {
    return false;
  }
  load(o, warnings);
  leave_mode_asan(o, warnings);
  draw_mode(o);
  leave_mode_mte(o, warnings);
  keep_path(&o->log, &o->log_length, log_path);
  keep_path(&o->trace, &o->trace_length, trace_path);
  keep_path(&o->watch_sites, &o->watch_sites_length, watch_path);
  done = true;
  return true;
}

bool rf_process_has_ended(void) {
  return __atomic_load_n(&rf_process.ended, __ATOMIC_RELAXED);
}

pid_t rf_process_now(void) {
  int const saved = errno;
  pid_t const now = rf_is_forbidden(RF_CALL_GETPID) ? -1 : getpid();
  errno = saved;
  return now > 0 ? now : rf_process.id; /* a sandbox may refuse to tell it */
}

#include "tools/ringfence/cli/hunt.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/string_table.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/cli/command.h"
#include "tools/ringfence/model/merge.h"
#include "tools/ringfence/run/spool.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* How a run is made. */
typedef struct plan {
  const char *name;
  const char *options;
  bool aligned;
} plan;

static const plan guard_plan = {"guard", "mode=guard", true};
static const plan end_plan = {"page, align=exact", "mode=page:align=exact", false};
static const plan aligned_plan = {"page, align=right", "mode=page:align=right", true};
static const plan start_plan = {"page, align=left", "mode=page:align=left", true};

typedef struct hunt {
  rf_check_state *c;
  rf_spool spool;
  const char *passed; /* the user's options */
  unsigned count;     /* runs so far */
  const char *first;  /* folder of the first */
  const char *folder; /* of the last */
  rf_child child;     /* of the first */
  rf_run all;
  uint64_t elapsed_ns;
  rf_string_table seen; /* places of findings */
} hunt;

/* ---- One run ---- */

static const char *make_folder(hunt *h) {
  const char *const folder = rf_bump_arena_print(&h->c->arena, "%s/run-%u", h->c->root, h->count);
  const char *const temporary = rf_bump_arena_print(&h->c->arena, "%s/tmp", folder);
  if (mkdir(folder, S_IRWXU) != 0 || mkdir(temporary, S_IRWXU) != 0) {
    rf_diag("cannot make %s: %s", temporary, strerror(errno));
    return NULL;
  }
  return folder;
}

/* The program finds an empty folder for temporary files each time. */
static int run_in_own_folder(hunt *h) {
  const char *const tmpdir = getenv("TMPDIR");
  const char *const before = tmpdir == NULL ? NULL : rf_bump_arena_copy(&h->c->arena, tmpdir);
  (void)setenv("TMPDIR", rf_bump_arena_print(&h->c->arena, "%s/tmp", h->folder), 1);
  int const status = rf_check_run(h->c);
  (void)(before != NULL ? setenv("TMPDIR", before, 1) : unsetenv("TMPDIR"));
  return status;
}

/* 0, or the status to exit with after a message. */
static int run_once(hunt *h, const plan *p) {
  rf_check_state *const c = h->c;
  int streams[3];
  h->count++;
  h->folder = make_folder(h);
  if (h->folder == NULL || !rf_spool_open(&h->spool, &c->arena, h->folder, streams)) {
    return RF_EXIT_USAGE;
  }
  c->folder = h->folder;
  c->streams = streams;
  c->options.passed = rf_bump_arena_print(&c->arena, "%s%shalt=0:page_time=100:%s", h->passed,
                                          h->passed[0] == '\0' ? "" : ":", p->options);
  int const status = run_in_own_folder(h);
  if (status == 0 && h->count == 1) {
    rf_spool_emit(&h->spool, &c->arena, h->folder, streams);
  }
  rf_spool_close(streams);
  c->streams = NULL;
  h->elapsed_ns += c->child.elapsed_ns;
  return status;
}

/* ---- Results ---- */

static bool is_new(hunt *h, const rf_record *record) {
  rf_bump_arena *const arena = &h->c->arena;
  size_t const known = h->seen.count;
  return rf_string_table_index(&h->seen, arena, rf_merge_key(arena, record)) == known;
}

/* Says of the last run's findings which run made them. */
static void name_run(hunt *h, const plan *p) {
  const char *const name = rf_bump_arena_print(&h->c->arena, "%u: %s", h->count, p->name);
  for (size_t i = 0; i < h->c->run.record_count; i++) {
    h->c->run.records[i]->run = name;
    h->c->run.records[i]->run_number = h->count;
  }
}

/* Adds the last run's findings; returns how many were new. */
static size_t keep_findings(hunt *h, const plan *p) {
  rf_check_state *const c = h->c;
  rf_run const last = c->run;
  size_t count = 0;
  name_run(h, p);
  for (size_t i = 0; i < last.record_count; i++) {
    count += is_new(h, last.records[i]);
    if (h->count != 1) {
      rf_run_add_record(&h->all, &c->arena, last.records[i]);
    }
  }
  if (h->count == 1) {
    h->all = last;
    return count;
  }
  for (size_t i = 0; i < last.process_count; i++) {
    rf_process process = last.processes[i];
    process.findings = 0; /* which the first run counted */
    RF_APPENDED(&c->arena, h->all.processes, h->all.process_count) = process;
  }
  h->all.damaged += last.damaged;
  h->all.lost += last.lost;
  return count;
}

static const char *end_text(rf_bump_arena *arena, int wait_status) {
  return WIFSIGNALED(wait_status) ? rf_bump_arena_print(arena, "signal %d", WTERMSIG(wait_status))
                                  : rf_bump_arena_print(arena, "exit status %d", WEXITSTATUS(wait_status));
}

/* True where a run that counts found the same. */
static bool is_known(hunt *h, const rf_record *record) {
  const char *const key = rf_merge_key(&h->c->arena, record);
  for (size_t i = 0; i < h->all.record_count; i++) {
    if (strcmp(key, rf_merge_key(&h->c->arena, h->all.records[i])) == 0) {
      return true;
    }
  }
  return false;
}

/* Adds those findings of a run that does not count which tell more of a bug that the first run has, too: where it
 * happens. Returns how many. */
static size_t keep_confirmed(hunt *h, const plan *p) {
  rf_run const *const last = &h->c->run;
  size_t count = 0;
  name_run(h, p);
  for (size_t i = 0; i < last->record_count; i++) {
    if (last->records[i]->finding.at_access && is_known(h, last->records[i])) {
      rf_run_add_record(&h->all, &h->c->arena, last->records[i]);
      count++;
    }
  }
  return count;
}

/* A crash that the first run does not have. */
static const rf_record *new_crash(hunt *h) {
  for (size_t i = 0; i < h->c->run.record_count; i++) {
    const rf_record *const record = h->c->run.records[i];
    if (rf_bug_is_crash(record->finding.bug) && !is_known(h, record)) {
      return record;
    }
  }
  return NULL;
}

/* How the last run did something else than the first; NULL where it did the same. */
static const char *difference(hunt *h) {
  rf_bump_arena *const arena = &h->c->arena;
  if (new_crash(h) != NULL) {
    return "it crashed elsewhere than on a closed page";
  }
  if (h->c->child.wait_status != h->child.wait_status) {
    return rf_bump_arena_print(arena, "%s instead of %s", end_text(arena, h->c->child.wait_status),
                               end_text(arena, h->child.wait_status));
  }
  return rf_spool_difference(&h->spool, arena, h->first, h->folder);
}

/* ---- The runs ---- */

/* A bug can make a run differ as well, where a read beyond a block is what is put out: its reader is to judge. What the
 * first run found too is beyond doubt. */
static void say_what_counts(hunt *h, const plan *p) {
  size_t const kept = keep_confirmed(h, p);
  if (kept != 0) {
    rf_diag("kept, since run 1 found the same: %s", rf_counted(&h->c->arena, kept, "finding"));
  }
  if (h->c->run.record_count != kept && new_crash(h) == NULL) {
    rf_diag("its findings may be true all the same: see them by ringfence check --mode page --option align=exact");
  }
}

/* Adds to *count how many findings were new. 0, or the status to exit with after a message. */
static int hunt_once(hunt *h, const plan *p, size_t *count) {
  int const status = run_once(h, p);
  const char *const how = status == 0 ? difference(h) : NULL;
  if (status != 0) {
    return status;
  }
  if (how != NULL && !p->aligned) {
    rf_diag("run %u (%s) is not counted, with %s, and repeated with malloc's alignment: %s", h->count, p->name,
            rf_counted(&h->c->arena, h->c->run.record_count, "finding"), how);
    say_what_counts(h, p);
    return hunt_once(h, &aligned_plan, count);
  }
  if (how != NULL) {
    rf_diag("run %u (%s): %s", h->count, p->name, how);
  }
  *count += keep_findings(h, p);
  return 0;
}

/* A user who stops the program wants the hunt to stop. */
static bool goes_on(const hunt *h) {
  int const status = h->c->child.wait_status;
  int const signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  return h->all.process_count != 0 && signal != SIGINT && signal != SIGQUIT && signal != SIGTERM && signal != SIGHUP;
}

static int hunt_on_pages(hunt *h) {
  size_t fresh = 0;
  int status = hunt_once(h, &end_plan, &fresh);
  if (status == 0 && goes_on(h) && h->count < h->c->options.hunt) {
    status = hunt_once(h, &start_plan, &fresh);
  } else if (status == 0 && goes_on(h)) {
    rf_diag("--hunt=%u leaves no run with blocks at the beginning of their pages", h->c->options.hunt);
  }
  for (unsigned seed = 1; status == 0 && fresh != 0 && goes_on(h) && h->count < h->c->options.hunt; seed++) {
    plan const lot = {rf_bump_arena_print(&h->c->arena, "page, page_seed=%u", seed),
                      rf_bump_arena_print(&h->c->arena, "mode=page:align=both:page_seed=%u", seed), true};
    fresh = 0;
    status = hunt_once(h, &lot, &fresh);
  }
  return status;
}

int rf_hunt(rf_check_state *c) {
  hunt h = {.c = c, .passed = c->options.passed};
  if (!rf_spool_begin(&h.spool, &c->arena, c->root)) {
    return RF_EXIT_USAGE;
  }
  int status = run_once(&h, &guard_plan);
  if (status != 0) {
    return status;
  }
  h.first = h.folder;
  h.child = c->child;
  (void)keep_findings(&h, &guard_plan);
  if (goes_on(&h)) {
    status = hunt_on_pages(&h);
  }
  c->run = h.all;
  c->run.mode = rf_bump_arena_print(&c->arena, "hunt (%s)", rf_counted(&c->arena, h.count, "run"));
  c->child = h.child;
  c->child.elapsed_ns = h.elapsed_ns;
  return status;
}

/* The process: what it was told to do, its beginning, its forks and its end. */
#ifndef RINGFENCE_DROPIN_LIFECYCLE_H
#define RINGFENCE_DROPIN_LIFECYCLE_H

#include "checkers/dropin/inspect/leak_check.h"
#include "checkers/dropin/runtime/arena.h"

#include <ringfence/reporter.h>
#include <ringfence/snapshot.h>
#include <sys/types.h>

typedef struct rf_process_state {
  bool ready;           /* may allocate; set last */
  bool checked;         /* arenas are under guard (modes guard and page); false: the bare heap (off and sample) */
  bool report_rejected; /* requests that cannot be served are findings */
  rf_options options;
  rf_log_reporter log;
  rf_guard_options guard_options;
  rf_stack_depot depot;
  uint64_t start_ns;
  pid_t id;    /* whose memory this is: a child of vfork shares it */
  bool forked; /* a child of fork that did not exec */
} rf_process_state;

extern rf_process_state rf_process __attribute__((visibility("hidden")));

/* Makes allocating possible: once, by whoever comes first. */
void rf_process_init(void);

/* Puts the guard over the heap of a new arena. */
void rf_process_guard_init(rf_arena *arena);

/* Puts a line of the process's own where findings go; nothing where the file cannot be opened (any more), for the program's
 * standard error is its own. The file is opened and closed each time: a descriptor that stays open can be closed by the
 * program. Under the command one is kept all the same, for programs that can no longer open the file. */
void rf_process_tell(const char *text, size_t size);

/* Adds a path of an option to *path, with the process's id for %p, as the reporter does. False where it does not fit. */
bool rf_process_path(const char *text, size_t length, rf_sink_buffer *path);

/* Puts a snapshot, or the difference of two, where findings go; false where it must be tried again later. */
bool rf_process_snapshot(const rf_snapshot *snapshot, const rf_snapshot *before);

/* The program was left, by exit or by return from main: the stack of this thread is in use from `sp` up. */
void rf_process_leaving(uintptr_t sp);

typedef enum rf_process_ending {
  RF_ENDING_EXIT,   /* exit, or return from main: all is checked, leaks as well */
  RF_ENDING_ABRUPT, /* _exit or quick_exit: all but leaks */
  RF_ENDING_EXEC,   /* another program takes over */
  RF_ENDING_SIGNAL  /* a fatal signal: blocks are checked, whatever state they are in */
} rf_process_ending;

/* Does what is to be done when the process ends, once. Returns the status to end with: `status` unless something was
 * found. */
int rf_process_end(rf_process_ending ending, int status);

/* True once that has begun. Any thread. */
bool rf_process_has_ended(void);

/* It did not end after all: exec failed. */
void rf_process_resume(void);

/* The beginning, before the program runs. */
void rf_process_begin(void);

#endif /* RINGFENCE_DROPIN_LIFECYCLE_H */

/* The state of the process: its options, and facts that are fixed at its beginning or at a fork. */
#ifndef RINGFENCE_DROPIN_STATE_H
#define RINGFENCE_DROPIN_STATE_H

#include "lib/core/compiler.h"

#include <ringfence/guard.h>
#include <ringfence/options.h>
#include <ringfence/reporter.h>
#include <sys/types.h>

typedef struct rf_process_state {
  bool ready;           /* may allocate; set last */
  bool checked;         /* blocks have guards (modes guard and page); false: none (off and sample) */
  bool report_rejected; /* requests that cannot be served are findings */
  bool library;         /* preloaded, and not linked into the program */
  bool forked;          /* a child of fork that did not exec */
  bool hands_all_on;    /* it has no block, and tells nobody of its end: a fork and a child's end are the program's */
  bool ended;           /* the end has begun; accessed atomically, as are the next three */
  bool ending;          /* findings no longer end the process at once */
  uint32_t ends;        /* when and how the end began, while a thread is at it; 0: none is */
  uint64_t findings RF_ATOMIC_64; /* reported so far */
  uintptr_t entry_start; /* our functions between the C library and main: [entry_start, entry_end), 0 where not known */
  uintptr_t entry_end;
  void (*halting)(void); /* called before a finding ends the process; NULL: nothing to do */
  rf_options options;
  rf_log_reporter log;
  rf_guard_options guard_options;
  rf_stack_depot depot;
  bool lacks_depot; /* the system had no memory for it */
  uint64_t start_ns;
  pid_t id; /* the process that owns this memory: a child of vfork shares it */
} rf_process_state;

extern rf_process_state rf_process __attribute__((visibility("hidden")));

/* Takes the return addresses in our own functions between the C library and main out of a stack, none of which is
 * shown. Returns how many are left. */
static inline unsigned rf_process_without_entry(uintptr_t *frames, unsigned depth) {
  unsigned kept = 0;
  for (unsigned i = 0; i < depth; i++) {
    uintptr_t const pc = frames[i];
    if (pc <= rf_process.entry_start || pc > rf_process.entry_end) {
      frames[kept++] = pc;
    }
  }
  return kept;
}

/* Reads the options, unless that was done. False where they were read before, or where the environment is not there yet
 * (an allocation before the C library's own start): the defaults hold until the next call. */
bool rf_process_read_options(void);

/* The calling process: another one than `id` in a child of vfork. Where a sandbox forbids to ask, or refuses to
 * tell, it is taken for `id`. Keeps errno. Any thread, signal handlers. */
pid_t rf_process_now(void);

/* True once the end of the process has begun. Any thread. */
bool rf_process_has_ended(void);

#endif /* RINGFENCE_DROPIN_STATE_H */

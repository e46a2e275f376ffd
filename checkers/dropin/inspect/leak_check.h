/* Leaks of the whole process: blocks that nothing points to any more (reachability.h says how that is found), merged by
 * where they were allocated, and reported.
 *
 * The policy decides which leaks are findings. Programs and libraries of a system leave a little behind on purpose when
 * they end, and a stripped program's line cannot be named; so by default (RF_LEAKS_LOST) a leak is reported where the
 * code that made it is the user's and can be named, and else only counted. RF_LEAKS_ALL reports all leaks,
 * RF_LEAKS_REACHABLE also what is live at the end though something points to it.
 */
#ifndef RINGFENCE_DROPIN_LEAK_CHECK_H
#define RINGFENCE_DROPIN_LEAK_CHECK_H

#include <ringfence/finding.h>
#include <ringfence/options.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rf_leak_summary {
  bool checked;    /* false: it could not be done, `why` says what was in the way */
  const char *why; /* a static phrase, or NULL */
  size_t findings; /* reported */
  size_t blocks;   /* leaked, reported or not */
  size_t bytes;
  size_t unlisted_blocks; /* of these, not reported: their code is the system's or has no names */
  size_t unlisted_bytes;
  size_t called_blocks; /* of the unlisted, lost in libraries of the system that named code of the user called */
} rf_leak_summary;

/* Looks for leaks and reports them to `reporter`. The calling thread's stack is in use from `sp` up. Stops the other
 * threads for the time of the search. Not from a signal handler. */
void rf_leak_check(rf_leaks policy, uintptr_t sp, rf_reporter *reporter, rf_leak_summary *out);

#endif /* RINGFENCE_DROPIN_LEAK_CHECK_H */

/* rf_checked_handles: rf_checked for heaps of handles: one call that wraps one as the build, the program and the
 * environment say.
 *
 *     rf_handle_heap heap;
 *     rf_checked_handles checked;
 *     rf_handle_heap_init(&heap, arena, sizeof arena, NULL);
 *     rf_handles *h = rf_checked_handles_init(&checked, &heap.base, NULL);
 *
 * With modes off and sample the answer is the heap itself, which refuses bad handles anyhow. In every other mode it is
 * a handle guard: handles are checked by software at each call. Built with AddressSanitizer, accesses to freed and left
 * places stop at the instruction as well.
 */
#ifndef RINGFENCE_CHECKED_HANDLES_H
#define RINGFENCE_CHECKED_HANDLES_H

#include <ringfence/checked.h>
#include <ringfence/handle_guard.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_checked_handles {
  rf_mode mode;
  rf_handle_guard guard;
  rf_log_reporter log; /* where options were given without a reporter */
} rf_checked_handles;

/* Wraps `inner`, fresh, which must outlive *checked. `options` NULL takes the options of the process, as
 * rf_checked_init does. Returns the heap to use: `inner` itself in modes off and sample, and where an argument but
 * `options` is NULL. The caller owns *checked. Not synchronised. */
rf_handles *rf_checked_handles_init(rf_checked_handles *checked, rf_handles *inner, const rf_checked_options *options);

/* Ends the checking, not the heap below: sweeps and reports leaks as the options say. Blocks that are still live are
 * lost. The log is closed as by rf_checked_deinit. A second call does nothing. */
void rf_checked_handles_deinit(rf_checked_handles *checked);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_CHECKED_HANDLES_H */

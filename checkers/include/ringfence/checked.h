/* rf_checked: one call that wraps an allocator as the build, the program and the environment say.
 *
 *     static unsigned char arena[64 * 1024];
 *     rf_tlsf heap;
 *     rf_checked checked;
 *     rf_tlsf_init(&heap, arena, sizeof arena);
 *     rf_allocator *a = rf_checked_init(&checked, &heap.base, NULL);
 *     char *p = rf_alloc(a, 13);
 *     p[13] = 0;
 *     rf_free(a, p);    heap-buffer-overflow: 1 byte written 0 bytes after a 13-byte block
 *
 * With mode off the answer is the allocator itself, and checking costs nothing.
 */
#ifndef RINGFENCE_CHECKED_H
#define RINGFENCE_CHECKED_H

#include <ringfence/asan.h>
#include <ringfence/guard.h>
#include <ringfence/mte.h>
#include <ringfence/options.h>
#include <ringfence/page.h>
#include <ringfence/reporter.h>
#include <ringfence/sample.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_checked_options {
  rf_options settings;   /* rf_options_default, then what differs */
  rf_reporter *reporter; /* NULL: one as the settings say (halt, exitcode, log, format, max_findings) */
} rf_checked_options;

typedef struct rf_checked {
  rf_mode mode;     /* in force */
  rf_status status; /* RF_OK, or why it is not the one that was asked for */
  union {
    rf_guard guard;
    rf_page page;
    rf_sample sample;
  };
  rf_log_reporter log; /* where options were given without a reporter */
} rf_checked;

/* Wraps `inner`, which must outlive *checked. `options` NULL takes the options of the process: the build's defaults,
 * then __ringfence_default_options, then RINGFENCE_OPTIONS. Returns the allocator to use: `inner` itself in mode off,
 * and where an argument but `options` is NULL. The caller owns *checked. Not synchronised, as rf_guard.
 *
 * Modes page and sample need a system with pages, mode mte a processor with tags of memory. If they cannot be had, or
 * the program's own options are not allowed (a sample_rate of 0), checked->status says why, once per process a line on
 * standard error does, and the mode is guard in place of page and mte, off in place of sample. */
rf_allocator *rf_checked_init(rf_checked *checked, rf_allocator *inner, const rf_checked_options *options);

/* Checks blocks for about `budget_us` microseconds and reports what is damaged; each call goes on where the last one
 * stopped. 0: all of them at once and, but in mode sample, the allocator below. Returns the number of findings. A
 * program calls it when it is idle; it is not synchronised with other calls on the allocator, unless there is an
 * rf_lock around both. */
size_t rf_checked_sweep(rf_checked *checked, uint32_t budget_us);

/* Gives the freed blocks that modes guard, page, asan and mte keep for a while back to the allocator below, after
 * checking them; nothing in other modes. For calls of that allocator that need its memory free, as
 * rf_tlsf_remove_region and rf_memheap_remove. Not synchronised with other calls on the allocator. */
void rf_checked_flush(rf_checked *checked);

/* Ends the checking, not the allocator below: sweeps and reports leaks as the options say. Blocks that are still live
 * are lost. The log of options without a reporter is closed; what the ended allocator still reports is appended to it.
 * A second call does nothing. */
void rf_checked_deinit(rf_checked *checked);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_CHECKED_H */

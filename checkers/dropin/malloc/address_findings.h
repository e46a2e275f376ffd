/* Findings about an address that the program hands to a function, and that is not what the function takes.
 *
 * Any thread, and signal handlers. */
#ifndef RINGFENCE_DROPIN_ADDRESS_FINDINGS_H
#define RINGFENCE_DROPIN_ADDRESS_FINDINGS_H

#include "checkers/shared/origin.h"

#include <stddef.h>

/* Reports that malloc_usable_size was asked of `ptr`, at which no live block starts. Returns 0, the answer. */
size_t rf_report_no_block(const void *ptr, const rf_origin *origin);

/* Reports a write of `size` bytes to `to` that is not done, since the compiler knows that there are only `room`
 * (_FORTIFY_SOURCE), and that the C library is about to abort. A heap-buffer-overflow where it would leave its block, a
 * heap-use-after-free where that was freed. */
void rf_report_stopped_write(const void *to, size_t size, size_t room, const rf_origin *origin);

/* The same where no more is known than that one was stopped (RF_BUG_STOPPED_OVERFLOW), or that an object on the stack
 * was overwritten (RF_BUG_STACK_OVERFLOW). */
void rf_report_stopped(rf_bug bug, const rf_origin *origin);

#endif /* RINGFENCE_DROPIN_ADDRESS_FINDINGS_H */

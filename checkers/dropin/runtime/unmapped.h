/* Large blocks whose memory has gone back to the system: an access to one ends in SIGSEGV, and is to be a finding. The
 * last few are remembered. */
#ifndef RINGFENCE_DROPIN_UNMAPPED_H
#define RINGFENCE_DROPIN_UNMAPPED_H

#include "checkers/dropin/heap/check.h"

/* Before the memory of a freed large block goes back: notes what is known of it. Inside the heap. */
void rf_unmapped_note(const rf_span *span);

/* Reports the access of a thread that was stopped by SIGSEGV at `address`, where such a block was; does nothing where
 * none was. `context`: the ucontext_t of the signal. Async-signal-safe. */
void rf_unmapped_report(const void *address, const void *context);

/* The same where SIGSEGV came of a pointer that has the fill of freed blocks for its bytes, and so was read from one:
 * does nothing where it did not. `info`: the signal's siginfo_t. Async-signal-safe. */
void rf_unmapped_report_fill(const void *info, const void *context);

/* The address of that access where its bytes, but for a member or an index, are all `fill`: then the pointer was read
 * from memory that has it. Else 0. Arguments as above. Async-signal-safe. */
uintptr_t rf_unmapped_pointer_of(unsigned char fill, const void *info, const void *context);

/* Reports the free of such a block, or of a pointer that has the fill for its bytes where the block that it was read
 * from is known: false where `ptr` is neither. Any thread. */
bool rf_unmapped_bad_free(const void *ptr, const rf_origin *origin);

#endif /* RINGFENCE_DROPIN_UNMAPPED_H */

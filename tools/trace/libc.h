/* The C library's malloc as an rf_allocator that adds nothing, for comparison. */
#ifndef RINGFENCE_TOOLS_TRACE_LIBC_H
#define RINGFENCE_TOOLS_TRACE_LIBC_H

#include <ringfence/allocator.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The one there is. Its statistics are empty. */
rf_allocator *libc_allocator(void);

/* Bytes that it has from the system now; 0 where the C library does not tell (musl). */
size_t libc_taken(void);

/* Has it give back to the system what it can spare, where it has a call for that. */
void libc_trim(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_TRACE_LIBC_H */

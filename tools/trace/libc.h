/* The C library's malloc as an rf_allocator that adds nothing, for comparison. */
#ifndef RINGFENCE_TOOLS_TRACE_LIBC_H
#define RINGFENCE_TOOLS_TRACE_LIBC_H

#include <ringfence/allocator.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The one there is. Its statistics are empty. */
rf_allocator *libc_allocator(void);

/* Bytes that it has from the system now; 0 where the C library does not tell (musl). */
size_t libc_taken(void);

/* Whether libc_taken() may be more than when this was last asked of the same *top (0 at first), by a request that got
 * `block`. Costs next to nothing; libc_taken itself looks at each free block. */
bool libc_may_have_grown(const void *block, uintptr_t *top);

/* Takes the free blocks that it has, which would serve further requests unseen by libc_taken, and gives back its spare
 * memory. libc_release frees what this returned. */
void *libc_hold(void);
void libc_release(void *held);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_TRACE_LIBC_H */

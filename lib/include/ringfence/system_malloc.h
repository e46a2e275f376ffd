/* The memory functions of a system over an allocator of ours, so that existing firmware is checked without edits.
 *
 *     rf_system_malloc_init(&guard.base, true);      once, before the first allocation of anyone
 *
 * system_malloc.c defines those of one system, by RF_SYSTEM_MALLOC when it is compiled:
 *
 *     RF_SYSTEM_FREERTOS   pvPortMalloc, pvPortCalloc, vPortFree, xPortGetFreeHeapSize, its minimum and what sets that
 *                          anew, vPortGetHeapStats, vPortDefineHeapRegions: in place of heap_1.c to heap_5.c
 *     RF_SYSTEM_NEWLIB     _malloc_r, _free_r, _realloc_r, _calloc_r, _memalign_r, _malloc_usable_size_r, _mallinfo_r,
 *                          _malloc_stats_r (on the port's log), _mallopt_r and _malloc_trim_r (which do nothing): in
 *                          place of newlib's own (one that is compiled with an allocator to be replaced). Over newlib
 *                          itself malloc, free, calloc, realloc and memalign as well, weak
 *     RF_SYSTEM_WRAP       __wrap_malloc and its kin, for a C library that cannot be replaced:
 *                          -Wl,--wrap=malloc,--wrap=free,--wrap=calloc,--wrap=realloc,--wrap=memalign and the same of
 *                          aligned_alloc, posix_memalign, malloc_usable_size, strdup and strndup
 *
 * A request that gets nothing sets errno to ENOMEM, but for FreeRTOS: there it calls vApplicationMallocFailedHook, in
 * programs that have one, whatever configUSE_MALLOC_FAILED_HOOK is. 0 bytes get nothing of FreeRTOS, as of its heaps.
 *
 * Each call names its caller as call site: `callers` true passes the return address, with its lowest bit set, in place
 * of a site's address. Only guard_small, outermost or in rf_lock, may be given such: it notes sites and does not read
 * them, and `ringfence report --image fw.elf` takes an odd address for code. Others get `callers` false, and no call
 * site.
 *
 * Threads: as the allocator; put rf_lock outside of it, over the port of the system (lib/port/freertos.c, zephyr.c).
 */
#ifndef RINGFENCE_SYSTEM_MALLOC_H
#define RINGFENCE_SYSTEM_MALLOC_H

#include <ringfence/allocator.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RF_SYSTEM_FREERTOS 1
#define RF_SYSTEM_NEWLIB 2
#define RF_SYSTEM_WRAP 3

/* The functions serve from `allocator`, which stays the caller's; before it, and with NULL, requests get NULL. */
void rf_system_malloc_init(rf_allocator *allocator, bool callers);

/* Yours, where firmware of heap_5.c calls vPortDefineHeapRegions: called for each region, in that order. Begin the heap
 * with the first and add the others to it (rf_tlsf_init, rf_tlsf_add_region), or let them be. Without it, regions are
 * not used. */
void rf_system_malloc_region(void *start, size_t size);

/* For functions of yours around malloc and free, whose callers are to be named: `caller` is
 * __builtin_return_address(0) in such a function. 0 bytes are a block. system_new.h has those of C++. */
void *rf_system_malloc_for(const void *caller, size_t size, size_t align);
void rf_system_free_for(const void *caller, void *block);

/* At functions whose caller is named, which would be another one where link-time optimisation inlines them, or gcc has
 * one call another that does the same. That optimisation sees no call from libraries that are linked later, such as
 * the C library: what it does not see is kept. */
#ifdef __clang__
#define RF_SYSTEM_CALL_ __attribute__((noinline, used))
#else
#define RF_SYSTEM_CALL_ __attribute__((noinline, no_icf, used))
#endif

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_SYSTEM_MALLOC_H */

/* Mode asan: guard, and every byte that is not a live payload out of bounds for AddressSanitizer, or for Valgrind.
 *
 *     rf_guard guard;
 *     rf_asan_init(&guard, &heap.base, NULL);
 *     char *p = rf_alloc(&guard.base, 13);
 *     char c = p[13];    AddressSanitizer stops here; heap-buffer-overflow: 1 byte read 0 bytes after a 13-byte block
 *
 * Damage that rf_guard would find afterwards is stopped at the access, and reads are, too: redzones, headers, blocks in
 * quarantine, and of a heap of lib/ also its own headers and its free space. Byte-exact behind a block, since blocks begin at
 * multiples of eight, in which AddressSanitizer counts; before a block exact from the byte before it on. Bad frees are found as rf_guard
 * finds them. Uninstrumented code is not stopped, but what it overwrites is found as rf_guard finds it.
 *
 * AddressSanitizer prints its report, and after it comes ours, by way of its error report callback: the finding has the
 * block and where it was allocated and freed, which AddressSanitizer cannot know of an arena. A program that sets that
 * callback after rf_asan_init has only AddressSanitizer's report.
 *
 * Needs a build with tracking (lib/include/ringfence/track.h): rf_asan_watcher says whether this is one. Time and memory are
 * guard's, and a call of AddressSanitizer's per block.
 */
#ifndef RINGFENCE_ASAN_H
#define RINGFENCE_ASAN_H

#include <ringfence/guard.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The watcher of memory in this build: "AddressSanitizer", "Valgrind", or NULL. */
const char *rf_asan_watcher(void);

/* rf_guard_init with options->watched set, and AddressSanitizer's errors about the blocks of this guard reported. RF_OK;
 * RF_ERR_INVALID as rf_guard_init; RF_ERR_UNSUPPORTED, with nothing done, where nobody watches. */
rf_status rf_asan_init(rf_guard *guard, rf_allocator *inner, const rf_guard_options *options);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_ASAN_H */

/* Mode mte: guard, and the processor compares the tag of each pointer with that of the memory.
 *
 *     rf_guard guard;
 *     rf_mte_init(&guard, &heap.base, NULL);
 *     char *p = rf_alloc(&guard.base, 16);
 *     char c = p[16];    heap-buffer-overflow: 1 byte read 0 bytes after a 16-byte block
 *
 * Algorithm: AArch64's Memory Tagging Extension keeps four bits for each granule of 16 bytes. The payload of a live
 * block has a tag from 1 to 14, and the pointer to it the same; all other memory of the heap has tag 0, headers and
 * guards between blocks above all. Blocks that begin at one address have tags that go round. A block of no bytes has a
 * pointer with tag 15. The inner allocator sees pointers without tags.
 *
 * Finds reads and writes outside blocks and after their free at the instruction, to the granule; within the last one
 * guard finds writes, as ever. free, realloc and resize by a pointer whose tag is an earlier block's are double frees.
 *
 * Complexity: guard's, and one instruction for each two granules of a block at its allocation and its free.
 * Memory: guard's. The pages of the arena, or of the block where the inner allocator has no `owns`, are given tags by
 * mprotect when the first block there is allocated; where that cannot be, as in files, and where the inner allocator's
 * own pointers have tags, blocks are guard's alone.
 * Threads: as rf_guard. Each thread that calls is checked from then on, and each that it begins.
 * Limits: while it is in use the inner allocator is called through it alone. A guard that is not ended leaves tags in
 * its arena, which then must not be used by pointers without. rf_guard_sweep and its like read guard bytes in the last
 * granule of a block: call rf_mte_sweep in their place.
 */
#ifndef RINGFENCE_MTE_H
#define RINGFENCE_MTE_H

#include <ringfence/guard.h>

#ifdef __cplusplus
extern "C" {
#endif

/* rf_guard_init, tags, and faults of tags reported. RF_OK; RF_ERR_INVALID as rf_guard_init; RF_ERR_UNSUPPORTED, with
 * nothing done, where rf_mte_why_not has an answer. Handlers of SIGSEGV that the program installs later do not see
 * these findings: call rf_mte_watch after that. */
rf_status rf_mte_init(rf_guard *guard, rf_allocator *inner, const rf_guard_options *options);

/* NULL where the mode can be had, else why not: no such processor or system, or the drop-in has tags of its own. */
const char *rf_mte_why_not(void);

/* Has faults told here again, after the program installed a handler of SIGSEGV, which then gets what is not ours. */
void rf_mte_watch(void);

/* rf_guard_sweep for a guard of rf_mte_init; `budget_ns` other than 0: rf_guard_sweep_step. Returns the number of
 * findings. */
size_t rf_mte_sweep(rf_guard *guard, uint64_t budget_ns);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_MTE_H */

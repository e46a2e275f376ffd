/* AWTK's memory management over Ringfence: code that was written for it compiles unchanged, and can be checked on a
 * host.
 *
 *     static uint8_t memory[64 * 1024];
 *     tk_mem_init(memory, sizeof(memory));
 *     tk_mem_init_stage2();
 *     char *p = TKMEM_ALLOC(13);
 *     TKMEM_FREE(p);
 *
 * Include this, or add //lib/compat:awtk_paths to a target and include what AWTK code includes ("tkc/mem.h",
 * "tkc/mem_allocator_pool.h", …). Names, arguments and return values are AWTK's; the work is done by lib/.
 *
 * Better than the original: sizes near the wrap give NULL; a foreign, interior or repeated free is refused and
 * reported; blocks grow and shrink in place; a buffer is used whatever its alignment; a full class of the pool spills
 * to the next; debug keeps every block, however many there are; the oom callback runs with no lock held, and may
 * refuse.
 */
#ifndef RINGFENCE_AWTK_H
#define RINGFENCE_AWTK_H

#include <ringfence/awtk/tkc/mem.h>
#include <ringfence/awtk/tkc/mem_allocator.h>
#include <ringfence/awtk/tkc/mem_allocator_composite.h>
#include <ringfence/awtk/tkc/mem_allocator_debug.h>
#include <ringfence/awtk/tkc/mem_allocator_fixed_block.h>
#include <ringfence/awtk/tkc/mem_allocator_lock.h>
#include <ringfence/awtk/tkc/mem_allocator_oom.h>
#include <ringfence/awtk/tkc/mem_allocator_pool.h>
#include <ringfence/awtk/tkc/mem_allocator_simple.h>
#include <ringfence/awtk/tkc/mem_allocator_std.h>
#include <ringfence/awtk/tkc/mem_pool.h>
#include <ringfence/awtk/tkc/types_def.h>

#endif /* RINGFENCE_AWTK_H */

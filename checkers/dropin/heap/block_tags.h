/* Tags of the heap's blocks (checkers/os/memory_tags.h), in mode mte.
 *
 *     live:    | front: 0 | gap: 0 | payload: tag, to the granule | guard: 0 | next slot
 *     freed:   | front: 0 | the whole slot: the next block's tag              | next slot
 *     mapping: | front: 15 | payload: 0                           | guard: 15 |
 *
 * A slot's tags go round among the seven that are odd, or even, as the slot's number is even or odd: next to it there
 * is never the same, and a pointer of one of the last six owners differs from what is there. The memory itself says
 * which comes next. A block with a mapping of its own has tag 0, so that pages nobody touched stay so. A block of no
 * bytes has pointers with tag 15.
 *
 * By the thread that has the slot, with checks paused, where tags are on.
 */
#ifndef RINGFENCE_DROPIN_BLOCK_TAGS_H
#define RINGFENCE_DROPIN_BLOCK_TAGS_H

#include "check.h"
#include "tag_choice.h"

#include "checkers/os/memory_tags.h"

/* ---- Blocks ---- */

/* The tag of the pointer to a live block. */
unsigned rf_block_tag_of(const rf_view *view);

/* A block that is about to be given out, or has another size: sets the tags. Returns its pointer. */
void *rf_block_tag_give(const rf_view *view);

/* The same with what rf_block_tag_hold returned, where the block stayed. */
void *rf_block_tag_set(const rf_view *view, unsigned tag);

/* A live block that is about to be freed. */
void rf_block_tag_take(const rf_view *view);

/* One that is about to get another size, and may be freed thereby. Returns the tag for its memory where it stays. */
unsigned rf_block_tag_hold(const rf_view *view);

/* ---- Faults ---- */

/* The detail of findings about a pointer of an earlier block. */
extern const char rf_block_tag_reused[] __attribute__((visibility("hidden")));

/* Explains a fault at `address` by a pointer with `tag`: the block that it is about, and the kind of bug. False where
 * no block fits. Not under any lock: others may change what is looked at. */
bool rf_block_tag_explain(uintptr_t address, unsigned tag, rf_view *view, rf_bug *bug, const char **detail);

#endif /* RINGFENCE_DROPIN_BLOCK_TAGS_H */

/* Mode mte: what comes from the heap gets a tag, and what goes to it loses its own, which must be the block's.
 *
 * Between rf_tag_pause and rf_tag_resume (checkers/dropin/runtime/tag_pause.h). Pointers to memory that is not the
 * heap's pass as they are.
 */
#ifndef RINGFENCE_DROPIN_TAGGED_BLOCKS_H
#define RINGFENCE_DROPIN_TAGGED_BLOCKS_H

#include "checkers/dropin/heap/block_tags.h"

/* A new block, or NULL. Returns its pointer. */
void *rf_tagged_block_give(void *block);

/* *ptr is about to be freed: takes off its tag. False, and it is reported, where the memory is another block's now. */
bool rf_tagged_block_take(void **ptr, const rf_origin *origin);

/* A block that is about to get another size, and may move. */
typedef struct rf_tagged_block {
  void *block; /* NULL: it has no tag, or it is none */
  unsigned tag;
} rf_tagged_block;

/* The same, and keeps in *held what is to be known later. */
bool rf_tagged_block_hold(void **ptr, rf_tagged_block *held, const rf_origin *origin);

/* `block`: what the heap made of it; NULL: it is as it was. Returns the pointer. */
void *rf_tagged_block_settle(const rf_tagged_block *held, void *block);

/* True where `ptr` has the tag of a live block that begins there, or points into no memory of the heap's. */
bool rf_tagged_block_is_known(const void *ptr);

#endif /* RINGFENCE_DROPIN_TAGGED_BLOCKS_H */

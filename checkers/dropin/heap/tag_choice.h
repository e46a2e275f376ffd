/* The choice of tags for blocks, and what a fault means: numbers alone. Internal to the heap; block_tags.h says how it
 * comes together. */
#ifndef RINGFENCE_DROPIN_TAG_CHOICE_H
#define RINGFENCE_DROPIN_TAG_CHOICE_H

#include <stdbool.h>
#include <stddef.h>

#define RF_BLOCK_TAGS 14U   /* 1 to 14 go round, seven for each slot */
#define RF_BLOCK_TAG_NONE 0 /* of guards; of pointers: not known */
#define RF_BLOCK_TAG_SHUT 15U

/* ---- The choice ---- */

static inline unsigned rf_block_tag_first(size_t number) {
  return 1 + (unsigned)(number % RF_BLOCK_TAGS);
}

static inline unsigned rf_block_tag_next(unsigned tag) {
  return (tag + 1) % RF_BLOCK_TAGS + 1;
}

static inline unsigned rf_block_tag_before(unsigned tag) {
  return (tag + RF_BLOCK_TAGS - 3) % RF_BLOCK_TAGS + 1;
}

/* The tag for slot number `number`, whose memory has `found`. */
static inline unsigned rf_block_tag_choose(size_t number, unsigned found) {
  bool const own = found != RF_BLOCK_TAG_NONE && found != RF_BLOCK_TAG_SHUT && (found - 1) % 2 == number % 2;
  return own ? found : rf_block_tag_first(number);
}

/* ---- Faults ---- */

/* The slot at the address of a fault, and its relation to the pointer. */
typedef struct rf_tag_scene {
  unsigned pointer; /* the pointer's tag; RF_BLOCK_TAG_NONE: not known */
  unsigned memory;  /* of the slot's live block, or of the freed slot */
  bool freed;
  ptrdiff_t offset; /* from the slot's payload */
  size_t size;      /* of the payload */
} rf_tag_scene;

typedef enum rf_tag_verdict {
  RF_TAG_AFTER_FREE,  /* of the freed block there */
  RF_TAG_AFTER_REUSE, /* of one that was there before the block of which the slot tells */
  RF_TAG_OVERFLOW,    /* of the live block there */
  RF_TAG_UNDERFLOW,
  RF_TAG_ANOTHER /* of a block near, if there is one with the pointer's tag, or of an older one there */
} rf_tag_verdict;

static inline rf_tag_verdict rf_tag_judge(const rf_tag_scene *s) {
  bool const known = s->pointer != RF_BLOCK_TAG_NONE;
  bool const inside = s->offset >= 0 && (size_t)s->offset < s->size;
  rf_tag_verdict const stale = s->freed ? RF_TAG_AFTER_FREE : RF_TAG_AFTER_REUSE;
  if (known && s->pointer == rf_block_tag_before(s->memory)) {
    return stale;
  }
  if (!s->freed && (s->pointer == s->memory || !known) && !inside) {
    return s->offset < 0 ? RF_TAG_UNDERFLOW : RF_TAG_OVERFLOW;
  }
  return known ? RF_TAG_ANOTHER : stale;
}

#endif /* RINGFENCE_DROPIN_TAG_CHOICE_H */

/* block_list: the record of one stretch of memory that is divided into a list of blocks. rf_smallmem has one, each
 * region of rf_memheap has one. A user only provides its storage. */
#ifndef RINGFENCE_BLOCK_LIST_H
#define RINGFENCE_BLOCK_LIST_H

#include <ringfence/site.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes the word that a block carries for whoever asked for it. */
typedef uintptr_t (*rf_owner_fn)(const rf_site *site);

/* The owner that is the call site: a walk then gives it with the block. */
uintptr_t rf_site_owner(const rf_site *site);

/* The caller's storage, its fields the heap's own. */
typedef struct rf_block_list {
  unsigned char *start; /* the first header */
  size_t limit;         /* offset of the end; 0: ended */
  size_t header;        /* bytes of a header */
  size_t least;         /* bytes of the smallest block: its header, and the heap's own data in a free payload */
  rf_owner_fn owner_of; /* NULL: blocks have no owners */
  size_t checksum;      /* of all of the above */
  size_t free;          /* offset at which the heap's search for a free block begins */
} rf_block_list;

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_BLOCK_LIST_H */

/* bump: an arena whose pieces are freed all at once, back to a mark. Not an rf_allocator, and not checked by any mode.
 *
 *     static unsigned char memory[4096];
 *     rf_bump bump;
 *     rf_bump_init(&bump, memory, sizeof memory, NULL);
 *     rf_bump_mark const before = rf_bump_get_mark(&bump);
 *     char *line = rf_bump_alloc(&bump, 80, 1);
 *     rf_bump_reset(&bump, before);
 *
 * Algorithm: a pointer moves up through the memory. When the memory is used up, an optional source adds chunks, each
 * with a small header; reset gives the chunks behind the mark back to it.
 * Complexity: alloc O(1) and one call of the source at most; get_mark O(1); reset O(chunks).
 * Overhead: padding for alignment. A chunk has a header of four words; what is left of the chunk before it stays
 * unused.
 * Alignment: any power of two.
 * Threads: none by itself. Interrupts: as the caller synchronises them.
 * Returns NULL iff the alignment is no power of two, or neither the memory nor the source has room.
 */
#ifndef RINGFENCE_BUMP_H
#define RINGFENCE_BUMP_H

#include <ringfence/layout.h>
#include <ringfence/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Memory for chunks. `shrink` may be NULL: the chunks are then the caller's to find and to free. */
typedef struct rf_bump_source {
  void *(*grow)(void *context, size_t *size); /* at least *size bytes, *size set to how many; NULL: none */
  void (*shrink)(void *context, void *memory, size_t size);
  void *context;
} rf_bump_source;

struct rf_bump_chunk;

/* The caller's storage, its fields the arena's own. */
typedef struct rf_bump {
  unsigned char *next; /* the first free byte */
  unsigned char *end;
  struct rf_bump_chunk *chunk; /* the last one; NULL: the memory of init */
  unsigned char *start;        /* the memory of init */
  const rf_bump_source *source;
} rf_bump;

/* A position in an arena: valid until the arena is reset to an earlier one. */
typedef struct rf_bump_mark {
  struct rf_bump_chunk *chunk;
  unsigned char *next;
} rf_bump_mark;

/* Makes an arena of the `size` bytes at `memory`, which are the caller's; NULL and 0 where all memory is to come from
 * `source`. `source` may be NULL; else it must live as long as the arena. RF_OK; RF_ERR_INVALID, with `bump` as it was,
 * for a NULL `bump`, NULL memory of more than 0 bytes, or memory that wraps. */
rf_status rf_bump_init(rf_bump *bump, void *memory, size_t size, const rf_bump_source *source);

/* `size` bytes at a multiple of `align`, contents indeterminate; 0 bytes count as 1. */
void *rf_bump_alloc(rf_bump *bump, size_t size, size_t align);

/* The start of the next allocation, for rf_bump_reset. */
rf_bump_mark rf_bump_get_mark(const rf_bump *bump);

/* Frees all that was allocated since `mark` was got. RF_OK; RF_ERR_INVALID, with nothing changed, for a mark that is
 * not, or no longer, a position in the arena. */
rf_status rf_bump_reset(rf_bump *bump, rf_bump_mark mark);

/* Frees everything. The arena can be used again. */
void rf_bump_clear(rf_bump *bump);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_BUMP_H */

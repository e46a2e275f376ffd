/* A bump arena: memory of one run of the command, taken piece by piece and freed at once.
 *
 * Algorithm: chunks of 64 KiB, or of the size of a larger piece, taken from malloc; a piece is the next bytes of the
 * newest.
 * Complexity: O(1), and zeroing. Alignment: that of max_align_t. Threads: one at a time.
 * Returns NULL iff: never. If the system has no memory the process says so and exits with RF_EXIT_USAGE.
 */
#ifndef RINGFENCE_TOOLS_BASE_ARENA_H
#define RINGFENCE_TOOLS_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_bump_arena_chunk rf_bump_arena_chunk;

/* Starts as {NULL}. */
typedef struct rf_bump_arena {
  rf_bump_arena_chunk *chunks;
} rf_bump_arena;

/* `size` zeroed bytes, aligned for any type, that live until rf_bump_arena_free. */
void *rf_bump_arena_alloc(rf_bump_arena *arena, size_t size);

/* `count` * `size` zeroed bytes; a product that wraps counts as no memory. */
void *rf_bump_arena_array(rf_bump_arena *arena, size_t count, size_t size);

/* Makes an array of `count` elements of `size` bytes ready for one more: returns it, or a larger copy when `count` has
 * reached a power of two. Starts with (NULL, 0). */
void *rf_bump_arena_grow(rf_bump_arena *arena, void *array, size_t count, size_t size);

/* A new last element of `array`, which has `count` elements and is replaced where it is full; both are lvalues. */
#define RF_APPENDED(arena, array, count)                                                                               \
  (*((array) = (__typeof__(array))rf_bump_arena_grow((arena), (void *)(array), (count), sizeof *(array)),              \
     &(array)[(count)++]))

/* A copy of the first `len` bytes of `text`, with a NUL behind. */
char *rf_bump_arena_text(rf_bump_arena *arena, const char *text, size_t len);

/* A copy of all of it. */
char *rf_bump_arena_copy(rf_bump_arena *arena, const char *text);

/* As printf, into a new string. */
char *rf_bump_arena_print(rf_bump_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3), nonnull(2)));
char *rf_bump_arena_vprint(rf_bump_arena *arena, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0), nonnull(2)));

/* A state of an arena, to go back to. */
typedef struct rf_bump_arena_mark {
  rf_bump_arena_chunk *chunk;
  size_t used;
} rf_bump_arena_mark;

/* The present state; reset frees all pieces that were taken after it. */
rf_bump_arena_mark rf_bump_arena_mark_of(const rf_bump_arena *arena);
void rf_bump_arena_reset(rf_bump_arena *arena, rf_bump_arena_mark mark);

/* Frees all pieces; the arena is then empty and can be used again. */
void rf_bump_arena_free(rf_bump_arena *arena);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_BASE_ARENA_H */

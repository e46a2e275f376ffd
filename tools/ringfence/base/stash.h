/* Memory of one run of the command: taken piece by piece, given back all at once.
 *
 * Nothing here fails: where the system has no memory the process says so and exits with RF_EXIT_USAGE.
 */
#ifndef RINGFENCE_TOOL_STASH_H
#define RINGFENCE_TOOL_STASH_H

#include <stdarg.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_stash_chunk rf_stash_chunk;

/* Starts as {NULL}. Not for use by several threads at once. */
typedef struct rf_stash {
  rf_stash_chunk *chunks;
} rf_stash;

/* `size` zeroed bytes, aligned for any type, that live until rf_stash_free. */
void *rf_stash_alloc(rf_stash *stash, size_t size);

/* `count` * `size` zeroed bytes; a product that wraps counts as no memory. */
void *rf_stash_array(rf_stash *stash, size_t count, size_t size);

/* Makes an array of `count` elements of `size` bytes ready for one more: returns it, or a larger copy when `count` has
 * reached a power of two. Starts with (NULL, 0). */
void *rf_stash_grow(rf_stash *stash, void *array, size_t count, size_t size);

/* A copy of the first `len` bytes of `text`, with a NUL behind. */
char *rf_stash_text(rf_stash *stash, const char *text, size_t len);

/* What printf would print, as a new string. */
char *rf_stash_print(rf_stash *stash, const char *format, ...) __attribute__((format(printf, 2, 3), nonnull(2)));
char *rf_stash_vprint(rf_stash *stash, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0), nonnull(2)));

/* Gives all of it back; the stash is then empty and can be used again. */
void rf_stash_free(rf_stash *stash);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOL_STASH_H */

/* "Did you mean …?": the name nearest to one that is not known. */
#ifndef RINGFENCE_TOOLS_BASE_SUGGEST_H
#define RINGFENCE_TOOLS_BASE_SUGGEST_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How many letters to insert, delete, replace or swap with their neighbour to make `a` into `b`. Names longer than 63
 * letters are compared by their first 63. */
unsigned rf_edit_distance(const char *a, const char *b);

/* The one of `count` names that is nearest to `word`; NULL where none is near enough to be what was meant. */
const char *rf_suggest(const char *word, const char *const *names, size_t count);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_BASE_SUGGEST_H */

/* "Did you mean …?": the known name nearest to an unknown one. */
#ifndef RINGFENCE_TOOLS_BASE_SUGGEST_H
#define RINGFENCE_TOOLS_BASE_SUGGEST_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The optimal string alignment distance: letters to insert, delete, replace or swap with a neighbour to turn `a` into
 * `b`. Only the first 63 letters count. */
unsigned rf_edit_distance(const char *a, const char *b);

/* The one of `count` names that is nearest to `word`; NULL where none is within a third of its letters. */
const char *rf_suggest(const char *word, const char *const *names, size_t count);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_BASE_SUGGEST_H */

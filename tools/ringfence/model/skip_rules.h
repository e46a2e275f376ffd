/* The frames that say nothing about a bug: of the C and C++ libraries, of allocators and their wrappers, of the code
 * that starts programs and threads. Identity passes over them.
 *
 * A file of rules has one on each line, `function:PATTERN` or `module:PATTERN`, with the patterns of suppressions
 * (docs/reports.md): `*` is any text, `^` and `$` tie to the ends. Functions are compared in their normalised form,
 * modules by their names without the folder. Empty lines and those that begin with # count for nothing.
 */
#ifndef RINGFENCE_TOOLS_MODEL_SKIP_RULES_H
#define RINGFENCE_TOOLS_MODEL_SKIP_RULES_H

#include "tools/ringfence/base/arena.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_skip_rule {
  bool module;
  const char *pattern;
  size_t length;
} rf_skip_rule;

/* Starts as zeros: the built-in rules only, which always hold. */
typedef struct rf_skip_rules {
  rf_skip_rule *list;
  size_t count;
} rf_skip_rules;

/* Adds the rules of `text`, which must outlive them. Returns 0, or the number of the first line that is no rule; the
 * rules before it stay added. */
unsigned rf_skip_rules_parse(rf_skip_rules *rules, rf_bump_arena *arena, const char *text, size_t length);

/* True where the function (normalised, or NULL) or the file name of the module (or NULL) matches a rule. */
bool rf_skip_rules_match(const rf_skip_rules *rules, const char *function, const char *module);

#ifdef __cplusplus
}
#endif

#endif

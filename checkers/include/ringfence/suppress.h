/* Suppressions: findings that are known and not to be reported, by kind and by a name on their stacks. Written as
 * LeakSanitizer's files are:
 *
 *     # comment
 *     leak:libfoo.so
 *     heap-buffer-overflow:^parse_*_header$
 *     *:third_party/
 *
 * Each line is KIND:PATTERN. KIND is a name of rf_bug_name, "leak" for memory-leak, or "*" for every kind. PATTERN is
 * looked for in the names of functions, modules and source files; "*" in it stands for any characters, "^" at its
 * start and "$" at its end bind it to those of the name.
 *
 * Nothing here allocates: rules point into the text they were read from. Matching changes only counters, which are not
 * synchronised: a reporter matches one finding at a time.
 * Complexity: a match compares each rule of the kind with each name, at most pattern * name characters.
 */
#ifndef RINGFENCE_SUPPRESS_H
#define RINGFENCE_SUPPRESS_H

#include <ringfence/finding.h>
#include <ringfence/frames.h>
#include <ringfence/sink.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_suppression {
  const char *pattern; /* in the text; no NUL at its end */
  unsigned length;
  unsigned line; /* in the file, from 1 */
  bool any;      /* every kind */
  rf_bug bug;    /* that kind */
  uint64_t used; /* findings that it hid */
  uint64_t bytes;
} rf_suppression;

typedef struct rf_suppressions {
  rf_suppression *rules; /* the caller's */
  size_t capacity;
  size_t count;
} rf_suppressions;

/* How many rules `text` can hold at most: lines that are neither empty nor comments. */
size_t rf_suppressions_count(const char *text, size_t length);

/* Adds the rules of `text`, which must live as long as they are used. `source` names it in messages, of which there is
 * one line on `warnings` for each line that is no rule, and one where `capacity` is too small. Returns how many lines
 * were wrong. */
unsigned rf_suppressions_parse(rf_suppressions *all, const char *text, size_t length, const char *source,
                               const rf_sink *warnings);

/* True where `pattern` (`length` bytes) is found in `name`, NULL: false. */
bool rf_suppression_matches(const char *pattern, size_t length, const char *name);

/* The first rule for this kind of bug that matches any of the `count` names (NULLs are passed over); NULL where none
 * does. */
rf_suppression *rf_suppressions_find(const rf_suppressions *all, rf_bug bug, const char *const *names, size_t count);

/* The same, asking `symbolizer` (NULL: sites only) about each frame of the finding; of a leak, of its allocation
 * alone. */
rf_suppression *rf_suppressions_match(const rf_suppressions *all, const rf_finding *f, const rf_symbolizer *symbolizer);

/* Writes a rule as it stands in a file: "leak:foo". */
void rf_suppression_write(const rf_suppression *rule, const rf_sink *sink);

/* The list of those used, as LeakSanitizer prints it; nothing where none was. */
void rf_suppressions_report(const rf_suppressions *all, const rf_sink *sink);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_SUPPRESS_H */

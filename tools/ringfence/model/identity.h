/* The identity of a bug: which findings are one. `report` merges by it; baselines, SARIF and suppressions name it; the
 * service groups events by it (docs/service/identity.md). There is no other.
 *
 * Algorithm: each of the finding's three stacks (access, allocation, free) is reduced to its innermost five functions
 * that are the program's own, up to main (skip_rules.h; names as in function_name.h; module and offset where a function
 * has no name), each once however often it stands there, and has a key of its own: a checksum of these. Each program
 * has a main: where all that is left of a stack is the program's own, up to main, that counts with the program's file
 * name. The group key is a checksum of the kind and of the keys that say which bug it is:
 *
 *   damage to a block, leaks       allocation           use after free, double free   allocation + free
 *   wild accesses, wrong calls     access               mismatches                    allocation + access
 *
 * A kind whose stacks are all missing falls back on the access, and that on its allocator's name. Lines, addresses,
 * sizes, folders, modes and machines do not count.
 *
 * Pure: the result depends on the arguments only. Threads: any, each with an arena of its own.
 */
#ifndef RINGFENCE_TOOLS_MODEL_IDENTITY_H
#define RINGFENCE_TOOLS_MODEL_IDENTITY_H

#include "tools/ringfence/model/frame_view.h"
#include "tools/ringfence/model/skip_rules.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rises when equal input may give other keys; keys of two versions are not comparable. */
enum { RF_IDENTITY_VERSION = 3, RF_IDENTITY_FRAMES = 5 };

/* The stacks by which a kind of bug is grouped. */
enum { RF_IDENTITY_ACCESS = 1, RF_IDENTITY_ALLOCATION = 2, RF_IDENTITY_RELEASE = 4 };

/* One stack, normalised. */
typedef struct rf_identity_stack {
  uint64_t key;                           /* 0: the finding has no such stack */
  const char *frames[RF_IDENTITY_FRAMES]; /* innermost first */
  size_t count;
} rf_identity_stack;

typedef struct rf_identity {
  unsigned version; /* 1 to RF_IDENTITY_VERSION */
  rf_bug bug;
  unsigned parts;              /* RF_IDENTITY_…: the stacks that make the group */
  uint64_t group;              /* equal: one bug; never 0 */
  rf_identity_stack stacks[3]; /* by rf_stack_kind: access, allocation, free */
} rf_identity;

/* The identity of `record`, symbolized or not. Its strings live in the arena and in the record. `rules` may be NULL:
 * the built-in ones. */
rf_identity rf_identity_of(rf_bump_arena *arena, const rf_record *record, const rf_skip_rules *rules);

/* The same by the algorithm of each version, [version - 1]: baselines and suppressions may name bugs by an earlier one.
 * In 1 and 2 each call of a recursion counted; in 2 a main counted with its program where it was alone, in 1 never. */
void rf_identity_of_versions(rf_bump_arena *arena, const rf_record *record, const rf_skip_rules *rules,
                             rf_identity out[RF_IDENTITY_VERSION]);

/* The stacks that make the group of `record` (RF_IDENTITY_…). */
unsigned rf_identity_parts(const rf_record *record);

typedef enum rf_comparison { RF_COMPARED_EQUAL, RF_COMPARED_DIFFERENT, RF_COMPARED_ABSENT } rf_comparison;

/* Two findings side by side. */
typedef struct rf_identity_difference {
  bool one;                /* they are one bug */
  bool related;            /* two, but a key that both have is equal: a person may merge them */
  bool versions;           /* keys of two versions of the algorithm: nothing else is compared */
  bool same_bug;           /* their kinds are the same */
  rf_comparison stacks[3]; /* by rf_stack_kind; ABSENT: one of them, or both, lack it */
  unsigned first[3];       /* of stacks that differ: the first frame that does, from 0 */
} rf_identity_difference;

rf_identity_difference rf_identity_compare(const rf_identity *a, const rf_identity *b);

/* The reason why they are one bug or two, as sentences, one on each line. */
const char *rf_identity_why(rf_bump_arena *arena, const rf_identity *a, const rf_identity *b);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_IDENTITY_H */

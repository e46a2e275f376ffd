/* Builds, and what a fix in one of them means for events of the others. */
#ifndef RINGFENCE_TOOLS_SERVICE_BUILDS_H
#define RINGFENCE_TOOLS_SERVICE_BUILDS_H

#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The answer to a name that is the start of several builds' names. */
enum { RF_BUILD_AMBIGUOUS = -1 };

/* SQL: whether build `b` is one of those that were heard of after the fix `f`, a row with these columns. Hosts' clocks
 * may be behind, so that the order of arrival counts; what ran a day before the fix, and comes in late, is none. */
#define RF_BUILD_IS_NEXT(b, f) b ".id > " f ".fixed_after AND " b ".first_seen > " f ".fixed_at - 86400000"

/* SQL: whether build `b` has the fix `f`, a row of `finding` that is or was fixed. NULL or 0: it has not, or the order
 * of the builds is not known. Of two builds of one time, the one that was heard of first is the earlier. */
#define RF_BUILD_HAS_FIX(b, f)                                                                                         \
  "CASE WHEN " f ".fixed_build IS NOT NULL THEN (" b ".ordered_at, " b ".id) >= (SELECT ordered_at, id FROM build"     \
  " WHERE id = " f ".fixed_build) WHEN " f ".fixed_in IS NOT NULL THEN 0 ELSE " RF_BUILD_IS_NEXT(b, f) " END"

/* The build of an event: one for each revision, else for each version, else for each build-id. A revision of seven
 * hexadecimal digits or more is that of the only build that has it as a start, or is a start of it: the build has the
 * longer one then. Made where it is new,
 * with its first sight as a guess of its place in the order; fixes that wait for it, by any of its names, are tied to
 * it. Within a transaction. */
int64_t rf_build_of(rf_store *store, const char *version, const char *revision, const char *build_id, int64_t time);

/* Says where a build stands in the order, as CI knows: `time` in ms, of its revision. Makes it where it is new.
 * RF_BUILD_AMBIGUOUS, with nothing done, where the revision is the start of several. */
int64_t rf_build_given(rf_store *store, const char *version, const char *revision, int64_t time);

/* The build that `text` names: a version, a revision, a build-id, or the start of either of these two: 7 characters or
 * more, in small or capital letters; or what begins with a revision of 7 hexadecimal digits or more. 0: none;
 * RF_BUILD_AMBIGUOUS: several. */
int64_t rf_build_named(rf_store *store, const char *text);

/* RF_BUILD_HAS_FIX of `finding`, which is fixed, and `build`: an event of it is a regression. */
bool rf_build_has_fix(rf_store *store, int64_t finding, int64_t build);

#ifdef __cplusplus
}
#endif

#endif

/* Findings with new names, or of an older version of the identity: their words, their keys, and what names they still
 * lack. */
#ifndef RINGFENCE_TOOLS_SERVICE_REKEY_H
#define RINGFENCE_TOOLS_SERVICE_REKEY_H

#include "tools/ringfence/base/arena.h"
#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Makes words and keys of findings anew from their richest events and the names that the store has; notes the build-ids
 * of their frames without lines. A finding that turns out to be another one becomes part of it; its old keys and its
 * number go on to work. Within an open transaction. The findings are those whose numbers `rows`, which ends with it,
 * has in its first column. */
void rf_rekey_all(rf_store *store, rf_bump_arena *arena, sqlite3_stmt *rows);

/* The same for findings whose keys are of an older version of the identity, in a transaction of its own. Processes
 * would make new findings of them else. */
void rf_rekey_older(rf_store *store);

#ifdef __cplusplus
}
#endif

#endif

/* Rows of names and builds that the open transaction has met, so that a thousand events of one host look for it once.
 *
 * Algorithm: a table by hash, one entry for each place; a later text takes the place of the one before.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_KNOWN_H
#define RINGFENCE_TOOLS_SERVICE_KNOWN_H

#include "tools/service/intake/envelope.h"
#include "tools/service/store/counters.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_KNOWN = 256 };

typedef struct rf_known_row {
  int64_t id; /* 0: none */
  int kind;
  const char *text;
} rf_known_row;

/* Starts as zeros. Texts live in the arena: forget them before it is freed, and where a transaction is rolled back. */
typedef struct rf_known {
  rf_known_row rows[RF_KNOWN];
} rf_known;

/* As rf_name_id. */
int64_t rf_known_name(rf_known *known, rf_bump_arena *arena, rf_store *store, rf_name_kind kind, const char *text);

/* As rf_build_of, for the build of the event. */
int64_t rf_known_build(rf_known *known, rf_bump_arena *arena, rf_store *store, const rf_envelope *e);

void rf_known_forget(rf_known *known);

#ifdef __cplusplus
}
#endif

#endif

/* Counters of the store, gathered in memory over one transaction: a thousand equal events cost one row each. */
#ifndef RINGFENCE_TOOLS_SERVICE_COUNTERS_H
#define RINGFENCE_TOOLS_SERVICE_COUNTERS_H

#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The numbers are in databases. */
typedef enum rf_counter_kind {
  RF_COUNT_DAY = 1,         /* what: days since 1970 */
  RF_COUNT_BUILD = 2,       /* build.id */
  RF_COUNT_HOST = 3,        /* name.id, as the next */
  RF_COUNT_ENVIRONMENT = 4, /* the partial index of the schema names 2 and 4 */
  RF_COUNT_PROGRAM = 5,
  RF_COUNT_MODE = 6,
  RF_COUNT_LABEL = 7,        /* name.id of "key=value" */
  RF_COUNT_WRITTEN = 8,      /* offset from the end of the block * 65536 + expected * 256 + value */
  RF_COUNT_ONE_BIT_HOST = 9, /* name.id of a host: events with one bit off */
  RF_COUNT_LOSS = 10         /* name.id of a reason; finding 0 */
} rf_counter_kind;

/* Kinds of `name`. */
typedef enum rf_name_kind {
  RF_NAME_HOST = 1,
  RF_NAME_ENVIRONMENT = 2,
  RF_NAME_PROGRAM = 3,
  RF_NAME_MODE = 4,
  RF_NAME_LABEL = 5,
  RF_NAME_LOSS = 6
} rf_name_kind;

typedef struct rf_counter {
  int64_t finding;
  int64_t what;
  int64_t count; /* 0: a free slot */
  int64_t first_seen;
  int64_t last_seen;
  rf_counter_kind kind;
} rf_counter;

/* Starts as zeros. */
typedef struct rf_counters {
  rf_counter *slots;
  size_t slot_count; /* a power of two */
  size_t used;
} rf_counters;

/* Adds `count` events of `time` (ms). False where there is no memory. */
bool rf_counters_add(rf_counters *all, int64_t finding, rf_counter_kind kind, int64_t what, int64_t count,
                     int64_t time);

/* True if it was added since the last write. */
bool rf_counters_has(const rf_counters *all, int64_t finding, rf_counter_kind kind, int64_t what);

/* Writes them within the open transaction, and is empty then. */
void rf_counters_write(rf_counters *all, rf_store *store);

/* Forgets what was not written; frees the memory. */
void rf_counters_clear(rf_counters *all);
void rf_counters_free(rf_counters *all);

/* The row of `text` in `name`, which is added where it is new; that of "(others)" where the kind has too many.
 * Within a transaction. */
int64_t rf_name_id(rf_store *store, rf_name_kind kind, const char *text);

#ifdef __cplusplus
}
#endif

#endif

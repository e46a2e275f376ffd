/* The findings that one transaction touches, gathered in memory: many events of one finding cost a few rows. */
#ifndef RINGFENCE_TOOLS_SERVICE_BATCH_H
#define RINGFENCE_TOOLS_SERVICE_BATCH_H

#include "tools/service/intake/envelope.h"
#include "tools/service/intake/identity.h"
#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An event that may be kept whole. The text must stay until the batch is written. */
typedef struct rf_candidate {
  const char *line;
  size_t length;
  const char *id;
  int64_t time;
  int64_t build;
  int64_t program;
  int64_t host;
  int64_t environment;
  int64_t mode;
  int64_t pid;
  int64_t count;
  int64_t richness;
} rf_candidate;

typedef struct rf_batch_finding {
  int64_t key;     /* by which it was found first */
  int64_t own_key; /* that of its names */
  int64_t id;
  rf_event_keys keys;
  bool is_new;
  bool reopened;
  bool several_builds; /* it has events of this batch of another build than its first one */
  /* As in the store, and as they will be. */
  const char *state;
  int64_t merged_into; /* 0: none */
  int64_t first_seen;
  int64_t last_seen;
  int64_t first_build;
  int64_t last_build;
  int64_t count;
  int64_t damaged;
  int64_t one_bit;
  int64_t richest;
  int64_t first_event;
  int64_t last_event;
  int64_t richest_event;
  int64_t split_by;   /* rf_split_rule */
  int64_t split_stay; /* events with this value of it stay here */
  int64_t split_from; /* a new piece: what it is split from; else 0 */
  /* Counts of this batch. */
  int64_t added;
  const char *bug;
  const char *level;
  const char *title;
  const char *place;
  const char *search;
  rf_candidate first;
  rf_candidate last;
  rf_candidate best;
} rf_batch_finding;

typedef struct rf_batch_slot {
  int64_t key;
  rf_batch_finding *finding; /* NULL: free */
} rf_batch_slot;

typedef struct rf_batch {
  rf_store *store;
  rf_bump_arena arena;
  rf_batch_slot *slots; /* by key, open addressing; several keys may name one finding */
  size_t slot_count;
  rf_batch_finding **list;
  size_t count;
  int64_t next_finding;
  int64_t next_event;
} rf_batch;

/* Reads the next free numbers. False with store->error set. */
bool rf_batch_init(rf_batch *batch, rf_store *store);
void rf_batch_deinit(rf_batch *batch);

/* The finding with these keys, made where it is new. */
rf_batch_finding *rf_batch_get(rf_batch *batch, const rf_event_keys *keys);

/* True where a finding has this key as its own, and not only as one of a bug that has another name by now. */
bool rf_batch_has_own(rf_batch *batch, int64_t key);

/* The finding with this number; NULL where there is none. */
rf_batch_finding *rf_batch_find(rf_batch *batch, int64_t id);

/* Writes all findings and events as part of the open transaction. */
void rf_batch_write(rf_batch *batch);

/* Then, with the counters written: sets what follows from the counters of several findings. */
void rf_batch_renew(rf_batch *batch);

/* At the begin of each transaction: decisions between two of them make findings, too. */
void rf_batch_begin(rf_batch *batch);

/* Empties the batch after the commit or the rollback. */
void rf_batch_clear(rf_batch *batch);

#ifdef __cplusplus
}
#endif

#endif

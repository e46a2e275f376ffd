#include "tools/service/intake/batch.h"

#include "tools/service/intake/renew.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 8192, ALWAYS_KEPT = 8 };

bool rf_batch_init(rf_batch *batch, rf_store *store) {
  *batch = (rf_batch){.store = store, .slot_count = SLOTS};
  batch->slots = (rf_batch_slot *)calloc(SLOTS, sizeof *batch->slots);
  return batch->slots != NULL;
}

void rf_batch_begin(rf_batch *batch) {
  batch->next_finding = rf_store_number(batch->store, 0, "SELECT max(id) FROM finding", "") + 1;
  batch->next_event = rf_store_number(batch->store, 0, "SELECT max(id) FROM event", "") + 1;
}

void rf_batch_deinit(rf_batch *batch) {
  rf_bump_arena_free(&batch->arena);
  free(batch->slots);
  batch->slots = NULL;
}

void rf_batch_clear(rf_batch *batch) {
  memset(batch->slots, 0, batch->slot_count * sizeof *batch->slots);
  batch->list = NULL;
  batch->count = 0;
  rf_bump_arena_free(&batch->arena);
}

/* ---- Finding them ---- */

/* Reads the finding of f->key, or makes it a new one. */
static void load(rf_batch *batch, rf_batch_finding *f) {
  sqlite3_stmt *const s = rf_store_select(
      batch->store,
      "SELECT f.id, f.state, f.merged_into, f.first_seen, f.last_seen, f.first_build, f.last_build, f.count,"
      " f.damaged, f.one_bit, f.richest, f.first_event, f.last_event, f.richest_event, f.split_by, f.split_stay, f.key "
      "FROM"
      " key k JOIN finding f ON f.id = k.finding WHERE k.key = ?",
      "i", f->key);
  if (!rf_store_row(batch->store, s)) {
    f->is_new = true;
    f->own_key = f->key;
    f->id = batch->next_finding++;
    f->state = "open";
    f->richest = -1;
    return;
  }
  int64_t *const numbers[] = {&f->merged_into, &f->first_seen,    &f->last_seen, &f->first_build, &f->last_build,
                              &f->count,       &f->damaged,       &f->one_bit,   &f->richest,     &f->first_event,
                              &f->last_event,  &f->richest_event, &f->split_by,  &f->split_stay,  &f->own_key};
  f->id = sqlite3_column_int64(s, 0);
  const char *const state = rf_store_text(s, 1);
  f->state = rf_bump_arena_copy(&batch->arena, state);
  for (int i = 0; i < 15; i++) {
    *numbers[i] = sqlite3_column_int64(s, i + 2);
  }
  rf_store_done(s);
}

static rf_batch_finding *find_in_list(const rf_batch *batch, int64_t id) {
  for (size_t i = batch->count; i > 0; i--) {
    if (batch->list[i - 1]->id == id) {
      return batch->list[i - 1];
    }
  }
  return NULL;
}

static rf_batch_finding *add(rf_batch *batch, const rf_event_keys *keys) {
  rf_batch_finding *const f = (rf_batch_finding *)rf_bump_arena_alloc(&batch->arena, sizeof *f);
  f->key = keys->group;
  f->keys = *keys;
  load(batch, f);
  rf_batch_finding *const other = f->is_new ? NULL : find_in_list(batch, f->id);
  if (other == NULL) {
    RF_APPENDED(&batch->arena, batch->list, batch->count) = f;
  }
  return other != NULL ? other : f;
}

/* The slot of the key, or the free one where it belongs. */
static rf_batch_slot *slot_of(const rf_batch *batch, int64_t key) {
  uint64_t const hash = (uint64_t)key * 0x9E3779B97F4A7C15U;
  size_t at = (size_t)(hash >> 40) & (batch->slot_count - 1);
  while (batch->slots[at].finding != NULL && batch->slots[at].key != key) {
    at = (at + 1) & (batch->slot_count - 1);
  }
  return &batch->slots[at];
}

rf_batch_finding *rf_batch_get(rf_batch *batch, const rf_event_keys *keys) {
  rf_batch_slot *const slot = slot_of(batch, keys->group);
  if (slot->finding == NULL) {
    *slot = (rf_batch_slot){keys->group, add(batch, keys)};
  }
  return slot->finding;
}

bool rf_batch_has_own(rf_batch *batch, int64_t key) {
  const rf_batch_finding *const f = slot_of(batch, key)->finding;
  return f != NULL ? f->own_key == key
                   : rf_store_number(batch->store, 0,
                                     "SELECT 1 FROM key k JOIN finding f ON f.id = k.finding WHERE k.key = ?1 AND"
                                     " f.key = ?1",
                                     "i", key) != 0;
}

rf_batch_finding *rf_batch_find(rf_batch *batch, int64_t id) {
  rf_batch_finding *const known = find_in_list(batch, id);
  if (known != NULL) {
    return known;
  }
  rf_event_keys keys = {.algorithm = 0};
  sqlite3_stmt *const s = rf_store_select(batch->store,
                                          "SELECT key, algorithm, access_key, allocation_key, free_key FROM finding"
                                          " WHERE id = ?",
                                          "i", id);
  if (!rf_store_row(batch->store, s)) {
    return NULL;
  }
  keys.group = sqlite3_column_int64(s, 0);
  keys.algorithm = sqlite3_column_int64(s, 1);
  keys.access = sqlite3_column_int64(s, 2);
  keys.allocation = sqlite3_column_int64(s, 3);
  keys.release = sqlite3_column_int64(s, 4);
  rf_store_done(s);
  return rf_batch_get(batch, &keys);
}

/* ---- Writing ---- */

static int64_t write_event(rf_batch *batch, const rf_batch_finding *f, const rf_candidate *c, bool middle) {
  int64_t const id = batch->next_event++;
  rf_store_run(batch->store,
               "INSERT INTO event(id, finding, time, build, program, host, environment, mode, pid, count, middle,"
               " record) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
               "iiiiiiiiiiit", id, f->id, c->time, c->build, c->program, c->host, c->environment, c->mode, c->pid,
               c->count, (int64_t)middle, c->id);
  rf_store_run(batch->store, "INSERT INTO body(event, text) VALUES(?, ?)", "is", id, c->line, c->length);
  return id;
}

/* An event that is neither first, last, richest nor of the middle is not kept. */
static void forget(rf_batch *batch, const rf_batch_finding *f, int64_t event) {
  if (event == 0 || event == f->first_event || event == f->last_event || event == f->richest_event) {
    return;
  }
  rf_store_run(batch->store, "DELETE FROM body WHERE event = ?1 AND (SELECT middle FROM event WHERE id = ?1) = 0", "i",
               event);
  rf_store_run(batch->store, "DELETE FROM event WHERE id = ? AND middle = 0", "i", event);
}

static int64_t power_below(int64_t n) {
  return n == 0 ? 0 : INT64_C(1) << (63 - __builtin_clzll((unsigned long long)n));
}

/* The middle is thinned: the first few events, then one whenever the count has doubled. */
static bool is_kept(const rf_batch_finding *f) {
  int64_t const before = f->count - f->added;
  return before < ALWAYS_KEPT || power_below(before) != power_below(f->count);
}

static void write_events(rf_batch *batch, rf_batch_finding *f) {
  int64_t const old_first = f->first_event;
  int64_t const old_last = f->last_event;
  int64_t const old_best = f->richest_event;
  bool const earlier = f->first.line != NULL;
  if (earlier) {
    f->first_event = write_event(batch, f, &f->first, false);
  }
  /* None is the last where only repeats came in, which have no record of their own, or events of an earlier time. */
  if (f->last.line != NULL) {
    f->last_event = f->last.line == f->first.line ? f->first_event : write_event(batch, f, &f->last, is_kept(f));
  }
  if (f->best.line != NULL) {
    f->richest = f->best.richness;
    f->richest_event = f->best.line == f->last.line    ? f->last_event
                       : f->best.line == f->first.line ? f->first_event
                                                       : write_event(batch, f, &f->best, false);
  }
  if (earlier && is_kept(f)) {
    rf_store_run(batch->store, "UPDATE event SET middle = 1 WHERE id = ?", "i", old_first);
  }
  forget(batch, f, old_last);
  if (old_best != old_last) {
    forget(batch, f, old_best);
  }
  if (old_first != old_last && old_first != old_best) {
    forget(batch, f, old_first);
  }
}

static void write_new(rf_batch *batch, const rf_batch_finding *f) {
  rf_store_run(batch->store,
               "INSERT INTO finding(id, key, algorithm, access_key, allocation_key, free_key, bug, level, title,"
               " place, first_seen, last_seen, first_build, last_build, count, damaged, one_bit, first_event,"
               " last_event, richest_event, richest, split_from)"
               " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,nullif(?,0))",
               "iiiiiittttiiiiiiiiiiii", f->id, f->key, f->keys.algorithm, f->keys.access, f->keys.allocation,
               f->keys.release, f->bug, f->level, f->title, f->place, f->first_seen, f->last_seen, f->first_build,
               f->last_build, f->count, f->damaged, f->one_bit, f->first_event, f->last_event, f->richest_event,
               f->richest, f->split_from);
  rf_store_run(batch->store, "INSERT INTO key(key, finding) VALUES(?, ?)", "ii", f->key, f->id);
  rf_store_run(batch->store, "INSERT INTO words(finding, text) VALUES(?, ?)", "it", f->id, f->search);
}

static void write_known(rf_batch *batch, const rf_batch_finding *f) {
  rf_store_run(batch->store,
               "UPDATE finding SET state=?, first_seen=?, last_seen=?, first_build=?, last_build=?, count=?,"
               " damaged=?, one_bit=?, first_event=?, last_event=?, richest_event=?, richest=? WHERE id=?",
               "tiiiiiiiiiiii", f->state, f->first_seen, f->last_seen, f->first_build, f->last_build, f->count,
               f->damaged, f->one_bit, f->first_event, f->last_event, f->richest_event, f->richest, f->id);
}

void rf_batch_write(rf_batch *batch) {
  for (size_t i = 0; i < batch->count; i++) {
    rf_batch_finding *const f = batch->list[i];
    if (f->added == 0) {
      continue;
    }
    write_events(batch, f);
    if (f->is_new) {
      write_new(batch, f);
    } else {
      write_known(batch, f);
    }
  }
}

void rf_batch_renew(rf_batch *batch) {
  for (size_t i = 0; i < batch->count; i++) {
    const rf_batch_finding *const f = batch->list[i];
    if (f->added != 0 && (f->merged_into != 0 || f->several_builds)) {
      rf_renew(batch->store, f->id);
    }
  }
}

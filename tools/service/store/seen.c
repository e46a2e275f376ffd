#include "tools/service/store/seen.h"

#include "checkers/report/fnv.h"

#include <stdlib.h>
#include <string.h>

/* Ids are forgotten by rows: one of more would keep too many. */
enum { FIRST_SLOTS = 4096, ROW_MOST = 4096 };

uint64_t rf_seen_hash(const char *id) {
  uint64_t hash = rf_fnv_bytes(RF_FNV_START, id, strlen(id));
  hash ^= hash >> 32;
  hash *= 0xD6E8FEB86659FD93U;
  hash ^= hash >> 32;
  return hash == 0 ? 1 : hash;
}

static rf_seen_entry *slot_of(const rf_seen *seen, uint64_t hash) {
  size_t at = (size_t)hash & (seen->slot_count - 1);
  while (seen->slots[at].hash != 0 && seen->slots[at].hash != hash) {
    at = (at + 1) & (seen->slot_count - 1);
  }
  return &seen->slots[at];
}

static bool insert(rf_seen *seen, rf_seen_entry entry) {
  if (seen->used * 2 >= seen->slot_count) {
    rf_seen larger = *seen;
    larger.slot_count = seen->slot_count == 0 ? FIRST_SLOTS : seen->slot_count * 2;
    larger.slots = (rf_seen_entry *)calloc(larger.slot_count, sizeof *larger.slots);
    if (larger.slots == NULL) {
      return false;
    }
    larger.used = 0;
    for (size_t i = 0; i < seen->slot_count; i++) {
      if (seen->slots[i].hash != 0 && seen->slots[i].finding >= 0) {
        *slot_of(&larger, seen->slots[i].hash) = seen->slots[i];
        larger.used++;
      }
    }
    free(seen->slots);
    *seen = larger;
  }
  rf_seen_entry *const slot = slot_of(seen, entry.hash);
  seen->used += slot->hash == 0;
  *slot = entry;
  return true;
}

bool rf_seen_find(const rf_seen *seen, uint64_t hash, int64_t *finding) {
  const rf_seen_entry *const slot = seen->slot_count == 0 ? NULL : slot_of(seen, hash);
  if (slot == NULL || slot->hash == 0 || slot->finding < 0) {
    return false;
  }
  *finding = slot->finding;
  return true;
}

bool rf_seen_add(rf_seen *seen, uint64_t hash, int64_t finding) {
  if (seen->pending_count == seen->pending_room) {
    size_t const room = seen->pending_room == 0 ? 256 : seen->pending_room * 2;
    rf_seen_entry *const larger = (rf_seen_entry *)realloc(seen->pending, room * sizeof *larger);
    if (larger == NULL) {
      return false;
    }
    seen->pending = larger;
    seen->pending_room = room;
  }
  rf_seen_entry const entry = {hash, finding};
  seen->pending[seen->pending_count++] = entry;
  return insert(seen, entry);
}

/* Rows hold hash and finding of each id, 16 bytes in the order of the machine: a database does not move between
 * orders. */
void rf_seen_write(rf_seen *seen, rf_store *store) {
  for (size_t at = 0; at < seen->pending_count; at += ROW_MOST) {
    size_t const left = seen->pending_count - at;
    rf_store_run(store, "INSERT INTO seen(ids) VALUES(?)", "b", (const void *)(seen->pending + at),
                 (left < ROW_MOST ? left : ROW_MOST) * sizeof *seen->pending);
  }
  if (seen->used > RF_SEEN_MOST) {
    /* Rows are counted by their ids: a few that came together must not outweigh many that came one by one. */
    rf_store_run(
        store,
        "DELETE FROM seen WHERE batch <= (SELECT max(batch) FROM (SELECT batch, sum(length(ids)) OVER (ORDER BY"
        " batch DESC) - length(ids) AS later FROM seen) WHERE later >= ?)",
        "i", (int64_t)sizeof(rf_seen_entry) * RF_SEEN_LEAST);
  }
}

void rf_seen_settle(rf_seen *seen, bool committed) {
  for (size_t i = 0; i < seen->pending_count && !committed; i++) {
    slot_of(seen, seen->pending[i].hash)->finding = -1;
  }
  seen->pending_count = 0;
}

static bool load_row(rf_seen *seen, const void *bytes, size_t size) {
  rf_seen_entry entry;
  for (size_t at = 0; at + sizeof entry <= size; at += sizeof entry) {
    memcpy(&entry, (const char *)bytes + at, sizeof entry);
    if (entry.hash != 0 && !insert(seen, entry)) {
      return false;
    }
  }
  return true;
}

bool rf_seen_load(rf_seen *seen, rf_store *store) {
  rf_seen_free(seen);
  sqlite3_stmt *const s = rf_store_select(store, "SELECT ids FROM seen", "");
  while (rf_store_row(store, s)) {
    if (!load_row(seen, sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0))) {
      rf_store_done(s);
      rf_store_fail(store, SQLITE_NOMEM, "reading ids");
    }
  }
  return !store->failed;
}

void rf_seen_free(rf_seen *seen) {
  free(seen->slots);
  free(seen->pending);
  *seen = (rf_seen){0};
}

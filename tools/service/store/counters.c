#include "tools/service/store/counters.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 1024, MOST_NAMES = 20000, LONGEST_NAME = 512 };

/* The most of one counter in one transaction; doubles hold all up to here. */
#define MOST (INT64_C(1) << 53)

static size_t slot_of(const rf_counters *all, int64_t finding, rf_counter_kind kind, int64_t what) {
  uint64_t hash = (uint64_t)finding * 0x9E3779B97F4A7C15U;
  hash = (hash ^ (uint64_t)what ^ ((uint64_t)kind << 56)) * 0xD6E8FEB86659FD93U;
  size_t at = (size_t)(hash >> 32) & (all->slot_count - 1);
  while (all->slots[at].count != 0 &&
         (all->slots[at].finding != finding || all->slots[at].what != what || all->slots[at].kind != kind)) {
    at = (at + 1) & (all->slot_count - 1);
  }
  return at;
}

static bool grow(rf_counters *all) {
  rf_counters larger = {NULL, all->slot_count == 0 ? FIRST_SLOTS : all->slot_count * 2, all->used};
  larger.slots = (rf_counter *)calloc(larger.slot_count, sizeof *larger.slots);
  if (larger.slots == NULL) {
    return false;
  }
  for (size_t i = 0; i < all->slot_count; i++) {
    const rf_counter *const c = &all->slots[i];
    if (c->count != 0) {
      larger.slots[slot_of(&larger, c->finding, c->kind, c->what)] = *c;
    }
  }
  free(all->slots);
  *all = larger;
  return true;
}

bool rf_counters_add(rf_counters *all, int64_t finding, rf_counter_kind kind, int64_t what, int64_t count,
                     int64_t time) {
  if (all->used * 2 >= all->slot_count && !grow(all)) {
    return false;
  }
  rf_counter *const c = &all->slots[slot_of(all, finding, kind, what)];
  if (c->count == 0) {
    *c = (rf_counter){finding, what, 0, time, time, kind};
    all->used++;
  }
  c->count = count > MOST - c->count ? MOST : c->count + count; /* sites say how many blocks they had */
  c->first_seen = time < c->first_seen ? time : c->first_seen;
  c->last_seen = time > c->last_seen ? time : c->last_seen;
  return true;
}

bool rf_counters_has(const rf_counters *all, int64_t finding, rf_counter_kind kind, int64_t what) {
  return all->slot_count != 0 && all->slots[slot_of(all, finding, kind, what)].count != 0;
}

/* ---- Writing ---- */

enum { AT_ONCE = 8, COLUMNS = 6 };

#define ADD "INSERT INTO counter(finding, kind, what, count, first_seen, last_seen) VALUES"
#define ROW "(?,?,?,?,?,?)"
#define ON_CONFLICT                                                                                                    \
  " ON CONFLICT(finding, kind, what) DO UPDATE SET count = count + excluded.count, first_seen = min(first_seen,"       \
  " excluded.first_seen), last_seen = max(last_seen, excluded.last_seen)"

static void write_rows(rf_store *store, const rf_counter *rows, size_t count) {
  static const char one[] = ADD ROW ON_CONFLICT;
  static const char several[] = ADD ROW "," ROW "," ROW "," ROW "," ROW "," ROW "," ROW "," ROW ON_CONFLICT;
  int64_t numbers[AT_ONCE * COLUMNS];
  size_t used = 0;
  for (size_t i = 0; i < count; i++) {
    const rf_counter *const c = &rows[i];
    int64_t const row[COLUMNS] = {c->finding, c->kind, c->what, c->count, c->first_seen, c->last_seen};
    memcpy(numbers + used, row, sizeof row);
    used += COLUMNS;
  }
  rf_store_run_numbers(store, count == AT_ONCE ? several : one, numbers, used);
}

static int by_key(const void *a, const void *b) {
  const rf_counter *const l = (const rf_counter *)a;
  const rf_counter *const r = (const rf_counter *)b;
  int const by_finding = (l->finding > r->finding) - (l->finding < r->finding);
  int const by_kind = (l->kind > r->kind) - (l->kind < r->kind);
  return by_finding != 0 ? by_finding : by_kind != 0 ? by_kind : (l->what > r->what) - (l->what < r->what);
}

/* In the order of the table, whose pages are then filled one after the other. */
void rf_counters_write(rf_counters *all, rf_store *store) {
  size_t count = 0;
  for (size_t i = 0; i < all->slot_count && all->used != 0; i++) {
    if (all->slots[i].count != 0) {
      all->slots[count++] = all->slots[i];
    }
  }
  if (count != 0) {
    qsort(all->slots, count, sizeof *all->slots, by_key);
  }
  for (size_t i = 0; i < count;) {
    size_t const rows = count - i >= AT_ONCE ? AT_ONCE : 1;
    write_rows(store, &all->slots[i], rows);
    i += rows;
  }
  rf_counters_clear(all);
}

void rf_counters_clear(rf_counters *all) {
  if (all->slots != NULL) {
    memset(all->slots, 0, all->slot_count * sizeof *all->slots);
  }
  all->used = 0;
}

void rf_counters_free(rf_counters *all) {
  free(all->slots);
  *all = (rf_counters){NULL, 0, 0};
}

/* ---- Names ---- */

static int64_t find_name(rf_store *store, rf_name_kind kind, const char *text) {
  return rf_store_number(store, 0, "SELECT id FROM name WHERE kind = ? AND text = ?", "it", (int64_t)kind, text);
}

int64_t rf_name_id(rf_store *store, rf_name_kind kind, const char *text) {
  char shortened[LONGEST_NAME];
  if (strlen(text) >= sizeof shortened) {
    memcpy(shortened, text, sizeof shortened - 1);
    shortened[sizeof shortened - 1] = '\0';
    text = shortened;
  }
  int64_t id = find_name(store, kind, text);
  if (id != 0 || store->failed) {
    return id;
  }
  if (rf_store_number(store, 0, "SELECT count(*) FROM name WHERE kind = ?", "i", (int64_t)kind) >= MOST_NAMES) {
    text = "(others)";
    id = find_name(store, kind, text);
  }
  if (id == 0) {
    rf_store_run(store, "INSERT INTO name(kind, text) VALUES(?, ?)", "it", (int64_t)kind, text);
    id = sqlite3_last_insert_rowid(store->db);
  }
  return id;
}

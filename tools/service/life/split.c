#include "tools/service/life/split.h"

#include "tools/service/intake/describe.h"
#include "tools/service/intake/names.h"
#include "tools/service/intake/renew.h"
#include "tools/service/intake/split.h"
#include "tools/service/intake/window.h"
#include "tools/service/store/counters.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS_MOST = 256 };

/* ---- Events ---- */

typedef struct event {
  int64_t id;
  rf_candidate at;
  rf_record *record;
  const char *program;
  rf_event_keys keys;
  const char *labels[RF_LABELS_MOST];
  size_t label_count;
} event;

static event read_event(rf_store *store, rf_bump_arena *arena, sqlite3_stmt *s) {
  const char *const text = rf_bump_arena_copy(arena, rf_store_text(s, 8));
  event e = {.id = sqlite3_column_int64(s, 0),
             .at = {.time = sqlite3_column_int64(s, 1),
                    .build = sqlite3_column_int64(s, 2),
                    .program = sqlite3_column_int64(s, 3),
                    .host = sqlite3_column_int64(s, 4),
                    .environment = sqlite3_column_int64(s, 5),
                    .mode = sqlite3_column_int64(s, 6),
                    .count = sqlite3_column_int64(s, 7)},
             .program = rf_bump_arena_copy(arena, rf_store_text(s, 9))};
  const rf_json *const root = rf_json_parse(arena, text, strlen(text));
  e.record = rf_record_read(arena, rf_json_member(root, "finding"));
  e.label_count = rf_envelope_labels(arena, rf_json_member(root, "labels"), e.labels);
  if (e.record != NULL) {
    rf_names_apply(store, arena, e.record);
    rf_record_trim(e.record, NULL, false);
    e.keys = rf_event_keys_of(arena, e.record);
    e.at.richness = rf_describe_richness(e.record);
  }
  return e;
}

/* The events that are kept of a finding, oldest first. */
static event *read_events(rf_store *store, rf_bump_arena *arena, int64_t finding, size_t *count) {
  event *list = NULL;
  sqlite3_stmt *const s = rf_store_select(
      store,
      "SELECT e.id, e.time, e.build, e.program, e.host, e.environment, e.mode, e.count, b.text, n.text FROM event e "
      "JOIN"
      " body b ON b.event = e.id JOIN name n ON n.id = e.program WHERE e.finding = ? ORDER BY e.time, e.id",
      "i", finding);
  *count = 0;
  while (rf_store_row(store, s)) {
    RF_APPENDED(arena, list, *count) = read_event(store, arena, s);
  }
  return list;
}

/* ---- Moving ---- */

static void count(rf_store *store, int64_t finding, rf_counter_kind kind, int64_t what, int64_t by, int64_t time) {
  rf_store_run(store,
               "INSERT INTO counter(finding, kind, what, count, first_seen, last_seen) VALUES(?1,?2,?3,?4,?5,?5) ON"
               " CONFLICT(finding, kind, what) DO UPDATE SET count = count + ?4, first_seen = min(first_seen, ?5),"
               " last_seen = max(last_seen, ?5)",
               "iiiii", finding, (int64_t)kind, what, by, time);
  rf_store_run(store, "DELETE FROM counter WHERE finding = ? AND kind = ? AND what = ? AND count <= 0", "iii", finding,
               (int64_t)kind, what);
}

static void count_event(rf_store *store, int64_t finding, const event *e, int64_t sign) {
  const struct {
    rf_counter_kind kind;
    int64_t what;
  } all[] = {{RF_COUNT_DAY, e->at.time / RF_DAY_MS},    {RF_COUNT_BUILD, e->at.build},     {RF_COUNT_HOST, e->at.host},
             {RF_COUNT_ENVIRONMENT, e->at.environment}, {RF_COUNT_PROGRAM, e->at.program}, {RF_COUNT_MODE, e->at.mode}};
  rf_written written[RF_WRITTEN_MOST];
  unsigned const bytes = rf_window_written(&e->record->finding, written);
  int64_t const by = sign * e->at.count;
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    count(store, finding, all[i].kind, all[i].what, by, e->at.time);
  }
  for (size_t i = 0; i < e->label_count; i++) {
    count(store, finding, RF_COUNT_LABEL, rf_name_id(store, RF_NAME_LABEL, e->labels[i]), by, e->at.time);
  }
  for (unsigned i = 0; i < bytes; i++) {
    count(store, finding, RF_COUNT_WRITTEN, rf_written_pack(written[i]), by, e->at.time);
  }
  bool const one_bit = rf_window_one_bit(&e->record->finding);
  if (one_bit) {
    count(store, finding, RF_COUNT_ONE_BIT_HOST, e->at.host, by, e->at.time);
  }
  rf_store_run(store,
               "UPDATE finding SET count = count + ?2, damaged = damaged + ?3, one_bit = one_bit + ?4 WHERE id = ?1",
               "iiii", finding, by, bytes != 0 ? by : INT64_C(0), one_bit ? by : INT64_C(0));
}

/* Counts anew where all events are kept: times of counters are then those of the events that it has now. */
static void recount(rf_store *store, rf_bump_arena *arena, int64_t finding) {
  size_t all = 0;
  const event *const events = read_events(store, arena, finding, &all);
  int64_t left = rf_store_number(store, 0, "SELECT count FROM finding WHERE id = ?", "i", finding);
  bool readable = true;
  for (size_t i = 0; i < all; i++) {
    left -= events[i].at.count;
    readable = readable && events[i].record != NULL;
  }
  if (left != 0 || !readable) {
    return;
  }
  rf_store_run(store, "DELETE FROM counter WHERE finding = ?", "i", finding);
  rf_store_run(store, "UPDATE finding SET count = 0, damaged = 0, one_bit = 0 WHERE id = ?", "i", finding);
  for (size_t i = 0; i < all; i++) {
    count_event(store, finding, &events[i], 1);
  }
}

/* The one that came first, of several that are equally rich. */
static void choose_richest(rf_store *store, rf_bump_arena *arena, int64_t finding) {
  size_t all = 0;
  const event *const events = read_events(store, arena, finding, &all);
  const event *best = NULL;
  for (size_t i = 0; i < all; i++) {
    const event *const e = &events[i];
    bool const richer = best == NULL || e->at.richness > best->at.richness;
    best = richer || (e->at.richness == best->at.richness && e->id < best->id) ? e : best;
  }
  if (best != NULL) {
    rf_store_run(store, "UPDATE finding SET richest_event = ?2, richest = ?3 WHERE id = ?1", "iii", finding, best->id,
                 best->at.richness);
  }
}

/* First, last and richest are those that it has now. */
static void settle(rf_store *store, rf_bump_arena *arena, int64_t finding) {
  rf_store_run(
      store,
      "UPDATE finding SET first_event = (SELECT id FROM event WHERE finding = ?1 ORDER BY time, id LIMIT 1), last_event"
      " = (SELECT id FROM event WHERE finding = ?1 ORDER BY time DESC, id DESC LIMIT 1) WHERE id = ?1",
      "i", finding);
  rf_renew(store, finding);
  if (rf_store_number(store, 0,
                      "SELECT 1 FROM finding f JOIN event e ON e.id = f.richest_event AND e.finding = f.id WHERE f.id ="
                      " ?",
                      "i", finding) == 0) {
    choose_richest(store, arena, finding);
  }
}

/* The finding with this key, made of the event where it is new. */
static int64_t piece_of(rf_store *store, rf_bump_arena *arena, int64_t finding, int64_t key, const event *e) {
  int64_t id = rf_store_number(store, 0, "SELECT finding FROM key WHERE key = ?", "i", key);
  if (id != 0) {
    rf_store_run(store, "UPDATE finding SET merged_into = NULL, merged_via = NULL WHERE id = ? AND split_from = ?",
                 "ii", id, finding);
    return id;
  }
  rf_batch_finding f = {.key = key};
  rf_describe(arena, arena, e->record, e->program, &f);
  id = rf_store_number(store, 0, "SELECT max(id) FROM finding", "") + 1;
  rf_store_run(
      store,
      "INSERT INTO finding(id, key, algorithm, access_key, allocation_key, free_key, bug, level, title, place,"
      " first_seen, last_seen, first_build, last_build, count, first_event, last_event, richest_event, richest,"
      " split_from) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?11,?12,?12,0,?13,?13,?13,?14,?15)",
      "iiiiiittttiiiii", id, key, e->keys.algorithm, e->keys.access, e->keys.allocation, e->keys.release, f.bug,
      f.level, f.title, f.place, e->at.time, e->at.build, e->id, e->at.richness, finding);
  rf_store_run(store, "INSERT INTO key(key, finding) VALUES(?, ?)", "ii", key, id);
  /* Its names may be missing as those of the whole are; rf_rekey_all tells which. */
  rf_store_run(
      store,
      "INSERT OR IGNORE INTO nameless(build_id, finding, module) SELECT build_id, ?2, module FROM nameless WHERE"
      " finding = ?1",
      "ii", finding, id);
  rf_store_run(store, "INSERT INTO words(finding, text) VALUES(?, ?)", "it", id, f.search);
  return id;
}

static void move(rf_store *store, int64_t from, int64_t to, const event *e) {
  count_event(store, from, e, -1);
  count_event(store, to, e, 1);
  rf_store_run(store, "UPDATE event SET finding = ? WHERE id = ?", "ii", to, e->id);
  /* Events are moved in the order of their times: of several that are equally rich, it is the one that came first. */
  rf_store_run(
      store,
      "UPDATE finding SET richest_event = ?2, richest = ?3 WHERE id = ?1 AND (richest < ?3 OR (richest = ?3 AND"
      " richest_event > ?2))",
      "iii", to, e->id, e->at.richness);
}

/* ---- By a rule, by events ---- */

/* The counter that tells the values of a rule apart; 0: none does. */
static int64_t counter_of(rf_split_rule rule) {
  switch (rule) {
  case RF_SPLIT_PROGRAM:
    return RF_COUNT_PROGRAM;
  case RF_SPLIT_BUILD:
    return RF_COUNT_BUILD;
  case RF_SPLIT_ENVIRONMENT:
    return RF_COUNT_ENVIRONMENT;
  case RF_SPLIT_MODE:
    return RF_COUNT_MODE;
  default:
    return 0;
  }
}

/* Events that are not kept stay, since their counts do not say which of them are which. Notes how many there are, and
 * how many of them the rule would have moved. */
static void note_left(rf_store *store, int64_t finding, rf_split_rule rule, int64_t stay) {
  int64_t const kind = counter_of(rule);
  int64_t const wanted =
      kind == 0
          ? -1
          : rf_store_number(store, 0, "SELECT total(count) FROM counter WHERE finding = ? AND kind = ? AND what <> ?",
                            "iii", finding, kind, stay);
  rf_store_run(store,
               "UPDATE finding SET split_wanted = ?2, split_left = max(0, count - (SELECT total(count) FROM event WHERE"
               " finding = ?1)) WHERE id = ?1",
               "ii", finding, wanted);
}

static int64_t by_rule(rf_store *store, rf_bump_arena *arena, int64_t finding, rf_split_rule rule) {
  size_t all = 0;
  int64_t moved = 0;
  const event *const events = read_events(store, arena, finding, &all);
  int64_t const stay = all == 0 || events[0].record == NULL ? 0 : rf_split_value(rule, &events[0].keys, &events[0].at);
  rf_store_run(store, "UPDATE finding SET split_by = ?, split_stay = ? WHERE id = ?", "iii", (int64_t)rule, stay,
               finding);
  for (size_t i = 0; i < all; i++) {
    const event *const e = &events[i];
    int64_t const value = e->record == NULL ? stay : rf_split_value(rule, &e->keys, &e->at);
    if (value != stay) {
      int64_t const to = piece_of(store, arena, finding, rf_split_key(e->keys.group, rule, value), e);
      move(store, finding, to, e);
      settle(store, arena, to);
      moved++;
    }
  }
  recount(store, arena, finding);
  settle(store, arena, finding);
  note_left(store, finding, rule, stay);
  return moved;
}

static size_t read_numbers(const char *text, int64_t out[EVENTS_MOST]) {
  size_t used = 0;
  while (*text != '\0') {
    char *end = NULL;
    long long const number = strtoll(text, &end, 10);
    if (end == text || number <= 0 || used == EVENTS_MOST || (*end != ',' && *end != '\0')) {
      return 0;
    }
    out[used++] = number;
    text = end + (*end == ',');
  }
  return used;
}

static bool is_among(const int64_t *numbers, size_t used, int64_t id) {
  for (size_t i = 0; i < used; i++) {
    if (numbers[i] == id) {
      return true;
    }
  }
  return false;
}

static const char no_events[] = "name events of this finding, as `ringfence show ID --json` has them: --events 7,9";

/* Those of a part are listed with the finding that it belongs to. */
static bool refuse_events(rf_store *store, int64_t finding, const int64_t *numbers, size_t used, char *message) {
  for (size_t i = 0; i < used; i++) {
    int64_t const part = rf_store_number(
        store, 0, "SELECT f.id FROM event e JOIN finding f ON f.id = e.finding WHERE e.id = ? AND f.merged_into = ?",
        "ii", numbers[i], finding);
    if (part != 0) {
      (void)snprintf(message, RF_TRIAGE_MESSAGE,
                     "event %" PRId64 " is of finding %" PRId64 ", a part of this one: split that one", numbers[i],
                     part);
      return false;
    }
  }
  return rf_decision_refuse(message, no_events);
}

static bool by_events(rf_store *store, rf_bump_arena *arena, int64_t finding, const char *text, char *message) {
  int64_t numbers[EVENTS_MOST];
  size_t all = 0;
  size_t there = 0;
  size_t const used = read_numbers(text, numbers);
  const event *const events = read_events(store, arena, finding, &all);
  for (size_t i = 0; i < all; i++) {
    there += events[i].record != NULL && is_among(numbers, used, events[i].id);
  }
  if (used == 0 || there != used) {
    return refuse_events(store, finding, numbers, used, message);
  }
  if (there == all) {
    return rf_decision_refuse(message, "these are all of its events: nothing would be left");
  }
  int64_t to = 0;
  for (size_t i = 0; i < all; i++) {
    if (events[i].record != NULL && is_among(numbers, used, events[i].id)) {
      to = to != 0 ? to
                   : piece_of(store, arena, finding, rf_split_key(events[i].keys.group, -1, events[i].id), &events[i]);
      move(store, finding, to, &events[i]);
    }
  }
  settle(store, arena, to);
  recount(store, arena, finding);
  settle(store, arena, finding);
  (void)snprintf(message, RF_TRIAGE_MESSAGE, "%zu event%s of finding %" PRId64 " %s finding %" PRId64 " now", used,
                 used == 1 ? "" : "s", finding, used == 1 ? "is" : "are", to);
  return true;
}

static void say_left(rf_store *store, int64_t finding, char message[RF_TRIAGE_MESSAGE], size_t length) {
  int64_t const left = rf_store_number(store, 0, "SELECT split_left FROM finding WHERE id = ?", "i", finding);
  int64_t const wanted = rf_store_number(store, 0, "SELECT split_wanted FROM finding WHERE id = ?", "i", finding);
  if (left != 0 && wanted != 0 && length < RF_TRIAGE_MESSAGE) {
    (void)snprintf(message + length, RF_TRIAGE_MESSAGE - length,
                   "; of %" PRId64 " earlier events only counts are kept: they stay", left);
  }
}

static const char by_numbers[] = "events:";

bool rf_split_check(const char *how, char message[RF_TRIAGE_MESSAGE]) {
  int64_t numbers[EVENTS_MOST];
  if (strncmp(how, by_numbers, strlen(by_numbers)) != 0) {
    return rf_split_named(how) != RF_SPLIT_NONE ||
           rf_decision_refuse(message, "split by one of: access, allocation, free, program, build, environment, mode");
  }
  return read_numbers(how + strlen(by_numbers), numbers) != 0 || rf_decision_refuse(message, no_events);
}

bool rf_split_apply(rf_store *store, int64_t finding, const char *how, char message[RF_TRIAGE_MESSAGE]) {
  rf_bump_arena arena = {NULL};
  bool done = false;
  rf_split_rule const rule = rf_split_named(how);
  int64_t const before = rf_store_number(store, 0, "SELECT split_by FROM finding WHERE id = ?", "i", finding);
  if (rule == RF_SPLIT_NONE) {
    done = by_events(store, &arena, finding, how + strlen(by_numbers), message);
  } else if (before != RF_SPLIT_NONE) {
    rf_decision_refuse(message, "it is split by a rule already; undo that first");
  } else {
    int64_t const moved = by_rule(store, &arena, finding, rule);
    int const length =
        snprintf(message, RF_TRIAGE_MESSAGE,
                 "finding %" PRId64 " is split by %s: %" PRId64 " of its events are findings of their own now", finding,
                 how, moved);
    say_left(store, finding, message, (size_t)length);
    done = true;
  }
  rf_bump_arena_free(&arena);
  return done;
}

bool rf_split_undo(rf_store *store, int64_t finding, char message[RF_TRIAGE_MESSAGE]) {
  rf_bump_arena arena = {NULL};
  int64_t *pieces = NULL;
  size_t used = 0;
  int64_t const rule = rf_store_number(store, 0, "SELECT split_by FROM finding WHERE id = ?", "i", finding);
  int64_t const whole =
      rf_store_number(store, finding, "SELECT coalesce(merged_into, id) FROM finding WHERE id = ?", "i", finding);
  sqlite3_stmt *const s =
      rf_store_select(store, "SELECT id FROM finding WHERE split_from = ? AND merged_into IS NULL", "i", finding);
  while (rf_store_row(store, s)) {
    RF_APPENDED(&arena, pieces, used) = sqlite3_column_int64(s, 0);
  }
  if (rule == RF_SPLIT_NONE && used == 0) {
    return rf_decision_refuse(message, "it was not split");
  }
  rf_store_run(store, "UPDATE finding SET split_by = 0, split_stay = 0, split_left = 0, split_wanted = 0 WHERE id = ?",
               "i", finding);
  for (size_t i = 0; i < used; i++) {
    rf_decision_join(store, whole, pieces[i]);
    if (whole != finding) { /* and goes with it, where it is taken out of the whole again */
      rf_store_run(store, "UPDATE finding SET merged_via = ? WHERE id = ?", "ii", finding, pieces[i]);
    }
  }
  rf_bump_arena_free(&arena);
  (void)snprintf(message, RF_TRIAGE_MESSAGE, "finding %" PRId64 " is one again", finding);
  return true;
}

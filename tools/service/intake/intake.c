#include "tools/service/intake/intake.h"

#include "checkers/report/fnv.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/model/bug_info.h"
#include "tools/ringfence/model/frame_view.h"
#include "tools/ringfence/render/document.h"
#include "tools/service/intake/builds.h"
#include "tools/service/intake/coverage.h"
#include "tools/service/intake/describe.h"
#include "tools/service/intake/named_keys.h"
#include "tools/service/intake/snapshots.h"
#include "tools/service/intake/split.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OTHERS_MOST = 10000 };

bool rf_intake_init(rf_intake *intake, rf_store *store, const rf_intake_options *options) {
  *intake = (rf_intake){.store = store, .options = options};
  (void)rf_bump_arena_alloc(&intake->line_arena, 1);
  return rf_batch_init(&intake->batch, store) && rf_seen_load(&intake->seen, store);
}

void rf_intake_deinit(rf_intake *intake) {
  rf_batch_deinit(&intake->batch);
  rf_seen_free(&intake->seen);
  rf_counters_free(&intake->counters);
  rf_counters_free(&intake->sites);
  rf_bump_arena_free(&intake->line_arena);
}

/* ---- Transactions ---- */

void rf_intake_begin(rf_intake *intake) {
  if (intake->lines == 0) {
    rf_store_begin(intake->store);
    rf_batch_begin(&intake->batch);
    intake->lines = 1;
  }
}

bool rf_intake_is_full(const rf_intake *intake) {
  return intake->lines >= RF_INTAKE_LINES || intake->store->failed;
}

static void settle(rf_intake *intake, bool committed) {
  rf_seen_settle(&intake->seen, committed);
  rf_counters_clear(&intake->counters);
  rf_counters_clear(&intake->sites);
  rf_known_forget(&intake->known);
  intake->orphans = (rf_orphans){.counted = false};
  rf_batch_clear(&intake->batch);
  intake->lines = 0;
  if (committed) {
    intake->kept_loops = intake->loops;
  } else {
    intake->loops = intake->kept_loops;
  }
  if (committed && intake->seen.used > RF_SEEN_MOST) {
    (void)rf_seen_load(&intake->seen, intake->store);
  }
}

bool rf_intake_commit(rf_intake *intake) {
  if (intake->lines == 0) {
    return true;
  }
  rf_batch_write(&intake->batch);
  rf_counters_write(&intake->counters, intake->store);
  rf_batch_renew(&intake->batch);
  rf_coverage_write(&intake->sites, intake->store);
  rf_crash_loops_write(&intake->loops, intake->store);
  rf_seen_write(&intake->seen, intake->store);
  bool const done = rf_store_commit(intake->store);
  settle(intake, done);
  return done;
}

void rf_intake_rollback(rf_intake *intake) {
  if (intake->lines != 0) {
    rf_store_rollback(intake->store);
    intake->store->failed = false;
    settle(intake, false);
  }
}

static void count(rf_intake *intake, int64_t finding, rf_counter_kind kind, int64_t what, int64_t by, int64_t time) {
  if (!rf_counters_add(&intake->counters, finding, kind, what, by, time)) {
    rf_store_fail(intake->store, SQLITE_NOMEM, "counting");
  }
}

void rf_intake_loss(rf_intake *intake, const char *reason, int64_t by) {
  rf_intake_begin(intake);
  count(intake, 0, RF_COUNT_LOSS, rf_name_id(intake->store, RF_NAME_LOSS, reason), by, rf_store_now());
}

/* ---- Life ---- */

static void note(rf_intake *intake, int64_t finding, const char *kind, const rf_envelope *e, const char *text) {
  rf_store_run(intake->store, "INSERT INTO activity(time, finding, kind, environment, text, alert) VALUES(?,?,?,?,?,?)",
               "iittti", rf_store_now(), finding, kind, e->environment, text, (int64_t)intake->options->alerts);
}

/* The state of the finding that this one was merged into, else its own. */
static const char *state_of(rf_intake *intake, const rf_batch_finding *f) {
  if (f->merged_into == 0) {
    return f->state;
  }
  sqlite3_stmt *const s = rf_store_select(intake->store, "SELECT state FROM finding WHERE id = ?", "i", f->merged_into);
  const char *state = "open";
  if (rf_store_row(intake->store, s)) {
    state = rf_bump_arena_copy(&intake->line_arena, rf_store_text(s, 0));
    rf_store_done(s);
  }
  return state;
}

/* `stored`: it may have rows. */
static bool is_known_in(rf_intake *intake, int64_t finding, bool stored, int64_t environment) {
  if (rf_counters_has(&intake->counters, finding, RF_COUNT_ENVIRONMENT, environment)) {
    return true;
  }
  return stored &&
         rf_store_number(intake->store, 0, "SELECT 1 FROM counter WHERE finding = ? AND kind = 4 AND what = ?", "ii",
                         finding, environment) != 0;
}

/* Was there a regression of it in this environment since it was fixed? One alert for each. */
static bool is_told(rf_intake *intake, int64_t finding, const char *environment) {
  return rf_store_number(intake->store, 0,
                         "SELECT 1 FROM activity WHERE finding = ?1 AND kind = 'reopened' AND environment = ?2 AND id"
                         " > coalesce((SELECT max(id) FROM activity WHERE finding = ?1 AND kind = 'fixed'), 0)",
                         "it", finding, environment) != 0;
}

static void live(rf_intake *intake, rf_batch_finding *f, const rf_envelope *e, const rf_candidate *c) {
  int64_t const root = f->merged_into != 0 ? f->merged_into : f->id;
  const char *const state = state_of(intake, f);
  bool const regressed = strcmp(state, "fixed") == 0 && rf_build_has_fix(intake->store, root, c->build);
  if (regressed && f->merged_into == 0) {
    f->state = "reopened";
  } else if (regressed) {
    rf_store_run(intake->store, "UPDATE finding SET state = 'reopened' WHERE id = ?", "i", root);
  }
  if ((regressed || strcmp(state, "reopened") == 0) && !is_told(intake, root, e->environment)) {
    note(intake, root, "reopened", e, f->title != NULL ? f->title : "");
  } else if (strcmp(state, "open") == 0 && !is_known_in(intake, root, !f->is_new, c->environment) &&
             (root == f->id || !is_known_in(intake, f->id, !f->is_new, c->environment))) {
    note(intake, root, "new", e, f->title != NULL ? f->title : "");
  }
}

/* ---- Findings ---- */

static rf_window_rule rule_for(const rf_intake_options *options, const rf_envelope *e) {
  rf_window_rule rule = RF_WINDOW_WHOLE;
  for (size_t i = 0; i < options->rule_count; i++) {
    const rf_intake_rule *const r = &options->rules[i];
    bool const matches =
        strcmp(r->name, "*") == 0 || strcmp(r->name, e->mode) == 0 || strcmp(r->name, e->environment) == 0;
    rule = matches && r->rule > rule ? r->rule : rule;
  }
  return rule;
}

static void count_labels(rf_intake *intake, int64_t finding, const rf_envelope *e) {
  const char *labels[RF_LABELS_MOST];
  size_t const used = rf_envelope_labels(&intake->line_arena, e->labels, labels);
  for (size_t i = 0; i < used; i++) {
    int64_t const label = rf_known_name(&intake->known, &intake->batch.arena, intake->store, RF_NAME_LABEL, labels[i]);
    count(intake, finding, RF_COUNT_LABEL, label, e->count, e->time);
  }
}

/* Sums of these over all findings are read: finding 0 has them. */
static void count_time_and_build(rf_intake *intake, int64_t finding, const rf_envelope *e, const rf_candidate *c) {
  count(intake, finding, RF_COUNT_DAY, e->time / RF_DAY_MS, e->count, e->time);
  count(intake, finding, RF_COUNT_BUILD, c->build, e->count, e->time);
}

static void count_event(rf_intake *intake, int64_t finding, const rf_envelope *e, const rf_candidate *c) {
  count_time_and_build(intake, finding, e, c);
  count(intake, finding, RF_COUNT_HOST, c->host, e->count, e->time);
  count(intake, finding, RF_COUNT_ENVIRONMENT, c->environment, e->count, e->time);
  count(intake, finding, RF_COUNT_PROGRAM, c->program, e->count, e->time);
  count(intake, finding, RF_COUNT_MODE, c->mode, e->count, e->time);
}

static void count_damage(rf_intake *intake, rf_batch_finding *f, const rf_envelope *e, const rf_candidate *c,
                         const rf_finding *found) {
  rf_written written[RF_WRITTEN_MOST];
  unsigned const bytes = rf_window_written(found, written);
  bool const kept = rule_for(intake->options, e) != RF_WINDOW_NONE;
  for (unsigned i = 0; i < bytes && kept; i++) {
    count(intake, f->id, RF_COUNT_WRITTEN, rf_written_pack(written[i]), e->count, e->time);
  }
  f->damaged += bytes != 0 ? e->count : 0;
  if (rf_window_one_bit(found)) {
    f->one_bit += e->count;
    count(intake, f->id, RF_COUNT_ONE_BIT_HOST, c->host, e->count, e->time);
  }
}

static void add_event(rf_intake *intake, rf_batch_finding *f, const rf_envelope *e, const rf_candidate *c) {
  live(intake, f, e, c);
  count_event(intake, f->id, e, c);
  count_time_and_build(intake, 0, e, c);
  count_labels(intake, f->id, e);
  bool const first = f->count == 0;
  f->first_seen = first || e->time < f->first_seen ? e->time : f->first_seen;
  f->first_build = first ? c->build : f->first_build;
  f->several_builds = f->several_builds || c->build != f->first_build;
  f->last_build = e->time >= f->last_seen ? c->build : f->last_build;
  f->last_seen = e->time > f->last_seen ? e->time : f->last_seen;
  f->count += e->count;
  f->added += e->count;
}

static rf_candidate candidate_of(rf_intake *intake, const rf_envelope *e, const char *line, size_t length) {
  rf_store *const store = intake->store;
  rf_known *const known = &intake->known;
  rf_bump_arena *const arena = &intake->batch.arena;
  return (rf_candidate){
      .line = line,
      .length = length,
      .id = rf_bump_arena_copy(&intake->batch.arena, e->id),
      .time = e->time,
      .build = rf_known_build(known, arena, store, e),
      .program = rf_known_name(known, arena, store, RF_NAME_PROGRAM, e->program),
      .host = rf_known_name(known, arena, store, RF_NAME_HOST, e->host),
      .environment = rf_known_name(known, arena, store, RF_NAME_ENVIRONMENT, e->environment),
      .mode = rf_known_name(known, arena, store, RF_NAME_MODE, e->mode),
      .pid = e->pid,
      .count = e->count,
  };
}

static void keep_other(rf_intake *intake, const rf_envelope *e, const char *line, size_t length) {
  rf_store_run(intake->store, "INSERT INTO other(time, kind, text) VALUES(?,?,?)", "its", e->time, e->record, line,
               length);
  rf_store_run(intake->store, "DELETE FROM other WHERE id <= (SELECT max(id) FROM other) - ?", "i",
               (int64_t)OTHERS_MOST);
  rf_intake_loss(intake, "records of a kind or version not known here, kept as they are", 1);
}

/* The finding of an event, or the piece of it that a rule makes (split.h). */
static rf_batch_finding *finding_of(rf_intake *intake, const rf_event_keys *keys, const rf_candidate *c) {
  rf_batch_finding *const whole = rf_batch_get(&intake->batch, keys);
  int64_t const value = rf_split_value(whole->split_by, keys, c);
  if (whole->split_by == RF_SPLIT_NONE || value == whole->split_stay) {
    return whole;
  }
  rf_event_keys of_piece = *keys;
  of_piece.group = rf_split_key(keys->group, whole->split_by, value);
  rf_batch_finding *const piece = rf_batch_get(&intake->batch, &of_piece);
  piece->split_from = piece->is_new ? whole->id : 0;
  return piece;
}

static int64_t take_finding(rf_intake *intake, const rf_envelope *e, char *line, size_t length) {
  rf_record *const record = rf_record_read(&intake->line_arena, e->finding);
  if (record == NULL) {
    keep_other(intake, e, line, length);
    return 0;
  }
  rf_record_trim(record, NULL, false);
  rf_candidate c = candidate_of(intake, e, line, length);
  c.richness = rf_describe_richness(record);
  rf_event_keys const keys = rf_named_keys(&intake->batch, &intake->line_arena, record);
  rf_batch_finding *const f = finding_of(intake, &keys, &c);
  if (f->title == NULL && f->is_new) {
    rf_describe(&intake->batch.arena, &intake->line_arena, record, e->program, f);
  }
  if (f->count == 0 || e->time < f->first_seen) {
    f->first = c;
  }
  bool const latest = e->time >= f->last_seen;
  add_event(intake, f, e, &c);
  intake->events++;
  count_damage(intake, f, e, &c, &record->finding);
  if (latest) {
    f->last = c;
  }
  if (c.richness > f->richest && (f->best.line == NULL || c.richness > f->best.richness)) {
    f->best = c;
  }
  if (rf_crash_loops_add(&intake->loops, f->id, c.program, e->pid, e->time)) {
    note(intake, f->merged_into != 0 ? f->merged_into : f->id, "crash loop", e, e->program);
  }
  return f->id;
}

static const char unknown_finding[] = "repeats whose finding is not known";

static void add_repeat(rf_intake *intake, rf_batch_finding *f, const rf_envelope *e) {
  rf_candidate const c = candidate_of(intake, e, NULL, 0);
  add_event(intake, f, e, &c);
}

/* The piece of a finding that has the event which the repeat is of, since it was split; 0: it has the event itself.
 * If the event is not kept, the rule tells, but for stacks, which a repeat has none of. */
static int64_t piece_of(rf_intake *intake, const rf_batch_finding *whole, const rf_envelope *e) {
  int64_t const piece =
      rf_store_number(intake->store, 0,
                      "SELECT e.finding FROM finding f JOIN event e ON e.finding = f.id WHERE f.split_from = ? AND"
                      " e.record = ?",
                      "it", whole->id, e->of);
  if (piece != 0 || whole->split_by < RF_SPLIT_PROGRAM) {
    return piece;
  }
  rf_candidate const c = candidate_of(intake, e, NULL, 0);
  int64_t const value = rf_split_value(whole->split_by, &whole->keys, &c);
  return value == whole->split_stay ? 0
                                    : rf_store_number(intake->store, 0, "SELECT finding FROM key WHERE key = ?", "i",
                                                      rf_split_key(whole->own_key, whole->split_by, value));
}

static rf_batch_finding *finding_of_repeat(rf_intake *intake, const rf_envelope *e, int64_t id) {
  rf_batch_finding *const whole = rf_batch_find(&intake->batch, id);
  int64_t const piece = whole == NULL ? 0 : piece_of(intake, whole, e);
  return piece == 0 ? whole : rf_batch_find(&intake->batch, piece);
}

/* A repeat of a record that was taken in and is no finding known here is lost; any other one waits for its finding. */
static int64_t take_repeat(rf_intake *intake, const rf_envelope *e, const char *line, size_t length) {
  int64_t id = 0;
  bool const seen = rf_seen_find(&intake->seen, rf_seen_hash(e->of), &id);
  rf_batch_finding *const f = seen && id != 0 ? finding_of_repeat(intake, e, id) : NULL;
  if (f != NULL) {
    add_repeat(intake, f, e);
    intake->events++;
    return f->id;
  }
  int64_t const lost = seen ? e->count : rf_orphans_keep(&intake->orphans, intake->store, e, line, length);
  if (lost != 0) {
    rf_intake_loss(intake, unknown_finding, lost);
  }
  return 0;
}

/* Counts the repeats of record `id` that came before it; `finding` is 0 where it is none that is known here. */
static void take_orphans(rf_intake *intake, const char *id, int64_t finding) {
  rf_bump_arena_mark const mark = rf_bump_arena_mark_of(&intake->line_arena);
  rf_envelope e;
  while (rf_orphans_take(&intake->orphans, intake->store, &intake->line_arena, id, &e)) {
    bool const counts = finding != 0 && e.kind == RF_LINE_REPEAT;
    rf_batch_finding *const f = counts ? rf_batch_find(&intake->batch, finding) : NULL;
    if (f != NULL) {
      add_repeat(intake, f, &e);
    } else {
      rf_intake_loss(intake, unknown_finding, e.count);
    }
    rf_bump_arena_reset(&intake->line_arena, mark);
  }
}

bool rf_intake_expire(rf_intake *intake) {
  int64_t const now = rf_store_now();
  if (!rf_orphans_are_due(intake->store, now)) {
    return !intake->store->failed;
  }
  rf_intake_begin(intake);
  while (rf_orphans_are_due(intake->store, now) && !intake->store->failed) {
    rf_intake_loss(intake, unknown_finding, rf_orphans_drop(intake->store));
  }
  return rf_intake_commit(intake);
}

static void take_summary(rf_intake *intake, const rf_envelope *e) {
  rf_store *const store = intake->store;
  rf_candidate const c = candidate_of(intake, e, NULL, 0);
  rf_store_run(
      store,
      "INSERT INTO usage(program, build, mode, environment, day, processes, seconds, allocations, findings,"
      " dropped, killed, peak) VALUES(?1,?2,?3,?4,?5,?12,?6,?7,?8,?9,?10,?11) ON CONFLICT(program, build, mode,"
      " environment, day) DO UPDATE SET processes = processes + ?12, seconds = seconds + ?6, allocations ="
      " allocations + ?7, findings = findings + ?8, dropped = dropped + ?9, killed = killed + ?10, peak ="
      " max(peak, ?11)",
      "iiiiidiiiiii", c.program, c.build, c.mode, c.environment, e->time / RF_DAY_MS, e->seconds, e->allocations,
      e->findings, e->dropped, (int64_t)e->killed, e->peak, (int64_t)!e->continued);
  if (!e->running) {
    rf_snapshots_end(store, e);
  }
  int64_t const left_out = rf_coverage_take(store, &intake->sites, e, &c);
  if (left_out + e->sites_dropped != 0) {
    rf_intake_loss(intake, "call sites that were not listed", left_out + e->sites_dropped);
  }
}

static void take_snapshot(rf_intake *intake, const rf_envelope *e, const char *line, size_t length) {
  rf_candidate const c = candidate_of(intake, e, NULL, 0);
  if (!rf_snapshots_take(intake->store, &intake->line_arena, e, &c, line, length)) {
    keep_other(intake, e, line, length);
  }
}

/* As processes say it where their mode has no snapshots. */
static const char no_snapshot[] = "no snapshot: this mode has none";

static bool is_declined(const char *done) {
  return strcmp(done, no_snapshot) == 0 || rf_ends_with(done, "this mode has no snapshots");
}

/* A process took a step that a rule asked for, or could not, which is told once. */
static void take_step(rf_intake *intake, const rf_envelope *e) {
  if (is_declined(e->done)) {
    rf_store_run(intake->store,
                 "INSERT INTO steer_step(time, rule, finding, done, because) SELECT ?1, ?2, 0, ?3, 'a process says so'"
                 " WHERE EXISTS (SELECT 1 FROM steer WHERE id = ?2) AND NOT EXISTS (SELECT 1 FROM steer_step WHERE rule"
                 " = ?2 AND done = ?3)",
                 "iit", e->time, e->rule, no_snapshot);
    return;
  }
  rf_store_run(intake->store,
               "UPDATE steer SET reached = reached + 1, last_reached = max(last_reached, ?2) WHERE id = ?1", "ii",
               e->rule, e->time);
}

/* ---- Lines ---- */

/* Findings and summaries tell of those that no record before has told of. */
static void note_dropped(rf_intake *intake, const rf_envelope *e) {
  if (e->dropped != 0 && (e->kind == RF_LINE_FINDING || e->kind == RF_LINE_SUMMARY)) {
    rf_intake_loss(intake, "findings that processes dropped", e->dropped);
  }
}

static int64_t take(rf_intake *intake, const rf_envelope *e, char *line, size_t length) {
  int64_t finding = 0;
  note_dropped(intake, e);
  switch (e->kind) {
  case RF_LINE_FINDING:
    finding = take_finding(intake, e, line, length);
    take_orphans(intake, e->id, finding);
    return finding;
  case RF_LINE_REPEAT:
    return take_repeat(intake, e, line, length);
  case RF_LINE_SUMMARY:
    take_summary(intake, e);
    return 0;
  case RF_LINE_SNAPSHOT:
    take_snapshot(intake, e, line, length);
    return 0;
  case RF_LINE_STEP:
    take_step(intake, e);
    return 0;
  default:
    keep_other(intake, e, line, length);
    return 0;
  }
}

/* The line as it is kept: without the bytes that must not be. It may be sent twice, so it needs an id. */
static void send_on(rf_intake *intake, const rf_envelope *e, const char *line, size_t length) {
  const char *text = rf_bump_arena_text(&intake->line_arena, line, length);
  const char *const end = strrchr(text, '}');
  if (e->id[0] == '\0' && end != NULL) {
    uint64_t const sum = rf_fnv_bytes(RF_FNV_START ^ (uint64_t)rf_store_now(), line, length);
    text = rf_bump_arena_print(&intake->line_arena, "%.*s,\"id\":\"relay-%016" PRIx64 "-%" PRIu64 "-%d\"}",
                               (int)(end - text), text, sum, intake->relayed, (int)getpid());
  }
  rf_store_run(intake->store, "INSERT INTO outgoing(bytes, text) VALUES(?, ?)", "it", (int64_t)strlen(text), text);
  intake->relayed++;
}

void rf_intake_line(rf_intake *intake, char *line, size_t length) {
  rf_intake_begin(intake);
  intake->lines++;
  if (length > RF_LINE_MOST) {
    rf_intake_loss(intake, "lines too long", 1);
    intake->unreadable++;
    return;
  }
  rf_bump_arena_mark const mark = rf_bump_arena_mark_of(&intake->line_arena);
  rf_envelope const e = rf_envelope_read(&intake->line_arena, line, length, rf_store_now());
  uint64_t const hash = rf_seen_hash(e.id);
  int64_t finding = 0;
  if (e.kind == RF_LINE_UNREADABLE) {
    rf_intake_loss(intake, "lines that are no records", 1);
    intake->unreadable++;
  } else if (e.id[0] != '\0' && rf_seen_find(&intake->seen, hash, &finding)) {
    intake->twice++;
  } else {
    rf_window_hide(line, length, rule_for(intake->options, &e));
    finding = take(intake, &e, line, length);
    if (intake->options->relay && e.kind != RF_LINE_STEP) { /* rules are of this collector */
      send_on(intake, &e, line, length);
    }
    if (e.id[0] != '\0' && !rf_seen_add(&intake->seen, hash, finding)) {
      rf_store_fail(intake->store, SQLITE_NOMEM, "ids");
    }
  }
  rf_bump_arena_reset(&intake->line_arena, mark);
}

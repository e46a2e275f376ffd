/* The list of findings. */
#include "tools/service/query/query.h"

#include "tools/service/intake/builds.h"
#include "tools/service/store/has_words.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { DEFAULT_LIMIT = 100, STATES = 4 };

/* A list that is asked for, as values of one prepared statement; NULL and 0 mean any. */
typedef struct question {
  const char *first_state;
  const char *second_state;
  int64_t new_since;
  int64_t build;
  int64_t new_in;
  int64_t environment;
  const char *words; /* in small letters, with a space between them */
  const char *order;
  int64_t limit;
  int64_t offset;
  bool nothing; /* a build or an environment is not known */
} question;

/* NULL where there is none. */
static const char *words_of(rf_bump_arena *arena, const char *text) {
  char *const words = rf_bump_arena_copy(arena, text);
  bool any = false;
  for (char *c = words; *c != '\0'; c++) {
    bool const space = isspace((unsigned char)*c) != 0;
    *c = (char)(space ? ' ' : tolower((unsigned char)*c));
    any = any || !space;
  }
  return any ? words : NULL;
}

static void choose_state(question *a, const char *state) {
  static const char *const single[] = {"reopened", "fixed", "ignored"};
  if (state == NULL || strcmp(state, "open") == 0) {
    a->first_state = "open";
    a->second_state = "reopened";
  } else if (strcmp(state, "new") == 0) {
    a->first_state = "open";
    a->new_since = rf_store_now() - RF_NEW_MS;
  }
  for (size_t i = 0; i < 3 && state != NULL; i++) {
    a->first_state = strcmp(state, single[i]) == 0 ? single[i] : a->first_state;
  }
}

static question question_of(rf_query *q, const rf_findings_filter *f) {
  question a = {.order = f->order == NULL ? "last" : f->order, .offset = f->offset};
  a.limit = rf_query_limit(f->limit, DEFAULT_LIMIT);
  choose_state(&a, f->state);
  if (f->build != NULL) {
    a.build = rf_build_named(q->store, f->build);
  }
  if (f->new_in != NULL) {
    a.new_in = rf_build_named(q->store, f->new_in);
  }
  if (f->environment != NULL) {
    a.environment =
        rf_store_number(q->store, 0, "SELECT id FROM name WHERE kind = 2 AND text = ?", "t", f->environment);
  }
  a.nothing = (f->build != NULL && a.build == 0) || (f->new_in != NULL && a.new_in == 0) ||
              (f->environment != NULL && a.environment == 0);
  a.words = f->search == NULL ? NULL : words_of(q->arena, f->search);
  return a;
}

static bool is_known_build(rf_store *store, const char *build, char *message) {
  int64_t const id = build == NULL ? 1 : rf_build_named(store, build);
  if (id == RF_BUILD_AMBIGUOUS) {
    (void)snprintf(message, RF_FILTER_MESSAGE,
                   "several builds begin with %s: give more of the name; `ringfence builds` lists them", build);
  } else if (id == 0) {
    (void)snprintf(message, RF_FILTER_MESSAGE, "no build is called %s; `ringfence builds` lists them", build);
  }
  return id > 0;
}

bool rf_query_filter_is_known(rf_store *store, const rf_findings_filter *f, char message[RF_FILTER_MESSAGE]) {
  if (!is_known_build(store, f->build, message) || !is_known_build(store, f->new_in, message)) {
    return false;
  }
  if (f->environment != NULL &&
      rf_store_number(store, 0, "SELECT 1 FROM name WHERE kind = 2 AND text = ?", "t", f->environment) == 0) {
    (void)snprintf(message, RF_FILTER_MESSAGE,
                   "no process has reported from environment %s; `ringfence coverage` lists those that have",
                   f->environment);
    return false;
  }
  return true;
}

#define COLUMNS                                                                                                        \
  "f.id, f.bug, f.level, f.title, f.place, f.state, f.first_seen, f.last_seen, f.count + coalesce((SELECT "            \
  "sum(m.count) FROM finding m WHERE m.merged_into = f.id), 0) AS total, fb.name, lb.name, f.fixed_in, f.because, "    \
  "f.damaged + coalesce((SELECT sum(m.damaged) FROM finding m WHERE m.merged_into = f.id), 0), f.one_bit + "           \
  "coalesce((SELECT sum(m.one_bit) FROM finding m WHERE m.merged_into = f.id), 0), (SELECT count(*) FROM finding m "   \
  "WHERE m.merged_into = f.id)"

/* Whether the finding, or one that was merged into it, has such a row. */
#define ANY_PART(table, condition)                                                                                     \
  "(EXISTS (SELECT 1 FROM " table " c WHERE c.finding = f.id AND " condition ") OR EXISTS (SELECT 1 FROM finding m"    \
  " JOIN " table " c ON c.finding = m.id WHERE m.merged_into = f.id AND " condition "))"
#define WORDS_MATCH RF_STORE_HAS_WORDS "(c.text, ?7)"
#define SEEN_IN_BUILD ANY_PART("counter", "c.kind = 2 AND c.what = ?4")
/* A build before the fix may have it too: it has not come back there. */
#define BACK_IN_BUILD                                                                                                  \
  "(" ANY_PART("counter", "c.kind = 2 AND c.what = ?5") " AND (SELECT " RF_BUILD_HAS_FIX(                              \
      "b", "f") " FROM build b WHERE b.id = ?5))"
#define SEEN_IN_ENVIRONMENT ANY_PART("counter", "c.kind = 4 AND c.what = ?6")
#define HAS_WORDS ANY_PART("words", WORDS_MATCH)

/* Named parameters: the statement is one text for each order. */
#define CHOSEN                                                                                                         \
  " FROM finding f WHERE f.merged_into IS NULL AND (?1 IS NULL OR f.state IN (?1, ?2)) AND f.first_seen >= ?3"         \
  " AND (?4 = 0 OR " SEEN_IN_BUILD ") AND (?5 = 0 OR f.first_build = ?5 OR (f.state = 'reopened' AND " BACK_IN_BUILD   \
  ")) AND (?6 = 0 OR " SEEN_IN_ENVIRONMENT ") AND (?7 IS NULL OR " HAS_WORDS ")"

/* Rows are chosen and put in order by few columns first: the others are read of those that are shown. */
#define LISTED(choice, order)                                                                                          \
  "SELECT " COLUMNS " FROM (SELECT f.id" choice CHOSEN " ORDER BY " order " LIMIT ?8 OFFSET ?9) chosen JOIN finding"   \
  " f ON f.id = chosen.id JOIN build fb ON fb.id = f.first_build JOIN build lb ON lb.id = f.last_build ORDER BY "
#define WITH_MERGED                                                                                                    \
  ", f.count + coalesce((SELECT sum(m.count) FROM finding m WHERE m.merged_into = f.id), 0) AS counted"

static sqlite3_stmt *select_rows(rf_query *q, const question *a) {
  static const char last[] = LISTED("", "f.last_seen DESC, f.id DESC") "f.last_seen DESC, f.id DESC";
  static const char first[] = LISTED("", "f.first_seen DESC, f.id DESC") "f.first_seen DESC, f.id DESC";
  static const char most[] = LISTED(WITH_MERGED, "counted DESC, f.id DESC") "counted DESC, f.id DESC";
  const char *const sql = strcmp(a->order, "first") == 0 ? first : strcmp(a->order, "count") == 0 ? most : last;
  return rf_store_select(q->store, sql, "ttiiiitii", a->first_state, a->second_state, a->new_since, a->build, a->new_in,
                         a->environment, a->words, a->limit, a->offset);
}

static void put_environments(rf_query *q, int64_t finding) {
  sqlite3_stmt *const s = rf_store_select(
      q->store,
      "SELECT DISTINCT n.text FROM counter c JOIN name n ON n.id = c.what WHERE c.kind = 4 AND c.finding IN (SELECT"
      " id FROM finding WHERE id = ?1 OR merged_into = ?1) ORDER BY n.text LIMIT 8",
      "i", finding);
  rf_query_put_texts(q, "environments", s);
}

static void put_row(rf_query *q, sqlite3_stmt *s) {
  int64_t const id = sqlite3_column_int64(s, 0);
  int64_t const first_seen = sqlite3_column_int64(s, 6);
  rf_json_open(&q->w, NULL, "{");
  rf_query_put_columns(q, s, 0, "id# bug level title place state");
  rf_json_put_bool(&q->w, "new", first_seen >= rf_store_now() - RF_NEW_MS && strcmp(rf_store_text(s, 5), "open") == 0);
  rf_query_put_columns(q, s, 6,
                       "first_seen@ last_seen@ count# first_build last_build fixed_in* because* damaged# one_bit#"
                       " merged#");
  put_environments(q, id);
  rf_query_put_trend(q, "trend", id, RF_TREND_DAYS);
  rf_json_close(&q->w, "}");
}

/* How many findings of each state match the question but for its state. */
typedef struct tally {
  int64_t of[STATES];
  int64_t fresh;
} tally;

static const char *const state_names[STATES] = {"open", "reopened", "fixed", "ignored"};

static tally count_states(rf_query *q, const question *a) {
  tally t = {.fresh = 0};
  sqlite3_stmt *const s =
      a->nothing
          ? NULL
          : rf_store_select(q->store, "SELECT f.state, count(*), sum(f.first_seen >= ?8)" CHOSEN " GROUP BY f.state",
                            "ttiiiiti", (const char *)NULL, (const char *)NULL, (int64_t)0, a->build, a->new_in,
                            a->environment, a->words, rf_store_now() - RF_NEW_MS);
  while (rf_store_row(q->store, s)) {
    for (int i = 0; i < STATES; i++) {
      t.of[i] += strcmp(rf_store_text(s, 0), state_names[i]) == 0 ? sqlite3_column_int64(s, 1) : 0;
    }
    t.fresh += strcmp(rf_store_text(s, 0), "open") == 0 ? sqlite3_column_int64(s, 2) : 0;
  }
  return t;
}

/* How many match with the state that is asked for. */
static int64_t total_of(const question *a, const tally *t) {
  int64_t total = 0;
  if (a->new_since != 0) {
    return t->fresh;
  }
  for (int i = 0; i < STATES; i++) {
    bool const first = a->first_state == NULL || strcmp(a->first_state, state_names[i]) == 0;
    bool const second = a->second_state != NULL && strcmp(a->second_state, state_names[i]) == 0;
    total += first || second ? t->of[i] : 0;
  }
  return total;
}

static void put_counts(rf_query *q, const tally *t) {
  rf_json_open(&q->w, "counts", "{");
  for (int i = 0; i < STATES; i++) {
    if (t->of[i] != 0) {
      rf_json_put_number(&q->w, state_names[i], t->of[i]);
    }
  }
  rf_json_put_number(&q->w, "new", t->fresh);
  rf_json_close(&q->w, "}");
}

static void put_environment_names(rf_query *q) {
  rf_query_put_texts(q, "environments",
                     rf_store_select(q->store, "SELECT text FROM name WHERE kind = 2 ORDER BY text LIMIT ?", "i",
                                     (int64_t)RF_LIST_MOST));
}

/* The events of all findings that match, whatever part of the list is shown. */
static void put_days(rf_query *q, const question *a) {
  static const char sql[] =
      "WITH chosen AS MATERIALIZED (SELECT f.id" CHOSEN
      "), members AS (SELECT id FROM chosen UNION ALL SELECT m.id FROM"
      " chosen CROSS JOIN finding m ON m.merged_into = chosen.id) SELECT c.what, sum(c.count) FROM members CROSS JOIN"
      " counter c ON c.finding = members.id AND c.kind = 1 AND c.what >= ?8 GROUP BY c.what";
  sqlite3_stmt *const s =
      a->nothing ? NULL
                 : rf_store_select(q->store, sql, "ttiiiiti", a->first_state, a->second_state, a->new_since, a->build,
                                   a->new_in, a->environment, a->words, rf_query_first_day(RF_TREND_DAYS));
  rf_query_put_days(q, "trend", s, RF_TREND_DAYS);
}

bool rf_query_findings(rf_query *q, const rf_findings_filter *filter) {
  question const a = question_of(q, filter);
  rf_json_open(&q->w, NULL, "{");
  rf_json_open(&q->w, "findings", "[");
  sqlite3_stmt *const s = a.nothing ? NULL : select_rows(q, &a);
  while (rf_store_row(q->store, s)) {
    put_row(q, s);
  }
  rf_json_close(&q->w, "]");
  tally const t = count_states(q, &a);
  rf_json_put_number(&q->w, "total", total_of(&a, &t));
  rf_json_put_number(&q->w, "offset", a.offset);
  rf_json_put_number(&q->w, "limit", a.limit);
  put_counts(q, &t);
  put_environment_names(q);
  put_days(q, &a);
  rf_json_close(&q->w, "}");
  return !q->store->failed;
}

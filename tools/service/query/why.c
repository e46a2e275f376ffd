/* Why two findings are one, or are not. */
#include "tools/service/query/query.h"

#include <inttypes.h>
#include <string.h>

typedef struct row {
  bool there;
  int64_t keys[4]; /* group, access, allocation, free */
  int64_t root;
  int64_t algorithm;
  const char *bug;
  const char *place;
} row;

static row read_row(rf_query *q, int64_t id) {
  row r = {.there = false};
  sqlite3_stmt *const s =
      rf_store_select(q->store,
                      "SELECT key, access_key, allocation_key, free_key, coalesce(merged_into, id), algorithm, bug, place"
                      " FROM finding WHERE id = ?",
                      "i", id);
  if (rf_store_row(q->store, s)) {
    r.there = true;
    for (int i = 0; i < 4; i++) {
      r.keys[i] = sqlite3_column_int64(s, i);
    }
    r.root = sqlite3_column_int64(s, 4);
    r.algorithm = sqlite3_column_int64(s, 5);
    r.bug = rf_bump_arena_print(q->arena, "%s", rf_store_text(s, 6));
    r.place = rf_bump_arena_print(q->arena, "%s", rf_store_text(s, 7));
    rf_store_done(s);
  }
  return r;
}

static void put_side(rf_query *q, const char *name, int64_t id, const row *r) {
  static const char *const names[] = {"key", "access_key", "allocation_key", "free_key"};
  rf_json_open(&q->w, name, "{");
  rf_json_put_number(&q->w, "id", id);
  rf_json_put_text(&q->w, "bug", r->bug);
  rf_json_put_text(&q->w, "place", r->place);
  rf_json_put_number(&q->w, "algorithm", r->algorithm);
  for (int i = 0; i < 4; i++) {
    rf_json_put_text(&q->w, names[i],
                     r->keys[i] == 0 ? NULL : rf_bump_arena_print(q->arena, "%016" PRIx64, (uint64_t)r->keys[i]));
  }
  rf_json_close(&q->w, "}");
}

static const char *reason(rf_query *q, const row *a, const row *b, bool same[4]) {
  if (a->root == b->root) {
    return same[0] ? "one finding: their keys are equal" : "one finding: somebody merged them (split undoes it)";
  }
  if (strcmp(a->bug, b->bug) != 0) {
    return "two findings: another kind of bug";
  }
  if (a->algorithm != b->algorithm) {
    return "two findings: their keys are of two versions of the algorithm";
  }
  bool const any = same[1] || same[2] || same[3];
  return rf_bump_arena_print(q->arena, "two findings: %s%s%s%s",
                             any ? "their group keys differ, though they share" : "no stack of theirs is the same",
                             same[1] ? " the access" : "", same[2] ? " the allocation" : "", same[3] ? " the free" : "");
}

bool rf_query_why(rf_query *q, int64_t a, int64_t b) {
  row const left = read_row(q, a);
  row const right = read_row(q, b);
  rf_json_open(&q->w, NULL, "{");
  if (!left.there || !right.there) {
    rf_json_put_text(&q->w, "error",
                     rf_bump_arena_print(q->arena, "there is no finding %" PRId64, left.there ? b : a));
  } else {
    bool same[4];
    for (int i = 0; i < 4; i++) {
      same[i] = left.keys[i] != 0 && left.keys[i] == right.keys[i];
    }
    rf_json_put_bool(&q->w, "one", left.root == right.root);
    rf_json_put_text(&q->w, "why", reason(q, &left, &right, same));
    rf_json_put_bool(&q->w, "same_access", same[1]);
    rf_json_put_bool(&q->w, "same_allocation", same[2]);
    rf_json_put_bool(&q->w, "same_free", same[3]);
    put_side(q, "a", a, &left);
    put_side(q, "b", b, &right);
  }
  rf_json_close(&q->w, "}");
  return !q->store->failed;
}

/* Why two findings are one, or are not: their identities, as their richest events tell them. */
#include "tools/service/query/query.h"

#include "tools/ringfence/model/identity.h"
#include "tools/service/intake/names.h"

#include <inttypes.h>
#include <string.h>

typedef struct side {
  int64_t root;
  bool there;
  rf_identity identity;
} side;

static side read_side(rf_query *q, int64_t id) {
  side out = {.there = false};
  sqlite3_stmt *const s =
      rf_store_select(q->store,
                      "SELECT coalesce(f.merged_into, f.id), b.text FROM finding f JOIN body b ON b.event ="
                      " f.richest_event WHERE f.id = ?",
                      "i", id);
  if (!rf_store_row(q->store, s)) {
    return out;
  }
  out.root = sqlite3_column_int64(s, 0);
  const char *const text = rf_bump_arena_copy(q->arena, rf_store_text(s, 1));
  rf_store_done(s);
  rf_record *const record =
      rf_record_read(q->arena, rf_json_member(rf_json_parse(q->arena, text, strlen(text)), "finding"));
  if (record != NULL) {
    rf_names_apply(q->store, q->arena, record);
    rf_record_trim(record, NULL, false);
    out.identity = rf_identity_of(q->arena, record, NULL);
    out.there = true;
  }
  return out;
}

static void put_side(rf_query *q, const char *name, int64_t id, const side *a) {
  static const char *const stacks[] = {"access", "allocation", "free"};
  rf_json_open(&q->w, name, "{");
  rf_json_put_number(&q->w, "id", id);
  rf_json_put_text(&q->w, "bug", rf_bug_name(a->identity.bug));
  rf_json_put_number(&q->w, "algorithm", a->identity.version);
  rf_json_put_text(&q->w, "key", rf_bump_arena_print(q->arena, "%016" PRIx64, a->identity.group));
  for (int i = 0; i < 3; i++) {
    const rf_identity_stack *const stack = &a->identity.stacks[i];
    rf_json_open(&q->w, stacks[i], "[");
    for (size_t k = 0; k < stack->count; k++) {
      rf_json_put_text(&q->w, NULL, stack->frames[k]);
    }
    rf_json_close(&q->w, "]");
  }
  rf_json_close(&q->w, "}");
}

bool rf_query_why(rf_query *q, int64_t a, int64_t b) {
  side const left = read_side(q, a);
  side const right = read_side(q, b);
  rf_json_open(&q->w, NULL, "{");
  if (!left.there || !right.there) {
    rf_json_put_text(&q->w, "error", rf_bump_arena_print(q->arena, "there is no finding %" PRId64, left.there ? b : a));
  } else {
    bool const one = left.root == right.root;
    bool const equal = left.identity.group == right.identity.group;
    const char *const why = rf_identity_why(q->arena, &left.identity, &right.identity);
    rf_json_put_bool(&q->w, "one", one);
    rf_json_put_text(
        &q->w, "why",
        rf_bump_arena_print(q->arena, "%s%s",
                            one && !equal ? "one finding since somebody merged them (split undoes it)\n" : "", why));
    put_side(q, "a", a, &left);
    put_side(q, "b", b, &right);
  }
  rf_json_close(&q->w, "}");
  return !q->store->failed;
}

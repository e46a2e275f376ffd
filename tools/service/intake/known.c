#include "tools/service/intake/known.h"

#include "checkers/report/fnv.h"
#include "tools/service/intake/builds.h"

#include <string.h>

enum { BUILD = 0 }; /* beside the kinds of names, which begin at 1 */

/* The place for the text; its id is 0 where it is another's. */
static rf_known_row *place_of(rf_known *known, int kind, const char *text) {
  uint64_t const hash = rf_fnv_text(RF_FNV_START ^ (uint64_t)(unsigned)kind, text);
  rf_known_row *const row = &known->rows[(hash ^ hash >> 32) % RF_KNOWN];
  if (row->id != 0 && (row->kind != kind || strcmp(row->text, text) != 0)) {
    *row = (rf_known_row){.id = 0};
  }
  return row;
}

static int64_t keep(rf_known_row *row, rf_bump_arena *arena, int kind, const char *text, int64_t id) {
  *row = (rf_known_row){id, kind, rf_bump_arena_copy(arena, text)};
  return id;
}

int64_t rf_known_name(rf_known *known, rf_bump_arena *arena, rf_store *store, rf_name_kind kind, const char *text) {
  rf_known_row *const row = place_of(known, (int)kind, text);
  return row->id != 0 ? row->id : keep(row, arena, (int)kind, text, rf_name_id(store, kind, text));
}

int64_t rf_known_build(rf_known *known, rf_bump_arena *arena, rf_store *store, const rf_envelope *e) {
  const char *const name = rf_bump_arena_print(arena, "%s\n%s\n%s", e->version, e->commit, e->build_id);
  rf_known_row *const row = place_of(known, BUILD, name);
  return row->id != 0 ? row->id
                      : keep(row, arena, BUILD, name, rf_build_of(store, e->version, e->commit, e->build_id, e->time));
}

void rf_known_forget(rf_known *known) {
  *known = (rf_known){.rows = {{.id = 0}}};
}

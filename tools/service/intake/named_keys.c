#include "tools/service/intake/named_keys.h"

#include "checkers/report/fnv.h"
#include "tools/service/intake/names.h"

#include <string.h>
#include <unistd.h>

/* Has a function, and no line, of a build that may be known. */
static bool is_bare(const rf_frame *f) {
  return f->source_count == 0 && f->function != NULL && f->build_id != NULL && f->build_id[0] != '\0';
}

typedef struct bare_frames {
  rf_frame **list;
  size_t count;
} bare_frames;

static bare_frames find_bare(rf_bump_arena *arena, const rf_record *record) {
  bare_frames out = {NULL, 0};
  rf_frame *f = NULL;
  for (unsigned i = 0; (f = rf_record_frame(record, i)) != NULL; i++) {
    if (is_bare(f)) {
      RF_APPENDED(arena, out.list, out.count) = f;
    }
  }
  return out;
}

/* A file that was brought, or the program's own on this machine. */
static bool has_symbols(rf_store *store, const rf_frame *f) {
  return rf_store_number(store, 0, "SELECT 1 FROM symbol_file WHERE build_id = ? AND kind <> 'asked'", "t",
                         f->build_id) != 0 ||
         (f->module != NULL && access(f->module, R_OK) == 0);
}

/* Takes those out of the list that nothing more will be known of. */
static void keep_unknown(rf_store *store, rf_bump_arena *arena, bare_frames *bare) {
  const rf_frame *last = NULL;
  bool last_has = false;
  size_t kept = 0;
  for (size_t i = 0; i < bare->count; i++) {
    rf_frame *const f = bare->list[i];
    if (f->source_count == 0 && !rf_names_known(store, arena, f)) {
      last_has = last != NULL && strcmp(last->build_id, f->build_id) == 0 ? last_has : has_symbols(store, f);
      last = f;
      bare->list[kept] = f;
      kept += last_has;
    }
  }
  bare->count = kept;
}

rf_event_keys rf_named_keys(rf_batch *batch, rf_bump_arena *arena, rf_record *record) {
  rf_event_keys const plain = rf_event_keys_of(arena, record);
  bare_frames bare = find_bare(arena, record);
  if (bare.count == 0 || rf_batch_has_own(batch, plain.group)) {
    return plain;
  }
  for (size_t i = 0; i < bare.count; i++) {
    rf_names_frame(batch->store, arena, bare.list[i]);
  }
  keep_unknown(batch->store, arena, &bare);
  const char **const functions = (const char **)rf_bump_arena_array(arena, bare.count + 1, sizeof *functions);
  for (size_t i = 0; i < bare.count; i++) {
    functions[i] = bare.list[i]->function;
    bare.list[i]->function = NULL;
  }
  rf_event_keys keys = rf_event_keys_of(arena, record);
  uint64_t group = (uint64_t)keys.group;
  for (size_t i = 0; i < bare.count; i++) {
    bare.list[i]->function = functions[i];
    group = rf_fnv_text(group, bare.list[i]->build_id); /* another function has this offset in another build */
  }
  keys.group = (int64_t)group;
  return keys;
}

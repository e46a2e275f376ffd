#include "tools/service/intake/names.h"

#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/model/function_name.h"

#include <string.h>

bool rf_names_by_path(const rf_frame *frame) {
  return frame->build_id == NULL || frame->build_id[0] == '\0';
}

const char *rf_names_module(rf_bump_arena *arena, const rf_frame *frame) {
  if (!rf_names_by_path(frame)) {
    return frame->build_id;
  }
  bool const named = frame->module != NULL && frame->function != NULL;
  return named ? rf_bump_arena_print(arena, "%s#%s", frame->module, frame->function) : frame->module;
}

/* A name that only a symbolizer decodes may be any function's. */
static bool is_mangled(const char *name) {
  return rf_begins_with(name, "_Z") || rf_begins_with(name, "_R");
}

bool rf_names_agree(rf_bump_arena *arena, const rf_frame *frame) {
  const char *const found = frame->source_count == 0 ? NULL : frame->sources[frame->source_count - 1].function;
  if (!rf_names_by_path(frame) || found == NULL || frame->function == NULL) {
    return true;
  }
  const char *const own = rf_function_name(arena, frame->function);
  return is_mangled(own) || strcmp(own, rf_function_name(arena, found)) == 0;
}

bool rf_names_known(rf_store *store, rf_bump_arena *arena, const rf_frame *frame) {
  return rf_store_number(store, 0, "SELECT 1 FROM symbol WHERE build_id = ? AND offset = ?", "ti",
                         rf_names_module(arena, frame), (int64_t)frame->offset) != 0;
}

static const char *copy(rf_bump_arena *arena, const char *text) {
  return text == NULL ? NULL : rf_bump_arena_copy(arena, text);
}

void rf_names_frame(rf_store *store, rf_bump_arena *arena, rf_frame *frame) {
  const char *const module = frame->source_count != 0 ? NULL : rf_names_module(arena, frame);
  if (module == NULL) {
    return;
  }
  sqlite3_stmt *const s = rf_store_select(store, "SELECT text FROM symbol WHERE build_id = ? AND offset = ?", "ti",
                                          module, (int64_t)frame->offset);
  if (!rf_store_row(store, s)) {
    return;
  }
  const char *const text = copy(arena, rf_store_text(s, 0));
  rf_store_done(s);
  const rf_json *const list = rf_json_parse(arena, text, strlen(text));
  for (const rf_json *at = list == NULL ? NULL : list->first; at != NULL; at = at->next) {
    RF_APPENDED(arena, frame->sources, frame->source_count) = (rf_source){
        .function = rf_json_text(at, "function", NULL),
        .file = rf_json_text(at, "file", NULL),
        .line = (unsigned)rf_json_unsigned(at, "line", 0),
    };
  }
}

void rf_names_apply(rf_store *store, rf_bump_arena *arena, rf_record *record) {
  rf_frame *f = NULL;
  for (unsigned i = 0; (f = rf_record_frame(record, i)) != NULL; i++) {
    rf_names_frame(store, arena, f);
  }
}

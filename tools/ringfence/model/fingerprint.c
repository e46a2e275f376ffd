#include "tools/ringfence/model/fingerprint.h"

#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/string_table.h"

#include <inttypes.h>

enum { FUNCTIONS = 3 };

/* FNV-1a, with the final NUL: files with fingerprints must mean the same to every version and on every machine. */
static uint64_t checksum(uint64_t hash, const char *text) {
  for (;; text++) {
    hash = (hash ^ (unsigned char)*text) * 0x100000001B3U;
    if (*text == '\0') {
      return hash;
    }
  }
}

static uint64_t checksum_call(rf_bump_arena *arena, uint64_t hash, const rf_frame_view *call) {
  if (call->function != NULL) {
    return checksum(hash, call->function);
  }
  if (call->module != NULL) {
    return checksum(hash, rf_bump_arena_print(arena, "%s+%" PRIx64, rf_base_name(call->module), call->offset));
  }
  return checksum(hash, rf_bump_arena_print(arena, "%" PRIx64, call->address));
}

static uint64_t fingerprint_of(rf_bump_arena *arena, const rf_record *record) {
  rf_stack_view const view = rf_stack_view_of(arena, record, rf_stack_view_blamed(record));
  uint64_t hash = checksum(0xCBF29CE484222325U, rf_bug_name(record->finding.bug));
  unsigned used = 0;
  for (size_t i = 0; i < view.count && used < FUNCTIONS; i++) {
    if (!view.list[i].runtime) {
      hash = checksum_call(arena, hash, &view.list[i]);
      used++;
    }
  }
  return hash;
}

void rf_fingerprint_all(rf_bump_arena *arena, rf_record **records, size_t count) {
  rf_bump_arena scratch = {NULL};
  rf_string_table met = {0};
  unsigned *const times = (unsigned *)rf_bump_arena_array(&scratch, count + 1, sizeof *times);
  for (size_t i = 0; i < count; i++) {
    rf_bump_arena_mark const mark = rf_bump_arena_mark_of(arena);
    uint64_t const fingerprint = fingerprint_of(arena, records[i]);
    rf_bump_arena_reset(arena, mark);
    records[i]->fingerprint = rf_bump_arena_print(arena, "%016" PRIx64, fingerprint);
    records[i]->ordinal = ++times[rf_string_table_index(&met, &scratch, records[i]->fingerprint)];
  }
  rf_bump_arena_free(&scratch);
}

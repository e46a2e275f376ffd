#include "tools/ringfence/model/fingerprint.h"

#include "checkers/report/fnv.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/string_table.h"
#include "tools/ringfence/model/identity.h"

#include <inttypes.h>

/* ---- The algorithm of baselines before version 3 ---- */

enum { FUNCTIONS_BEFORE = 3 };

static uint64_t checksum_call(rf_bump_arena *arena, uint64_t hash, const rf_frame_view *call) {
  if (call->function != NULL) {
    return rf_fnv_text(hash, call->function);
  }
  if (call->module != NULL) {
    return rf_fnv_text(hash, rf_bump_arena_print(arena, "%s+%" PRIx64, rf_base_name(call->module), call->offset));
  }
  return rf_fnv_text(hash, rf_bump_arena_print(arena, "%" PRIx64, call->address));
}

static uint64_t fingerprint_before(rf_bump_arena *arena, const rf_record *record) {
  rf_stack_view const view = rf_stack_view_of(arena, record, rf_stack_view_blamed(record));
  uint64_t hash = rf_fnv_text(RF_FNV_START, rf_bug_name(record->finding.bug));
  unsigned used = 0;
  for (size_t i = 0; i < view.count && used < FUNCTIONS_BEFORE; i++) {
    if (!view.list[i].runtime) {
      hash = checksum_call(arena, hash, &view.list[i]);
      used++;
    }
  }
  return hash;
}

/* ---- All ---- */

void rf_fingerprint_all(rf_bump_arena *arena, rf_record **records, size_t count, const rf_skip_rules *rules) {
  rf_bump_arena scratch = {NULL};
  rf_string_table met = {0};
  unsigned *const times = (unsigned *)rf_bump_arena_array(&scratch, count + 1, sizeof *times);
  for (size_t i = 0; i < count; i++) {
    rf_bump_arena_mark const mark = rf_bump_arena_mark_of(arena);
    rf_identity identities[RF_IDENTITY_VERSION];
    rf_identity_of_versions(arena, records[i], rules, identities);
    uint64_t const group = identities[RF_IDENTITY_VERSION - 1].group;
    uint64_t const earlier[RF_IDENTITY_VERSION] = {fingerprint_before(arena, records[i]), identities[0].group,
                                                   identities[1].group};
    rf_bump_arena_reset(arena, mark);
    records[i]->fingerprint = rf_bump_arena_print(arena, "%016" PRIx64, group);
    for (unsigned version = 0; version < RF_IDENTITY_VERSION; version++) {
      records[i]->earlier[version] = rf_bump_arena_print(arena, "%016" PRIx64, earlier[version]);
    }
    records[i]->ordinal = ++times[rf_string_table_index(&met, &scratch, records[i]->fingerprint)];
  }
  rf_bump_arena_free(&scratch);
}

#include "tools/service/intake/identity.h"

#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/model/frame_view.h"

#include <inttypes.h>
#include <string.h>

static uint64_t checksum(uint64_t hash, const char *text) {
  for (;; text++) {
    hash = (hash ^ (unsigned char)*text) * 0x100000001B3U;
    if (*text == '\0') {
      return hash;
    }
  }
}

static int64_t stack_key(rf_bump_arena *arena, const rf_record *record, rf_stack_kind kind) {
  rf_stack_view const view = rf_stack_view_of(arena, record, kind);
  uint64_t hash = 0xCBF29CE484222325U;
  unsigned used = 0;
  for (size_t i = 0; i < view.count && used < 5; i++) {
    const rf_frame_view *const call = &view.list[i];
    if (!call->runtime) {
      hash = checksum(hash, call->function != NULL ? call->function
                                                   : rf_bump_arena_print(arena, "%s+%" PRIx64,
                                                                         call->module == NULL ? "" : rf_base_name(call->module),
                                                                         call->offset));
      used++;
    }
  }
  return used == 0 ? 0 : (int64_t)hash;
}

rf_event_keys rf_event_keys_of(rf_bump_arena *arena, const rf_record *record) {
  rf_event_keys keys = {.algorithm = 0};
  keys.access = stack_key(arena, record, RF_STACK_FOUND);
  keys.allocation = stack_key(arena, record, RF_STACK_ALLOCATED);
  keys.release = stack_key(arena, record, RF_STACK_RELEASED);
  int64_t const place = rf_stack_view_blamed(record) == RF_STACK_ALLOCATED ? keys.allocation : keys.access;
  keys.group = (int64_t)checksum((uint64_t)place, rf_bug_name(record->finding.bug));
  return keys;
}

#include "tools/ringfence/model/fingerprint.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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

static const char *fingerprint_of(rf_bump_arena *arena, const rf_record *record) {
  rf_stack_view const view = rf_stack_view_of(arena, record, rf_stack_view_blamed(record));
  uint64_t hash = checksum(0xCBF29CE484222325U, rf_bug_name(record->finding.bug));
  unsigned used = 0;
  for (size_t i = 0; i < view.count && used < FUNCTIONS; i++) {
    if (!view.list[i].runtime) {
      hash = checksum_call(arena, hash, &view.list[i]);
      used++;
    }
  }
  return rf_bump_arena_print(arena, "%016" PRIx64, hash);
}

static int by_fingerprint(const void *a, const void *b) {
  const rf_record *const left = *(const rf_record *const *)a;
  const rf_record *const right = *(const rf_record *const *)b;
  int const order = strcmp(left->fingerprint, right->fingerprint);
  /* Until ordinals are set, they hold the place in the list. */
  return order != 0 ? order : (left->ordinal > right->ordinal) - (left->ordinal < right->ordinal);
}

void rf_fingerprint_all(rf_bump_arena *arena, rf_record **records, size_t count) {
  rf_record **const sorted = (rf_record **)rf_bump_arena_array(arena, count + 1, sizeof(rf_record *));
  for (size_t i = 0; i < count; i++) {
    records[i]->fingerprint = fingerprint_of(arena, records[i]);
    records[i]->ordinal = (unsigned)i;
    sorted[i] = records[i];
  }
  qsort(sorted, count, sizeof(rf_record *), by_fingerprint);
  for (size_t i = 0; i < count; i++) {
    bool const same = i != 0 && strcmp(sorted[i]->fingerprint, sorted[i - 1]->fingerprint) == 0;
    sorted[i]->ordinal = same ? sorted[i - 1]->ordinal + 1 : 1;
  }
}

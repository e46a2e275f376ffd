/* Records of a collector's spool (docs/service/format.md), as far as they tell of findings. */
#include "tools/ringfence/model/record_kept.h"
#include "tools/ringfence/model/run.h"

#include <string.h>

static const char start[] = "{\"record\":\"";

bool rf_run_is_spooled(const char *text, size_t length) {
  return length >= strlen(start) && memcmp(text, start, strlen(start)) == 0;
}

/* Findings of which there is no record. */
static void add_unread(rf_run *run, uint64_t count) {
  run->damaged += (size_t)count;
  run->unread += (size_t)count;
}

static rf_spooled *spooled_of(rf_run *run, rf_bump_arena *arena, const char *id) {
  size_t count = run->spool_ids.count;
  size_t const index = rf_string_table_index(&run->spool_ids, arena, id);
  if (index == count) {
    run->spool_ids.strings[index] = rf_bump_arena_copy(arena, id);
    RF_APPENDED(arena, run->spooled, count) = (rf_spooled){NULL, 0};
  }
  return &run->spooled[index];
}

static uint64_t count_of(const rf_json *line) {
  uint64_t const count = rf_json_unsigned(line, "count", 1);
  return count > UINT32_MAX ? UINT32_MAX : count;
}

static void add_times(rf_record *record, uint64_t count) {
  uint64_t const sum = record->times + count;
  record->times = sum > UINT32_MAX ? UINT32_MAX : (unsigned)sum;
}

static void add_finding(rf_run *run, rf_bump_arena *arena, rf_bump_arena *scratch, const rf_json *line) {
  const char *const program = rf_json_text(line, "program", NULL);
  const rf_record *const read = rf_record_read(scratch, rf_json_member(line, "finding"));
  rf_spooled *const spooled = spooled_of(run, arena, rf_json_text(line, "id", ""));
  if (read == NULL) {
    add_unread(run, count_of(line));
    return;
  }
  if (spooled->record != NULL) {
    return; /* one that is sent twice counts once */
  }
  rf_record *const kept = rf_record_kept(arena, &run->texts, read);
  kept->program = program == NULL ? NULL : rf_bump_arena_copy(arena, program);
  kept->input = run->input;
  kept->times = 0;
  add_times(kept, count_of(line) + spooled->waiting);
  run->damaged -= (size_t)spooled->waiting;
  run->unread -= (size_t)spooled->waiting;
  *spooled = (rf_spooled){kept, 0};
  rf_run_add_record(run, arena, kept);
}

/* A process looks for a place anew for each record: the finding may lie in a file that comes later. */
static void add_repeat(rf_run *run, rf_bump_arena *arena, const rf_json *line) {
  rf_spooled *const spooled = spooled_of(run, arena, rf_json_text(line, "of", ""));
  uint64_t const count = count_of(line);
  if (spooled->record != NULL) {
    add_times(spooled->record, count);
  } else {
    spooled->waiting += count;
    add_unread(run, count);
  }
}

void rf_run_add_spooled(rf_run *run, rf_bump_arena *arena, const char *text, size_t length) {
  rf_bump_arena scratch = {NULL};
  const rf_json *const line = rf_json_parse(&scratch, text, length);
  const char *const kind = rf_json_text(line, "record", "");
  uint64_t const dropped = rf_json_unsigned(line, "dropped", 0);
  if (line == NULL) {
    run->damaged++;
    run->unread += memmem(text, length, "\"type\":\"finding\"", strlen("\"type\":\"finding\"")) != NULL;
  } else if (strcmp(kind, "finding") == 0) {
    add_finding(run, arena, &scratch, line);
  } else if (strcmp(kind, "repeat") == 0) {
    add_repeat(run, arena, line);
  }
  add_unread(run, dropped > UINT32_MAX ? UINT32_MAX : dropped);
  rf_bump_arena_free(&scratch);
}

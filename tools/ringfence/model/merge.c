#include "tools/ringfence/model/merge.h"

#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/string_table.h"
#include "tools/ringfence/model/frame_view.h"
#include "tools/ringfence/model/identity.h"

#include <inttypes.h>
#include <string.h>

/* ---- Places ---- */

static bool is_known(const rf_frame *frame) {
  for (size_t i = 0; i < frame->source_count; i++) {
    const rf_source *const source = &frame->sources[i];
    if (source->function == NULL || source->file == NULL || source->line == 0) {
      return false;
    }
  }
  return frame->source_count != 0;
}

/* By lines, those of inlined functions included: two calls on one line are one place. */
static void put_frame(const rf_frame *frame, const rf_sink *sink) {
  if (!is_known(frame)) {
    bool const mapped = frame->module != NULL;
    rf_sink_char(sink, '|');
    rf_sink_str(sink, mapped ? frame->module : "");
    rf_sink_part(sink, '+', mapped ? frame->offset : frame->address);
  }
  for (size_t i = 0; i < frame->source_count && is_known(frame); i++) {
    rf_sink_char(sink, '|');
    rf_sink_str(sink, frame->sources[i].function);
    rf_sink_char(sink, '@');
    rf_sink_str(sink, frame->sources[i].file);
    rf_sink_part(sink, ':', frame->sources[i].line);
  }
}

/* Returns how many frames were put. */
static unsigned put_frames(const rf_stack *stack, bool runtime, const rf_sink *sink) {
  unsigned used = 0;
  for (unsigned i = 0; i < stack->count && used < RF_IDENTITY_FRAMES; i++) {
    const rf_frame *const frame = &stack->frames[i];
    /* An address in no module is no return address: code without frame pointers left another word each time. */
    bool const stray = frame->module == NULL && used != 0;
    if (!stray && (runtime || !rf_is_runtime_frame(frame))) {
      put_frame(frame, sink);
      used++;
    }
  }
  return used;
}

/* One stack by lines: two calls in one function are two places. Where all frames are the runtime's they count. */
static void put_stack(const rf_stack *stack, const rf_trace *trace, const rf_sink *sink) {
  rf_sink_char(sink, '|');
  if (trace->site != NULL) {
    rf_sink_str(sink, trace->site->file);
    rf_sink_part(sink, ':', trace->site->line);
  }
  if (put_frames(stack, false, sink) == 0) {
    (void)put_frames(stack, true, sink);
  }
}

/* Equal for equal places in every process: the stacks that tell bugs apart, by lines. Addresses differ between
 * processes; lines, modules and offsets do not. */
static void put_key(const rf_record *record, const rf_sink *sink) {
  const rf_finding *const f = &record->finding;
  unsigned const parts = rf_identity_parts(record);
  rf_sink_str(sink, rf_bug_name(f->bug));
  rf_sink_char(sink, '|');
  rf_sink_str(sink, f->allocator != NULL ? f->allocator : "");
  if (f->bug == RF_BUG_LEAK && f->detail != NULL) {
    rf_sink_char(sink, '|');
    rf_sink_str(sink, f->detail); /* direct or indirect */
  }
  if ((parts & RF_IDENTITY_ACCESS) != 0) {
    put_stack(&record->found, &f->found, sink);
  }
  if ((parts & RF_IDENTITY_ALLOCATION) != 0) {
    put_stack(&record->allocated, &f->allocated, sink);
  }
  if ((parts & RF_IDENTITY_RELEASE) != 0) {
    put_stack(&record->released, &f->released, sink);
  }
  /* Bugs that differ in a call further out, behind a recursion or functions that do not count, are two. */
  if (record->fingerprint != NULL) {
    rf_sink_char(sink, '|');
    rf_sink_str(sink, record->fingerprint);
  }
}

/* ---- Merging ---- */

/* The same place, met by two runs of a hunt: what was found at the instruction tells more. */
static rf_record *better_of(rf_record *one, rf_record *other) {
  unsigned const times = one->times > other->times ? one->times : other->times;
  rf_record *const better = other->finding.at_access && !one->finding.at_access ? other : one;
  better->times = times;
  return better;
}

/* Adds `from` to `into`, a finding of the same place. Blocks and bytes of leaks add up. */
static void add_record(rf_record *into, const rf_record *from) {
  into->times += from->times;
  /* Records of one process that were merged before count for all of theirs but the one that they name. */
  into->processes += from->processes - 1;
  if (into->finding.bug == RF_BUG_LEAK) {
    into->finding.size += from->finding.size;
    into->finding.blocks += from->finding.blocks;
  }
}

/* Two findings of a place in one: the first, but for one that arrived in part where the other has more of it. */
static rf_record *sum_of(rf_record *one, rf_record *other) {
  rf_record *const whole = other->lost < one->lost ? other : one;
  add_record(whole, whole == one ? other : one);
  return whole;
}

/* A process in which a place was found, as a text: one of the same number in another file is another one, as each
 * container has a process 1. */
static const char *process_key(rf_bump_arena *arena, size_t place, const rf_record *record) {
  return rf_bump_arena_print(arena, "%zu %" PRIu32 " %s", place, record->finding.process,
                             record->input != NULL ? record->input : "");
}

/* Leaves one record of each place, or of each place of each run: then those of one run add up, else the better of two
 * runs stays. */
static size_t merge(rf_record **records, size_t count, bool of_each_run) {
  rf_bump_arena scratch = {NULL};
  rf_string_table places = {0};
  rf_string_table processes = {0};
  rf_text_sink key;
  rf_text_sink_init(&key, &scratch);
  for (size_t i = 0; i < count; i++) {
    rf_text_sink_clear(&key);
    put_key(records[i], &key.sink);
    rf_sink_part(&key.sink, '|', of_each_run ? records[i]->run_number : 0);
    size_t const known = places.count;
    size_t const place = rf_string_table_index(&places, &scratch, key.text);
    size_t const pairs = processes.count;
    bool const new_process =
        rf_string_table_index(&processes, &scratch, process_key(&scratch, place, records[i])) == pairs;
    if (place == known) {
      places.strings[place] = rf_bump_arena_text(&scratch, key.text, key.length);
      records[place] = records[i];
    } else if (of_each_run) {
      records[place] = sum_of(records[place], records[i]);
      records[place]->processes += new_process;
    } else {
      records[place] = better_of(records[place], records[i]);
    }
  }
  rf_bump_arena_free(&scratch);
  return places.count;
}

size_t rf_merge(rf_record **records, size_t count) {
  size_t const kept = merge(records, count, true);
  bool const hunted = kept != 0 && records[0]->run_number != 0;
  return hunted ? merge(records, kept, false) : kept;
}

const char *rf_merge_key(rf_bump_arena *arena, const rf_record *record) {
  rf_text_sink key;
  rf_text_sink_init(&key, arena);
  put_key(record, &key.sink);
  return rf_bump_arena_text(arena, key.text, key.length);
}

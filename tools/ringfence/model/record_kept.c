#include "tools/ringfence/model/record_kept.h"

#include <string.h>

static const char *kept_text(rf_bump_arena *arena, rf_string_table *texts, const char *text) {
  if (text == NULL) {
    return NULL;
  }
  size_t const known = texts->count;
  size_t const index = rf_string_table_index(texts, arena, text);
  if (index == known) {
    texts->strings[index] = rf_bump_arena_copy(arena, text);
  }
  return texts->strings[index];
}

static void keep_frame(rf_bump_arena *arena, rf_string_table *texts, rf_frame *frame) {
  const rf_source *const before = frame->sources;
  frame->module = kept_text(arena, texts, frame->module);
  frame->build_id = kept_text(arena, texts, frame->build_id);
  frame->function = kept_text(arena, texts, frame->function);
  frame->sources = frame->source_count == 0
                       ? NULL
                       : (rf_source *)rf_bump_arena_array(arena, frame->source_count, sizeof *frame->sources);
  for (size_t i = 0; i < frame->source_count; i++) {
    frame->sources[i] = (rf_source){kept_text(arena, texts, before[i].function),
                                    kept_text(arena, texts, before[i].file), before[i].line};
  }
}

static void keep_stack(rf_bump_arena *arena, rf_string_table *texts, rf_stack *stack) {
  const rf_frame *const before = stack->frames;
  if (stack->count == 0) {
    stack->frames = NULL;
    return;
  }
  stack->frames = (rf_frame *)rf_bump_arena_array(arena, stack->count, sizeof *stack->frames);
  memcpy((void *)stack->frames, before, stack->count * sizeof *stack->frames);
  for (unsigned i = 0; i < stack->count; i++) {
    keep_frame(arena, texts, &stack->frames[i]);
  }
}

static void keep_site(rf_bump_arena *arena, rf_string_table *texts, rf_trace *trace) {
  if (trace->site != NULL) {
    rf_site *const site = (rf_site *)rf_bump_arena_alloc(arena, sizeof *site);
    *site = (rf_site){kept_text(arena, texts, trace->site->file), kept_text(arena, texts, trace->site->function),
                      trace->site->line};
    trace->site = site;
  }
}

rf_record *rf_record_kept(rf_bump_arena *arena, rf_string_table *texts, const rf_record *record) {
  rf_record *const kept = (rf_record *)rf_bump_arena_alloc(arena, sizeof *kept);
  rf_finding *const f = &kept->finding;
  *kept = *record;
  const char **const names[] = {&f->allocator,  &f->mode,   &f->detail,   &f->allocation,  &f->deallocation,
                                &kept->program, &kept->run, &kept->input, &kept->directory};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    *names[i] = kept_text(arena, texts, *names[i]);
  }
  keep_stack(arena, texts, &kept->found);
  keep_stack(arena, texts, &kept->allocated);
  keep_stack(arena, texts, &kept->released);
  keep_site(arena, texts, &f->found);
  keep_site(arena, texts, &f->allocated);
  keep_site(arena, texts, &f->released);
  return kept;
}

#include "tools/ringfence/model/frame_view.h"

#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/model/library_code.h"

#include <inttypes.h>
#include <string.h>

static bool is_system_header(const char *file) {
  return rf_is_library_source(file) ||
         (rf_begins_with(file, "/usr/") && !rf_begins_with(file, "/usr/local/") && !rf_begins_with(file, "/usr/src/"));
}

/* All functions inlined at the frame must be the library's. */
static bool is_of_library(const rf_frame *frame) {
  for (size_t i = 0; i < frame->source_count; i++) {
    if (!rf_is_library_code(frame->sources[i].file, frame->sources[i].function)) {
      return false;
    }
  }
  return frame->source_count != 0 || rf_is_library_code(NULL, frame->function);
}

/* In reports of sanitizers, which `ringfence import` takes in. */
static bool is_of_sanitizer(const char *function) {
  return function != NULL && (rf_begins_with(function, "__interceptor_") || rf_begins_with(function, "__asan_"));
}

bool rf_is_runtime_frame(const rf_frame *frame) {
  const char *const function = frame->source_count == 0 ? frame->function : frame->sources[0].function;
  return is_of_library(frame) || is_of_sanitizer(function) || rf_frame_is_runtime(frame->module, function);
}

static rf_frame_view *add(rf_bump_arena *arena, rf_stack_view *calls) {
  return &RF_APPENDED(arena, calls->list, calls->count);
}

static void add_frame(rf_bump_arena *arena, rf_stack_view *calls, const rf_frame *frame) {
  bool const runtime = rf_is_runtime_frame(frame);
  size_t const count = frame->source_count == 0 ? 1 : frame->source_count;
  for (size_t i = 0; i < count; i++) {
    rf_frame_view *const call = add(arena, calls);
    *call = (rf_frame_view){.function = frame->function,
                            .module = frame->module,
                            .build_id = frame->build_id,
                            .offset = frame->offset,
                            .address = frame->address,
                            .runtime = runtime};
    if (i < frame->source_count) {
      const rf_source *const source = &frame->sources[i];
      call->function = source->function != NULL ? source->function : frame->function;
      call->file = source->file;
      call->line = source->line;
      call->system_header = source->file != NULL && is_system_header(source->file);
    }
  }
}

/* The site is the innermost call as the allocator knows it: it fills in what that frame lacks. */
static void add_site(rf_bump_arena *arena, rf_stack_view *calls, const rf_site *site) {
  if (calls->count == 0) {
    (void)add(arena, calls);
    calls->list[0] = (rf_frame_view){0};
  }
  if (calls->list[0].file == NULL) {
    calls->list[0].function = site->function;
    calls->list[0].file = site->file;
    calls->list[0].line = site->line;
    calls->list[0].runtime = false;
  }
}

rf_stack_view rf_stack_view_of(rf_bump_arena *arena, const rf_record *record, rf_stack_kind kind) {
  const rf_stack *const stacks[] = {&record->found, &record->allocated, &record->released};
  const rf_trace *const traces[] = {&record->finding.found, &record->finding.allocated, &record->finding.released};
  rf_stack_view calls = {NULL, 0};
  for (unsigned i = 0; i < stacks[kind]->count; i++) {
    add_frame(arena, &calls, &stacks[kind]->frames[i]);
  }
  if (traces[kind]->site != NULL) {
    add_site(arena, &calls, traces[kind]->site);
  }
  return calls;
}

rf_stack_kind rf_stack_view_blamed(const rf_record *record) {
  return rf_finding_place(&record->finding) == &record->finding.allocated ? RF_STACK_ALLOCATED : RF_STACK_FOUND;
}

/* How well a call names the place. */
static unsigned rank(const rf_frame_view *call) {
  return call->runtime ? 0 : call->file == NULL ? 1 : call->system_header ? 2 : 3;
}

const rf_frame_view *rf_stack_view_top(const rf_stack_view *calls) {
  const rf_frame_view *best = calls->count == 0 ? NULL : &calls->list[0];
  for (size_t i = 1; i < calls->count; i++) {
    if (rank(&calls->list[i]) > rank(best)) {
      best = &calls->list[i];
    }
  }
  return best;
}

const char *rf_frame_view_text(rf_bump_arena *arena, const rf_frame_view *call, const char *directory) {
  const char *const function = call->function == NULL ? "" : call->function;
  const char *const space = call->function == NULL ? "" : " ";
  if (call->file != NULL && call->line != 0) {
    return rf_bump_arena_print(arena, "%s%s%s:%u", function, space, rf_path_seen_from(directory, call->file),
                               call->line);
  }
  if (call->file != NULL) {
    return rf_bump_arena_print(arena, "%s%s%s", function, space, rf_path_seen_from(directory, call->file));
  }
  if (call->module != NULL) {
    return rf_bump_arena_print(arena, "%s%s(%s+0x%" PRIx64 ")", function, space, rf_base_name(call->module),
                               call->offset);
  }
  return call->function != NULL ? function : rf_bump_arena_print(arena, "0x%" PRIx64, call->address);
}

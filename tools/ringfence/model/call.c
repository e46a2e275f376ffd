#include "tools/ringfence/model/call.h"

#include "tools/ringfence/model/merge.h"

#include <inttypes.h>
#include <string.h>

const char *rf_base_name(const char *path) {
  const char *const slash = strrchr(path, '/');
  return slash == NULL ? path : slash + 1;
}

static rf_call *add(rf_stash *stash, rf_calls *calls) {
  calls->list = (rf_call *)rf_stash_grow(stash, calls->list, calls->count, sizeof *calls->list);
  return &calls->list[calls->count++];
}

static void add_frame(rf_stash *stash, rf_calls *calls, const rf_frame *frame) {
  bool const plumbing = rf_is_plumbing(frame);
  size_t const count = frame->source_count == 0 ? 1 : frame->source_count;
  for (size_t i = 0; i < count; i++) {
    rf_call *const call = add(stash, calls);
    *call = (rf_call){.function = frame->function,
                      .module = frame->module,
                      .build_id = frame->build_id,
                      .offset = frame->offset,
                      .address = frame->address,
                      .plumbing = plumbing};
    if (i < frame->source_count) {
      const rf_source *const source = &frame->sources[i];
      call->function = source->function != NULL ? source->function : frame->function;
      call->file = source->file;
      call->line = source->line;
    }
  }
}

/* The site is where the innermost frame was called from the allocator's point of view: it fills in what that lacks. */
static void add_site(rf_stash *stash, rf_calls *calls, const rf_site *site) {
  if (calls->count == 0) {
    (void)add(stash, calls);
    calls->list[0] = (rf_call){0};
  }
  if (calls->list[0].file == NULL) {
    calls->list[0].function = site->function;
    calls->list[0].file = site->file;
    calls->list[0].line = site->line;
    calls->list[0].plumbing = false;
  }
}

rf_calls rf_calls_of(rf_stash *stash, const rf_record *record, rf_stack_kind kind) {
  const rf_stack *const stacks[] = {&record->found, &record->allocated, &record->released};
  const rf_trace *const traces[] = {&record->finding.found, &record->finding.allocated, &record->finding.released};
  rf_calls calls = {NULL, 0};
  for (unsigned i = 0; i < stacks[kind]->count; i++) {
    add_frame(stash, &calls, &stacks[kind]->frames[i]);
  }
  if (traces[kind]->site != NULL) {
    add_site(stash, &calls, traces[kind]->site);
  }
  return calls;
}

rf_stack_kind rf_calls_place(const rf_record *record) {
  return rf_finding_place(&record->finding) == &record->finding.allocated ? RF_STACK_ALLOCATED : RF_STACK_FOUND;
}

const rf_call *rf_calls_top(const rf_calls *calls) {
  const rf_call *own = NULL;
  for (size_t i = 0; i < calls->count; i++) {
    const rf_call *const call = &calls->list[i];
    if (!call->plumbing && call->file != NULL) {
      return call;
    }
    if (own == NULL && !call->plumbing) {
      own = call;
    }
  }
  return own != NULL || calls->count == 0 ? own : &calls->list[0];
}

const char *rf_call_text(rf_stash *stash, const rf_call *call, const char *directory) {
  const char *const function = call->function == NULL ? "" : call->function;
  const char *const space = call->function == NULL ? "" : " ";
  if (call->file != NULL && call->line != 0) {
    return rf_stash_print(stash, "%s%s%s:%u", function, space, rf_path_seen_from(directory, call->file), call->line);
  }
  if (call->file != NULL) {
    return rf_stash_print(stash, "%s%s%s", function, space, rf_path_seen_from(directory, call->file));
  }
  if (call->module != NULL) {
    return rf_stash_print(stash, "%s%s(%s+0x%" PRIx64 ")", function, space, rf_base_name(call->module), call->offset);
  }
  return call->function != NULL ? function : rf_stash_print(stash, "0x%" PRIx64, call->address);
}

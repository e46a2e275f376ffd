#include "tools/service/intake/describe.h"

#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/model/bug_info.h"
#include "tools/ringfence/model/frame_view.h"
#include "tools/ringfence/render/document.h"

#include <string.h>

enum { SEARCH_FRAMES = 8, SEARCH_MOST = 1500, STACKS = 3 };

static void put_stack(rf_text_sink *t, rf_bump_arena *scratch, const rf_stack_view *view) {
  unsigned used = 0;
  for (size_t i = 0; i < view->count && used < SEARCH_FRAMES; i++) {
    if (!view->list[i].runtime) {
      rf_sink_char(&t->sink, ' ');
      rf_sink_str(&t->sink, rf_frame_view_text(scratch, &view->list[i], NULL));
      used++;
    }
  }
}

static const char *search_text(rf_bump_arena *arena, rf_bump_arena *scratch, const rf_stack_view views[STACKS],
                               const char *program, const rf_batch_finding *f) {
  rf_text_sink t;
  rf_text_sink_init(&t, scratch);
  const char *const parts[] = {f->bug, " ", f->title, " ", f->place, " ", program};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    rf_sink_str(&t.sink, parts[i]);
  }
  for (size_t i = 0; i < STACKS; i++) {
    put_stack(&t, scratch, &views[i]);
  }
  char *const text = rf_bump_arena_text(arena, t.text, t.length < SEARCH_MOST ? t.length : SEARCH_MOST);
  for (char *c = text; *c != '\0'; c++) {
    if (*c >= 'A' && *c <= 'Z') {
      *c = (char)(*c - 'A' + 'a');
    }
  }
  return text;
}

void rf_describe(rf_bump_arena *arena, rf_bump_arena *scratch, const rf_record *record, const char *program,
                 rf_batch_finding *f) {
  rf_stack_view const views[STACKS] = {rf_stack_view_of(scratch, record, RF_STACK_FOUND),
                                       rf_stack_view_of(scratch, record, RF_STACK_ALLOCATED),
                                       rf_stack_view_of(scratch, record, RF_STACK_RELEASED)};
  const rf_frame_view *const top = rf_stack_view_top(&views[rf_stack_view_blamed(record)]);
  f->bug = rf_bug_name(record->finding.bug);
  f->level = rf_bug_level(record->finding.bug);
  f->title = rf_bump_arena_copy(arena, rf_document_title(scratch, record));
  f->place = top == NULL ? "unknown place" : rf_bump_arena_copy(arena, rf_frame_view_text(scratch, top, NULL));
  f->search = search_text(arena, scratch, views, program, f);
}

int64_t rf_describe_richness(const rf_record *record) {
  int64_t sum = record->finding.window_size / 4 + (record->finding.at_access ? 8 : 0);
  const rf_frame *f = NULL;
  for (unsigned i = 0; (f = rf_record_frame(record, i)) != NULL; i++) {
    sum += rf_is_runtime_frame(f) ? 0 : 1 + 2 * (f->function != NULL) + 3 * (f->source_count != 0);
  }
  return sum;
}

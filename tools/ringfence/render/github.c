/* The document as annotations of GitHub Actions: one workflow command for each finding, at the line that is to blame.
 * Known findings are notices. */
#include "tools/ringfence/render/document.h"

#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/model/frame_view.h"

#include <string.h>

/* Values end at a line's end, properties at a comma or colon, too; % begins what stands for such a character. What lies
 * between these comes in one piece, as the clean sink needs it. */
static void put_escaped(const rf_sink *sink, const char *text, bool property) {
  static const struct {
    char letter;
    const char *code;
  } codes[] = {{'%', "%25"}, {'\r', "%0D"}, {'\n', "%0A"}, {':', "%3A"}, {',', "%2C"}};
  for (;;) {
    size_t const plain = strcspn(text, property ? "%\r\n:," : "%\r\n");
    size_t i = 0;
    rf_sink_mem(sink, text, plain);
    text += plain;
    if (*text == '\0') {
      return;
    }
    while (codes[i].letter != *text) {
      i++;
    }
    rf_sink_str(sink, codes[i].code);
    text++;
  }
}

static void put_place(rf_bump_arena *arena, const rf_sink *sink, const rf_record *record) {
  rf_stack_view const view = rf_stack_view_of(arena, record, rf_stack_view_blamed(record));
  const rf_frame_view *const top = rf_stack_view_top(&view);
  if (top == NULL || top->file == NULL || top->file[0] == '\0') {
    return;
  }
  rf_sink_str(sink, "file=");
  put_escaped(sink, rf_path_seen_from(record->directory, top->file), true);
  if (top->line != 0) {
    rf_sink_str(sink, rf_bump_arena_print(arena, ",line=%u", top->line));
  }
  rf_sink_str(sink, ",");
}

/* Each stack by its first calls: the whole report is in the log above. */
static void put_calls(rf_bump_arena *arena, const rf_sink *sink, const rf_record *record, rf_stack_kind kind,
                      const char *head) {
  enum { MOST = 4 };
  rf_stack_view const view = rf_stack_view_of(arena, record, kind);
  for (size_t i = 0; i < view.count && i < MOST; i++) {
    put_escaped(sink, i == 0 ? head : "", false);
    rf_sink_str(sink, "%0A    ");
    put_escaped(sink, rf_frame_view_text(arena, &view.list[i], record->directory), false);
  }
}

static void put_finding(rf_bump_arena *arena, const rf_record *record, const rf_sink *sink) {
  rf_sink_str(sink, record->known ? "::notice " : "::error ");
  put_place(arena, sink, record);
  rf_sink_str(sink, "title=Ringfence%3A ");
  put_escaped(sink, rf_bug_name(record->finding.bug), true);
  rf_sink_str(sink, record->known ? " (known)::" : "::");
  put_escaped(sink, rf_document_title(arena, record), false);
  if (record->finding.bug != RF_BUG_LEAK) { /* the place where leaks were counted tells nothing */
    put_calls(arena, sink, record, RF_STACK_FOUND, "\nfound in");
  }
  put_calls(arena, sink, record, RF_STACK_ALLOCATED, "\nallocated in");
  put_calls(arena, sink, record, RF_STACK_RELEASED, "\nfreed in");
  rf_sink_str(sink, "\n");
}

void rf_document_github(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink) {
  rf_sink const clean = rf_clean_sink(sink);
  for (size_t i = 0; i < d->count; i++) {
    rf_bump_arena_mark const mark = rf_bump_arena_mark_of(arena);
    put_finding(arena, d->records[i], &clean);
    rf_bump_arena_reset(arena, mark);
  }
}

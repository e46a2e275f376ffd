/* SARIF: results, which are the findings, each with its place, stacks, code flow and fingerprint. */
#include "tools/ringfence/render/sarif_impl.h"

#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/model/bug_info.h"

#include <inttypes.h>
#include <string.h>

/* The stacks of a finding in the order of time, those that are known. */
typedef struct event {
  rf_stack_view stack;
  const char *text;
  uint32_t thread;
} event;

enum { EVENTS = 3 };

static size_t events_of(rf_sarif *s, const rf_record *record, event out[EVENTS]) {
  const rf_finding *const f = &record->finding;
  size_t count = 0;
  out[count] = (event){rf_stack_view_of(s->arena, record, RF_STACK_ALLOCATED), "allocated here", f->allocated.thread};
  count += out[count].stack.count != 0;
  out[count] = (event){rf_stack_view_of(s->arena, record, RF_STACK_RELEASED), "freed here before", f->released.thread};
  count += out[count].stack.count != 0;
  out[count] = (event){rf_stack_view_of(s->arena, record, RF_STACK_FOUND),
                       f->access == RF_ACCESS_FREE ? "freed here" : "found here", f->found.thread};
  /* The place where leaks were counted tells nothing. */
  count += out[count].stack.count != 0 && f->bug != RF_BUG_LEAK;
  return count;
}

/* Code hosts refuse a report with a location in no file. Returns the number of events left. */
static size_t keep_those_in_files(event *events, size_t count) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    if (rf_sarif_has_file(rf_stack_view_top(&events[i].stack))) {
      events[kept++] = events[i];
    }
  }
  return kept;
}

static void code_flow(rf_sarif *s, const event *events, size_t count) {
  if (count < 2) {
    return;
  }
  rf_json_open(&s->w, "codeFlows", "[{");
  rf_json_open(&s->w, "threadFlows", "[{");
  rf_json_open(&s->w, "locations", "[");
  for (size_t i = 0; i < count; i++) {
    rf_json_open(&s->w, NULL, "{");
    rf_sarif_location(s, "location", rf_stack_view_top(&events[i].stack), events[i].text, -1);
    rf_json_put_number(&s->w, "executionOrder", (int64_t)i + 1);
    rf_json_close(&s->w, "}");
  }
  rf_json_close(&s->w, "]}]}]");
}

/* A large report is mostly frames: they refer to the tables, and only those without a function have a text. `thread` 0:
 * that of the frame before. */
static void stack_frame(rf_sarif *s, const rf_frame_view *call, uint32_t thread) {
  const char *const file = call->file != NULL ? call->file : call->module;
  rf_json_open(&s->w, NULL, "{");
  rf_json_open(&s->w, "location", "{");
  if (file != NULL) {
    rf_json_open(&s->w, "physicalLocation", "{");
    rf_json_open(&s->w, "artifactLocation", "{");
    rf_json_put_number(&s->w, "index", (int64_t)rf_string_table_index(&s->files, s->kept, file));
    rf_json_close(&s->w, "}");
    rf_sarif_region(s, call);
    rf_json_close(&s->w, "}");
  }
  if (call->function != NULL) {
    rf_json_open(&s->w, "logicalLocations", "[{");
    rf_json_put_number(&s->w, "index", (int64_t)rf_string_table_index(&s->functions, s->kept, call->function));
    rf_json_close(&s->w, "}]");
  } else {
    rf_sarif_message(s, "message", rf_frame_view_text(s->arena, call, s->d->directory));
  }
  rf_json_close(&s->w, "}");
  if (call->module != NULL && call->file == NULL) {
    rf_json_put_text(&s->w, "module", rf_base_name(call->module));
  }
  if (thread != 0) {
    rf_json_put_number(&s->w, "threadId", thread);
  }
  rf_json_close(&s->w, "}");
}

static void stacks(rf_sarif *s, const event *events, size_t count) {
  if (count == 0) {
    return;
  }
  rf_json_open(&s->w, "stacks", "[");
  for (size_t i = 0; i < count; i++) {
    rf_json_open(&s->w, NULL, "{");
    rf_sarif_message(s, "message", events[i].text);
    rf_json_open(&s->w, "frames", "[");
    for (size_t k = 0; k < events[i].stack.count; k++) {
      stack_frame(s, &events[i].stack.list[k], k == 0 ? events[i].thread : 0);
    }
    rf_json_close(&s->w, "]}");
  }
  rf_json_close(&s->w, "]");
}

static void related(rf_sarif *s, const event *events, size_t count) {
  if (count != 1) { /* else they are in the code flow */
    return;
  }
  rf_json_open(&s->w, "relatedLocations", "[");
  for (size_t i = 0; i < count; i++) {
    rf_sarif_location(s, NULL, rf_stack_view_top(&events[i].stack), events[i].text, (int)i + 1);
  }
  rf_json_close(&s->w, "]");
}

/* Always one that is in a file: code hosts refuse a whole report for one result without. */
static void locations(rf_sarif *s, const rf_record *record) {
  rf_stack_view const view = rf_stack_view_of(s->arena, record, rf_stack_view_blamed(record));
  const rf_frame_view *const top = rf_stack_view_top(&view);
  rf_frame_view place = top == NULL ? (rf_frame_view){0} : *top;
  if (!rf_sarif_has_file(&place)) {
    place.file = record->program != NULL ? record->program : record->input != NULL ? record->input : s->d->program;
  }
  rf_json_open(&s->w, "locations", "[");
  rf_sarif_location(s, NULL, &place, NULL, -1);
  rf_json_close(&s->w, "]");
}

/* The second one is the name by which GitHub knows a fingerprint. */
static void fingerprints(rf_sarif *s, const rf_record *record) {
  const char *const value = rf_bump_arena_print(s->arena, "%s:%u", record->fingerprint, record->ordinal);
  rf_json_open(&s->w, "partialFingerprints", "{");
  rf_json_put_text(&s->w, "ringfenceStack/v2", value);
  rf_json_put_text(&s->w, "primaryLocationLineHash", value);
  rf_json_close(&s->w, "}");
}

static void properties(rf_sarif *s, const rf_record *record) {
  const rf_finding *const f = &record->finding;
  rf_json_open(&s->w, "properties", "{");
  rf_json_put_text(&s->w, "address", rf_bump_arena_print(s->arena, "0x%" PRIxPTR, f->address));
  if (f->block != 0) {
    rf_json_put_text(&s->w, "block", rf_bump_arena_print(s->arena, "0x%" PRIxPTR, f->block));
    rf_json_put_number(&s->w, "offset", f->offset);
  }
  rf_json_put_unsigned(&s->w, "size", f->size);
  rf_json_put_text(&s->w, "allocator", f->allocator);
  rf_json_put_text(&s->w, "mode", f->mode);
  rf_json_put_number(&s->w, "processes", record->processes);
  rf_json_close(&s->w, "}");
}

static void suppressions(rf_sarif *s, const rf_record *record) {
  /* An empty list says that the result is not suppressed. */
  rf_json_open(&s->w, "suppressions", "[");
  if (record->suppressed_by != NULL) {
    rf_json_open(&s->w, NULL, "{");
    rf_json_put_text(&s->w, "kind", "external");
    rf_json_put_text(&s->w, "justification", rf_bump_arena_print(s->arena, "rule %s", record->suppressed_by));
    rf_json_close(&s->w, "}");
  }
  rf_json_close(&s->w, "]");
}

static const char *result_text(rf_sarif *s, const rf_record *record) {
  const rf_finding *const f = &record->finding;
  const char *const title = rf_document_title(s->arena, record);
  bool const more = f->detail != NULL && strcmp(f->detail, title) != 0;
  return rf_bump_arena_print(s->arena, "%s: %s%s%s.", rf_bug_name(f->bug), title, more ? "; " : "",
                             more ? f->detail : "");
}

static void result(rf_sarif *s, const rf_record *record) {
  event events[EVENTS];
  size_t count = events_of(s, record, events);
  rf_json_open(&s->w, NULL, "{");
  rf_json_put_text(&s->w, "ruleId", rf_bug_name(record->finding.bug));
  rf_json_put_number(&s->w, "ruleIndex", s->rules[record->finding.bug]);
  rf_json_put_text(&s->w, "level", rf_bug_level(record->finding.bug));
  rf_sarif_message(s, "message", result_text(s, record));
  locations(s, record);
  fingerprints(s, record);
  rf_json_put_number(&s->w, "occurrenceCount", record->times);
  stacks(s, events, count);
  count = keep_those_in_files(events, count);
  related(s, events, count);
  code_flow(s, events, count);
  if (record->finding.cwe != 0) {
    rf_json_open(&s->w, "taxa", "[{");
    rf_sarif_taxon(s, record->finding.cwe);
    rf_json_close(&s->w, "}]");
  }
  suppressions(s, record);
  if (s->d->baseline != NULL) {
    rf_json_put_text(&s->w, "baselineState",
                     record->known               ? "unchanged"
                     : record->known_blocks != 0 ? "updated"
                                                 : "new");
  }
  properties(s, record);
  rf_json_close(&s->w, "}");
}

void rf_sarif_results(rf_sarif *s) {
  const rf_document *const d = s->d;
  rf_json_open(&s->w, "results", "[");
  for (size_t i = 0; i < d->count + d->hidden_count; i++) {
    result(s, i < d->count ? d->records[i] : d->hidden[i - d->count]);
    rf_bump_arena_free(s->arena);
  }
  rf_json_close(&s->w, "]");
}

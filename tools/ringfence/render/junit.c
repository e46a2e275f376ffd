/* The document as JUnit's XML: one suite, one case for each finding. Where nothing was found, one case passes; where
 * findings could not be recorded, one is an error. It keeps to the schema of Jenkins (junit-10.xsd) and to that of Ant,
 * which asks for more and for a certain order.
 */
#include "tools/ringfence/render/document.h"

#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/version.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/model/frame_view.h"
#include "tools/ringfence/render/markup.h"

typedef struct junit {
  rf_bump_arena *arena;
  const rf_document *d;
  const rf_sink *sink;
} junit;

/* Cases of one place have the same name in every run, so that their history can be followed. */
static const char *case_name(const junit *j, const rf_record *record) {
  rf_stack_view const view = rf_stack_view_of(j->arena, record, rf_stack_view_blamed(record));
  const rf_frame_view *const top = rf_stack_view_top(&view);
  const char *const place = top == NULL             ? "unknown place"
                            : top->function != NULL ? top->function
                                                    : rf_frame_view_text(j->arena, top, record->directory);
  return rf_bump_arena_print(j->arena, "%s in %s [%s%s]", rf_bug_name(record->finding.bug), place, record->fingerprint,
                             record->ordinal == 1 ? "" : rf_bump_arena_print(j->arena, " %u", record->ordinal));
}

static const char *class_name(const rf_record *record) {
  return record->program == NULL ? "ringfence" : rf_base_name(record->program);
}

static void open_case(const junit *j, const rf_record *record) {
  rf_markup(j->sink, "    <testcase name=\"%s\" classname=\"ringfence.%s\" time=\"0\">\n", case_name(j, record),
            class_name(record));
}

static void skipped_case(const junit *j, const rf_record *record, const char *why) {
  open_case(j, record);
  rf_markup(j->sink, "      <skipped message=\"%s\"/>\n    </testcase>\n", why);
}

static void failed_case(const junit *j, rf_record *record) {
  rf_text_sink text;
  rf_text_sink_init(&text, j->arena);
  rf_record_text(j->arena, record, &text.sink);
  open_case(j, record);
  rf_markup(j->sink, "      <failure message=\"%s\" type=\"%s\">%s</failure>\n    </testcase>\n",
            rf_document_title(j->arena, record), rf_bug_name(record->finding.bug), text.text);
}

static void cases(const junit *j) {
  for (size_t i = 0; i < j->d->count; i++) {
    rf_bump_arena_mark const mark = rf_bump_arena_mark_of(j->arena);
    if (j->d->records[i]->known) {
      skipped_case(j, j->d->records[i], "known: in the baseline");
    } else {
      failed_case(j, j->d->records[i]);
    }
    rf_bump_arena_reset(j->arena, mark);
  }
  for (size_t i = 0; i < j->d->hidden_count; i++) {
    const rf_record *const record = j->d->hidden[i];
    skipped_case(j, record, rf_bump_arena_print(j->arena, "suppressed by %s", record->suppressed_by));
  }
  const char *const lost = rf_document_lost(j->arena, j->d);
  if (lost != NULL) {
    rf_markup(j->sink,
              "    <testcase name=\"findings without a record\" classname=\"ringfence\" time=\"0\">\n"
              "      <error message=\"%s\" type=\"unrecorded\"/>\n    </testcase>\n",
              lost);
  } else if (j->d->count + j->d->hidden_count == 0) {
    rf_sink_str(j->sink, "    <testcase name=\"no findings\" classname=\"ringfence\" time=\"0\"/>\n");
  }
}

static void property(const junit *j, const char *name, const char *value) {
  if (value != NULL) {
    rf_markup(j->sink, "      <property name=\"%s\" value=\"%s\"/>\n", name, value);
  }
}

static void properties(const junit *j) {
  rf_sink_str(j->sink, "    <properties>\n");
  property(j, "ringfence", RF_VERSION);
  property(j, "command", j->d->command);
  property(j, "mode", j->d->totals == NULL ? NULL : j->d->totals->mode);
  rf_sink_str(j->sink, "    </properties>\n");
}

/* Snapshots and suppressions, which are no cases. */
static void output(const junit *j) {
  rf_text_sink text;
  rf_text_sink_init(&text, j->arena);
  rf_document_snapshots_text(j->arena, j->d, &text.sink);
  rf_document_rules_text(j->arena, j->d, &text.sink);
  rf_markup(j->sink, "    <system-out>%s</system-out>\n    <system-err></system-err>\n", text.text);
}

static void suite(const junit *j) {
  const rf_document *const d = j->d;
  size_t const errors = rf_document_lost(j->arena, d) != NULL ? 1 : 0;
  size_t const all = d->count + d->hidden_count + errors;
  const char *const time = rf_time_text(j->arena, d->began, "%Y-%m-%dT%H:%M:%S");
  rf_markup(j->sink,
            "  <testsuite name=\"ringfence\" id=\"0\" package=\"ringfence\" timestamp=\"%s\" hostname=\"%s\""
            " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%s\">\n",
            time == NULL ? "1970-01-01T00:00:00" : time, d->host == NULL ? "localhost" : d->host, all == 0 ? 1 : all,
            rf_document_new(d), errors, d->known + d->hidden_count,
            rf_bump_arena_print(j->arena, "%.3f", d->totals == NULL ? 0.0 : (double)d->totals->elapsed_ns / 1e9));
}

void rf_document_junit(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink) {
  junit const j = {arena, d, sink};
  rf_sink_str(sink, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
  suite(&j);
  properties(&j);
  cases(&j);
  output(&j);
  rf_sink_str(sink, "  </testsuite>\n</testsuites>\n");
}

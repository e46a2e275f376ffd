/* The document as JUnit's XML: one suite, one case for each finding, one that passes where nothing was found. It keeps
 * to the schema of Jenkins (junit-10.xsd) and to that of Ant, which asks for more and for a certain order.
 */
#include "tools/ringfence/render/document.h"

#include "tools/ringfence/base/version.h"
#include "tools/ringfence/model/frame_view.h"
#include "tools/ringfence/render/xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct junit {
  rf_bump_arena *arena;
  const rf_document *d;
  const rf_sink *sink;
} junit;

static void attribute(const junit *j, const char *name, const char *value) {
  rf_sink_str(j->sink, " ");
  rf_sink_str(j->sink, name);
  rf_sink_str(j->sink, "=\"");
  rf_xml_text(value, j->sink);
  rf_sink_str(j->sink, "\"");
}

static void put(void *context, const char *text, size_t length) {
  (void)fwrite(text, 1, length, (FILE *)context);
}

/* The report as people read it. */
static void body(const junit *j, rf_record *record) {
  char *text = NULL;
  size_t length = 0;
  FILE *const memory = open_memstream(&text, &length);
  if (memory == NULL) {
    return;
  }
  rf_sink const into = {put, memory};
  rf_report_record_text(record, &into);
  (void)fclose(memory);
  rf_xml_text(text, j->sink);
  free(text);
}

/* Cases of one place have the same name in every run, so that their history can be followed. */
static const char *case_name(const junit *j, const rf_record *record) {
  rf_stack_view const calls = rf_stack_view_of(j->arena, record, rf_stack_view_blamed(record));
  const rf_frame_view *const top = rf_stack_view_top(&calls);
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
  rf_sink_str(j->sink, "    <testcase");
  attribute(j, "name", case_name(j, record));
  attribute(j, "classname", rf_bump_arena_print(j->arena, "ringfence.%s", class_name(record)));
  attribute(j, "time", "0");
  rf_sink_str(j->sink, ">\n");
}

static void skipped_case(const junit *j, const rf_record *record, const char *why) {
  open_case(j, record);
  rf_sink_str(j->sink, "      <skipped");
  attribute(j, "message", why);
  rf_sink_str(j->sink, "/>\n    </testcase>\n");
}

static void failed_case(const junit *j, rf_record *record) {
  open_case(j, record);
  rf_sink_str(j->sink, "      <failure");
  attribute(j, "message", rf_document_title(j->arena, record));
  attribute(j, "type", rf_bug_name(record->finding.bug));
  rf_sink_str(j->sink, ">");
  body(j, record);
  rf_sink_str(j->sink, "</failure>\n    </testcase>\n");
}

static void cases(const junit *j) {
  for (size_t i = 0; i < j->d->count; i++) {
    if (j->d->records[i]->known) {
      skipped_case(j, j->d->records[i], "known: in the baseline");
    } else {
      failed_case(j, j->d->records[i]);
    }
  }
  for (size_t i = 0; i < j->d->hidden_count; i++) {
    const rf_record *const record = j->d->hidden[i];
    skipped_case(j, record, rf_bump_arena_print(j->arena, "suppressed by %s", record->suppressed_by));
  }
  if (j->d->count + j->d->hidden_count == 0) {
    rf_sink_str(j->sink, "    <testcase name=\"no findings\" classname=\"ringfence\" time=\"0\"/>\n");
  }
}

static const char *time_text(const junit *j) {
  time_t const seconds = (time_t)j->d->began;
  struct tm parts;
  char text[32];
  bool const known =
      gmtime_r(&seconds, &parts) != NULL && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts) != 0;
  return known ? rf_bump_arena_text(j->arena, text, strlen(text)) : "1970-01-01T00:00:00";
}

static void property(const junit *j, const char *name, const char *value) {
  if (value != NULL) {
    rf_sink_str(j->sink, "      <property");
    attribute(j, "name", name);
    attribute(j, "value", value);
    rf_sink_str(j->sink, "/>\n");
  }
}

static void properties(const junit *j) {
  rf_sink_str(j->sink, "    <properties>\n");
  property(j, "ringfence", RF_VERSION);
  property(j, "command", j->d->command);
  property(j, "mode", j->d->totals == NULL ? NULL : j->d->totals->mode);
  rf_sink_str(j->sink, "    </properties>\n");
}

/* What else a reader of the report would see: snapshots, suppressions used. */
static void rest(const junit *j) {
  char *text = NULL;
  size_t length = 0;
  FILE *const memory = open_memstream(&text, &length);
  rf_sink_str(j->sink, "    <system-out>");
  if (memory != NULL) {
    rf_sink const into = {put, memory};
    rf_document_snapshots_text(j->arena, j->d, &into);
    rf_document_rules_text(j->arena, j->d, &into);
    (void)fclose(memory);
    rf_xml_text(text, j->sink);
    free(text);
  }
  rf_sink_str(j->sink, "</system-out>\n    <system-err></system-err>\n");
}

static void counts(const junit *j) {
  size_t const findings = j->d->count + j->d->hidden_count;
  const char *const seconds =
      rf_bump_arena_print(j->arena, "%.3f", j->d->totals == NULL ? 0.0 : (double)j->d->totals->elapsed_ns / 1e9);
  attribute(j, "tests", rf_bump_arena_print(j->arena, "%zu", findings == 0 ? 1 : findings));
  attribute(j, "failures", rf_bump_arena_print(j->arena, "%zu", rf_document_new(j->d)));
  attribute(j, "errors", "0");
  attribute(j, "skipped", rf_bump_arena_print(j->arena, "%zu", j->d->known + j->d->hidden_count));
  attribute(j, "time", seconds);
}

void rf_document_junit(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink) {
  junit const j = {arena, d, sink};
  rf_sink_str(sink, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite");
  attribute(&j, "name", "ringfence");
  attribute(&j, "id", "0");
  attribute(&j, "package", "ringfence");
  attribute(&j, "timestamp", time_text(&j));
  attribute(&j, "hostname", d->host == NULL ? "localhost" : d->host);
  counts(&j);
  rf_sink_str(sink, ">\n");
  properties(&j);
  cases(&j);
  rest(&j);
  rf_sink_str(sink, "  </testsuite>\n</testsuites>\n");
}

/* The document as SARIF 2.1.0 (OASIS standard, 27 March 2020), as code hosts and editors read it.
 *
 * One run: the rules are the kinds of finding, with CWE as taxonomy; each result has the place as its location, all
 * stacks, the life of the block as a code flow, and a fingerprint that does not depend on lines.
 */
#include "tools/ringfence/render/document.h"

#include "checkers/report/json_writer.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/version.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/model/bug_info.h"
#include "tools/ringfence/model/frame_view.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

typedef struct sarif {
  rf_json_writer w;
  rf_bump_arena *arena; /* freed after each result */
  rf_bump_arena *kept;  /* for the tables */
  const rf_document *d;
  rf_string_table files;     /* of frames */
  rf_string_table functions; /* of frames */
  int rules[RF_BUG_COUNT];   /* index of each kind among the rules; -1: not there */
} sarif;

/* ---- Texts and places ---- */

static void message(sarif *s, const char *name, const char *text) {
  rf_json_open(&s->w, name, "{");
  rf_json_put_text(&s->w, "text", text);
  rf_json_close(&s->w, "}");
}

/* A path as part of a URI (RFC 3986). */
static const char *escaped_path(rf_bump_arena *arena, const char *path) {
  char *const out = (char *)rf_bump_arena_array(arena, strlen(path) + 1, 3);
  size_t at = 0;
  for (; *path != '\0'; path++) {
    unsigned char const c = (unsigned char)*path;
    if (isalnum(c) || strchr("/-._~", c) != NULL) {
      out[at++] = (char)c;
    } else {
      at += (size_t)snprintf(out + at, 4, "%%%02X", c);
    }
  }
  return out;
}

static const char *uri_of(rf_bump_arena *arena, const char *path) {
  return path[0] == '/' ? rf_bump_arena_print(arena, "file://%s", escaped_path(arena, path))
                        : escaped_path(arena, path);
}

/* Relative paths name their base. */
static void artifact(sarif *s, const char *name, const char *path) {
  const char *const seen = rf_path_seen_from(s->d->directory, path);
  rf_json_open(&s->w, name, "{");
  rf_json_put_text(&s->w, "uri", uri_of(s->arena, seen));
  if (seen[0] != '/') {
    rf_json_put_text(&s->w, "uriBaseId", "SRCROOT");
  }
  rf_json_close(&s->w, "}");
}

static void region(sarif *s, const rf_frame_view *call) {
  if (call->file == NULL || call->line == 0) {
    return;
  }
  const char *const line = rf_source_text(s->d->sources, s->arena, call);
  rf_json_open(&s->w, "region", "{");
  rf_json_put_number(&s->w, "startLine", call->line);
  if (line != NULL) {
    message(s, "snippet", line);
  }
  rf_json_close(&s->w, "}");
}

static bool has_file(const rf_frame_view *call) {
  return call->file != NULL || call->module != NULL;
}

static void physical(sarif *s, const rf_frame_view *call) {
  const char *const file = call->file != NULL ? call->file : call->module;
  if (file == NULL) {
    return;
  }
  rf_json_open(&s->w, "physicalLocation", "{");
  artifact(s, "artifactLocation", file);
  region(s, call);
  rf_json_close(&s->w, "}");
}

static void logical(sarif *s, const rf_frame_view *call) {
  if (call->function == NULL) {
    return;
  }
  rf_json_open(&s->w, "logicalLocations", "[{");
  rf_json_put_text(&s->w, "name", call->function);
  rf_json_put_text(&s->w, "kind", "function");
  rf_json_close(&s->w, "}]");
}

static void location(sarif *s, const char *name, const rf_frame_view *call, const char *text, int id) {
  rf_json_open(&s->w, name, "{");
  if (id >= 0) {
    rf_json_put_number(&s->w, "id", id);
  }
  physical(s, call);
  logical(s, call);
  if (text != NULL) {
    message(s, "message", text);
  }
  rf_json_close(&s->w, "}");
}

/* ---- Rules and taxa ---- */

static bool is_used(const rf_document *d, rf_bug bug) {
  for (size_t i = 0; i < d->count; i++) {
    if (d->records[i]->finding.bug == bug) {
      return true;
    }
  }
  for (size_t i = 0; i < d->hidden_count; i++) {
    if (d->hidden[i]->finding.bug == bug) {
      return true;
    }
  }
  return false;
}

static void taxon_reference(sarif *s, unsigned cwe) {
  rf_json_put_text(&s->w, "id", rf_bump_arena_print(s->arena, "%u", cwe));
  rf_json_open(&s->w, "toolComponent", "{");
  rf_json_put_text(&s->w, "name", "CWE");
  rf_json_put_number(&s->w, "index", 0); /* of the taxonomies; without it the driver is meant */
  rf_json_close(&s->w, "}");
}

static const char *cwe_page(sarif *s, unsigned cwe) {
  return rf_bump_arena_print(s->arena, "https://cwe.mitre.org/data/definitions/%u.html", cwe);
}

static void rule(sarif *s, rf_bug bug) {
  unsigned const cwe = rf_bug_cwe(bug, RF_ACCESS_UNKNOWN);
  rf_json_open(&s->w, NULL, "{");
  rf_json_put_text(&s->w, "id", rf_bug_name(bug));
  rf_json_put_text(&s->w, "name", rf_bug_title(bug));
  message(s, "shortDescription", rf_bug_summary(bug));
  message(s, "fullDescription", rf_bug_meaning(bug));
  message(s, "help", rf_bug_advice(bug));
  rf_json_put_text(&s->w, "helpUri", cwe == 0 ? NULL : cwe_page(s, cwe));
  rf_json_open(&s->w, "defaultConfiguration", "{");
  rf_json_put_text(&s->w, "level", rf_bug_level(bug));
  rf_json_close(&s->w, "}");
  rf_json_open(&s->w, "relationships", "[{");
  rf_json_open(&s->w, "target", "{");
  taxon_reference(s, cwe);
  rf_json_close(&s->w, "}");
  rf_json_open(&s->w, "kinds", "[");
  rf_json_put_text(&s->w, NULL, "superset");
  rf_json_close(&s->w, "]}]");
  rf_json_open(&s->w, "properties", "{");
  rf_json_open(&s->w, "tags", "[");
  rf_json_put_text(&s->w, NULL, "security");
  rf_json_put_text(&s->w, NULL, "memory");
  rf_json_put_text(&s->w, NULL, rf_bump_arena_print(s->arena, "external/cwe/cwe-%03u", cwe));
  rf_json_close(&s->w, "]");
  rf_json_put_text(&s->w, "precision", "very-high");
  rf_json_put_text(&s->w, "security-severity", rf_bug_severity(bug));
  rf_json_close(&s->w, "}}");
}

static void rules(sarif *s) {
  int count = 0;
  rf_json_open(&s->w, "rules", "[");
  for (unsigned i = 0; i < RF_BUG_COUNT; i++) {
    s->rules[i] = -1;
    if (is_used(s->d, (rf_bug)i)) {
      s->rules[i] = count++;
      rule(s, (rf_bug)i);
    }
  }
  rf_json_close(&s->w, "]");
}

static void driver(sarif *s) {
  rf_json_open(&s->w, "tool", "{");
  rf_json_open(&s->w, "driver", "{");
  rf_json_put_text(&s->w, "name", "Ringfence");
  rf_json_put_text(&s->w, "fullName", "Ringfence " RF_VERSION);
  rf_json_put_text(&s->w, "informationUri", "https://registry.bazel.build/modules/ringfence");
  rf_json_put_text(&s->w, "version", RF_VERSION);
  rf_json_put_text(&s->w, "semanticVersion", RF_VERSION);
  rules(s);
  rf_json_open(&s->w, "supportedTaxonomies", "[{");
  rf_json_put_text(&s->w, "name", "CWE");
  rf_json_put_number(&s->w, "index", 0);
  rf_json_close(&s->w, "}]}}");
}

static void add_cwe(unsigned *list, size_t *count, unsigned cwe) {
  for (size_t i = 0; i < *count; i++) {
    if (list[i] == cwe) {
      return;
    }
  }
  list[(*count)++] = cwe;
}

static void taxonomies(sarif *s) {
  size_t const most = s->d->count + s->d->hidden_count + RF_BUG_COUNT;
  unsigned *const list = (unsigned *)rf_bump_arena_array(s->arena, most + 1, sizeof *list);
  size_t count = 0;
  for (unsigned i = 0; i < RF_BUG_COUNT; i++) {
    if (s->rules[i] >= 0) {
      add_cwe(list, &count, rf_bug_cwe((rf_bug)i, RF_ACCESS_UNKNOWN));
    }
  }
  for (size_t i = 0; i < s->d->count; i++) {
    add_cwe(list, &count, s->d->records[i]->finding.cwe);
  }
  for (size_t i = 0; i < s->d->hidden_count; i++) {
    add_cwe(list, &count, s->d->hidden[i]->finding.cwe);
  }
  rf_json_open(&s->w, "taxonomies", "[{");
  rf_json_put_text(&s->w, "name", "CWE");
  rf_json_put_text(&s->w, "organization", "MITRE");
  rf_json_put_text(&s->w, "informationUri", "https://cwe.mitre.org/");
  message(s, "shortDescription", "The MITRE Common Weakness Enumeration");
  rf_json_open(&s->w, "taxa", "[");
  for (size_t i = 0; i < count; i++) {
    if (list[i] != 0) {
      rf_json_open(&s->w, NULL, "{");
      rf_json_put_text(&s->w, "id", rf_bump_arena_print(s->arena, "%u", list[i]));
      rf_json_put_text(&s->w, "helpUri", cwe_page(s, list[i]));
      rf_json_close(&s->w, "}");
    }
  }
  rf_json_close(&s->w, "]}]");
}

/* ---- Results ---- */

/* The stacks of a finding in the order of time, those that are known. */
typedef struct event {
  rf_stack_view stack;
  const char *text;
  uint32_t thread;
} event;

enum { EVENTS = 3 };

static size_t events_of(sarif *s, const rf_record *record, event out[EVENTS]) {
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
    if (has_file(rf_stack_view_top(&events[i].stack))) {
      events[kept++] = events[i];
    }
  }
  return kept;
}

static void code_flow(sarif *s, const event *events, size_t count) {
  if (count < 2) {
    return;
  }
  rf_json_open(&s->w, "codeFlows", "[{");
  rf_json_open(&s->w, "threadFlows", "[{");
  rf_json_open(&s->w, "locations", "[");
  for (size_t i = 0; i < count; i++) {
    rf_json_open(&s->w, NULL, "{");
    location(s, "location", rf_stack_view_top(&events[i].stack), events[i].text, -1);
    rf_json_put_number(&s->w, "executionOrder", (int64_t)i + 1);
    rf_json_close(&s->w, "}");
  }
  rf_json_close(&s->w, "]}]}]");
}

/* A large report is mostly frames: they refer to the tables, and only those without a function have a text. `thread` 0:
 * that of the frame before. */
static void stack_frame(sarif *s, const rf_frame_view *call, uint32_t thread) {
  const char *const file = call->file != NULL ? call->file : call->module;
  rf_json_open(&s->w, NULL, "{");
  rf_json_open(&s->w, "location", "{");
  if (file != NULL) {
    rf_json_open(&s->w, "physicalLocation", "{");
    rf_json_open(&s->w, "artifactLocation", "{");
    rf_json_put_number(&s->w, "index", (int64_t)rf_string_table_index(&s->files, s->kept, file));
    rf_json_close(&s->w, "}");
    region(s, call);
    rf_json_close(&s->w, "}");
  }
  if (call->function != NULL) {
    rf_json_open(&s->w, "logicalLocations", "[{");
    rf_json_put_number(&s->w, "index", (int64_t)rf_string_table_index(&s->functions, s->kept, call->function));
    rf_json_close(&s->w, "}]");
  } else {
    message(s, "message", rf_frame_view_text(s->arena, call, s->d->directory));
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

static void stacks(sarif *s, const event *events, size_t count) {
  if (count == 0) {
    return;
  }
  rf_json_open(&s->w, "stacks", "[");
  for (size_t i = 0; i < count; i++) {
    rf_json_open(&s->w, NULL, "{");
    message(s, "message", events[i].text);
    rf_json_open(&s->w, "frames", "[");
    for (size_t k = 0; k < events[i].stack.count; k++) {
      stack_frame(s, &events[i].stack.list[k], k == 0 ? events[i].thread : 0);
    }
    rf_json_close(&s->w, "]}");
  }
  rf_json_close(&s->w, "]");
}

static void related(sarif *s, const event *events, size_t count) {
  if (count != 1) { /* else they are in the code flow */
    return;
  }
  rf_json_open(&s->w, "relatedLocations", "[");
  for (size_t i = 0; i < count; i++) {
    location(s, NULL, rf_stack_view_top(&events[i].stack), events[i].text, (int)i + 1);
  }
  rf_json_close(&s->w, "]");
}

/* Always one that is in a file: code hosts refuse a whole report for one result without. */
static void locations(sarif *s, const rf_record *record) {
  rf_stack_view const view = rf_stack_view_of(s->arena, record, rf_stack_view_blamed(record));
  const rf_frame_view *const top = rf_stack_view_top(&view);
  rf_frame_view place = top == NULL ? (rf_frame_view){0} : *top;
  if (!has_file(&place)) {
    place.file = record->program != NULL ? record->program : record->input != NULL ? record->input : s->d->program;
  }
  rf_json_open(&s->w, "locations", "[");
  location(s, NULL, &place, NULL, -1);
  rf_json_close(&s->w, "]");
}

/* The second one is the name by which GitHub knows a fingerprint. */
static void fingerprints(sarif *s, const rf_record *record) {
  const char *const value = rf_bump_arena_print(s->arena, "%s:%u", record->fingerprint, record->ordinal);
  rf_json_open(&s->w, "partialFingerprints", "{");
  rf_json_put_text(&s->w, "ringfenceStack/v2", value);
  rf_json_put_text(&s->w, "primaryLocationLineHash", value);
  rf_json_close(&s->w, "}");
}

static void properties(sarif *s, const rf_record *record) {
  const rf_finding *const f = &record->finding;
  rf_json_open(&s->w, "properties", "{");
  rf_json_put_text(&s->w, "address", rf_bump_arena_print(s->arena, "0x%" PRIxPTR, f->address));
  if (f->block != 0) {
    rf_json_put_text(&s->w, "block", rf_bump_arena_print(s->arena, "0x%" PRIxPTR, f->block));
    rf_json_put_number(&s->w, "offset", f->offset);
  }
  rf_json_put_number(&s->w, "size", (int64_t)f->size);
  rf_json_put_text(&s->w, "allocator", f->allocator);
  rf_json_put_text(&s->w, "mode", f->mode);
  rf_json_put_number(&s->w, "processes", record->processes);
  rf_json_close(&s->w, "}");
}

static void suppressions(sarif *s, const rf_record *record) {
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

static const char *result_text(sarif *s, const rf_record *record) {
  const rf_finding *const f = &record->finding;
  const char *const title = rf_document_title(s->arena, record);
  bool const more = f->detail != NULL && strcmp(f->detail, title) != 0;
  return rf_bump_arena_print(s->arena, "%s: %s%s%s.", rf_bug_name(f->bug), title, more ? "; " : "",
                             more ? f->detail : "");
}

static void result(sarif *s, const rf_record *record) {
  event events[EVENTS];
  size_t count = events_of(s, record, events);
  rf_json_open(&s->w, NULL, "{");
  rf_json_put_text(&s->w, "ruleId", rf_bug_name(record->finding.bug));
  rf_json_put_number(&s->w, "ruleIndex", s->rules[record->finding.bug]);
  rf_json_put_text(&s->w, "level", rf_bug_level(record->finding.bug));
  message(s, "message", result_text(s, record));
  locations(s, record);
  fingerprints(s, record);
  rf_json_put_number(&s->w, "occurrenceCount", record->times);
  stacks(s, events, count);
  count = keep_those_in_files(events, count);
  related(s, events, count);
  code_flow(s, events, count);
  if (record->finding.cwe != 0) {
    rf_json_open(&s->w, "taxa", "[{");
    taxon_reference(s, record->finding.cwe);
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

static void results(sarif *s) {
  const rf_document *const d = s->d;
  rf_json_open(&s->w, "results", "[");
  for (size_t i = 0; i < d->count + d->hidden_count; i++) {
    result(s, i < d->count ? d->records[i] : d->hidden[i - d->count]);
    rf_bump_arena_free(s->arena);
  }
  rf_json_close(&s->w, "]");
}

/* Files and functions that frames refer to by index. */
static void tables(sarif *s) {
  rf_json_open(&s->w, "artifacts", "[");
  for (size_t i = 0; i < s->files.count; i++) {
    rf_json_open(&s->w, NULL, "{");
    artifact(s, "location", s->files.strings[i]);
    rf_json_close(&s->w, "}");
  }
  rf_json_close(&s->w, "]");
  rf_json_open(&s->w, "logicalLocations", "[");
  for (size_t i = 0; i < s->functions.count; i++) {
    rf_json_open(&s->w, NULL, "{");
    rf_json_put_text(&s->w, "name", s->functions.strings[i]);
    rf_json_put_text(&s->w, "kind", "function");
    rf_json_close(&s->w, "}");
  }
  rf_json_close(&s->w, "]");
}

/* ---- The run ---- */

static const char *time_text(sarif *s, int64_t ns) {
  const char *const text = rf_time_text(s->arena, ns / 1000000000, "%Y-%m-%dT%H:%M:%S");
  return text == NULL ? NULL : rf_bump_arena_print(s->arena, "%s.%03dZ", text, (int)(ns / 1000000 % 1000));
}

/* Uploads of one category replace each other: each program has its own. */
static void automation(sarif *s) {
  const char *const program = s->d->program == NULL ? NULL : rf_base_name(s->d->program);
  rf_json_open(&s->w, "automationDetails", "{");
  rf_json_put_text(&s->w, "id",
                   program == NULL ? "ringfence/" : rf_bump_arena_print(s->arena, "ringfence/%s/", program));
  rf_json_close(&s->w, "}");
}

static void invocation(sarif *s) {
  const rf_totals *const t = s->d->totals;
  rf_json_open(&s->w, "invocations", "[{");
  rf_json_put_text(&s->w, "commandLine", s->d->command);
  const char *const lost = rf_totals_lost(s->arena, t);
  rf_json_put_bool(&s->w, "executionSuccessful", lost == NULL);
  if (lost != NULL) {
    rf_json_open(&s->w, "toolExecutionNotifications", "[{");
    rf_json_put_text(&s->w, "level", "error");
    rf_json_open(&s->w, "message", "{");
    rf_json_put_text(&s->w, "text", lost);
    rf_json_close(&s->w, "}}]");
  }
  if (t != NULL) {
    int64_t const began = s->d->began * 1000000000;
    rf_json_put_text(&s->w, "startTimeUtc", time_text(s, began));
    rf_json_put_text(&s->w, "endTimeUtc", time_text(s, began + (int64_t)t->elapsed_ns));
  }
  if (t != NULL && WIFSIGNALED(t->wait_status)) {
    rf_json_put_number(&s->w, "exitSignalNumber", WTERMSIG(t->wait_status));
    rf_json_put_text(&s->w, "exitSignalName", strsignal(WTERMSIG(t->wait_status)));
  } else if (t != NULL) {
    rf_json_put_number(&s->w, "exitCode", WEXITSTATUS(t->wait_status));
  }
  if (s->d->directory != NULL) {
    rf_json_open(&s->w, "workingDirectory", "{");
    rf_json_put_text(&s->w, "uri", uri_of(s->arena, s->d->directory));
    rf_json_close(&s->w, "}");
  }
  rf_json_close(&s->w, "}]");
}

static void source_root(sarif *s) {
  rf_json_open(&s->w, "originalUriBaseIds", "{");
  rf_json_open(&s->w, "SRCROOT", "{");
  if (s->d->directory != NULL) {
    rf_json_put_text(&s->w, "uri", rf_bump_arena_print(s->arena, "%s/", uri_of(s->arena, s->d->directory)));
  }
  message(s, "description", "The folder that relative paths begin at.");
  rf_json_close(&s->w, "}}");
}

void rf_document_sarif(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink) {
  rf_bump_arena scratch = {NULL};
  enum { LINES = 4 }; /* each result on its own */
  sarif s = {.w = {.sink = sink, .lines = LINES}, .arena = &scratch, .kept = arena, .d = d};
  rf_json_open(&s.w, NULL, "{");
  rf_json_put_text(&s.w, "$schema",
                   "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"
                   "sarif-schema-2.1.0.json");
  rf_json_put_text(&s.w, "version", "2.1.0");
  rf_json_open(&s.w, "runs", "[{");
  driver(&s);
  automation(&s);
  invocation(&s);
  source_root(&s);
  taxonomies(&s);
  rf_json_put_text(&s.w, "columnKind", "utf16CodeUnits");
  results(&s);
  tables(&s);
  rf_json_close(&s.w, "}]}");
  rf_sink_str(sink, "\n");
  rf_bump_arena_free(&scratch);
}

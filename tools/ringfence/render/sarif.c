/* The document as SARIF 2.1.0 (OASIS standard, 27 March 2020), as code hosts and editors read it.
 *
 * One run: the rules are the kinds of finding, with CWE as taxonomy; each result has the place as its location, all
 * stacks, the life of the block as a code flow, and a fingerprint that does not depend on lines.
 */
#include "tools/ringfence/render/sarif_impl.h"

#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/words.h"

#include <string.h>
#include <sys/wait.h>

/* Files and functions that frames refer to by index. */
static void tables(rf_sarif *s) {
  rf_json_open(&s->w, "artifacts", "[");
  for (size_t i = 0; i < s->files.count; i++) {
    rf_json_open(&s->w, NULL, "{");
    rf_sarif_artifact(s, "location", s->files.strings[i]);
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

static const char *time_text(rf_sarif *s, int64_t ns) {
  const char *const text = rf_time_text(s->arena, ns / 1000000000, "%Y-%m-%dT%H:%M:%S");
  return text == NULL ? NULL : rf_bump_arena_print(s->arena, "%s.%03dZ", text, (int)(ns / 1000000 % 1000));
}

/* Uploads of one category replace each other: each program has its own. */
static void automation(rf_sarif *s) {
  const char *const program = s->d->program == NULL ? NULL : rf_base_name(s->d->program);
  rf_json_open(&s->w, "automationDetails", "{");
  rf_json_put_text(&s->w, "id",
                   program == NULL ? "ringfence/" : rf_bump_arena_print(s->arena, "ringfence/%s/", program));
  rf_json_close(&s->w, "}");
}

static void invocation(rf_sarif *s) {
  const rf_totals *const t = s->d->totals;
  rf_json_open(&s->w, "invocations", "[{");
  rf_json_put_text(&s->w, "commandLine", s->d->command);
  const char *const lost = rf_document_lost(s->arena, s->d);
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
    rf_json_put_text(&s->w, "uri", rf_sarif_uri(s->arena, s->d->directory));
    rf_json_close(&s->w, "}");
  }
  rf_json_close(&s->w, "}]");
}

static void source_root(rf_sarif *s) {
  rf_json_open(&s->w, "originalUriBaseIds", "{");
  rf_json_open(&s->w, "SRCROOT", "{");
  if (s->d->directory != NULL) {
    const char *const uri = rf_sarif_uri(s->arena, s->d->directory);
    rf_json_put_text(&s->w, "uri", rf_ends_with(uri, "/") ? uri : rf_bump_arena_print(s->arena, "%s/", uri));
  }
  rf_sarif_message(s, "description", "The folder that relative paths begin at.");
  rf_json_close(&s->w, "}}");
}

void rf_document_sarif(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink) {
  rf_bump_arena scratch = {NULL};
  enum { LINES = 4 }; /* each result on its own */
  rf_sarif s = {.w = {.sink = sink, .lines = LINES}, .arena = &scratch, .kept = arena, .d = d};
  rf_json_open(&s.w, NULL, "{");
  rf_json_put_text(&s.w, "$schema",
                   "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"
                   "sarif-schema-2.1.0.json");
  rf_json_put_text(&s.w, "version", "2.1.0");
  rf_json_open(&s.w, "runs", "[{");
  rf_sarif_driver(&s);
  automation(&s);
  invocation(&s);
  source_root(&s);
  rf_sarif_taxonomies(&s);
  rf_json_put_text(&s.w, "columnKind", "utf16CodeUnits");
  rf_sarif_results(&s);
  tables(&s);
  rf_json_close(&s.w, "}]}");
  rf_sink_str(sink, "\n");
  rf_bump_arena_free(&scratch);
}

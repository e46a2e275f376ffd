/* The contents of a report: findings with names, merged, suppressed and compared with a baseline. */
#ifndef RINGFENCE_TOOLS_RENDER_DOCUMENT_H
#define RINGFENCE_TOOLS_RENDER_DOCUMENT_H

#include "tools/ringfence/model/baseline.h"
#include "tools/ringfence/model/run.h"
#include "tools/ringfence/model/skip_rules.h"
#include "tools/ringfence/render/source.h"
#include "tools/ringfence/render/totals.h"

#include <ringfence/suppress.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How a document is made. */
typedef struct rf_document_options {
  const char *library;          /* the libringfence.so that ran; NULL: unknown */
  const char *image;            /* the ELF file of addresses without a module; NULL: none */
  const char *directory;        /* files in it are named relative to it; NULL: whole paths */
  rf_suppressions suppressions; /* capacity 0: none */
  rf_skip_rules skipped;        /* frames that do not count for the identity of findings */
  rf_baseline *baseline;        /* NULL: none */
  bool symbolize;               /* look up functions, files and lines */
  bool whole;                   /* show the callers of main, and known findings in full */
  bool quiet;                   /* leave known findings out of the text */
} rf_document_options;

struct rf_document {
  rf_record **records; /* distinct and not suppressed; with a baseline the new ones first */
  size_t count;
  rf_record **hidden; /* distinct and suppressed */
  size_t hidden_count;
  uint64_t times;        /* how often `records` were found */
  uint64_t hidden_times; /* how often a finding was suppressed, here or in the processes */
  const rf_used_rule *rules;
  size_t rule_count;
  rf_snapshot_table **snapshots;
  size_t snapshot_count;
  const rf_baseline *baseline; /* NULL: none */
  size_t known;                /* of `records`, in the baseline */
  size_t unread;               /* findings of which the record is cut off, damaged or of an unknown kind */
  const rf_totals *totals;     /* of a run, or NULL */
  const char *command;         /* the command line of that run, or NULL */
  const char *program;         /* that it ran, or NULL */
  const char *directory;
  int64_t began;       /* when the run began, or its findings were written: seconds since 1970; 0: unknown */
  rf_sources *sources; /* lines of code to show beside places */
  const char *host;    /* name of the machine, or NULL */
  bool whole;          /* the text has known findings in full */
  bool quiet;          /* the text has no known findings */
};

/* Makes `out` from `run`, whose lists change their order. */
void rf_document_make(rf_document *out, rf_bump_arena *arena, rf_run *run, const rf_document_options *options);

/* Says that something was found of which there is no record; NULL where that is not so. */
const char *rf_document_lost(rf_bump_arena *arena, const rf_document *d);

/* The number of new findings: all of them where there is no baseline. */
size_t rf_document_new(const rf_document *d);

/* Adds the rules of a file with suppressions. False after messages. */
bool rf_document_suppressions(rf_suppressions *all, rf_bump_arena *arena, const char *path);

/* A rule as it is written: "leak:foo". */
const char *rf_document_rule(rf_bump_arena *arena, const rf_suppression *rule);

/* A finding in one line, without its place: "12 bytes written, 3 bytes after a 13-byte block". */
const char *rf_document_title(rf_bump_arena *arena, const rf_record *record);

/* The suppressions that were used, as LeakSanitizer prints them; nothing where none was. */
void rf_document_rules_text(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink);

/* The snapshots as tables of text. */
void rf_document_snapshots_text(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink);

/* One finding as text, as the library prints it. */
void rf_record_text(rf_bump_arena *arena, rf_record *record, const rf_sink *sink);

/* ---- Renderings, each a whole document ---- */

void rf_document_text(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink);
void rf_document_json(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink);
void rf_document_sarif(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink);
void rf_document_junit(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink);
void rf_document_github(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink);
void rf_document_html(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_RENDER_DOCUMENT_H */

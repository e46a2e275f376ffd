/* What the reports of the command are made from: findings named, sorted out, merged and compared with a baseline. */
#ifndef RINGFENCE_TOOLS_RENDER_DOCUMENT_H
#define RINGFENCE_TOOLS_RENDER_DOCUMENT_H

#include "tools/ringfence/model/baseline.h"
#include "tools/ringfence/model/run.h"
#include "tools/ringfence/render/source.h"
#include "tools/ringfence/render/totals.h"

#include <ringfence/suppress.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How it is made. */
typedef struct rf_document_options {
  const char *library;          /* the libringfence.so that ran; NULL: not known */
  const char *image;            /* the ELF file that addresses without a module are in; NULL: none */
  const char *directory;        /* files in it are named without it; NULL: whole paths */
  rf_suppressions suppressions; /* capacity 0: none */
  rf_baseline *baseline;        /* NULL: none */
  bool symbolize;               /* ask for functions, files and lines */
  bool whole;                   /* show what called main, too */
} rf_document_options;

struct rf_document {
  rf_record **records; /* distinct ones, those that a rule hides left out; with a baseline the new ones first */
  size_t count;
  rf_record **hidden; /* distinct ones that a rule hides */
  size_t hidden_count;
  uint64_t times;        /* how often `records` were found */
  uint64_t hidden_times; /* how often something was hidden, here or in the processes */
  const rf_used_rule *rules;
  size_t rule_count;
  rf_snapshot_table **snapshots;
  size_t snapshot_count;
  const rf_baseline *baseline; /* NULL: none */
  size_t known;                /* of `records`, in the baseline */
  const rf_totals *totals;     /* of a run, where this is one; else NULL */
  const char *command;         /* the command line of that run; NULL */
  const char *program;         /* that it ran; NULL */
  const char *directory;
  int64_t began;       /* the run, or when its findings were written down: seconds since 1970; 0: not known */
  rf_sources *sources; /* for lines of code beside places */
  const char *host;    /* where; NULL: not known */
};

/* Makes `out` of what is in `run`, whose lists change their order. */
void rf_document_make(rf_document *out, rf_bump_arena *arena, rf_run *run, const rf_document_options *options);

/* How many findings are new: all of them where there is no baseline. */
size_t rf_document_new(const rf_document *d);

/* Reads a file with suppressions, adding its rules. False after messages. */
bool rf_document_suppressions(rf_suppressions *all, rf_bump_arena *arena, const char *path);

/* A rule as it is written: "leak:foo". */
const char *rf_document_rule(rf_bump_arena *arena, const rf_suppression *rule);

/* "12 bytes written 3 bytes after a 13-byte block": what a finding is about, in one line, without its place. */
const char *rf_document_title(rf_bump_arena *arena, const rf_record *record);

/* The block of suppressions used, as LeakSanitizer prints it; nothing where none was. */
void rf_document_rules_text(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink);

/* The snapshots as tables of text. */
void rf_document_snapshots_text(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink);

/* One finding as text, as the library prints it. */
void rf_record_text(rf_record *record, const rf_sink *sink);

/* ---- Renderings, each a whole document ---- */

void rf_document_text(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink);
void rf_document_json(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink);
void rf_document_sarif(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink);
void rf_document_junit(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink);
void rf_document_html(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_RENDER_DOCUMENT_H */

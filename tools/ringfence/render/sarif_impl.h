/* Parts of the SARIF document that are made in several files. */
#ifndef RINGFENCE_TOOLS_RENDER_SARIF_IMPL_H
#define RINGFENCE_TOOLS_RENDER_SARIF_IMPL_H

#include "tools/ringfence/render/document.h"

#include "checkers/report/json_writer.h"
#include "tools/ringfence/base/string_table.h"
#include "tools/ringfence/model/frame_view.h"

typedef struct rf_sarif {
  rf_json_writer w;
  rf_bump_arena *arena; /* freed after each result */
  rf_bump_arena *kept;  /* for the tables */
  const rf_document *d;
  rf_string_table files;     /* of frames */
  rf_string_table functions; /* of frames */
  int rules[RF_BUG_COUNT];   /* index of each kind among the rules; -1: not there */
} rf_sarif;

/* ---- sarif_place.c: texts and places ---- */

/* An object of that name with a text. */
void rf_sarif_message(rf_sarif *s, const char *name, const char *text);

/* A path as URI: a relative one as part of one. */
const char *rf_sarif_uri(rf_bump_arena *arena, const char *path);

/* A file. A relative path names its base. */
void rf_sarif_artifact(rf_sarif *s, const char *name, const char *path);

/* The line of a call, with its text where that is known; nothing where the line is not. */
void rf_sarif_region(rf_sarif *s, const rf_frame_view *call);

/* Whether a call is in a file, be it of code. */
bool rf_sarif_has_file(const rf_frame_view *call);

/* The place of a call, with a text (NULL: none) and a number (below 0: none). */
void rf_sarif_location(rf_sarif *s, const char *name, const rf_frame_view *call, const char *text, int id);

/* ---- sarif_rules.c: kinds of finding, and CWE ---- */

/* The tool and its rules, the kinds that the document has; their index to s->rules. */
void rf_sarif_driver(rf_sarif *s);

/* The numbers of CWE that rules and results refer to. */
void rf_sarif_taxonomies(rf_sarif *s);

/* The fields by which something refers to one of them. */
void rf_sarif_taxon(rf_sarif *s, unsigned cwe);

/* ---- sarif_result.c ---- */

/* All findings, those that are hidden last. */
void rf_sarif_results(rf_sarif *s);

#endif

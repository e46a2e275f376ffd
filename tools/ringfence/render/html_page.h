/* Parts of the HTML page that are made in several files. */
#ifndef RINGFENCE_TOOLS_RENDER_HTML_PAGE_H
#define RINGFENCE_TOOLS_RENDER_HTML_PAGE_H

#include "tools/ringfence/render/document.h"

#include "tools/ringfence/model/frame_view.h"

typedef struct rf_html_page {
  rf_bump_arena *arena;
  const rf_document *d;
  const rf_sink *sink;
} rf_html_page;

/* The place of a stack, for lists. */
const char *rf_html_place(const rf_html_page *p, const rf_record *record, rf_stack_kind kind);

/* Attributes by which the script sorts the element of the finding at `index`. */
void rf_html_sort_keys(const rf_html_page *p, const rf_record *record, size_t index);

/* A finding's kind, stacks, bytes and facts, without a frame around them. */
void rf_html_body(const rf_html_page *p, const rf_record *record);

/* A finding in detail. */
void rf_html_finding(const rf_html_page *p, const rf_record *record, size_t index);

#endif

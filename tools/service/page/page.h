/* The page: HTML and SVG made from the JSON that the API serves.
 *
 * Every page is whole without JavaScript; the script adds keys and keeps it fresh. Nothing is inline (the policy is
 * default-src 'none') and nothing comes from elsewhere. All text is escaped by rf_markup.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_PAGE_H
#define RINGFENCE_TOOLS_SERVICE_PAGE_H

#include "tools/ringfence/base/arena.h"
#include "tools/ringfence/base/json.h"
#include "tools/service/store/store.h"

#include <ringfence/sink.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_page {
  const char *base; /* goes before each path of a link: "", or "/ringfence" behind such a proxy */
  rf_bump_arena *arena;
  const rf_sink *sink;
  const rf_json *json; /* the answer that is shown */
  rf_store *store;     /* for names of return addresses */
  const char *source_root;
  const char *directory; /* the collector's folder */
  bool may_triage;
  bool may_steer;
  bool signed_in; /* by a session, which can be ended */
  /* The search text; NULL: none. */
  const char *state;
  const char *environment;
  const char *build;
  const char *new_in;
  const char *search;
  const char *order;
  const char *limit;
  const char *back; /* the path and the query of the page itself */
  int64_t zoom;     /* a frame of the flame graph, 0: all */
} rf_page;

typedef void rf_page_maker(const rf_page *page);

void rf_page_findings(const rf_page *page);
void rf_page_of_finding(const rf_page *page);
void rf_page_builds(const rf_page *page);
void rf_page_coverage(const rf_page *page);
void rf_page_module(const rf_page *page); /* the call sites of one */
void rf_page_steering(const rf_page *page);
void rf_page_status(const rf_page *page);
void rf_page_processes(const rf_page *page);
void rf_page_process(const rf_page *page);

/* A page with one sentence. `base` is that of rf_page; `back` the path to return to after signing in, without it; NULL:
 * no form to sign in. */
void rf_page_message(const rf_sink *sink, const char *base, const char *title, const char *message, const char *back);

/* A file of the page ("/style.css"), its type and length; NULL where `path` is none. */
const char *rf_page_file(const char *path, const char **type, size_t *length);

#ifdef __cplusplus
}
#endif

#endif

/* Names, places and figures on the page of a process. */
#ifndef RINGFENCE_TOOLS_SERVICE_PAGE_PROCESS_WORDS_H
#define RINGFENCE_TOOLS_SERVICE_PAGE_PROCESS_WORDS_H

#include "tools/service/page/parts.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The part of a process that is shown. */
typedef struct rf_process_view {
  const rf_page *page;
  const rf_json *snapshot; /* NULL: none is kept whole */
  const rf_json *against;  /* NULL: no difference is shown */
  const rf_json **calls;   /* of the snapshot */
  size_t call_count;
  const char *link; /* the address of this view: "?snapshot=5&against=3" */
} rf_process_view;

/* "parse", "libz.so.1+0x12ab": the function, or where it has no name, the place in its module. */
const char *rf_call_name(const rf_process_view *v, const rf_json *call);

/* "app.c:12"; NULL where no file is known. */
const char *rf_call_place(const rf_process_view *v, const rf_json *call);

/* "0.4 s", "41 min", "12.5 h": how long a process ran. */
const char *rf_page_duration(const rf_page *p, const rf_json *process);

/* "12.5 KiB"; with a sign in a difference. */
const char *rf_signed_bytes(const rf_page *p, int64_t bytes);

/* "+1,714", "−3"; 0 has no sign. */
const char *rf_signed_count(const rf_page *p, int64_t count);

/* Any number for SVG: as many digits as matter. */
const char *rf_svg_number(const rf_page *p, double value);

#ifdef __cplusplus
}
#endif

#endif

/* Sections of the page of a finding; each writes nothing where there is nothing to tell. */
#ifndef RINGFENCE_TOOLS_SERVICE_PAGE_FINDING_PARTS_H
#define RINGFENCE_TOOLS_SERVICE_PAGE_FINDING_PARTS_H

#include "tools/service/page/parts.h"

#ifdef __cplusplus
extern "C" {
#endif

void rf_page_written(const rf_page *p);  /* offsets and values, over all events */
void rf_page_hardware(const rf_page *p); /* one bit off */
void rf_page_builds_of(const rf_page *p);
void rf_page_names(const rf_page *p, const char *name, const char *title);
void rf_page_events(const rf_page *p);
void rf_page_related(const rf_page *p);
void rf_page_history(const rf_page *p);

#ifdef __cplusplus
}
#endif

#endif

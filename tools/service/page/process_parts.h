/* Sections of the page of a process; each writes nothing where there is nothing to tell. */
#ifndef RINGFENCE_TOOLS_SERVICE_PAGE_PROCESS_PARTS_H
#define RINGFENCE_TOOLS_SERVICE_PAGE_PROCESS_PARTS_H

#include "tools/service/page/process_words.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Memory over time, with a link to each snapshot that is kept whole. */
void rf_page_memory(const rf_process_view *v);

/* The callers that take the memory, from main inwards: a flame graph, and the sites in a table. */
void rf_page_flame(const rf_process_view *v);
void rf_page_sites(const rf_process_view *v);

void rf_page_sizes(const rf_process_view *v);
void rf_page_map(const rf_process_view *v);

#ifdef __cplusplus
}
#endif

#endif

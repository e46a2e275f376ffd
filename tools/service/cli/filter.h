/* Filters of findings, as options give them. */
#ifndef RINGFENCE_TOOLS_SERVICE_FILTER_H
#define RINGFENCE_TOOLS_SERVICE_FILTER_H

#include "tools/service/query/query.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether state and order are words that exist, and no name is empty. False after a message. */
bool rf_cli_filter_has_words(const rf_findings_filter *filter);

/* Whether the store has heard of the builds and the environment: a name that is misspelt would choose nothing, and
 * nothing passes a gate. 0, or the exit status after a message: that of a failure where the store cannot be read. */
int rf_cli_filter_status(rf_store *store, const rf_findings_filter *filter);

#ifdef __cplusplus
}
#endif

#endif

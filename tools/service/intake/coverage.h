/* Coverage of checking, of the summaries with which processes end: which modules had calls that allocate, how long
 * processes of each mode ran with them, and which of their call sites had blocks that were watched.
 *
 * Call sites are gathered in memory over one transaction: a thousand equal processes cost one row for each site. */
#ifndef RINGFENCE_TOOLS_SERVICE_COVERAGE_H
#define RINGFENCE_TOOLS_SERVICE_COVERAGE_H

#include "tools/service/intake/batch.h"
#include "tools/service/intake/envelope.h"
#include "tools/service/store/counters.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Modules, those last heard of, and call sites of each, that are kept. */
enum { RF_COVERAGE_MODULES = 2000, RF_COVERAGE_SITES = 20000 };

/* Takes what a summary says of sites; what is not of the form is passed over. Within a transaction. Returns how many
 * sites were left out. */
int64_t rf_coverage_take(rf_store *store, rf_counters *sites, const rf_envelope *e, const rf_candidate *c);

/* Deletes a module with its call sites. Within a transaction. */
void rf_coverage_forget(rf_store *store, int64_t module);

/* Writes the sites within the open transaction; *sites is empty then. */
void rf_coverage_write(rf_counters *sites, rf_store *store);

#ifdef __cplusplus
}
#endif

#endif

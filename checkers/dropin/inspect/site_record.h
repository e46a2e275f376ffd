/* The sites of runtime/seen_sites.h as JSON, by module, for the record with which a process ends
 * (docs/service/format.md). */
#ifndef RINGFENCE_DROPIN_SITE_RECORD_H
#define RINGFENCE_DROPIN_SITE_RECORD_H

/* The members "sites" and "sites_dropped", each with a comma before it, of what was not told yet, and forgets it; ""
 * where there is none. Bounded: what does not fit is counted. The text is valid until the next call. For the end of a
 * process: one thread at a time, which may be in a signal handler. */
const char *rf_site_record(void);

#endif /* RINGFENCE_DROPIN_SITE_RECORD_H */

/* The sites of checkers/os/seen_sites.h as JSON, by module, for the record with which a process ends
 * (docs/service/format.md). Internal to checkers/. */
#ifndef RINGFENCE_SITE_RECORD_H
#define RINGFENCE_SITE_RECORD_H

/* The members "sites" and "sites_dropped", each with a comma before it, of the sites that were not told yet, and of the
 * modules of those that were; "" where there is none. Then they count as told. Bounded: those that do not fit are
 * counted. The text is valid until the next call. One thread at a time, which may be in a signal handler. */
const char *rf_site_record(void);

#endif /* RINGFENCE_SITE_RECORD_H */

/* The sites of checkers/os/seen_sites.h as JSON, by module, for the record with which a process ends
 * (docs/service/format.md). Internal to checkers/. */
#ifndef RINGFENCE_SITE_RECORD_H
#define RINGFENCE_SITE_RECORD_H

/* The members "sites" and "sites_dropped", each with a comma before it, of the sites that were not told yet, and of the
 * modules of those that were; "" where there is none. Bounded: those that do not fit are counted. The text is valid
 * until the next call. One thread at a time, which may be in a signal handler. */
const char *rf_site_record(void);

/* The text of the last rf_site_record has arrived: the sites that it was made of count as told. By the same thread. */
void rf_site_record_told(void);

/* In a child of fork: a thread that was making one is not there. */
void rf_site_record_forked(void);

#endif /* RINGFENCE_SITE_RECORD_H */

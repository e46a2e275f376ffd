/* The reporter of the process, in front of the one that writes: leaves out what is no fault of the program's, hands
 * findings to the program's callback where there is one, counts them, and ends the process as the options say. */
#ifndef RINGFENCE_DROPIN_PROCESS_REPORTER_H
#define RINGFENCE_DROPIN_PROCESS_REPORTER_H

#include "state.h"

#include <ringfence/snapshot.h>

extern rf_reporter rf_process_reporter __attribute__((visibility("hidden")));

/* As the options of the process say. */
void rf_process_reporter_init(void);

/* True while findings go to a callback of the program's. */
bool rf_process_reports_to_program(void);

/* Puts a snapshot, or the difference of two, where findings go; false where it must be tried again later. */
bool rf_process_report_snapshot(const rf_snapshot *snapshot, const rf_snapshot *before);

#endif /* RINGFENCE_DROPIN_PROCESS_REPORTER_H */

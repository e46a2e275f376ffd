/* A finding as text, in the shape of AddressSanitizer's reports. docs/checkers/findings.md shows it line by line. */
#ifndef RINGFENCE_REPORT_TEXT_H
#define RINGFENCE_REPORT_TEXT_H

#include <ringfence/finding.h>
#include <ringfence/frames.h>
#include <ringfence/sink.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes `f` to `sink`. `symbolizer` names the return addresses; NULL: they are written as numbers. Reads the record
 * and the strings it points to only; allocates nothing; may be called by any thread and from signal handlers as far as
 * sink and symbolizer may. */
void rf_report_text(const rf_finding *f, const rf_symbolizer *symbolizer, const rf_sink *sink);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_REPORT_TEXT_H */

/* A finding as one line of JSON; docs/checkers/findings.md is the schema. */
#ifndef RINGFENCE_REPORT_JSON_H
#define RINGFENCE_REPORT_JSON_H

#include <ringfence/finding.h>
#include <ringfence/frames.h>
#include <ringfence/sink.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the schema, the field "version" of every line. Raised when a field changes its meaning or goes
 * away. */
#define RF_JSON_VERSION 1

/* Writes `f` as one object and a line feed. `symbolizer` gives module, build-id and offset of each return address, and
 * names where it has them; NULL: addresses only. As safe as rf_report_text. */
void rf_report_json(const rf_finding *f, const rf_symbolizer *symbolizer, const rf_sink *sink);

/* Writes `trace` as the member `name` of an object that has members before it: {"thread":…,"site":…,"frames":[…]}. */
void rf_report_json_trace(const char *name, const rf_trace *trace, const rf_symbolizer *symbolizer,
                          const rf_sink *sink);

/* A JSON string, quotes included. Bytes that are not valid UTF-8 are written as U+FFFD, so that a line can always be
 * parsed. NULL is written as null. */
void rf_json_string(const char *text, const rf_sink *sink);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_REPORT_JSON_H */

/* Messages for the port's log, each line in one write, so that it stays whole beside those of other threads and
 * processes. Allocates nothing; a line that does not fit is written in parts. Internal to checkers/. */
#ifndef RINGFENCE_REPORT_LOG_LINES_H
#define RINGFENCE_REPORT_LOG_LINES_H

#include <ringfence/sink.h>
#include <ringfence/system.h>

#ifdef __cplusplus
extern "C" {
#endif

#if RF_HAS_SYSTEM
enum { RF_LOG_LINE_BYTES = 512 };
#else
enum { RF_LOG_LINE_BYTES = 128 };
#endif

/* On the stack: of a function of its own (RF_RARE) where findings pass, which have little. */
typedef struct rf_log_lines {
  rf_sink sink;
  size_t length; /* of the line that has no end yet */
  char line[RF_LOG_LINE_BYTES];
} rf_log_lines;

/* Makes lines->sink a sink whose text must end with a newline, and returns it. `lines` stays where it is while the sink
 * is used, by one thread at a time. */
const rf_sink *rf_log_lines_init(rf_log_lines *lines);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_REPORT_LOG_LINES_H */

/* A sink that lets no text steer a terminal, nor break one that takes UTF-8. */
#ifndef RINGFENCE_TOOLS_BASE_CLEAN_SINK_H
#define RINGFENCE_TOOLS_BASE_CLEAN_SINK_H

#include <ringfence/sink.h>

/* Writes to `to`, which must outlive it, with "?" for control characters other than line feed and tab, those of C1 too:
 * names come from files that others wrote, and a terminal obeys them. A byte that is no UTF-8 becomes U+FFFD, as in
 * JSON and HTML. A character must come in one piece. */
rf_sink rf_clean_sink(const rf_sink *to);

#endif

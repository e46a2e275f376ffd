/* How many small blocks a trace has at once, by class: the counts for pools in front of a heap. */
#ifndef RINGFENCE_TOOLS_TRACE_DEMAND_H
#define RINGFENCE_TOOLS_TRACE_DEMAND_H

#include "tools/trace/trace.h"

#include <ringfence/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DEMAND_CLASSES 4

/* Fills in classes of 16, 32, 48 and 64 bytes (each serves malloc's alignment) with the counts with which no request of
 * such a size has to go on. `t` NULL: no blocks at all. Ends the program where memory is short. */
void demand_of(const trace *t, rf_pool_class classes[DEMAND_CLASSES]);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_TRACE_DEMAND_H */

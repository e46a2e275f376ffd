/* How many small blocks a trace has at once, by class: the counts for pools in front of a heap. */
#ifndef RINGFENCE_TOOLS_TRACE_DEMAND_H
#define RINGFENCE_TOOLS_TRACE_DEMAND_H

#include "tools/trace/trace.h"

#include <ringfence/layout.h>
#include <ringfence/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DEMAND_CLASSES 4U
#define DEMAND_GRAIN RF_ALIGN_DEFAULT /* classes of other sizes would not serve malloc's requests */

/* The number, from 0 on, of the class that a request is for, each of DEMAND_GRAIN bytes more; `classes`: for none of so
 * many. */
static inline unsigned demand_class_of(const trace_op *op, unsigned classes) {
  size_t const c = op->size == 0 ? 0 : (op->size - 1) / DEMAND_GRAIN;
  return c < classes && op->align <= RF_ALIGN_DEFAULT ? (unsigned)c : classes;
}

/* Fills in classes of 16, 32, 48 and 64 bytes with the counts with which no request of
 * such a size has to go on. `t` NULL: no blocks at all. Ends the program where memory is short. */
void demand_of(const trace *t, rf_pool_class classes[DEMAND_CLASSES]);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_TRACE_DEMAND_H */

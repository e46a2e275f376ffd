/* Parts of every checker that wraps an allocator: the beginning of a finding, calls into the allocator below with the
 * fault that they raise, tables that refuse every call. Internal to checkers/. */
#ifndef RINGFENCE_WRAPPER_H
#define RINGFENCE_WRAPPER_H

#include <ringfence/allocator.h>
#include <ringfence/fault.h>
#include <ringfence/finding.h>

#include "origin.h"

/* ---- Findings ---- */

/* Fills in what every finding has, and clears the rest: the block's part. `allocator` and `mode` are static strings. */
void rf_finding_begin(rf_finding *f, rf_bug bug, rf_access access, const void *address, const char *allocator,
                      const char *mode, const rf_origin *origin);

/* For one whose origin is the instruction that a signal stopped: it was noticed at the access itself. Frames are return
 * addresses, and what names them looks one byte before. */
static inline void rf_finding_at_instruction(rf_finding *f) {
  f->at_access = true;
  if (f->found.depth != 0) {
    f->found.frames[0]++;
  }
}

/* The same for a fault that became a finding: a pointer that was refused, or damage. */
void rf_finding_begin_refused(rf_finding *f, const rf_fault *fault, const char *allocator, const char *mode,
                              const rf_origin *origin);

/* The same for a request that the helpers of allocator.h turned away; `detail` as in rf_allocator_ops.reject. */
void rf_finding_begin_rejected(rf_finding *f, rf_reject why, size_t size, size_t detail, const char *allocator,
                               const char *mode, const rf_origin *origin);

/* ---- Calls into the allocator below ---- */

/* With the first fault that it raises. */
typedef struct rf_inner_call {
  rf_fault_scope scope;
  rf_fault fault; /* status RF_OK: none */
} rf_inner_call;

/* The handler of its scope; `context` is the call. */
void rf_inner_call_keep(const rf_fault *fault, void *context);

static inline void rf_inner_call_begin(rf_inner_call *call) {
  call->fault.status = RF_OK;
  rf_fault_scope_enter(&call->scope, rf_inner_call_keep, call);
}

/* True where there was a fault. */
static inline bool rf_inner_call_end(rf_inner_call *call) {
  rf_fault_scope_leave(&call->scope);
  return __builtin_expect(call->fault.status != RF_OK, 0);
}

/* ---- Tables that refuse ----
 *
 * In force after deinit and during a walk: each call is reported and refused. */

typedef struct rf_refusing_ops {
  rf_allocator_ops ops; /* with the operations below */
  void (*report)(rf_allocator *self, const void *ptr, const rf_origin *origin);
  rf_status status; /* the answer */
} rf_refusing_ops;

void *rf_refused_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site);
rf_status rf_refused_free(rf_allocator *self, void *ptr, const rf_site *site);
void *rf_refused_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site);
rf_status rf_refused_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site);

#endif /* RINGFENCE_WRAPPER_H */

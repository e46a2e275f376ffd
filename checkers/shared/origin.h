/* The origin of a call, as checkers keep it with a block. Internal to checkers/. */
#ifndef RINGFENCE_ORIGIN_H
#define RINGFENCE_ORIGIN_H

#include <ringfence/finding.h>
#include <ringfence/stack.h>
#include <string.h>

/* The origin of the current call. Evaluate it in the operation itself, whose caller is the program (or a decorator). */
#define RF_ORIGIN_HERE(site) ((rf_origin){(site), (uintptr_t)__builtin_return_address(0), __builtin_frame_address(0)})

/* The origin of a check that no call asked for, as at the end of a process. */
extern const rf_origin rf_no_origin;
#define RF_NO_ORIGIN (&rf_no_origin)

static inline const rf_origin *rf_origin_or_none(const rf_origin *origin) {
  return origin != NULL ? origin : RF_NO_ORIGIN;
}

/* The trace of a call of which no stack was kept: its site, its return address (0: not known), its thread. */
static inline void rf_trace_of_call(rf_trace *out, const rf_site *site, uintptr_t caller, uint32_t thread) {
  memset(out, 0, sizeof *out);
  out->site = site;
  out->frames[0] = caller;
  out->depth = caller != 0 ? 1 : 0;
  out->thread = thread;
}

#endif /* RINGFENCE_ORIGIN_H */

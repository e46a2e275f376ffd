/* rf_tlsf: from a pointer of the program to its block. */
#ifndef RINGFENCE_TLSF_LIVE_H
#define RINGFENCE_TLSF_LIVE_H

#include "lib/core/verdict.h"
#include "tlsf_block.h"

/* Fills *out for the live block that the program knows as `p`, where the verdict is RF_POINTER_OK. */
rf_verdict rf_tlsf_find_live(const rf_tlsf *h, const void *p, rf_tlsf_live *out);

/* The same; a verdict against the pointer is reported. */
rf_status rf_tlsf_open_live(rf_tlsf *h, void *p, rf_tlsf_live *out, const rf_site *site);

/* Reports damage at `p`. */
rf_status rf_tlsf_damaged(rf_tlsf *h, const void *p, const rf_site *site);

#endif /* RINGFENCE_TLSF_LIVE_H */

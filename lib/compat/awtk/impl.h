/* Shared by the sources of the AWTK API; internal to lib/compat/awtk. */
#ifndef RINGFENCE_AWTK_IMPL_H
#define RINGFENCE_AWTK_IMPL_H

#define RINGFENCE_AWTK_IMPL
#include <ringfence/awtk.h>

/* ---- Views ---- */

/* Makes `allocator` one of ours: calls to it go to `calls`, and `impl` (NULL: none) ends with it. Returns it. */
mem_allocator_t *rf_awtk_view_init(mem_allocator_t *allocator, rf_awtk_view *view, rf_allocator *calls,
                                   mem_allocator_t *impl, void (*publish)(mem_allocator_t *self));

/* NULL for one of yours, and for one that has ended. */
rf_awtk_view *rf_awtk_view_of(mem_allocator_t *allocator);

/* `impl` as an rf_allocator: its own where it is one of ours, else `ledger` around it. */
rf_allocator *rf_awtk_below(mem_allocator_t *impl, rf_awtk_ledger *ledger);

/* mem_allocator_alloc and _realloc of one of ours, with a site. */
void *rf_awtk_alloc(mem_allocator_t *allocator, uint32_t size, const rf_site *site);
void *rf_awtk_realloc(mem_allocator_t *allocator, void *ptr, uint32_t size, const rf_site *site);

/* The destination of dumps. */
const rf_sink *rf_awtk_sink(void);

/* The counters of its heap. */
const rf_counters *rf_awtk_simple_counters(const mem_allocator_simple_t *simple);

/* ---- Ledger ---- */

/* Over `inner`, or where that is NULL over `impl`. */
void rf_awtk_ledger_init(rf_awtk_ledger *ledger, rf_allocator *inner, mem_allocator_t *impl);

/* ---- Sites ---- */

/* The record of that caller, for as long as the program runs; NULL where nobody keeps them, `func` is NULL, or there
 * are RF_AWTK_SITES others. From threads. */
const rf_site *rf_awtk_site(const char *func, uint32_t line);

/* Whether that has happened. */
bool rf_awtk_sites_full(void);

/* Callers are recorded from now on. */
void rf_awtk_sites_keep(void);

#endif /* RINGFENCE_AWTK_IMPL_H */

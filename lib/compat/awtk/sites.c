/* Callers as AWTK names them, by function and line, kept in a table of permanent rf_site records. */
#include "impl.h"

#include <ringfence/port.h>

_Static_assert((RF_AWTK_SITES & (RF_AWTK_SITES - 1)) == 0, "a table that is indexed by bits");

static rf_mutex lock; /* zeroed, which is initialised */
static rf_site sites[RF_AWTK_SITES];
static bool kept;
static bool full;

void rf_awtk_sites_keep(void) {
  __atomic_store_n(&kept, true, __ATOMIC_RELAXED);
}

static size_t slot_of(const char *func, uint32_t line) {
  uintptr_t const mixed = ((uintptr_t)func ^ (uintptr_t)line * 31U) * UINT32_C(0x9E3779B1);
  return (size_t)(mixed >> 7) & (RF_AWTK_SITES - 1);
}

/* The record, or where it would go; NULL where there is no room. */
static rf_site *find(const char *func, uint32_t line) {
  size_t at = slot_of(func, line);
  for (size_t i = 0; i < RF_AWTK_SITES; i++, at = (at + 1) & (RF_AWTK_SITES - 1)) {
    if (sites[at].function == NULL || (sites[at].function == func && sites[at].line == line)) {
      return &sites[at];
    }
  }
  return NULL;
}

const rf_site *rf_awtk_site(const char *func, uint32_t line) {
  if (func == NULL || !__atomic_load_n(&kept, __ATOMIC_RELAXED)) {
    return NULL;
  }
  rf_mutex_lock(&lock);
  rf_site *const site = find(func, line);
  if (site != NULL && site->function == NULL) {
    site->file = "?"; /* AWTK does not tell */
    site->function = func;
    site->line = line;
  }
  if (site == NULL) {
    full = true;
  }
  rf_mutex_unlock(&lock);
  return site;
}

bool rf_awtk_sites_full(void) {
  rf_mutex_lock(&lock);
  bool const answer = full;
  rf_mutex_unlock(&lock);
  return answer;
}

#include "lib/core/verdict.h"

static const struct {
  rf_status status;
  const char *text;
} verdicts[] = {
    [RF_POINTER_OK] = {RF_OK, "live block"},
    [RF_POINTER_FOREIGN] = {RF_ERR_BAD_POINTER, "foreign pointer"},
    [RF_POINTER_MISALIGNED] = {RF_ERR_BAD_POINTER, "misaligned pointer"},
    [RF_POINTER_INTERIOR] = {RF_ERR_BAD_POINTER, "pointer into a block"},
    [RF_POINTER_NO_BLOCK] = {RF_ERR_BAD_POINTER, "not the start of a live block"},
    [RF_POINTER_FREE] = {RF_ERR_NOT_ALLOCATED, "pointer to free memory"},
    [RF_POINTER_FREED] = {RF_ERR_NOT_ALLOCATED, "double free"},
    [RF_POINTER_CORRUPT] = {RF_ERR_CORRUPT, "damaged block header"},
};

rf_status rf_verdict_status(rf_verdict verdict) {
  return verdicts[verdict].status;
}

const char *rf_verdict_text(rf_verdict verdict) {
  return verdicts[verdict].text;
}

rf_status rf_verdict_refuse(struct rf_allocator *allocator, rf_verdict verdict, const void *ptr, const rf_site *site) {
  rf_status const status = rf_verdict_status(verdict);
  return status == RF_OK ? RF_OK : rf_fault_refuse(allocator, status, rf_verdict_text(verdict), ptr, site);
}

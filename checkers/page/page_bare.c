/* rf_page and rf_sample on targets without pages that can be closed: refused. */
#include "page_store.h"

#include <ringfence/sample.h>

const char *rf_page_store_why_not(void) {
  return "this target has no pages that can be closed to the program";
}

rf_status rf_page_init(rf_page *page, rf_allocator *inner, const rf_page_options *options) {
  (void)options;
  return page == NULL || inner == NULL ? RF_ERR_INVALID : RF_ERR_UNSUPPORTED;
}

size_t rf_page_sweep(rf_page *page) {
  (void)page;
  return 0;
}

size_t rf_page_sweep_step(rf_page *page, uint64_t budget_ns) {
  (void)page;
  (void)budget_ns;
  return 0;
}

rf_status rf_sample_init(rf_sample *sample, rf_allocator *inner, const rf_sample_options *options) {
  (void)options;
  return sample == NULL || inner == NULL ? RF_ERR_INVALID : RF_ERR_UNSUPPORTED;
}

bool rf_sample_has(rf_sample *sample, const void *ptr) {
  (void)sample;
  (void)ptr;
  return false;
}

size_t rf_sample_sweep(rf_sample *sample) {
  (void)sample;
  return 0;
}

/* The options that NULL stands for, of rf_page and rf_sample. */
#include <ringfence/page.h>
#include <ringfence/sample.h>
#include <string.h>

void rf_page_options_default(rf_page_options *out) {
  memset(out, 0, sizeof *out);
  out->side = RF_PAGE_BOTH;
  out->quarantine = UINTPTR_MAX > UINT32_MAX ? (size_t)1 << 30 : (size_t)64 << 20;
  out->fill_alloc = 4096;
  out->sweep_at_deinit = true;
  rf_guard_options_default(&out->guarded);
}

void rf_sample_options_default(rf_sample_options *out) {
  memset(out, 0, sizeof *out);
  out->rate = RF_SAMPLE_RATE_DEFAULT;
  out->slots = RF_SAMPLE_SLOTS_DEFAULT;
  out->largest = RF_SAMPLE_LARGEST_DEFAULT;
  out->side = RF_PAGE_BOTH;
}

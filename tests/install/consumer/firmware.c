/* A firmware that has a bug: what it says goes where bare.c puts text. Exits with 0 where the bug is found. */
#include "ringfence.h"

static unsigned char arena[8192];
static rf_tlsf heap;
static rf_guard guard;
static rf_log_reporter reporter;

#if __STDC_HOSTED__
#include <stdio.h>

void rf_bare_log(const char *text, size_t len) {
  (void)fwrite(text, 1, len, stderr);
}
#else
volatile unsigned char uart;

void rf_bare_log(const char *text, size_t len) {
  for (size_t i = 0; i < len; i++) {
    uart = (unsigned char)text[i];
  }
}
#endif

int main(void) {
  rf_report_options options;
  rf_guard_options guard_options;
  rf_report_options_default(&options);
  options.format = RF_FORMAT_SERIAL;
  options.halt = false;
  rf_log_reporter_init(&reporter, &options);
  rf_tlsf_init(&heap, arena, sizeof arena);
  rf_guard_options_default(&guard_options);
  guard_options.reporter = &reporter.base;
  rf_guard_init(&guard, &heap.base, &guard_options);
  unsigned char *const p = rf_alloc(&guard.base, 20);
  p[20] = 0; /* one byte too far */
  rf_free(&guard.base, p);
  return reporter.base.sequence == 1 ? 0 : 1;
}

/* A board without an operating system: one heap in static memory, checked, its findings on the UART. */
#include <ringfence/bare.h>
#include <ringfence/guard.h>
#include <ringfence/reporter.h>
#include <ringfence/simple.h>

extern volatile unsigned char uart_data; /* your UART's data register; its address is in the linker script */

static unsigned char arena[4096];
static rf_simple heap;
static rf_guard guard;
static rf_log_reporter reporter;

/* bare.c prints its text by this. */
void rf_bare_log(const char *text, size_t len) {
  for (size_t i = 0; i < len; i++) {
    uart_data = (unsigned char)text[i];
  }
}

int main(void) {
  rf_report_options options;
  rf_guard_options guard_options;

  rf_report_options_default(&options);
  options.format = RF_FORMAT_SERIAL; /* for `ringfence report`; RF_FORMAT_TEXT to read it on the console */
  options.halt = false;              /* else the first finding stops in rf_port_panic, where a debugger finds it */
  rf_log_reporter_init(&reporter, &options);

  rf_simple_init(&heap, arena, sizeof arena);
  rf_guard_options_default(&guard_options);
  guard_options.quarantine = 512;
  guard_options.reporter = &reporter.base;
  rf_guard_init(&guard, &heap.base, &guard_options);

  unsigned char *message = rf_alloc(&guard.base, 20);
  message[20] = '\0'; /* one byte too far */
  rf_free(&guard.base, message);
  return reporter.base.sequence == 1 ? 0 : 1;
}

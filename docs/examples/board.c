/* A board without an operating system: one heap in static memory, checked, its findings on the console. */
#include <ringfence/bare.h>
#include <ringfence/guard.h>
#include <ringfence/simple.h>

static unsigned char arena[4096];
static rf_simple heap;
static rf_guard guard;

static volatile unsigned char uart_data; /* on your board: the UART's data register */

/* Where bare.c puts text. */
void rf_bare_log(const char *text, size_t len) {
  for (size_t i = 0; i < len; i++) {
    uart_data = (unsigned char)text[i];
  }
}

/* Called with each finding. Answering RF_ACTION_HALT would stop in rf_port_panic, where a debugger finds it. */
static rf_action count(rf_reporter *self, const rf_finding *finding) {
  unsigned *findings = self->context;
  (void)finding;
  ++*findings;
  return RF_ACTION_CONTINUE;
}

int main(void) {
  unsigned findings = 0;
  rf_reporter reporter = {count, &findings, RF_EXITCODE_DEFAULT, 0};
  rf_guard_options options;

  rf_simple_init(&heap, arena, sizeof arena);
  rf_guard_options_default(&options);
  options.quarantine = 512;
  options.reporter = &reporter;
  rf_guard_init(&guard, &heap.base, &options);

  unsigned char *message = rf_alloc(&guard.base, 20);
  message[20] = '\0'; /* one byte too far */
  rf_free(&guard.base, message);
  return findings == 1 ? 0 : 1;
}

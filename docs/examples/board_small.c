/* A board with little flash: findings as numbers, kept across a reset and sent at the next boot. */
#include <ringfence/bare.h>
#include <ringfence/guard_small.h>
#include <ringfence/kept.h>
#include <ringfence/tlsf.h>

extern volatile unsigned char uart_data; /* your UART's data register; its address is in the linker script */
void board_reset(void);                  /* yours: writes SYSRESETREQ, say */

static unsigned char arena[4096];
static rf_tlsf heap;
static rf_guard_small guard;
static rf_kept kept __attribute__((section(".noinit"))); /* the start-up code leaves it alone */

static void write_uart(void *context, const char *text, size_t len) {
  (void)context;
  for (size_t i = 0; i < len; i++) {
    uart_data = (unsigned char)text[i];
  }
}

/* No host listens now: the next boot sends the finding. */
static void keep(rf_guard_small *self, const rf_small_finding *finding) {
  rf_small_finding_write(finding, self->findings, &kept.sink);
  board_reset();
}

int main(void) {
  static const rf_sink console = {write_uart, NULL};
  if (rf_kept_begin(&kept, &console)) {
    return 0; /* an example ends here; a board goes on */
  }
  rf_tlsf_init(&heap, arena, sizeof arena);
  rf_guard_small_init(&guard, &heap.base, 512);
  guard.report = keep;

  unsigned char *message = rf_alloc(&guard.base, 20);
  message[20] = '\0'; /* one byte too far */
  rf_free(&guard.base, message);
  return 1;
}

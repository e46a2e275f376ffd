#include <ringfence/dump.h>
#include <ringfence/port.h>
#include <ringfence/simple.h>

static _Alignas(16) unsigned char arena[512];

static void to_log(void *context, const char *text, size_t len) {
  (void)context;
  rf_port_log(text, len);
}

int main(void) {
  rf_simple heap;
  if (rf_simple_init(&heap, arena, sizeof arena) != RF_OK) {
    return 1;
  }
  rf_allocator *const a = &heap.base;
  char *const name = rf_strdup(a, "ring");
  int *samples = rf_calloc(a, 20, sizeof *samples);
  samples = rf_realloc(a, samples, 40 * sizeof *samples); /* grows where it is */
  rf_free(a, name);
  rf_sink const log = {to_log, NULL};
  rf_dump(a, &log, NULL); /* statistics, histogram, map */
  rf_free(a, samples);
  return rf_check(a, NULL) == RF_OK ? 0 : 1;
}

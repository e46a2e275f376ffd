#include <ringfence/guard.h>
#include <ringfence/tlsf.h>

static unsigned char arena[16 * 1024];

/* Counts findings and lets the program go on. */
static rf_action count(rf_reporter *self, const rf_finding *f) {
  (void)f;
  ++*(unsigned *)self->context;
  return RF_ACTION_CONTINUE;
}

int main(void) {
  unsigned findings = 0;
  rf_reporter reporter = {count, &findings, RF_EXITCODE_DEFAULT, 0};
  rf_guard_options options;
  rf_tlsf heap;
  rf_guard guard;
  rf_guard_options_default(&options);
  options.reporter = &reporter;
  options.leaks_at_deinit = true;
  if (rf_tlsf_init(&heap, arena, sizeof arena) != RF_OK || rf_guard_init(&guard, &heap.base, &options) != RF_OK) {
    return 1;
  }
  rf_allocator *const a = &guard.base; /* program -> guard -> tlsf */
  char *const p = rf_alloc(a, 20);
  char *const q = rf_alloc(a, 20);
  p[20] = 1; /* past the end: found by the free */
  rf_free(a, p);
  p[4] = 1; /* after the free: found by the sweep */
  rf_guard_sweep(&guard);
  rf_free(a, p); /* twice: found at once */
  (void)q;       /* never freed: found at the end */
  rf_deinit(a);
  return findings == 4 ? 0 : 1;
}

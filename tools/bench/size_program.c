/* The program whose size size.sh tells: a guard over a simple heap on a board, with the reporter that REPORTER
 * chooses. */
#include <ringfence/guard.h>
#include <ringfence/reporter.h>
#include <ringfence/simple.h>

#define OWN 0
#define FULL 1

void start(void);

static unsigned char arena[4096];

static rf_action go_on(rf_reporter *self, const rf_finding *f) {
  (void)self;
  (void)f;
  return RF_ACTION_CONTINUE;
}

static rf_reporter *chosen_reporter(void) {
#if REPORTER == FULL
  static rf_log_reporter full;
  rf_report_options options;
  rf_report_options_default(&options);
  rf_log_reporter_init(&full, &options);
  return &full.base;
#else
  static rf_reporter own = {go_on, NULL, 0, 0};
  return &own;
#endif
}

void start(void) {
  static rf_simple heap;
  static rf_guard guard;
  rf_guard_options options;
  rf_guard_options_default(&options);
  options.reporter = chosen_reporter();
  (void)rf_simple_init(&heap, arena, sizeof arena);
  (void)rf_guard_init(&guard, &heap.base, &options);
  rf_free(&guard.base, rf_alloc(&guard.base, 20));
}

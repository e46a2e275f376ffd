/* The program whose size size.sh tells: a checked heap on a board. HEAP chooses the heap; REPORTER a guard with a
 * reporter of its own or the full one, or guard_small, whose findings are numbers. */
#include <ringfence/guard.h>
#include <ringfence/guard_small.h>
#include <ringfence/reporter.h>
#include <ringfence/simple.h>
#include <ringfence/tlsf.h>

#define OWN 0
#define FULL 1
#define NUMBERS 2

#define HEAP_TYPE_(heap) rf_##heap
#define HEAP_TYPE(heap) HEAP_TYPE_(heap)
#define HEAP_INIT_(heap) rf_##heap##_init
#define HEAP_INIT(heap) HEAP_INIT_(heap)

void start(void);

static unsigned char arena[4096];

#if REPORTER == NUMBERS

void start(void) {
  static HEAP_TYPE(HEAP) heap;
  static rf_guard_small guard;
  (void)HEAP_INIT(HEAP)(&heap, arena, sizeof arena);
  (void)rf_guard_small_init(&guard, &heap.base, 512);
  rf_free(&guard.base, rf_alloc(&guard.base, 20));
}

#else

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
  static HEAP_TYPE(HEAP) heap;
  static rf_guard guard;
  rf_guard_options options;
  rf_guard_options_default(&options);
  options.reporter = chosen_reporter();
  (void)HEAP_INIT(HEAP)(&heap, arena, sizeof arena);
  (void)rf_guard_init(&guard, &heap.base, &options);
  rf_free(&guard.base, rf_alloc(&guard.base, 20));
}

#endif

// dropin_heap: the heap of the drop-in, over memory from the system, checked or bare. Requests go up to several times
// the limit for large blocks; in one of four configurations, which is slow, up to twice that for mappings of their own.
#include "checkers/dropin/heap/testing/as_allocator.h"
#include "dropin_heap_error.h"
#include "finding_log.h"

#include <ringfence/fuzz/target.h>

namespace {

ringfence::fuzz::FindingLog finding_log;
rf_guard_options options;
bool checked;
bool narrow;
bool huge;

rf_allocator *heap() {
  rf_allocator *const a = rf_heap_as_allocator(checked ? &options : nullptr);
  if (narrow) {
    rf_heap_as_allocator_narrow();
  }
  return a;
}

rf_allocator *init(void *, void *, size_t) {
  return heap();
}

void set_up(size_t choice) {
  static const size_t kAmounts[] = {0, 64, 1024, SIZE_MAX};
  finding_log.clear();
  rf_guard_options_default(&options);
  checked = choice % 4 != 0;
  narrow = choice % 4 == 3;
  options.quarantine = choice / 4 % 4 == 3 ? 1 << 16 : kAmounts[choice / 4 % 4];
  options.fill_alloc = kAmounts[choice / 16 % 4];
  options.fill_free = kAmounts[choice / 64 % 4];
  huge = options.fill_alloc == 64; // no more of such a block is written than the model writes
  options.move_below = 4096 * (choice % 2);
  options.reporter = finding_log.reporter();
}

rf_fuzz_target target() {
  rf_fuzz_target t = rf_fuzz_target_default("dropin_heap", init);
  t.max_request = size_t{1} << (huge ? 21 : 17);
  t.always_serves = t.max_request;
  t.in_arena = false;
  t.accounts_capacity = false; // segments come and go
  t.walk_adds_up = false;
  t.largest_is_bound = false;
  t.coalesces = false; // what is free stays in caches, waits, or goes back to the system
  t.quiet_failure = false;
  t.serves_largest = false;
  t.shrinks_in_place = false;
  if (checked) {
    t.reports = [](void *) { return finding_log.count(); };
  }
  return t;
}

} // namespace

RF_FUZZ_EXTERN_C int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size != 0) {
    set_up(data[0]);
    if (checked && size > 1 && data[1] >= 240) {
      ringfence::fuzz::Reader in(data + 2, size - 2);
      ringfence::fuzz::run_heap_error(heap(), options, finding_log, in);
      return 0;
    }
    rf_fuzz_target const t = target();
    rf_fuzz_run(&t, data + 1, size - 1);
  }
  return 0;
}

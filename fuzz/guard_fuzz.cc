// guard: over several heaps, with options from the input. Either any program, whose misuse must be reported once and
// change nothing; or a correct program, which must be silent until it commits exactly one error: exactly that finding
// must follow, however late it is noticed.
#include "guard_error.h"
#include "guard_harness.h"

#include <ringfence/fuzz/interpreter.h>

namespace ringfence::fuzz {
namespace {

void any_program(GuardHarness &harness, Reader &reader) {
  harness.options.leaks_at_deinit = false; // programs may end with blocks live
  rf_fuzz_target target = harness.target();
  target.survives_damage = false; // damage is reported and repaired: it cannot be undone
  run_or_abort(target, reader);
}

void one_error(GuardHarness &harness, Reader &reader) {
  harness.options.leaks_at_deinit = true;
  rf_fuzz_target const target = harness.target();
  GuardError error(harness.guard, harness.log, reader, target);
  error.commit(reader);
}

} // namespace
} // namespace ringfence::fuzz

// std answers large requests with NULL; by default, sanitizers stop there.
extern "C" const char *__asan_default_options() {
  return "allocator_may_return_null=1";
}
extern "C" const char *__tsan_default_options() {
  return "allocator_may_return_null=1";
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace ringfence::fuzz;
  static GuardHarness harness(rf_guard_init);
  Reader reader(data, size);
  harness.set_up(reader);
  if (reader.u8() % 4 == 0) {
    any_program(harness, reader);
  } else {
    one_error(harness, reader);
  }
  return 0;
}

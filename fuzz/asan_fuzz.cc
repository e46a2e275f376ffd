// asan: mode asan over several heaps, with options from the input. A correct program, which AddressSanitizer must not
// stop, commits exactly one error. Exactly that finding must follow: at the access where the code is instrumented,
// otherwise where guard finds it. The report of AddressSanitizer is discarded, and the process continues with the next
// input.
//
// Needs AddressSanitizer and -fsanitize-recover=address. Other builds print that there is nothing to test.
#include "guard_harness.h"

#include <ringfence/asan.h>
#include <ringfence/fuzz/target.h>

#include <cstdio>

#if RF_TRACK_ASAN

#include "asan_error.h"

extern "C" {
// Keeps the driver from pausing the poisoning that is tested here.
extern const char rf_fuzz_keeps_bounds;
const char rf_fuzz_keeps_bounds = 1;

// One report for each error, without symbols, which take long to find.
const char *__asan_default_options() {
  return "halt_on_error=0:suppress_equal_pcs=0:symbolize=0:allocator_may_return_null=1";
}
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace ringfence::fuzz;
  static GuardHarness harness(rf_asan_init);
  Reader reader(data, size);
  harness.set_up(reader);
  harness.options.leaks_at_deinit = true;
  rf_fuzz_target const target = harness.target();
  AsanError error(harness.guard, harness.log, reader, target);
  error.commit(reader);
  return 0;
}

#else

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *, size_t) {
  static bool const told =
      fputs("asan_fuzz: skipped: built without AddressSanitizer; --config=asan has it\n", stderr) >= 0;
  (void)told;
  return 0;
}

#endif

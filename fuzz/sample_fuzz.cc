// sample: over several heaps, at rates from the input. Either any program, whose misuse must be reported once and
// change nothing; or a correct program, which must be silent until it commits exactly one error on a sampled block:
// exactly that finding must follow.
#include "page_harness.h"

#include <ringfence/sample.h>

namespace ringfence::fuzz {
namespace {

class Harness : public PageHarness {
public:
  Harness() : PageHarness("sample") {}

private:
  void set_options(rf_page_side side, size_t choice) override {
    static const unsigned kRates[] = {1, 1, 2, 7};
    static const unsigned kSlots[] = {400, 50, 3};
    rf_sample_options_default(&options_);
    options_.side = side;
    options_.rate = kRates[choice % 4];
    options_.slots = kSlots[choice / 4 % 3];
    options_.largest = 8192;
    options_.seed = 1 + choice;
    options_.reporter = log_.reporter();
  }

  rf_allocator *wrap(rf_allocator *inner) override {
    return rf_sample_init(&sample_, inner, &options_) == RF_OK ? &sample_.base : nullptr;
  }

  void describe(rf_fuzz_target &t) const override {
    t.walks_in_order = false; // sampled blocks come at the addresses of their companions
    t.align_slack = 64;
    if (kind() == kStd) {
      t.shrinks = false; // it has no resize
      t.walks_sizes = false;
      t.refuses = RF_FUZZ_FOREIGN | RF_FUZZ_MISALIGNED | RF_FUZZ_INTERIOR | RF_FUZZ_REPEATED; // as the inner heap
    }
  }

  Paged paged() override {
    Paged p = {mode(), &sample_.base, &log_, {}, {}, 0, false, false};
    p.has = [this](const void *ptr) { return rf_sample_has(&sample_, ptr); };
    p.sweep = [this] { rf_sample_sweep(&sample_); };
    p.sure_below = options_.rate == 1 ? options_.slots / 2 : 0;
    return p;
  }

  rf_sample_options options_;
  rf_sample sample_;
};

} // namespace
} // namespace ringfence::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace ringfence::fuzz;
  static Harness harness;
  Reader reader(data, size);
  harness.run(reader);
  return 0;
}

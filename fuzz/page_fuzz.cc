// page: over several heaps, with options from the input. Either any program, whose misuse must be reported once and
// change nothing; or a correct program, which must be silent until it commits exactly one error: exactly that finding
// must follow, at the instruction where the page is closed, otherwise when the slack is inspected.
#include "page_harness.h"

#include <ringfence/page.h>

namespace ringfence::fuzz {
namespace {

class Harness : public PageHarness {
public:
  Harness() : PageHarness("page") {}

private:
  void set_options(rf_page_side side, size_t choice) override {
    static const size_t kFills[] = {0, 64, 4096};
    static const size_t kClosed[] = {size_t{1} << 30, 1 << 20};
    rf_page_options_default(&options_);
    options_.side = side;
    options_.fill_alloc = kFills[choice % 3];
    options_.quarantine = kClosed[choice / 3 % 2];
    options_.reporter = log_.reporter();
  }

  rf_allocator *wrap(rf_allocator *inner) override {
    return rf_page_init(&page_, inner, &options_) == RF_OK ? &page_.base : nullptr;
  }

  bool has(const void *ptr) const {
    // Blocks below the guard have a header before them, in the inner allocator's memory.
    return !rf_owns(page_.inner, ptr) || kind() == kStd;
  }

  Paged paged() override {
    options_.leaks_at_deinit = true;
    Paged p = {mode(), &page_.base, &log_, {}, {}, 0, true, true};
    p.has = [this](const void *ptr) { return has(ptr); };
    p.sweep = [this] { rf_page_sweep(&page_); };
    return p;
  }

  rf_page_options options_;
  rf_page page_;
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

// page: over several heaps, with options from the input. Either any program, whose misuse must be reported once and
// change nothing; or a correct program, which must be silent until it commits exactly one error: exactly that finding
// must follow, at the instruction where the page is closed, otherwise when the slack is inspected.
#include "page_error.h"
#include "page_inner.h"

#include <ringfence/page.h>

namespace ringfence::fuzz {
namespace {

struct Harness {
  PageInner inner;
  rf_page_options options;
  rf_page page;
  FindingLog log;
};

rf_allocator *init(void *context, void *arena, size_t size) {
  auto *const self = static_cast<Harness *>(context);
  rf_allocator *const inner = self->inner.init(arena, size);
  return inner != nullptr && rf_page_init(&self->page, inner, &self->options) == RF_OK ? &self->page.base : nullptr;
}

bool has(const Harness &harness, const void *ptr) {
  // Blocks below the guard have a header before them, in the inner allocator's memory.
  return !rf_owns(harness.page.inner, ptr) || harness.inner.kind == PageInner::kStd;
}

void set_up(Harness &harness, Reader &reader) {
  static const size_t kFills[] = {0, 64, 4096};
  static const size_t kClosed[] = {size_t{1} << 30, 1 << 20};
  size_t const choice = reader.u8();
  size_t const more = reader.u8();
  harness.log.clear();
  harness.inner.kind = static_cast<PageInner::Kind>(choice % PageInner::kKinds);
  rf_page_options_default(&harness.options);
  harness.options.side = static_cast<rf_page_side>(choice / PageInner::kKinds % 3);
  harness.options.fill_alloc = kFills[more % 3];
  harness.options.quarantine = kClosed[more / 3 % 2];
  harness.options.reporter = harness.log.reporter();
}

rf_fuzz_target target_for(Harness &harness) {
  static const char *const kNames[] = {"page over simple", "page over tlsf", "page over std"};
  rf_fuzz_target t = rf_fuzz_target_default(kNames[harness.inner.kind], init);
  t.context = &harness;
  t.reports = [](void *context) { return static_cast<Harness *>(context)->log.count(); };
  harness.inner.describe(t);
  return t;
}

void one_error(Harness &harness, Reader &reader) {
  harness.options.leaks_at_deinit = true;
  rf_fuzz_target const target = target_for(harness);
  Paged const paged = {"page",
                       &harness.page.base,
                       &harness.log,
                       [&harness](const void *ptr) { return has(harness, ptr); },
                       [&harness] { rf_page_sweep(&harness.page); },
                       0,
                       true,
                       true};
  commit_one_error(paged, target, reader);
}

} // namespace
} // namespace ringfence::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace ringfence::fuzz;
  static Harness harness;
  Reader reader(data, size);
  set_up(harness, reader);
  if (reader.u8() % 4 == 0) {
    run_or_abort(target_for(harness), reader);
  } else {
    one_error(harness, reader);
  }
  return 0;
}

// sample: over several heaps, at rates from the input. Either any program, whose misuse must be reported once and
// change nothing; or a correct program, which must be silent until it commits exactly one error on a sampled block:
// exactly that finding must follow.
#include "page_error.h"
#include "page_inner.h"

#include <ringfence/sample.h>

namespace ringfence::fuzz {
namespace {

struct Harness {
  PageInner inner;
  rf_sample_options options;
  rf_sample sample;
  FindingLog log;
};

rf_allocator *init(void *context, void *arena, size_t size) {
  auto *const self = static_cast<Harness *>(context);
  rf_allocator *const inner = self->inner.init(arena, size);
  return inner != nullptr && rf_sample_init(&self->sample, inner, &self->options) == RF_OK ? &self->sample.base
                                                                                           : nullptr;
}

void set_up(Harness &harness, Reader &reader) {
  static const unsigned kRates[] = {1, 1, 2, 7};
  static const unsigned kSlots[] = {400, 50, 3};
  size_t const choice = reader.u8();
  size_t const more = reader.u8();
  harness.log.clear();
  harness.inner.kind = static_cast<PageInner::Kind>(choice % PageInner::kKinds);
  rf_sample_options_default(&harness.options);
  harness.options.side = static_cast<rf_page_side>(choice / PageInner::kKinds % 3);
  harness.options.rate = kRates[more % 4];
  harness.options.slots = kSlots[more / 4 % 3];
  harness.options.largest = 8192;
  harness.options.seed = 1 + more;
  harness.options.reporter = harness.log.reporter();
}

rf_fuzz_target target_for(Harness &harness) {
  static const char *const kNames[] = {"sample over simple", "sample over tlsf", "sample over std"};
  rf_fuzz_target t = rf_fuzz_target_default(kNames[harness.inner.kind], init);
  t.context = &harness;
  t.reports = [](void *context) { return static_cast<Harness *>(context)->log.count(); };
  harness.inner.describe(t);
  t.walks_in_order = false; // sampled blocks come at the addresses of their companions
  t.align_slack = 64;
  if (harness.inner.kind == PageInner::kStd) {
    t.shrinks = false; // it has no resize
    t.walks_sizes = false;
    t.refuses = RF_FUZZ_FOREIGN | RF_FUZZ_MISALIGNED | RF_FUZZ_INTERIOR | RF_FUZZ_REPEATED; // as the inner heap
  }
  return t;
}

void one_error(Harness &harness, Reader &reader) {
  rf_fuzz_target const target = target_for(harness);
  Paged const paged = {"sample",
                       &harness.sample.base,
                       &harness.log,
                       [&harness](const void *ptr) { return rf_sample_has(&harness.sample, ptr); },
                       [&harness] { rf_sample_sweep(&harness.sample); },
                       harness.options.rate == 1 ? harness.options.slots / 2 : 0,
                       false,
                       false};
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

#include "page_harness.h"

namespace ringfence::fuzz {

rf_allocator *PageHarness::make_inner(void *arena, size_t size) {
  switch (kind_) {
  case kTlsf:
    return rf_tlsf_init(&tlsf_, arena, size) == RF_OK ? &tlsf_.base : nullptr;
  case kStd:
    return rf_std_init(&std_) == RF_OK ? &std_.base : nullptr;
  default:
    return rf_simple_init(&simple_, arena, size) == RF_OK ? &simple_.base : nullptr;
  }
}

rf_allocator *PageHarness::make(void *arena, size_t size) {
  rf_allocator *const inner = make_inner(arena, size);
  return inner != nullptr ? wrap(inner) : nullptr;
}

void PageHarness::set_up(Reader &reader) {
  static const char *const kNames[] = {"simple", "tlsf", "std"};
  size_t const choice = reader.u8();
  size_t const more = reader.u8();
  log_.clear();
  kind_ = static_cast<Inner>(choice % kInners);
  name_ = std::string(mode_) + " over " + kNames[kind_];
  set_options(static_cast<rf_page_side>(choice / kInners % 3), more);
}

rf_fuzz_target PageHarness::target() {
  rf_fuzz_target t = rf_fuzz_target_default(name_.c_str(), [](void *context, void *arena, size_t size) {
    return static_cast<PageHarness *>(context)->make(arena, size);
  });
  t.context = this;
  t.reports = [](void *context) { return static_cast<PageHarness *>(context)->log_.count(); };
  t.in_arena = false;
  t.reports_rejects = true;
  t.shrinks_in_place = false; // blocks move on purpose
  t.walk_adds_up = false;     // the walk has no free memory, or that of the inner heap
  if (kind_ == kStd) {
    t.accounts_capacity = false;
    t.largest_is_bound = false; // unknown
    t.coalesces = false;
    t.max_request = 1 << 16;
    t.refuses &= ~static_cast<unsigned>(RF_FUZZ_IN_ARENA);
    t.stale_records = true; // the C library's memory has those of blocks of earlier inputs, too
  }
  describe(t);
  return t;
}

void PageHarness::run(Reader &reader) {
  set_up(reader);
  bool const any = reader.u8() % 4 == 0;
  rf_fuzz_target const t = target();
  if (any) {
    run_or_abort(t, reader);
  } else {
    commit_one_error(paged(), t, reader);
  }
}

} // namespace ringfence::fuzz

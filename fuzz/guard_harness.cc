#include "guard_harness.h"

#include <cstring>

namespace ringfence::fuzz {

rf_allocator *GuardHarness::make_simple(void *arena, size_t size, bool bare) {
  static rf_allocator_ops ops;
  if (rf_simple_init(&simple_, arena, size) != RF_OK) {
    return nullptr;
  }
  if (bare) {
    ops = *simple_.base.ops;
    ops.realloc = nullptr;
    ops.resize = nullptr;
    ops.usable_size = nullptr;
    ops.walk = nullptr;
    simple_.base.ops = &ops;
  }
  return &simple_.base;
}

rf_allocator *GuardHarness::make_inner(void *arena, size_t size) {
  switch (inner_) {
  case kTlsf:
    return rf_tlsf_init(&tlsf_, arena, size) == RF_OK ? &tlsf_.base : nullptr;
  case kStd:
    return rf_std_init(&std_) == RF_OK ? &std_.base : nullptr;
  default:
    return make_simple(arena, size, inner_ == kBare);
  }
}

rf_allocator *GuardHarness::make(void *arena, size_t size) {
  rf_allocator *const inner = make_inner(arena, size);
  return init_(&guard, inner, &options) == RF_OK ? &guard.base : nullptr;
}

void GuardHarness::set_up(Reader &reader) {
  static const size_t kAmounts[] = {0, 64, 1024, SIZE_MAX};
  static const unsigned kDepths[] = {0, 0, 3, RF_TRACE_DEPTH};
  size_t const choice = reader.u8();
  size_t const more = reader.u8();
  size_t const quarantine = kAmounts[choice / kInners % 4];
  log.clear();
  inner_ = static_cast<Inner>(choice % kInners);
  rf_guard_options_default(&options);
  options.quarantine = quarantine == SIZE_MAX ? 1 << 16 : quarantine;
  options.fill_alloc = kAmounts[choice / kInners / 4 % 4];
  options.fill_free = kAmounts[choice / kInners / 16 % 4];
  options.move_below = kAmounts[more % 4];
  options.stack_depth = kDepths[more / 4 % 4];
  options.reporter = log.reporter();
  if (options.stack_depth != 0) {
    memset(stacks_, 0, sizeof stacks_);
    rf_stack_depot_init(&depot_, stacks_, sizeof stacks_);
    options.depot = &depot_;
  }
}

rf_fuzz_target GuardHarness::target() {
  static const char *const kNames[] = {"guard over simple", "guard over tlsf", "guard over std",
                                       "guard over a bare heap"};
  rf_fuzz_target t = rf_fuzz_target_default(kNames[inner_], [](void *context, void *arena, size_t size) {
    return static_cast<GuardHarness *>(context)->make(arena, size);
  });
  t.context = this;
  t.max_arena = 65536; // larger ones do nothing else, and all of one is written first
  t.reports = [](void *context) { return static_cast<GuardHarness *>(context)->log.count(); };
  t.reports_rejects = true;
  t.align_factor = 2;                            // the header takes a multiple of the alignment
  t.largest_is_bound = false;                    // a large request frees quarantined blocks
  t.quiet_failure = false;                       // also where it fails in the end
  t.shrinks = inner_ != kBare && inner_ != kStd; // the others have no resize
  t.shrinks_in_place = false;                    // blocks move on purpose: move_below
  t.walk_adds_up = false;                        // the walk deducts guards and header from free blocks
  t.coalesces = options.quarantine == 0;
  t.stale_records = options.fill_alloc != SIZE_MAX; // those of blocks that left the quarantine are filled over
  t.survives_damage = inner_ == kSimple || inner_ == kBare;
  if (inner_ == kStd || inner_ == kBare) {
    t.walks_in_order = false; // guard's own list, newest first
  }
  if (inner_ == kStd) {
    t.in_arena = false;
    t.accounts_capacity = false;
    t.coalesces = false;
    t.max_request = 1 << 16;
    t.refuses &= ~static_cast<unsigned>(RF_FUZZ_IN_ARENA);
  }
  return t;
}

} // namespace ringfence::fuzz

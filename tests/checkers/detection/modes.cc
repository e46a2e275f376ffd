// The modes, and their checkers.
#include "tests/checkers/detection/scene.h"

#include <vector>

namespace ringfence::detection {

const char *mode_name(Mode mode) {
  static const char *const names[kModes] = {"off", "sample", "guard", "page", "asan", "mte", "guard_small"};
  return names[static_cast<size_t>(mode)];
}

namespace {

// The words before a block have bits for a checksum.
constexpr bool kHasGuardSmall = RF_GUARD_SMALL_SITE_BITS < 8 * sizeof(void *);

} // namespace

bool mode_is_built(Mode mode) {
  bool const watched = rf_asan_watcher() != nullptr; // which stops at the bugs in any mode
  if (mode == Mode::kGuardSmall) {
    return kHasGuardSmall && !watched;
  }
#if !defined(__unix__)
  if (mode != Mode::kOff && mode != Mode::kGuard) {
    return false;
  }
#endif
  if (mode == Mode::kMte && rf_mte_why_not() != nullptr) {
    return false;
  }
  return (mode == Mode::kAsan) == watched;
}

bool mode_takes(Mode mode, const rf_conformance_subject &subject) {
  if (mode != Mode::kGuardSmall) {
    return true;
  }
  alignas(max_align_t) static unsigned char arena[16 * 1024];
  std::vector<max_align_t> state(subject.state_size / sizeof(max_align_t) + 1);
  rf_allocator *const inner = subject.make(state.data(), arena, sizeof arena);
  rf_guard_small guard;
  bool const taken = rf_guard_small_init(&guard, inner, 0) == RF_OK;
  rf_deinit(inner);
  return taken;
}

namespace {

rf_mode rf_mode_of(Mode mode) {
  switch (mode) {
  case Mode::kSample:
    return RF_MODE_SAMPLE;
  case Mode::kGuard:
    return RF_MODE_GUARD;
  case Mode::kPage:
    return RF_MODE_PAGE;
  case Mode::kAsan:
    return RF_MODE_ASAN;
  case Mode::kMte:
    return RF_MODE_MTE;
  default:
    return RF_MODE_OFF;
  }
}

} // namespace

// guard_small's findings as any other reporter has them.
void Checker::report_small(rf_guard_small *guard, const rf_small_finding *finding) {
  const Small *const self = reinterpret_cast<Small *>(guard); // its first member
  rf_finding f = {};
  f.bug = finding->bug;
  f.address = finding->address;
  f.block = finding->block;
  f.size = finding->size;
  f.allocator = guard->base.ops->name;
  f.mode = mode_name(Mode::kGuardSmall);
  f.found.site = finding->found;
  f.allocated.site = finding->allocated;
  f.released.site = finding->released;
  rf_report(self->reporter, &f);
}

// Every allocation is sampled, lest the tests go by chance.
Checker::Checker(Mode mode, rf_allocator *inner, rf_reporter *reporter, rf_page_side side)
    : small_{{}, reporter}, allocator_(inner) {
  if (mode == Mode::kGuardSmall) {
    ended_ = rf_guard_small_init(&small_.guard, inner, 512) != RF_OK;
    small_.guard.report = report_small;
    allocator_ = &small_.guard.base;
    return;
  }
  rf_checked_options options = {};
  rf_options_default(&options.settings);
  options.settings.mode = rf_mode_of(mode);
  options.settings.sample_rate = 1;
  options.settings.align = side;
  options.settings.stack_depth = 8;
  options.reporter = reporter;
  allocator_ = rf_checked_init(&checked_, inner, &options);
}

void Checker::end() {
  if (ended_) {
    return;
  }
  ended_ = true;
  if (allocator_ == &small_.guard.base) {
    rf_deinit(allocator_);
  } else {
    rf_checked_deinit(&checked_);
  }
}

} // namespace ringfence::detection

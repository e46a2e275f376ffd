// The modes, and their checkers.
#include "tests/checkers/detection/scene.h"

namespace ringfence::detection {

const char *mode_name(Mode mode) {
  static const char *const names[kModes] = {"off", "sample", "guard", "page", "asan"};
  return names[static_cast<size_t>(mode)];
}

bool mode_is_built(Mode mode) {
  bool const watched = rf_asan_watcher() != nullptr; // which stops at the bugs in any mode
  return (mode == Mode::kAsan) == watched;
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
  default:
    return RF_MODE_OFF;
  }
}

} // namespace

// Every allocation is sampled, lest the tests go by chance.
Checker::Checker(Mode mode, rf_allocator *inner, rf_reporter *reporter, rf_page_side side) {
  rf_checked_options options = {};
  rf_options_default(&options.settings);
  options.settings.mode = rf_mode_of(mode);
  options.settings.sample_rate = 1;
  options.settings.align = side;
  options.settings.stack_depth = 8;
  options.reporter = reporter;
  allocator_ = rf_checked_init(&checked_, inner, &options);
}

Checker::~Checker() {
  end();
}

void Checker::end() {
  if (!ended_) {
    ended_ = true;
    rf_checked_deinit(&checked_);
  }
}

} // namespace ringfence::detection

/* A GoogleTest listener: a test that leaks, leaves damage behind or does anything else that a checker finds fails by
 * itself, with the finding in its message.
 *
 *     #include <ringfence/gtest.h>
 *
 *     static auto &listener = ringfence::TestListener::install();   // at namespace scope, or in main
 *
 *     rf_checked checked;
 *     rf_allocator *a = rf_checked_init(&checked, &heap.base, NULL);
 *     listener.watch(&checked.guard);                               // for guards that outlive a test
 *
 * Checked:
 * - Findings of all checkers that report to the reporter of the process (rf_reporter_default, which
 *   rf_checked_init takes without options), or to listener.reporter(). A guard that a test ends
 *   reports its leaks then.
 * - Guards that are watched, at the end of each test: every block is checked, and blocks that the
 *   test allocated and did not free are leaks.
 * - The whole process under the drop-in (LD_PRELOAD, `ringfence check`, or malloc = "…/dropin:malloc"
 *   in Bazel): every block is checked, and blocks without a pointer to them are leaks. An address
 *   that lingers on the stack can hide one until a later test.
 *
 * A finding does not end the process: the wrong call is refused, the test goes on and fails at its end. In death tests'
 * children, and outside tests, findings do what they do without this listener.
 *
 * C++17. One file of a program includes this and installs it; GoogleTest comes from the program that does.
 */
#ifndef RINGFENCE_GTEST_H
#define RINGFENCE_GTEST_H

#include <ringfence/dropin.h>
#include <ringfence/guard.h>
#include <ringfence/options.h>
#include <ringfence/reporter.h>

#include <algorithm>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace ringfence {

class TestListener : public testing::EmptyTestEventListener {
public:
  /* Makes the listener of the process, once, and gives it to GoogleTest, which deletes it in the end. */
  static TestListener &install() {
    static TestListener *const listener = [] {
      TestListener *const made = new TestListener;
      testing::UnitTest::GetInstance()->listeners().Append(made);
      return made;
    }();
    return *listener;
  }

  TestListener() : process_(getpid()), next_(rf_reporter_default()), base_(*next_) {
    own_.report = report;
    own_.context = this;
    own_.exitcode = next_->exitcode;
    next_->report = report;
    next_->context = this;
  }

  ~TestListener() override {
    let_go();
    next_->report = base_.report;
    next_->context = base_.context;
  }

  TestListener(const TestListener &) = delete;
  TestListener &operator=(const TestListener &) = delete;

  /* For checkers that are given a reporter. */
  rf_reporter *reporter() { return &own_; }

  /* From the next test on (this one, where it is called in a test), `guard` is checked at the end of each test, until
   * forget. Not synchronised: at the end of a test no thread may use it. */
  void watch(rf_guard *guard) { watched_.push_back({guard, live_of(guard)}); }

  void forget(rf_guard *guard) {
    watched_.erase(std::remove_if(watched_.begin(), watched_.end(), [=](const Watched &w) { return w.guard == guard; }),
                   watched_.end());
  }

  void OnTestStart(const testing::TestInfo &) override {
    for (Watched &w : watched_) {
      w.before = live_of(w.guard);
    }
    active_ = true;
    if (__ringfence_on_finding != nullptr) {
      __ringfence_on_finding(keep, this);
    }
  }

  void OnTestEnd(const testing::TestInfo &) override {
    for (const Watched &w : watched_) {
      rf_guard_sweep(w.guard);
      report_leaks(w);
    }
    if (__ringfence_sweep != nullptr) {
      __ringfence_sweep();
    }
    if (__ringfence_check_leaks != nullptr) {
      __ringfence_check_leaks();
    }
    let_go();
    fail_with_findings();
  }

private:
  static constexpr size_t kTextBytes = size_t{256} * 1024;

  struct Watched {
    rf_guard *guard;
    std::vector<const void *> before; /* sorted */
  };

  struct Kept {
    size_t start;
    size_t length;
    const char *file;
    unsigned line;
  };

  /* ---- While something is found: nothing here allocates ---- */

  static rf_action report(rf_reporter *self, const rf_finding *f) {
    TestListener *const me = static_cast<TestListener *>(self->context);
    if (!me->active_ || getpid() != me->process_) {
      return me->pass_on(self, f);
    }
    if (rf_log_reporter_suppresses(reinterpret_cast<rf_log_reporter *>(me->next_), f)) {
      return RF_ACTION_CONTINUE;
    }
    const rf_trace *const place = rf_finding_place(f);
    size_t const room = kTextBytes - me->used_;
    size_t const length = me->count_ < kMost && room > 1 ? rf_reporter_text(f, me->text_ + me->used_, room) : 0;
    if (length != 0 && length + 1 < room) { /* else its end may be cut off */
      me->add(length, place->site != nullptr ? place->site->file : nullptr,
              place->site != nullptr ? place->site->line : 0);
    } else {
      me->dropped_++;
    }
    return RF_ACTION_CONTINUE;
  }

  rf_action pass_on(rf_reporter *self, const rf_finding *f) {
    void *const context = self->context;
    self->context = base_.context;
    rf_action const action = base_.report(next_, f);
    self->context = context;
    return action;
  }

  static void keep(const char *text, size_t length, void *context) {
    TestListener *const me = static_cast<TestListener *>(context);
    if (me->count_ == kMost || length > kTextBytes - me->used_) {
      me->dropped_++;
      return;
    }
    std::copy(text, text + length, me->text_ + me->used_);
    me->add(length, nullptr, 0);
  }

  void add(size_t length, const char *file, unsigned line) {
    kept_[count_++] = {used_, length, file, line};
    used_ += length;
  }

  /* ---- Leaks of watched guards ---- */

  static bool add_live(const rf_block *block, void *context) {
    if (block->used) {
      static_cast<std::vector<const void *> *>(context)->push_back(block->ptr);
    }
    return true;
  }

  static std::vector<const void *> live_of(rf_guard *guard) {
    std::vector<const void *> live;
    rf_walk(&guard->base, add_live, &live);
    std::sort(live.begin(), live.end());
    return live;
  }

  static void report_leaks(const Watched &w) {
    for (const void *const block : live_of(w.guard)) {
      if (!std::binary_search(w.before.begin(), w.before.end(), block)) {
        rf_guard_report_leak(w.guard, block, "the test did not free it");
      }
    }
  }

  /* ---- At the end of a test ---- */

  void let_go() {
    active_ = false;
    if (__ringfence_on_finding != nullptr) {
      __ringfence_on_finding(nullptr, nullptr);
    }
  }

  void fail_with_findings() {
    for (size_t i = 0; i < count_; i++) {
      std::string const text(text_ + kept_[i].start, kept_[i].length);
      if (kept_[i].file != nullptr) {
        ADD_FAILURE_AT(kept_[i].file, static_cast<int>(kept_[i].line)) << text;
      } else {
        ADD_FAILURE() << text;
      }
    }
    if (dropped_ != 0) {
      ADD_FAILURE() << "Ringfence: " << dropped_ << " findings more";
    }
    count_ = 0;
    used_ = 0;
    dropped_ = 0;
  }

  static constexpr size_t kMost = 256;

  pid_t const process_;
  rf_reporter *const next_; /* the reporter of the process, taken over */
  rf_reporter const base_;  /* as it was */
  rf_reporter own_ = {};
  bool active_ = false; /* a test runs */
  std::vector<Watched> watched_;
  Kept kept_[kMost] = {};
  size_t count_ = 0;
  size_t used_ = 0;
  size_t dropped_ = 0;
  char text_[kTextBytes];
};

} // namespace ringfence

#endif /* RINGFENCE_GTEST_H */

// A reporter that keeps what it is told, and lets the program go on.
#ifndef RINGFENCE_TESTS_CHECKERS_RECORDER_H
#define RINGFENCE_TESTS_CHECKERS_RECORDER_H

#include <ringfence/finding.h>

#include <vector>

namespace ringfence {

class Recorder {
public:
  Recorder() = default;
  Recorder(const Recorder &) = delete;
  Recorder &operator=(const Recorder &) = delete;

  rf_reporter *reporter() { return &reporter_; }
  const std::vector<rf_finding> &findings() const { return findings_; }
  size_t count() const { return findings_.size(); }

  // The findings since the last call.
  std::vector<rf_finding> take() {
    std::vector<rf_finding> taken;
    taken.swap(findings_);
    return taken;
  }

private:
  static rf_action record(rf_reporter *self, const rf_finding *finding) {
    static_cast<Recorder *>(self->context)->findings_.push_back(*finding);
    return RF_ACTION_CONTINUE;
  }

  std::vector<rf_finding> findings_;
  rf_reporter reporter_ = {record, this, 1, 0};
};

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_RECORDER_H

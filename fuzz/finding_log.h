// A reporter that keeps findings, for harnesses of checkers.
#ifndef RINGFENCE_FUZZ_FINDING_LOG_H
#define RINGFENCE_FUZZ_FINDING_LOG_H

#include <ringfence/finding.h>

#include <cstddef>
#include <vector>

namespace ringfence::fuzz {

class FindingLog {
public:
  FindingLog() {
    findings_.swap(spare());
    findings_.reserve(1); // the handler of a fault reports one, and allocates nothing
    clear();
  }
  ~FindingLog() {
    findings_.clear();
    findings_.swap(spare());
  }
  FindingLog(const FindingLog &) = delete;
  FindingLog &operator=(const FindingLog &) = delete;

  void clear() {
    reporter_ = {record, this, 0, 0};
    count_ = 0;
    findings_.clear();
  }

  rf_reporter *reporter() { return &reporter_; }
  size_t count() const { return count_; }
  // In the order of reporting; a bounded number.
  const std::vector<rf_finding> &findings() const { return findings_; }

private:
  static constexpr size_t kMaxKept = 64;

  // Room of a log that ended: malloc takes that of 64 findings from the system, and gives it back, for each input.
  static std::vector<rf_finding> &spare() {
    static std::vector<rf_finding> room;
    return room;
  }

  static rf_action record(rf_reporter *self, const rf_finding *finding) {
    auto *const log = static_cast<FindingLog *>(self->context);
    log->count_++;
    if (log->findings_.size() < kMaxKept) {
      log->findings_.push_back(*finding);
    }
    return RF_ACTION_CONTINUE;
  }

  rf_reporter reporter_;
  size_t count_;
  std::vector<rf_finding> findings_;
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_FINDING_LOG_H

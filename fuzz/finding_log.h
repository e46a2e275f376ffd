// A reporter that keeps what it is told, for harnesses of checkers.
#ifndef RINGFENCE_FUZZ_FINDING_LOG_H
#define RINGFENCE_FUZZ_FINDING_LOG_H

#include <ringfence/finding.h>

#include <cstddef>

namespace ringfence::fuzz {

class FindingLog {
public:
  FindingLog() { clear(); }

  void clear() {
    reporter_ = {record, this, 0, 0};
    count_ = 0;
  }

  rf_reporter *reporter() { return &reporter_; }
  size_t count() const { return count_; }
  const rf_finding &last() const { return last_; } // where count() is not 0

private:
  static rf_action record(rf_reporter *self, const rf_finding *finding) {
    auto *const log = static_cast<FindingLog *>(self->context);
    log->last_ = *finding;
    log->count_++;
    return RF_ACTION_CONTINUE;
  }

  rf_reporter reporter_;
  size_t count_;
  rf_finding last_ = {};
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_FINDING_LOG_H

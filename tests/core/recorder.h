// Records the faults that reach the program's handler, instead of stopping it.
#ifndef RINGFENCE_TESTS_CORE_RECORDER_H
#define RINGFENCE_TESTS_CORE_RECORDER_H

#include <ringfence/fault.h>

#include <vector>

namespace ringfence::testing {

class FaultRecorder {
public:
  FaultRecorder() { rf_fault_handler_set(record, this); }
  ~FaultRecorder() { rf_fault_handler_set(nullptr, nullptr); }
  FaultRecorder(const FaultRecorder &) = delete;
  FaultRecorder &operator=(const FaultRecorder &) = delete;

  const std::vector<rf_fault> &faults() const { return faults_; }

  // The status of the only fault so far, which is then forgotten; RF_OK where there was none or several.
  rf_status take() {
    rf_status const status = faults_.size() == 1 ? faults_[0].status : RF_OK;
    faults_.clear();
    return status;
  }

private:
  static void record(const rf_fault *fault, void *context) {
    static_cast<FaultRecorder *>(context)->faults_.push_back(*fault);
  }

  std::vector<rf_fault> faults_;
};

} // namespace ringfence::testing

#endif // RINGFENCE_TESTS_CORE_RECORDER_H

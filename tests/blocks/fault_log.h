// Collects faults instead of aborting, for as long as it lives.
#ifndef RINGFENCE_TESTS_BLOCKS_FAULT_LOG_H
#define RINGFENCE_TESTS_BLOCKS_FAULT_LOG_H

#include <ringfence/fault.h>

#include <vector>

class FaultLog {
public:
  FaultLog() {
    rf_fault_handler_set(
        [](const rf_fault *fault, void *self) { static_cast<FaultLog *>(self)->faults_.push_back(*fault); }, this);
  }
  ~FaultLog() { rf_fault_handler_set(nullptr, nullptr); }
  FaultLog(const FaultLog &) = delete;
  FaultLog &operator=(const FaultLog &) = delete;

  size_t count() const { return faults_.size(); }
  bool empty() const { return faults_.empty(); }
  const rf_fault &last() const { return faults_.back(); }
  void clear() { faults_.clear(); }

private:
  std::vector<rf_fault> faults_;
};

#endif // RINGFENCE_TESTS_BLOCKS_FAULT_LOG_H

// Shared by the shadow models of the fixed-block pools: a demand that names its place, counted instead of fatal faults,
// and the pointers that a free must refuse.
#ifndef RINGFENCE_FUZZ_BLOCKS_MODEL_H
#define RINGFENCE_FUZZ_BLOCKS_MODEL_H

#include <ringfence/fault.h>
#include <ringfence/fuzz/reader.h>
#include <ringfence/fuzz/verdict.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace ringfence::fuzz {

// Number of the running operation, for the reader of a finding.
inline size_t the_step = 0;

inline void count_step() {
  the_step++;
  Verdict::begun_elsewhere();
}

[[noreturn]] inline void broken(const char *what, const char *file, int line) {
  std::fprintf(stderr, "%s:%d: operation %zu: %s does not hold\n", file, line, the_step, what);
  std::abort();
}

#define RF_HOLDS(condition)                                                                                            \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      ::ringfence::fuzz::broken(#condition, __FILE__, __LINE__);                                                       \
    }                                                                                                                  \
  } while (false)

// Counts faults while it lives.
class FaultCount {
public:
  FaultCount() { rf_fault_handler_set(count, this); }
  ~FaultCount() { rf_fault_handler_set(nullptr, nullptr); }
  FaultCount(const FaultCount &) = delete;
  FaultCount &operator=(const FaultCount &) = delete;

  // How many since the last call.
  size_t take() {
    size_t const n = faults_;
    faults_ = 0;
    return n;
  }

private:
  static void count(const rf_fault *, void *self) { static_cast<FaultCount *>(self)->faults_++; }
  size_t faults_ = 0;
};

// The expected state of one pool: its taken blocks, the contents of the buffer, the statistics.
class PoolModel {
public:
  PoolModel(size_t num_blocks, size_t bytes_of_each)
      : block_size(bytes_of_each), taken(num_blocks), buffer_(num_blocks * block_size + 64), shadow_(buffer_.size()) {}

  size_t count() const { return taken.size(); }
  unsigned char *memory() { return buffer_.data() + 32; }
  unsigned char *at(size_t i) { return memory() + i * block_size; }
  size_t index_of(const void *ptr) {
    return static_cast<size_t>(static_cast<const unsigned char *>(ptr) - memory()) / block_size;
  }

  size_t used() const {
    size_t n = 0;
    for (bool const t : taken) {
      n += t ? 1 : 0;
    }
    return n;
  }
  // The first block from `from` on that is taken, or free; count() where there is none.
  size_t next(size_t from, bool is_taken) const {
    while (from < count() && taken[from] != is_taken) {
      from++;
    }
    return from;
  }
  // The first free run of `n`, count() where there is none.
  size_t first_run(size_t n) const {
    size_t i = next(0, false);
    while (i < count() && next(i, true) - i < n) {
      i = next(next(i, true), false);
    }
    return i;
  }

  void take(size_t first, size_t n) {
    for (size_t i = first; i < first + n; i++) {
      RF_HOLDS(!taken[i]);
      taken[i] = true;
    }
    peak = peak < used() ? used() : peak;
    allocations += n;
  }
  // The owner's bytes, which the pool must leave alone.
  void write(size_t i, unsigned char seed) {
    for (size_t k = 0; k < block_size; k++) {
      at(i)[k] = static_cast<unsigned char>(seed + k);
      shadow_[32 + i * block_size + k] = at(i)[k];
    }
  }
  bool untouched() const { return buffer_ == shadow_; }

  size_t block_size;
  std::vector<bool> taken;
  size_t peak = 0;
  size_t allocations = 0;
  size_t failures = 0;

private:
  std::vector<unsigned char> buffer_;
  std::vector<unsigned char> shadow_;
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_BLOCKS_MODEL_H

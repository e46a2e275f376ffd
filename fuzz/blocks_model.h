// Shared by shadow models of their own: a demand that names its place, counted instead of fatal faults, contents of
// blocks, and the state of a pool of equal blocks.
#ifndef RINGFENCE_FUZZ_BLOCKS_MODEL_H
#define RINGFENCE_FUZZ_BLOCKS_MODEL_H

#include <ringfence/fault.h>
#include <ringfence/fuzz/reader.h>
#include <ringfence/fuzz/verdict.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
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

// ---- Contents, a block at a time: instrumented loops over bytes took most of the time of some harnesses ----

inline bool all_bytes_are(const unsigned char *p, size_t size, unsigned char byte) {
  return size == 0 || (*p == byte && std::memcmp(p, p + 1, size - 1) == 0);
}

// Bytes that count up. Pieces of kRampPiece, a multiple of 256, go on where the one before ends.
constexpr size_t kRampPiece = 4096;

inline const unsigned char *ramp_from(unsigned char first) {
  static const std::vector<unsigned char> bytes = [] {
    std::vector<unsigned char> all(256 + kRampPiece);
    std::iota(all.begin(), all.end(), static_cast<unsigned char>(0));
    return all;
  }();
  return bytes.data() + first;
}

inline void write_ramp(unsigned char *p, size_t size, unsigned char first) {
  for (size_t at = 0; at < size; at += kRampPiece) {
    std::memcpy(p + at, ramp_from(first), std::min(kRampPiece, size - at));
  }
}

inline bool is_ramp(const unsigned char *p, size_t size, unsigned char first) {
  for (size_t at = 0; at < size; at += kRampPiece) {
    if (std::memcmp(p + at, ramp_from(first), std::min(kRampPiece, size - at)) != 0) {
      return false;
    }
  }
  return true;
}

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
    write_ramp(at(i), block_size, seed);
    write_ramp(shadow_.data() + 32 + i * block_size, block_size, seed);
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

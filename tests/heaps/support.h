// Shared by tests of heaps: faults collected instead of ending the program, walks and statistics as values.
#ifndef RINGFENCE_TESTS_HEAPS_SUPPORT_H
#define RINGFENCE_TESTS_HEAPS_SUPPORT_H

#include <gtest/gtest.h>
#include <ringfence/allocator.h>

#include <cstring>
#include <vector>

#include "tests/core/unwatched.h"

// Takes the program's faults for as long as it lives.
class Faults {
public:
  Faults() {
    rf_fault_handler_set(
        [](const rf_fault *fault, void *self) { static_cast<Faults *>(self)->seen_.push_back(*fault); }, this);
  }
  ~Faults() { rf_fault_handler_set(nullptr, nullptr); }
  Faults(const Faults &) = delete;
  Faults &operator=(const Faults &) = delete;

  size_t count() const { return seen_.size(); }
  const rf_fault &last() const { return seen_.back(); }
  // Forgets them. The status of the last one; RF_OK where there was none.
  rf_status take() {
    rf_status const status = seen_.empty() ? RF_OK : seen_.back().status;
    seen_.clear();
    return status;
  }

private:
  std::vector<rf_fault> seen_;
};

struct Seen {
  unsigned char *ptr;
  size_t size;
  size_t overhead;
  bool used;
  const rf_site *site;
};

inline bool see(const rf_block *b, void *context) {
  auto *const ptr = static_cast<unsigned char *>(b->ptr);
  static_cast<std::vector<Seen> *>(context)->push_back({ptr, b->size, b->overhead, b->used, b->site});
  return true;
}

inline std::vector<Seen> walk(rf_allocator *a) {
  std::vector<Seen> blocks;
  EXPECT_EQ(RF_OK, rf_walk(a, see, &blocks));
  return blocks;
}

// A new block, every byte of it the low byte of its size.
inline unsigned char *alloc_filled(rf_allocator *a, size_t size) {
  auto *const p = static_cast<unsigned char *>(rf_alloc(a, size));
  EXPECT_NE(nullptr, p);
  memset(p, static_cast<int>(size), size);
  return p;
}

inline rf_stats stats(rf_allocator *a) {
  rf_stats s;
  rf_stats_get(a, &s);
  return s;
}

// True where check, or an operation in use(), reports the change of this byte, for each of several changes. restore()
// undoes everything.
template <typename Use, typename Restore>
bool change_is_told(rf_allocator *a, unsigned char *byte, Faults &faults, Use use, Restore restore) {
  bool all = true;
  for (unsigned const flip : {0x01U, 0x02U, 0x10U, 0x80U, 0xFFU}) {
    *byte ^= static_cast<unsigned char>(flip);
    bool told = rf_check(a, nullptr) == RF_ERR_CORRUPT;
    use();
    told = told || faults.count() != 0;
    faults.take();
    restore();
    EXPECT_EQ(RF_OK, rf_check(a, nullptr));
    all = all && told;
  }
  return all;
}

// check tells peaks below what lives.
inline void expect_peaks_checked(rf_allocator *a, rf_counters *counters) {
  rf_counters const sound = *counters;
  counters->peak = sound.used - 1;
  EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr));
  *counters = sound;
  counters->peak_blocks = sound.blocks - 1;
  EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr));
  *counters = sound;
}

// The heap's record was overwritten: every call refuses, reports where the interface says so, once each, and changes
// no figure but the count of failures.
inline void expect_record_refused(rf_allocator *a, void *block, Faults &faults) {
  auto const reported = [&faults](const char *call) {
    EXPECT_EQ(1U, faults.count()) << call;
    EXPECT_EQ(RF_ERR_CORRUPT, faults.take()) << call;
  };
  EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr));
  EXPECT_EQ(RF_ERR_CORRUPT, rf_walk(a, see, nullptr));
  EXPECT_EQ(0U, faults.count()) << "check and walk only answer";
  EXPECT_EQ(nullptr, rf_alloc(a, 1));
  reported("alloc");
  EXPECT_EQ(nullptr, rf_aligned_alloc(a, 64, 1));
  reported("aligned_alloc");
  EXPECT_EQ(nullptr, rf_realloc(a, block, 100));
  reported("realloc");
  EXPECT_EQ(RF_ERR_CORRUPT, rf_resize(a, block, 1));
  reported("resize");
  EXPECT_EQ(RF_ERR_CORRUPT, rf_free(a, block));
  reported("free");
  EXPECT_EQ(0U, rf_usable_size(a, block));
  faults.take();
}

#endif // RINGFENCE_TESTS_HEAPS_SUPPORT_H

// Shared by tests of heaps: faults collected instead of ending the program, walks and statistics as values.
#ifndef RINGFENCE_TESTS_HEAPS_SUPPORT_H
#define RINGFENCE_TESTS_HEAPS_SUPPORT_H

#include <gtest/gtest.h>
#include <ringfence/allocator.h>

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

#endif // RINGFENCE_TESTS_HEAPS_SUPPORT_H

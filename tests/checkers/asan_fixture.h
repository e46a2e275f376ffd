// Under AddressSanitizer: each allocator of lib/ over an arena of its own, and accesses that may be errors. Built with
// -fsanitize-recover=address, so that a test goes on after each error.
#ifndef RINGFENCE_TESTS_CHECKERS_ASAN_FIXTURE_H
#define RINGFENCE_TESTS_CHECKERS_ASAN_FIXTURE_H

#include "tests/conformance/subjects/subjects.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ostream>
#include <string>
#include <vector>

extern "C" {
void __asan_set_error_report_callback(void (*callback)(const char *));
void *__asan_get_report_address(void);
int __asan_get_report_access_type(void);
size_t __asan_get_report_access_size(void);
int __asan_address_is_poisoned(void const volatile *address);
void *__asan_region_is_poisoned(void *start, size_t size);
}

namespace ringfence {

struct Named {
  const rf_conformance_subject *subject;
};

inline std::ostream &operator<<(std::ostream &out, const Named &named) {
  return out << named.subject->name;
}

#define RF_NAMED(name) {rf_##name##_subject()},
inline const Named kAll[] = {RF_SUBJECTS(RF_NAMED)};

inline std::string name_of(const testing::TestParamInfo<Named> &info) {
  return info.param.subject->name;
}

// ---- Accesses ----

__attribute__((noinline)) inline unsigned char read_byte(const unsigned char *p) {
  return *static_cast<const volatile unsigned char *>(p);
}

__attribute__((noinline)) inline uint64_t read_word(const unsigned char *p) {
  return *reinterpret_cast<const volatile uint64_t *>(p);
}

__attribute__((noinline)) inline void copy_bytes(const unsigned char *p, size_t count) {
  unsigned char copy[64];
  std::memcpy(copy, p, count);
  asm volatile("" : : "r"(copy) : "memory"); // the copy is wanted
}

// Reads without AddressSanitizer's checks.
__attribute__((noinline, no_sanitize("address"))) inline unsigned char see_byte(const unsigned char *p) {
  return *static_cast<const volatile unsigned char *>(p);
}

// Leaves the byte as it is: the write is carried out, though it was an error.
__attribute__((noinline)) inline void write_byte(unsigned char *p) {
  unsigned char const there = see_byte(p);
  *static_cast<volatile unsigned char *>(p) = there;
}

inline bool is_denied(const unsigned char *p) {
  return __asan_address_is_poisoned(p) != 0;
}

class OverSubject : public testing::TestWithParam<Named> {
protected:
  OverSubject()
      : subject_(*GetParam().subject), state_(subject_.state_size / sizeof(std::max_align_t) + 1), arena_(64 * 1024) {
    inner_ = subject_.make(state_.data(), arena_.data(), arena_.size());
  }

  ~OverSubject() override {
    if (inner_ != nullptr) {
      rf_deinit(inner_);
    }
    __asan_set_error_report_callback(nullptr);
  }

  static unsigned char *bytes(void *p) { return static_cast<unsigned char *>(p); }

  rf_conformance_subject const &subject_;
  std::vector<std::max_align_t> state_;
  std::vector<unsigned char> arena_;
  rf_allocator *inner_;
};

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_ASAN_FIXTURE_H

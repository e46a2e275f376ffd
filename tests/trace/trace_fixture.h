// A recorder, and a reader of its trace.
#ifndef RINGFENCE_TESTS_TRACE_TRACE_FIXTURE_H
#define RINGFENCE_TESTS_TRACE_TRACE_FIXTURE_H

#include <ringfence/tlsf.h>
#include <ringfence/trace.h>

#include "tools/trace/read.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace ringfence_test {

using Bytes = std::string;

inline void append(void *context, const char *bytes, size_t size) {
  static_cast<Bytes *>(context)->append(bytes, size);
}

// The result of trace_parse, freed at its end.
struct Parsed {
  explicit Parsed(const Bytes &bytes) {
    good = trace_parse(&t, reinterpret_cast<const unsigned char *>(bytes.data()), bytes.size(), text.data());
    problem = good ? "" : text.data();
  }
  ~Parsed() { trace_free(&t); }
  Parsed(const Parsed &) = delete;
  Parsed &operator=(const Parsed &) = delete;

  std::array<char, TRACE_PROBLEM_BYTES> text{};
  trace t{};
  bool good;
  std::string problem;
};

inline std::string kinds(const trace &t) {
  std::string out;
  for (size_t i = 0; i < t.count; i++) {
    out += "afr"[t.ops[i].kind];
  }
  return out;
}

inline Bytes little_endian(uint32_t value) {
  Bytes out;
  for (int i = 0; i < 4; i++) {
    out += static_cast<char>(value >> 8 * i);
  }
  return out;
}

inline const rf_site kSite = {"demo.c", "main", 6};
inline const rf_site kOther = {"other.c", "work", 60};

class Tracer : public testing::Test {
protected:
  void SetUp() override { begin(1 << 16); }

  void TearDown() override { rf_deinit(a); }

  void begin(size_t bytes) {
    memory = std::make_unique<size_t[]>(bytes / sizeof(size_t));
    rf_tracer_options const options = {{append, &file}, memory.get(), bytes};
    ASSERT_EQ(rf_tlsf_init(&heap, arena.data(), arena.size()), RF_OK);
    ASSERT_EQ(rf_tracer_init(&tracer, &heap.base, &options), RF_OK);
    a = &tracer.base;
  }

  void *alloc(size_t size, size_t align = RF_ALIGN_DEFAULT, const rf_site *site = &kSite) {
    return rf_alloc_at(a, size, align, site);
  }

  // All that was recorded.
  Bytes end() {
    rf_deinit(a);
    return file;
  }

  std::vector<unsigned char> arena = std::vector<unsigned char>(1 << 16);
  std::unique_ptr<size_t[]> memory;
  rf_tlsf heap{};
  rf_tracer tracer{};
  rf_allocator *a = nullptr;
  Bytes file;
};

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_TRACE_TRACE_FIXTURE_H

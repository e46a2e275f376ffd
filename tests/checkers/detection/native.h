// Bugs in pools that are used by their own calls, and not as an rf_allocator: each in a process of its own, in each
// mode.
#ifndef RINGFENCE_TESTS_CHECKERS_DETECTION_NATIVE_H
#define RINGFENCE_TESTS_CHECKERS_DETECTION_NATIVE_H

#include "tests/checkers/detection/scene.h"

namespace ringfence::detection {

// A pool of at least four blocks of 64 bytes, by its own calls. The functions are called in a child, for one pool.
struct NativePool {
  const char *name;
  unsigned char *(*take)();
  bool (*give)(unsigned char *p); // false: refused
  void (*end)();                  // nullptr: it has none
};

constexpr size_t kNativeSize = 64;

// The modes that watch such pools: those before mte.
constexpr size_t kNativeModes = static_cast<size_t>(Mode::kMte);

const std::vector<NativePool> &native_pools();
std::vector<NativePool> zephyr_pools();
std::vector<NativePool> rtthread_pools();

struct NativeBug {
  const char *name;
  const char *text; // for the table
  const char *cwe;
  rf_bug kind;
  ptrdiff_t offset;
  void (*commit)(const NativePool &pool, bool bad);
  How expected[kNativeModes];
};

extern const std::vector<NativeBug> kNativeBugs;

How expected_of(const NativeBug &bug, const NativePool &pool, Mode mode);

// Mode asan is left to asan_test: AddressSanitizer ends the process in its own way.
bool native_mode_is_built(Mode mode);

Outcome run_native(const NativeBug &bug, const NativePool &pool, Mode mode, bool bad);

} // namespace ringfence::detection

#endif // RINGFENCE_TESTS_CHECKERS_DETECTION_NATIVE_H

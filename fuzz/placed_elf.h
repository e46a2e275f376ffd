// A made-up ELF file where its readers find it (elf_memory.h), beside memory that cannot be read.
#ifndef RINGFENCE_FUZZ_PLACED_ELF_H
#define RINGFENCE_FUZZ_PLACED_ELF_H

#include "blocks_model.h"
#include "elf_memory.h"
#include "made_bytes.h"

#include <algorithm>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define RF_POISON(at, size) ASAN_POISON_MEMORY_REGION(at, size)
#define RF_UNPOISON(at, size) ASAN_UNPOISON_MEMORY_REGION(at, size)
#endif
#endif
#ifndef RF_POISON
#define RF_POISON(at, size) ((void)0)
#define RF_UNPOISON(at, size) ((void)0)
#endif

namespace ringfence::fuzz {

constexpr size_t kElfMemory = size_t{1} << 18;

// Between two pages that cannot be read.
inline unsigned char *elf_memory() {
  static unsigned char *const start = [] {
    auto const page = static_cast<size_t>(getpagesize());
    void *const all = mmap(nullptr, kElfMemory + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    RF_HOLDS(all != MAP_FAILED);
    unsigned char *const inner = static_cast<unsigned char *>(all) + page;
    RF_HOLDS(mprotect(inner, kElfMemory, PROT_READ | PROT_WRITE) == 0);
    return inner;
  }();
  return start;
}

// The file in memory while it lives, at either end, aligned as a mapping is; bytes between its end and that of the
// memory are none that a name may end with.
class PlacedElf {
public:
  PlacedElf(const Bytes &bytes, Reader &in) {
    unsigned const drawn = in.u8();
    RF_HOLDS(bytes.size() <= kElfMemory);
    size_t const whole = (bytes.size() + 7) / 8 * 8;
    unsigned char *const start = drawn % 2 != 0 ? elf_memory() + kElfMemory - whole : elf_memory();
    std::memcpy(start, bytes.data(), bytes.size());
    std::memset(start + bytes.size(), 0xA5, whole - bytes.size());
    behind_ = start + bytes.size();
    left_ = drawn % 2 != 0 ? whole - bytes.size() : std::min<size_t>(512, kElfMemory - bytes.size());
    RF_POISON(behind_, left_);
    rf_elf_file.bytes = start;
    rf_elf_file.size = rf_elf_file.announced = bytes.size();
    rf_elf_file.piece = drawn / 2 % 4 == 3 ? 7 : SIZE_MAX;
    rf_elf_file.interrupted = drawn / 8 % 4 == 3;
  }

  ~PlacedElf() {
    RF_UNPOISON(behind_, left_);
    rf_elf_file.bytes = nullptr;
    rf_elf_file.segments = nullptr;
  }

  PlacedElf(const PlacedElf &) = delete;
  PlacedElf &operator=(const PlacedElf &) = delete;

private:
  unsigned char *behind_;
  size_t left_;
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_PLACED_ELF_H

#include <ringfence/fuzz/memory.h>

#include <ringfence/fuzz/target.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#if RF_FUZZ_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace ringfence::fuzz {
namespace {

// Room before the first region and behind the last.
constexpr size_t kFence = 4096;

// Outside of open regions, where AddressSanitizer does not watch.
constexpr unsigned char kForbidden = 0xA5;

constexpr size_t kBufferSize = (Memory::kMaxRegions + 1) * RF_FUZZ_MAX_ARENA;

// Lives as long as the process: a fuzzer makes thousands of allocators a second.
unsigned char *buffer() {
  static unsigned char *const memory = [] {
    void *const p = std::aligned_alloc(RF_FUZZ_MAX_ARENA, kBufferSize);
    if (p == nullptr) {
      abort();
    }
    memset(p, kForbidden, Memory::kPoisoned ? 0 : kBufferSize);
    return static_cast<unsigned char *>(p);
  }();
  return memory;
}

} // namespace

Memory::Memory() : end_(buffer() + kFence) {
  regions_.reserve(kMaxRegions);
}

Memory::~Memory() {
#if RF_FUZZ_ASAN
  __asan_unpoison_memory_region(buffer(), extent());
#endif
}

const unsigned char *Memory::base() const {
  return buffer();
}

size_t Memory::extent() const {
  return static_cast<size_t>(end_ - buffer()) + kFence;
}

void Memory::add(size_t size, size_t gap) {
  unsigned char *const data = end_ + gap;
  regions_.push_back({data, size, false});
  end_ = data + size;
}

void Memory::open(size_t index, unsigned char dirt) {
  Region &region = regions_[index];
  region.open = true;
  protect();
  memset(region.data, dirt, region.size);
}

void Memory::close(size_t index) {
  regions_[index].open = false;
  protect();
}

bool Memory::contains(const void *ptr, size_t size) const {
  auto at = reinterpret_cast<uintptr_t>(ptr);
  for (const Region &region : regions_) {
    auto const start = reinterpret_cast<uintptr_t>(region.data);
    if (!region.open || at < start || at > start + region.size) {
      continue;
    }
    size_t const here = start + region.size - at;
    if (size <= here) {
      return true;
    }
    at += here;
    size -= here;
  }
  return false;
}

size_t Memory::region_of(const void *ptr) const {
  size_t at_end_of = regions_.size(); // an empty block may lie there
  for (size_t i = 0; i < regions_.size(); i++) {
    if (ptr >= regions_[i].data && ptr < regions_[i].data + regions_[i].size) {
      return i;
    }
    if (ptr == regions_[i].data + regions_[i].size) {
      at_end_of = i;
    }
  }
  return at_end_of;
}

#if RF_FUZZ_ASAN

void Memory::protect() const {
  __asan_poison_memory_region(buffer(), extent());
  for (const Region &region : regions_) {
    if (region.open) {
      __asan_unpoison_memory_region(region.data, region.size);
    }
  }
}

const unsigned char *Memory::damage(bool) const {
  return nullptr;
}

void Memory::forget_damage() {}

#else

namespace {

// Behind it no byte was lent since it was reset to kForbidden: most arenas lie where the one before lay. Bytes behind
// the extent of a run, which nothing compares, are reset by the first run that reaches as far.
unsigned char *clean = buffer();

const unsigned char *first_changed(const unsigned char *from, const unsigned char *to) {
  // All bytes are equal where the first is right and each equals the one before it: one memcmp in the common case.
  size_t const size = static_cast<size_t>(to - from);
  if (size == 0 || (*from == kForbidden && memcmp(from, from + 1, size - 1) == 0)) {
    return nullptr;
  }
  return std::find_if(from, to, [](unsigned char byte) { return byte != kForbidden; });
}

} // namespace

void Memory::protect() const {
  unsigned char *at = buffer();
  unsigned char *lent = at;
  unsigned char *const end = at + extent();
  for (const Region &region : regions_) {
    if (region.open) {
      memset(at, kForbidden, at < clean ? static_cast<size_t>(std::min(clean, region.data) - at) : 0);
      lent = at = region.data + region.size;
    }
  }
  memset(at, kForbidden, at < clean ? static_cast<size_t>(std::min(clean, end) - at) : 0);
  clean = std::max(clean > end ? clean : lent, lent);
}

void Memory::forget_damage() {
  memset(buffer(), kForbidden, kBufferSize);
}

const unsigned char *Memory::damage(bool anywhere) const {
  size_t const far = anywhere ? kBufferSize : 256;
  const unsigned char *at = buffer();
  for (const Region &region : regions_) {
    if (!region.open) {
      continue;
    }
    size_t const gap = static_cast<size_t>(region.data - at);
    size_t const behind = std::min(gap, far); // the open region before
    size_t const before = std::min(gap - behind, far);
    for (const unsigned char *const changed :
         {first_changed(at, at + behind), first_changed(region.data - before, region.data)}) {
      if (changed != nullptr) {
        return changed;
      }
    }
    at = region.data + region.size;
  }
  return first_changed(at, at + std::min(far, static_cast<size_t>(buffer() + extent() - at)));
}

#endif

} // namespace ringfence::fuzz

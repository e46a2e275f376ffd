// The memory for allocators under test: up to four regions in one large buffer, at addresses that are the same, up to a
// multiple of 1 MiB, in every run. The bytes outside of the regions are off limits: AddressSanitizer poisons them,
// other builds fill and compare them.
#ifndef RINGFENCE_FUZZ_MEMORY_H
#define RINGFENCE_FUZZ_MEMORY_H

#include <cstddef>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define RF_FUZZ_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RF_FUZZ_ASAN 1
#endif
#endif
#ifndef RF_FUZZ_ASAN
#define RF_FUZZ_ASAN 0
#endif

namespace ringfence::fuzz {

class Memory {
public:
  static constexpr size_t kMaxRegions = 4;
  static constexpr size_t kMaxGap = 64;
  static constexpr bool kPoisoned = RF_FUZZ_ASAN;

  struct Region {
    unsigned char *data;
    size_t size;
    bool open; // the allocator may use it
  };

  Memory();
  ~Memory();
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;

  // Adds a closed region of `size` bytes, `gap` bytes (up to kMaxGap) behind the last one. At most kMaxRegions, each of
  // at most RF_FUZZ_MAX_ARENA bytes.
  void add(size_t size, size_t gap);

  const std::vector<Region> &regions() const { return regions_; }

  // Lends the region to the allocator, each byte set to `dirt`, and takes it back.
  void open(size_t index, unsigned char dirt);
  void close(size_t index);

  // True where [ptr, ptr + size) lies in open regions (touching ones count as one).
  bool contains(const void *ptr, size_t size) const;

  // The index of the region that holds `ptr`; the number of regions where none does.
  size_t region_of(const void *ptr) const;

  // The first byte outside the open regions that was written to, not far from them or anywhere; nullptr: none.
  const unsigned char *damage(bool anywhere) const;
  // Undoes damage, for the next run.
  void forget_damage();

  // The start of offsets in messages.
  const unsigned char *base() const;

private:
  size_t extent() const; // of the used part of the buffer, fences included
  void protect() const;

  std::vector<Region> regions_;
  unsigned char *end_; // of the last region
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_MEMORY_H

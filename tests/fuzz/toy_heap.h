// A first-fit heap over several regions that keeps its books outside of them, simple enough to be right. Its operations
// and books are open, so that a test can break one and see whether the shadow model notices.
#ifndef RINGFENCE_TESTS_FUZZ_TOY_HEAP_H
#define RINGFENCE_TESTS_FUZZ_TOY_HEAP_H

#include <ringfence/allocator.h>

#include <cstddef>
#include <vector>

namespace ringfence::fuzz {

struct ToyHeap {
  // A piece of a region: free, or a block.
  struct Span {
    unsigned char *at;
    size_t length; // a multiple of kUnit
    size_t size;   // requested
    bool used;
  };
  struct Region {
    unsigned char *data;
    size_t size;
    std::vector<Span> spans; // in address order, without gaps
  };

  static constexpr size_t kUnit = RF_ALIGN_DEFAULT;

  rf_allocator base; // first: callers have its address
  rf_allocator_ops ops;
  std::vector<Region> regions;
  rf_counters counters;
  void (*alter_stats)(rf_stats &stats) = nullptr; // falsifies the statistics
  void (*alter_walk)(rf_block &block) = nullptr;  // falsifies the blocks of a walk

  ToyHeap();
  ToyHeap(const ToyHeap &) = delete;
  ToyHeap &operator=(const ToyHeap &) = delete;

  bool init(void *arena, size_t size);
  rf_status add_region(void *data, size_t size);
  rf_status remove_region(void *data);

  static ToyHeap &of(rf_allocator *allocator) { return *reinterpret_cast<ToyHeap *>(allocator); }

  Span *find(const void *ptr); // the live block that starts there, or nullptr
  void *take(size_t size, size_t align);
  void give(Span &block);
  bool resize(Span &block, size_t size);
  rf_status refuse(const void *ptr);
};

// The operations of a correct ToyHeap, on which a broken one falls back.
extern const rf_allocator_ops kToyOps;

} // namespace ringfence::fuzz

#endif // RINGFENCE_TESTS_FUZZ_TOY_HEAP_H

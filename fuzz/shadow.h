// The shadow model: the expected state of an allocator, as seen from outside, compared with it after every operation.
//
// The model knows each live block, its size, alignment and contents, and the expected statistics. It knows no
// allocator's internals, so one model serves every allocator.
#ifndef RINGFENCE_FUZZ_SHADOW_H
#define RINGFENCE_FUZZ_SHADOW_H

#include <ringfence/fuzz/memory.h>
#include <ringfence/fuzz/target.h>
#include <ringfence/fuzz/verdict.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace ringfence::fuzz {

struct Block {
  unsigned id; // p1, p2, … in messages
  unsigned char *ptr;
  size_t size;   // as requested
  size_t filled; // this many bytes at the start hold the pattern of `tag`
  unsigned tag;
};

// The answers of an allocator to queries at one moment.
struct State {
  rf_stats stats = {};
  bool walkable = false;
  std::vector<rf_block> blocks;
};

class Shadow {
public:
  Shadow(const rf_fuzz_target &target, const Memory &memory, Verdict &verdict);

  // -- Results of operations. False where the result itself is wrong; the verdict has the violation. --

  // `ptr` was returned for a new block. fill: write its contents at once. zeroed: it must hold zeroes.
  bool allocated(void *ptr, size_t size, size_t align, bool fill, bool zeroed);
  // `block` now has `size` bytes at `ptr`, the same address or another. Verifies the kept contents, then writes new
  // ones.
  bool resized(Block &block, void *ptr, size_t size, size_t align);
  void released(const Block &block);
  // A well-formed request was answered with NULL.
  void failed() { expected_.failures++; }
  // One was refused for damage, which may count as a failure.
  void may_have_failed() { extra_.failures++; }
  // The allocator was made anew: no blocks, no history.
  void restarted();
  // A region was added or removed: amounts that depend on it are learnt anew.
  void regions_changed() { capacity_ = outside_blocks_ = kUnknown; }
  // The owner of `block` writes to its first `length` bytes.
  void write(Block &block, size_t length);

  // -- Comparing. False where the verdict has a violation. --

  // Compares everything. The state is fresh until an operation changes the heap.
  bool verify(rf_allocator *allocator);
  bool fresh() const { return fresh_; }
  // An operation may have changed the heap.
  void changed() { fresh_ = stats_fresh_ = false; }
  // `block`, which is about to be freed, holds its contents.
  bool verify_contents_of(const Block &block) const { return fresh_ || holds(block, block.filled); }
  // The part that needs no allocator: nothing outside of the arena was written, near to it or anywhere.
  bool verify_surroundings(bool anywhere = true) const;
  // Free memory is as in `before`; call after verify().
  bool verify_same_memory(const State &before, const char *rule, const char *when) const;

  // -- For choosing operations --

  size_t count() const { return live_.size(); }
  Block &nth(size_t index);
  // The live block that holds `ptr` (its one-past-the-end address not included, its start always), or nullptr.
  const Block *find(const void *ptr) const;
  bool starts_block(const void *ptr) const;
  // Addresses of the last blocks freed, newest first, without starts of live blocks.
  size_t stale_count() const { return stale_.size(); }
  void *stale(size_t index) const { return stale_[stale_.size() - 1 - index]; }
  // As of the last verify().
  const State &state() const { return state_; }
  // The statistics now.
  const rf_stats &stats(rf_allocator *allocator);
  bool stats_fresh() const { return stats_fresh_; }
  unsigned next_id() const { return next_id_; }

private:
  struct Counters {
    size_t used, peak, blocks, peak_blocks, allocations, failures;
  };
  // A live block by its address.
  using Start = std::pair<uintptr_t, unsigned>;
  using Starts = std::vector<Start>;

  bool place(const Block &block, size_t align) const;
  bool holds(const Block &block, size_t length) const;
  Starts::const_iterator start_at_or_after(uintptr_t address) const;
  bool is_start(Starts::const_iterator at, const void *ptr) const;
  // The block before `after`, the first start behind `ptr`, where `ptr` is in it; else nullptr.
  const Block *holder(Starts::const_iterator after, const void *ptr) const;
  void insert_start(const Block &block);
  void remove_start(const void *ptr);
  const Block &by_id(unsigned id) const;
  void retire(void *ptr);
  void revive(const void *ptr);
  void count_live(size_t used, size_t blocks);
  bool verify_contents() const;
  bool verify_counters();
  bool verify_counters_alone(rf_allocator *allocator);
  bool verify_amounts();
  bool verify_walk(rf_allocator *allocator);
  bool verify_walk_order() const;
  bool verify_walk_blocks() const;
  bool verify_walk_sums();
  bool verify_integrity(rf_allocator *allocator) const;

  const rf_fuzz_target &target_;
  const Memory &memory_;
  Verdict &verdict_;

  std::vector<Block> live_;   // by id
  Starts by_address_;         // by address
  std::vector<void *> stale_; // the newest last
  unsigned next_id_ = 1;
  unsigned next_tag_ = 1;

  Counters expected_ = {};
  // Allowed excess over expected_: a realloc that moves may count both blocks for a moment, and one more allocation.
  // Settled by the next verify().
  Counters extra_ = {};

  State state_;
  bool fresh_ = false;
  bool stats_fresh_ = false;

  // Constant as long as the regions are.
  static constexpr size_t kUnknown = SIZE_MAX;
  size_t capacity_ = kUnknown;
  size_t outside_blocks_ = kUnknown; // bytes of capacity that belong to no block of the walk
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_SHADOW_H

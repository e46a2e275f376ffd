#include "dropin_heap_error.h"

#include "blocks_model.h"

#include "checkers/dropin/heap/testing/as_allocator.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace ringfence::fuzz {
namespace {

constexpr size_t kSlots = 24;
constexpr size_t kNear = 8; // bytes of a guard that are nearer to one block than to any other

class HeapError {
public:
  HeapError(rf_allocator *heap, const rf_guard_options &options, FindingLog &log, Reader &in)
      : options_(options), log_(log), in_(in), heap_(heap) {}

  void run() {
    go_on(in_.u8() % 64);
    (void)rf_heap_as_allocator_sweep();
    RF_HOLDS(log_.count() == 0);
    bool const done = commit();
    size_t const steps = in_.u8();
    if (done && steps >= 128 && expected_.bug == RF_BUG_USE_AFTER_FREE) {
      serve_again();
    }
    go_on(steps % 64);
    (void)rf_heap_as_allocator_sweep();
    RF_HOLDS(log_.count() == (done ? 1 : 0));
    if (done) {
      compare();
    }
    for (Block &block : blocks_) {
      release(block);
    }
    (void)rf_heap_as_allocator_sweep();
    rf_deinit(heap_);
    RF_HOLDS(log_.count() == (done ? 1 : 0));
  }

private:
  struct Block {
    unsigned char *ptr;
    size_t size;
  };

  // Small blocks are served in another way than others, and classes are in steps of 16 bytes there.
  size_t size() {
    size_t const kind = in_.u8() % 8;
    return kind < 4 ? in_.u8() % 65 : kind < 7 ? in_.u16() % 1200 : in_.u16() % 40000;
  }

  void take(Block &block) {
    size_t const size = this->size();
    size_t const choice = in_.u8();
    size_t const align = choice < 192 ? RF_ALIGN_DEFAULT : size_t{1} << choice % 9;
    auto *const p = static_cast<unsigned char *>(rf_alloc_at(heap_, size, std::max(align, RF_ALIGN_DEFAULT), nullptr));
    RF_HOLDS(p != nullptr);
    std::memset(p, static_cast<int>(choice), size);
    block = {p, size};
  }

  void release(Block &block) {
    RF_HOLDS(block.ptr == nullptr || rf_free(heap_, block.ptr) == RF_OK);
    block = {};
  }

  void resize(Block &block) {
    size_t const size = this->size() + 1;
    auto *const p = static_cast<unsigned char *>(rf_realloc(heap_, block.ptr, size));
    RF_HOLDS(p != nullptr);
    std::memset(p, 1, size);
    block = {p, size};
  }

  // A correct program.
  void go_on(size_t steps) {
    for (; steps != 0; steps--) {
      size_t const choice = in_.u8();
      Block &block = blocks_[choice % kSlots];
      if (block.ptr == nullptr) {
        take(block);
      } else if (choice < 48) {
        resize(block);
      } else {
        release(block);
      }
    }
  }

  // Until the block that was freed is given out once more, or something is found.
  void serve_again() {
    const unsigned char *p = nullptr;
    for (unsigned left = kRequestsMost; left != 0 && p != expected_.block.ptr && log_.count() == 0; left--) {
      p = static_cast<unsigned char *>(rf_alloc(heap_, expected_.block.size));
      RF_HOLDS(p != nullptr && rf_free(heap_, const_cast<unsigned char *>(p)) == RF_OK);
    }
  }

  // False: not possible with this block.
  bool commit() {
    size_t const choice = in_.u8();
    size_t const where = in_.u16();
    auto const mask = static_cast<unsigned char>(in_.u8() | 1U);
    Block &victim = blocks_[in_.u8() % kSlots];
    if (victim.ptr == nullptr) {
      take(victim);
    }
    expected_.block = victim;
    size_t const filled = std::min(victim.size, options_.fill_free);
    switch (choice % 3) {
    case 0:
      expected_.bug = RF_BUG_BUFFER_OVERFLOW;
      expected_.offset = static_cast<ptrdiff_t>(victim.size + where % kNear);
      break;
    case 1:
      expected_.bug = RF_BUG_BUFFER_UNDERFLOW;
      expected_.offset = -static_cast<ptrdiff_t>(1 + where % kNear);
      break;
    default:
      expected_.bug = RF_BUG_USE_AFTER_FREE;
      release(victim);
      if (filled == 0 || filled > kSurelyFilled || options_.quarantine == 0) {
        return false;
      }
      expected_.offset = static_cast<ptrdiff_t>(where % filled);
    }
    expected_.block.ptr[expected_.offset] ^= mask;
    return true;
  }

  void compare() const {
    const rf_finding &f = log_.findings()[0];
    RF_HOLDS(f.bug == expected_.bug);
    RF_HOLDS(f.block == reinterpret_cast<uintptr_t>(expected_.block.ptr));
    RF_HOLDS(f.size == expected_.block.size);
    RF_HOLDS(f.offset == expected_.offset);
    RF_HOLDS(f.access_size == 1);
  }

  static constexpr unsigned kRequestsMost = 1024; // enough for a quarantine of 64 KiB
  static constexpr size_t kSurelyFilled = 30000;  // larger ones may go back to the system instead

  const rf_guard_options &options_;
  FindingLog &log_;
  Reader &in_;
  rf_allocator *heap_;
  std::array<Block, kSlots> blocks_ = {};
  struct {
    rf_bug bug;
    Block block;
    ptrdiff_t offset;
  } expected_ = {};
};

} // namespace

void run_heap_error(rf_allocator *heap, const rf_guard_options &options, FindingLog &log, Reader &in) {
  HeapError(heap, options, log, in).run();
}

} // namespace ringfence::fuzz

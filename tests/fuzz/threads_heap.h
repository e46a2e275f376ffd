// A heap of several virtual threads (fuzz/threads_model.h) that keeps its promises, simple enough to be right. Its
// parts are open, so that a test can break one and see whether the model notices.
#ifndef RINGFENCE_TESTS_FUZZ_THREADS_HEAP_H
#define RINGFENCE_TESTS_FUZZ_THREADS_HEAP_H

#include "fuzz/threads_model.h"

#include <ringfence/layout.h>
#include <ringfence/port.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <vector>

namespace ringfence::fuzz {

constexpr size_t kAlign = 128;
constexpr size_t kArena = size_t{4} << 20;
constexpr size_t kRoom = 12000; // but for reallocs in a race: some requests fail

alignas(kAlign) inline unsigned char arena[kArena];

// First fit over a map, under one lock. Its parts are open, so that a test can break one.
class Heap : public SharedHeap {
public:
  void *alloc(size_t size, size_t align, unsigned flags) override {
    lock();
    unsigned char *const ptr = find(size, align);
    if (ptr == nullptr) {
      failures_++;
    } else {
      insert(ptr, size);
      memset(ptr, 0, zeroes(flags) ? size : 0);
      allocations_++;
    }
    unlock();
    return ptr;
  }
  bool zeroes(unsigned flags) const override { return flags % 2 != 0; }

  bool free(void *ptr, size_t) override {
    lock();
    bool const freed = blocks_.erase(static_cast<unsigned char *>(ptr)) != 0;
    unlock();
    return freed;
  }

  size_t hopeless() const override { return SIZE_MAX / 4; }
  bool reallocs() const override { return true; }

  void *realloc(void *old, size_t, size_t size) override {
    lock();
    auto const at = blocks_.find(static_cast<unsigned char *>(old));
    bool const shrinks = at != blocks_.end() && misused_ && size <= at->second;
    unsigned char *const ptr = at == blocks_.end() ? nullptr : shrinks ? at->first : find(size, kAlign);
    if (shrinks) {
      shrink(ptr, size);
      moves_++;
    } else if (ptr != nullptr) {
      move(at->first, at->second, ptr, size);
    } else if (at != blocks_.end()) {
      failures_++;
    }
    unlock();
    return ptr;
  }

  bool resize(void *ptr, size_t, size_t size) override {
    lock();
    blocks_[static_cast<unsigned char *>(ptr)] = size;
    unlock();
    return true;
  }

  size_t usable_size(void *ptr, size_t) override { return blocks_[static_cast<unsigned char *>(ptr)]; }
  bool refuses_twice() const override { return true; }
  bool refuses_realloc_twice() const override { return true; }
  void misuse_begins() override { misused_ = true; }
  void misuse_ends(size_t refused) override {
    misused_ = false;
    misuses_ += refused;
  }

  void finish(const Expected &e) override {
    size_t bytes = 0;
    for (const auto &block : blocks_) {
      bytes += block.second;
    }
    if (e.blocks != blocks_.size() || e.bytes != bytes || e.peak > peak_ || e.failures != failures_ ||
        e.allocations != allocations_ || e.moves > moves_ + failures_) {
      threads_fail("figures: %zu blocks, %zu bytes, peak %zu, %zu failures, %zu allocations, %zu moves", e.blocks,
                   e.bytes, e.peak, e.failures, e.allocations, e.moves);
    }
    finished_++;
  }

  // -- For flaws --

  virtual unsigned char *find(size_t size, size_t align) {
    size_t const room = misused_ ? kArena : kRoom;
    unsigned char *at = arena;
    for (const auto &block : blocks_) {
      if (at + size < block.first) {
        break;
      }
      at = block.first + std::max<size_t>(block.second, 1);
      at += rf_align_gap(at, align);
    }
    return size > room || at + size > arena + room ? nullptr : at;
  }

  virtual void lock() { rf_mutex_lock(&mutex_); }
  virtual void unlock() { rf_mutex_unlock(&mutex_); }

  virtual void insert(unsigned char *ptr, size_t size) {
    blocks_[ptr] = size;
    size_t bytes = 0;
    for (const auto &block : blocks_) {
      bytes += block.second;
    }
    peak_ = std::max(peak_, bytes);
  }

  virtual void shrink(unsigned char *ptr, size_t size) { blocks_[ptr] = size; }

  virtual void move(unsigned char *old, size_t old_size, unsigned char *ptr, size_t size) {
    memcpy(ptr, old, std::min(old_size, size));
    insert(ptr, size);
    blocks_.erase(old);
    moves_++;
  }

  std::map<unsigned char *, size_t> blocks_;
  rf_mutex mutex_ = {};
  size_t peak_ = 0, failures_ = 0, allocations_ = 0, moves_ = 0, misuses_ = 0;
  bool misused_ = false;
  unsigned finished_ = 0;
};

inline std::vector<uint8_t> random_input(unsigned seed) {
  std::mt19937 random(seed);
  std::vector<uint8_t> bytes(600);
  std::generate(bytes.begin(), bytes.end(), [&random] { return static_cast<uint8_t>(random()); });
  return bytes;
}

constexpr unsigned kInputs = 60;

} // namespace ringfence::fuzz

#endif // RINGFENCE_TESTS_FUZZ_THREADS_HEAP_H

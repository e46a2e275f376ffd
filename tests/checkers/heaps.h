// The allocators that guard is tested over. A new one is one line in kHeaps, and one in BUILD.bazel.
#ifndef RINGFENCE_TESTS_CHECKERS_HEAPS_H
#define RINGFENCE_TESTS_CHECKERS_HEAPS_H

#include <ringfence/allocator.h>
#include <ringfence/lock.h>
#include <ringfence/simple.h>
#include <ringfence/slab.h>
#include <ringfence/std.h>
#include <ringfence/tlsf.h>

#include <gtest/gtest.h>

#include <memory>
#include <ostream>

namespace ringfence {

// An allocator over an arena that outlives it; ended with the object.
class Heap {
public:
  virtual ~Heap() { rf_deinit(allocator_); }
  rf_allocator *allocator() const { return allocator_; }

protected:
  rf_allocator *allocator_ = nullptr;
};

template <typename T, rf_status (*init)(T *, void *, size_t)> class ArenaHeap : public Heap {
public:
  ArenaHeap(void *arena, size_t size) {
    EXPECT_EQ(init(&heap_, arena, size), RF_OK);
    allocator_ = &heap_.base;
  }

private:
  T heap_;
};

class StdHeap : public Heap {
public:
  StdHeap(void *, size_t) {
    EXPECT_EQ(rf_std_init(&heap_), RF_OK);
    allocator_ = &heap_.base;
  }

private:
  rf_std heap_;
};

using SimpleHeap = ArenaHeap<rf_simple, rf_simple_init>;
using SlabHeap = ArenaHeap<rf_slab, rf_slab_init>;
using TlsfHeap = ArenaHeap<rf_tlsf, rf_tlsf_init>;

template <typename Inner> class LockedHeap : public Inner {
public:
  LockedHeap(void *arena, size_t size) : Inner(arena, size) {
    EXPECT_EQ(rf_lock_init(&lock_, this->allocator_), RF_OK);
    this->allocator_ = &lock_.base;
  }
  ~LockedHeap() override {
    // The lock lives in this part of the object: ended here, with what it wraps, and not again by the base.
    rf_deinit(this->allocator_);
    this->allocator_ = nullptr;
  }

private:
  rf_lock lock_;
};

struct HeapKind {
  const char *name;
  std::unique_ptr<Heap> (*make)(void *arena, size_t size);
  bool in_arena; // its blocks come from the arena, and it knows its own (owns, walk)
};

inline std::ostream &operator<<(std::ostream &out, const HeapKind &kind) {
  return out << kind.name;
}

template <typename T> std::unique_ptr<Heap> make_heap(void *arena, size_t size) {
  return std::make_unique<T>(arena, size);
}

inline const HeapKind kHeaps[] = {
    {"simple", make_heap<SimpleHeap>, true},
    {"slab", make_heap<SlabHeap>, true},
    {"tlsf", make_heap<TlsfHeap>, true},
    {"std", make_heap<StdHeap>, false},
    {"lock_simple", make_heap<LockedHeap<SimpleHeap>>, true},
    {"lock_tlsf", make_heap<LockedHeap<TlsfHeap>>, true},
    {"lock_std", make_heap<LockedHeap<StdHeap>>, false},
};

inline std::string heap_name(const testing::TestParamInfo<HeapKind> &info) {
  return info.param.name;
}

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_HEAPS_H

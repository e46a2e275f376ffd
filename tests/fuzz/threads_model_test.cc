// The shadow model of several threads (fuzz/threads_model.h): silent on a heap that keeps its promises, and on heaps
// that break one it names that.
#include "fuzz/threads_port.h"
#include "fuzz/threads_races.h"
#include "tests/fuzz/threads_heap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>
#include <vector>

namespace ringfence::fuzz {
namespace {

template <typename Broken> void run_inputs() {
  for (unsigned seed = 0; seed < kInputs; seed++) {
    Broken heap;
    std::vector<uint8_t> const input = random_input(seed);
    run_threads(heap, {input.data(), input.size()});
  }
}

TEST(ThreadsModel, IsSilentOnAGoodHeap) {
  size_t misuses = 0;
  size_t moves = 0;
  size_t failures = 0;
  for (unsigned seed = 0; seed < kInputs; seed++) {
    Heap heap;
    std::vector<uint8_t> const input = random_input(seed);
    run_threads(heap, {input.data(), input.size()});
    EXPECT_EQ(heap.finished_, 2U);
    EXPECT_TRUE(heap.blocks_.empty());
    misuses += heap.misuses_;
    moves += heap.moves_;
    failures += heap.failures_;
  }
  EXPECT_GT(misuses, kInputs / 4);
  EXPECT_GT(moves, kInputs);
  EXPECT_GT(failures, kInputs);
}

// ---- Flaws ----

struct Overlaps : Heap {
  unsigned char *find(size_t size, size_t align) override {
    unsigned char *const at = Heap::find(size, align);
    return at == nullptr || blocks_.size() % 8 != 7 ? at : at - kAlign;
  }
};

// Of the block before, the last byte alone.
struct OverlapsByAByte : Heap {
  void finish(const Expected &) override {}
  bool zeroes(unsigned) const override { return false; }
  bool reallocs() const override { return false; }
  bool refuses_realloc_twice() const override { return false; }
  void insert(unsigned char *ptr, size_t size) override { Heap::insert(ptr, size > 1 ? size - 1 : size); }
};

struct IsNotZeroed : Heap {
  void *alloc(size_t size, size_t align, unsigned flags) override {
    auto *const ptr = static_cast<unsigned char *>(Heap::alloc(size, align, flags));
    if (ptr != nullptr && zeroes(flags)) {
      ptr[size - 1] = 1;
    }
    return ptr;
  }
};

struct IsNotAligned : Heap {
  void *alloc(size_t size, size_t align, unsigned flags) override {
    return Heap::alloc(size, align > 16 ? align / 2 : align, flags);
  }
};

struct RefusesAFree : Heap {
  bool free(void *ptr, size_t size) override { return Heap::free(ptr, size) && size % 64 != 63; }
};

struct LosesTheEndOfAMove : Heap {
  bool refuses_twice() const override { return false; }
  void move(unsigned char *old, size_t old_size, unsigned char *ptr, size_t size) override {
    memset(old + std::min(old_size, size) - 1, 0, 1);
    Heap::move(old, old_size, ptr, size);
  }
};

struct LosesTheEndOfAMoveInARace : Heap {
  void move(unsigned char *old, size_t old_size, unsigned char *ptr, size_t size) override {
    old[std::min(old_size, size) - 1] ^= misused_ ? 1 : 0;
    Heap::move(old, old_size, ptr, size);
  }
};

// Where both threads resize it, it is there afterwards.
struct ChangesWhatItShrinksInARace : Heap {
  void shrink(unsigned char *ptr, size_t size) override {
    ptr[0] ^= 1;
    Heap::shrink(ptr, size);
  }
};

struct WritesToAnother : Heap {
  void insert(unsigned char *ptr, size_t size) override {
    Heap::insert(ptr, size);
    auto const next = blocks_.upper_bound(ptr);
    if (next != blocks_.end()) {
      next->first[next->second - 1] ^= 1;
    }
  }
};

// Contents are told apart, and not only from memory that nobody wrote.
struct MixesBlocksUp : Heap {
  void insert(unsigned char *ptr, size_t size) override {
    Heap::insert(ptr, size);
    auto const first = blocks_.begin();
    auto const second = std::next(first);
    if (first->first != ptr && second->first != ptr && blocks_.size() == 6) {
      memcpy(second->first, first->first, std::min(first->second, second->second));
    }
  }
};

struct ChangesWhatItCannotMove : Heap {
  void *realloc(void *old, size_t old_size, size_t size) override {
    void *const ptr = Heap::realloc(old, old_size, size);
    if (ptr == nullptr && blocks_.count(static_cast<unsigned char *>(old)) != 0) {
      *static_cast<unsigned char *>(old) ^= 1;
    }
    return ptr;
  }
};

struct ChangesWhatItResizes : Heap {
  bool resize(void *ptr, size_t old_size, size_t size) override {
    *static_cast<unsigned char *>(ptr) ^= 1;
    return Heap::resize(ptr, old_size, size);
  }
};

struct FreesTwice : Heap {
  bool free(void *ptr, size_t size) override {
    bool const freed = Heap::free(ptr, size);
    return freed || (misused_ && !again_ && (again_ = true));
  }
  void misuse_ends(size_t refused) override {
    again_ = false;
    Heap::misuse_ends(refused);
  }
  bool again_ = false;
};

struct FreesNeverWhereTwoDo : Heap {
  bool free(void *ptr, size_t size) override { return Heap::free(ptr, size) && !misused_; }
};

struct TellsOfNoMisuse : Heap {
  void misuse_ends(size_t refused) override {
    if (refused != 0) {
      threads_fail("%zu misuses untold", refused);
    }
  }
};

struct LosesAFailure : Heap {
  unsigned char *find(size_t size, size_t align) override {
    unsigned char *const at = Heap::find(size, align);
    failures_ -= at == nullptr && size < kRoom ? 1 : 0;
    return at;
  }
};

struct LosesAnAllocation : Heap {
  void insert(unsigned char *ptr, size_t size) override {
    Heap::insert(ptr, size);
    allocations_ -= blocks_.size() == 12 ? 1 : 0;
  }
};

struct ForgetsThePeak : Heap {
  bool free(void *ptr, size_t size) override {
    peak_ = 0;
    return Heap::free(ptr, size);
  }
};

struct KnowsTheLastPeakAlone : Heap {
  void insert(unsigned char *ptr, size_t size) override {
    peak_ = 0;
    Heap::insert(ptr, size);
  }
};

struct RefusesTheLastFrees : Heap {
  bool free(void *ptr, size_t size) override { return Heap::free(ptr, size) && finished_ == 0; }
};

// When the last of four threads has ended.
struct WritesAtTheEnd : Heap {
  void thread_ends() override {
    if (++ended_ == Threads::kMost && !blocks_.empty()) {
      blocks_.begin()->first[0] ^= 1;
    }
  }
  unsigned ended_ = 0;
};

struct Races : Heap {
  void *alloc(size_t size, size_t align, unsigned flags) override {
    rf_fuzz_write(&mutex_ + 1, 1);
    return Heap::alloc(size, align, flags);
  }
};

struct RacesAndSaysSo : Races {
  bool has_no_races() const override { return false; }
};

TEST(ThreadsModel, IsSilentOnAHeapThatIsAllowedToRace) {
  run_inputs<RacesAndSaysSo>();
}

struct KeepsABlock : Heap {
  bool free(void *ptr, size_t size) override {
    bool const freed = Heap::free(ptr, size);
    if (freed && size % 128 == 127) {
      insert(arena + kArena - 1, 1);
    }
    return freed;
  }
};

// The count is read, and written when another thread may have counted.
struct LosesACountToAnother : Heap {
  void *alloc(size_t size, size_t align, unsigned flags) override {
    void *const ptr = Heap::alloc(size, align, flags);
    size_t const seen = allocations_;
    rf_fuzz_point();
    allocations_ = seen;
    return ptr;
  }
};

struct IsNotLocked : Heap {
  void *alloc(size_t size, size_t align, unsigned) override {
    unsigned char *const ptr = find(size, align);
    rf_fuzz_point();
    failures_ += ptr == nullptr ? 1 : 0;
    allocations_ += ptr != nullptr ? 1 : 0;
    if (ptr != nullptr) {
      insert(ptr, size);
    }
    return ptr;
  }
  bool zeroes(unsigned) const override { return false; }
};

struct StaysLocked : Heap {
  void unlock() override {
    if (blocks_.size() != 9) {
      Heap::unlock();
    }
  }
};

struct Flaw {
  const char *name;
  const char *told;
  void (*run)();
};

#define RF_FLAW(name, told)                                                                                            \
  { #name, told, run_inputs < name> }

const Flaw kFlaws[] = {
    RF_FLAW(Overlaps, "overlaps"),
    RF_FLAW(OverlapsByAByte, "overlaps"),
    RF_FLAW(IsNotZeroed, "is not all zero"),
    RF_FLAW(IsNotAligned, "is not aligned"),
    RF_FLAW(RefusesAFree, "a free of block .* was refused"),
    RF_FLAW(LosesTheEndOfAMove, "was changed"),
    RF_FLAW(WritesToAnother, "was changed"),
    RF_FLAW(ChangesWhatItCannotMove, "byte 0 of block .* was changed"),
    RF_FLAW(ChangesWhatItResizes, "byte 0 of block .* was changed"),
    RF_FLAW(FreesTwice, "was freed or moved by [2-9] of several"),
    RF_FLAW(FreesNeverWhereTwoDo, "was freed or moved by 0 of several"),
    RF_FLAW(TellsOfNoMisuse, "misuses untold"),
    RF_FLAW(LosesAFailure, "figures"),
    RF_FLAW(LosesAnAllocation, "figures"),
    RF_FLAW(ForgetsThePeak, "figures"),
    RF_FLAW(KeepsABlock, "figures"),
    RF_FLAW(LosesACountToAnother, "figures"),
    RF_FLAW(IsNotLocked, "overlaps"),
    RF_FLAW(LosesTheEndOfAMoveInARace, "was changed"),
    RF_FLAW(ChangesWhatItShrinksInARace, "byte 0 of block .* was changed"),
    RF_FLAW(KnowsTheLastPeakAlone, "figures"),
    RF_FLAW(RefusesTheLastFrees, "at the end, a free of block"),
    RF_FLAW(WritesAtTheEnd, "byte 0 of block .* was changed"),
    RF_FLAW(Races, "data race"),
    RF_FLAW(MixesBlocksUp, "was changed"),
    RF_FLAW(StaysLocked, "it locks the lock|locks held|deadlock"),
};

class ThreadsFlaw : public testing::TestWithParam<Flaw> {};

TEST_P(ThreadsFlaw, IsFoundAndNamed) {
  EXPECT_DEATH(GetParam().run(), GetParam().told);
}

INSTANTIATE_TEST_SUITE_P(All, ThreadsFlaw, testing::ValuesIn(kFlaws),
                         [](const auto &flaw) { return std::string(flaw.param.name); });

// ---- Waits ----

// A request for which there is no memory waits for a free.
struct Waits : Heap {
  void *alloc(size_t size, size_t align, unsigned flags) override {
    inside_++;
    void *ptr = Heap::alloc(size, align, flags);
    while (ptr == nullptr && size <= kRoom && !ended_) {
      failures_--;
      waiting_++;
      inside_--;
      (void)virtual_sleep(&waiting_, false);
      waiting_--;
      inside_++;
      ptr = Heap::alloc(size, align, flags);
    }
    inside_--;
    return ended_ ? nullptr : ptr;
  }
  bool free(void *ptr, size_t size) override {
    bool const freed = Heap::free(ptr, size);
    virtual_wake(&waiting_);
    return freed;
  }
  bool is_exhausted() override { return relieved_++, waiting_ != 0; }
  bool may_end() const override { return ends_; }
  void end() override {
    EXPECT_EQ(inside_, 0U);
    ended_ = true;
    at_end_ = waiting_;
    virtual_wake(&waiting_);
  }
  void finish(const Expected &e) override {
    if (!ended_) {
      Heap::finish(e);
    }
  }
  size_t hopeless() const override { return 0; }
  bool reallocs() const override { return false; }
  bool refuses_realloc_twice() const override { return false; }

  size_t waiting_ = 0, inside_ = 0, relieved_ = 0, at_end_ = 0;
  bool ends_ = false, ended_ = false;
};

// Larger blocks, of which few have room.
struct WaitsOften : Waits {
  size_t size_of(size_t size) const override { return size * 7; }
};

TEST(ThreadsModel, FreesABlockWhereAllWaitForOne) {
  size_t relieved = 0;
  for (unsigned seed = 0; seed < kInputs; seed++) {
    WaitsOften heap;
    std::vector<uint8_t> const input = random_input(seed);
    run_threads(heap, {input.data(), input.size()});
    EXPECT_EQ(heap.waiting_, 0U);
    relieved += heap.relieved_;
  }
  EXPECT_GT(relieved, 0U);
}

TEST(ThreadsModel, EndsAHeapInWhichOthersWait) {
  size_t ended = 0;
  size_t waiting = 0;
  for (unsigned seed = 0; seed < kInputs; seed++) {
    WaitsOften heap;
    heap.ends_ = true;
    std::vector<uint8_t> const input = random_input(seed);
    run_threads(heap, {input.data(), input.size()});
    ended += heap.ended_ ? 1 : 0;
    waiting += heap.at_end_;
  }
  EXPECT_GT(ended, kInputs / 4);
  EXPECT_GT(waiting, 0U);
}

} // namespace
} // namespace ringfence::fuzz

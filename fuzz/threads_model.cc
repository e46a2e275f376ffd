#include "threads_model.h"

#include "threads_races.h"

#include <ringfence/allocator.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace ringfence::fuzz {
namespace {

constexpr size_t kMostLive = 64;
constexpr size_t kMostRaced = size_t{1} << 20; // bytes from which on a raced block grows little

struct Live {
  unsigned char *ptr;
  size_t size;
  unsigned char tag;
};

class Program {
public:
  Program(SharedHeap &heap, Reader input) : heap_(heap) { live_.reserve(kMostLive + Threads::kMost), cut(input); }

  void run();

private:
  struct Thread {
    Reader input{nullptr, 0};
    bool in_call = false;
  };

  void cut(Reader input);
  void thread(unsigned number);
  void step(Reader &in);
  void alloc(Reader &in);
  void free(Reader &in);
  void realloc(Reader &in);
  void race(Reader &in);
  void join_race(size_t size);
  void end_race();
  void look(unsigned choice);
  void end_heap();
  bool relieve();

  void add(void *ptr, size_t size, bool zeroed);
  void demand_contents(const Live &block) const;
  Live take(size_t index);
  void trace(const char *what, const void *ptr, size_t size) const;

  SharedHeap &heap_;
  Thread threads_[Threads::kMost];
  unsigned count_ = 0;
  Reader schedule_{nullptr, 0};
  std::vector<Live> live_;
  Expected expected_ = {};
  unsigned char next_tag_ = 1;
  size_t calls_ = 0; // allocations and reallocs under way
  bool ended_ = false;

  // The block that several threads free, or that two realloc, or one frees and one reallocs.
  Live raced_ = {};
  bool by_realloc_ = false;
  size_t racers_ = 0;  // under way
  size_t joined_ = 0;  // ever
  size_t winners_ = 0; // freed it, or moved it
  size_t resized_ = 0;
  size_t least_ = 0; // of its sizes
};

bool trace_is_wanted() {
  static bool const wanted = getenv("RF_FUZZ_TRACE") != nullptr;
  return wanted;
}

void Program::trace(const char *what, const void *ptr, size_t size) const {
  if (trace_is_wanted()) {
    fprintf(stderr, "thread %u: %s %p, %zu\n", Threads::current(), what, ptr, size);
  }
}

// ---- Layout of the input: threads, then their programs of equal length, then the schedule ----

void Program::cut(Reader input) {
  count_ = 2 + input.u8() % (Threads::kMost - 1);
  size_t const program = input.left() * 2 / 3 / count_;
  for (unsigned i = 0; i < count_; i++) {
    threads_[i].input = input.take(program);
  }
  schedule_ = input;
}

// ---- The model ----

void Program::add(void *ptr, size_t size, bool zeroed) {
  auto *const start = static_cast<unsigned char *>(ptr);
  for (const Live &other : live_) {
    if (start < other.ptr + std::max<size_t>(other.size, 1) && other.ptr < start + std::max<size_t>(size, 1)) {
      threads_fail("block %p of %zu bytes overlaps %p of %zu", ptr, size, static_cast<void *>(other.ptr), other.size);
    }
  }
  if (zeroed && std::any_of(start, start + size, [](unsigned char byte) { return byte != 0; })) {
    threads_fail("block %p of %zu bytes is not all zero", ptr, size);
  }
  unsigned char const tag = next_tag_++;
  std::fill(start, start + size, tag);
  races_release(start); // whoever uses it later has it from here
  live_.push_back({start, size, tag});
  size_t bytes = 0;
  for (const Live &block : live_) {
    bytes += block.size;
  }
  expected_.peak = std::max(expected_.peak, bytes);
}

void Program::demand_contents(const Live &block) const {
  for (size_t i = 0; i < block.size; i++) {
    if (block.ptr[i] != block.tag) {
      threads_fail("byte %zu of block %p, %zu bytes, was changed", i, static_cast<void *>(block.ptr), block.size);
    }
  }
}

// No other thread uses the block from now on.
Live Program::take(size_t index) {
  Live const block = live_[index];
  live_.erase(live_.begin() + static_cast<ptrdiff_t>(index));
  races_acquire(block.ptr);
  demand_contents(block);
  return block;
}

// ---- Operations ----

void Program::alloc(Reader &in) {
  unsigned const flags = in.u8();
  size_t const wanted = heap_.size_of(std::max<size_t>(in.length() % 3000, 1));
  size_t const size = flags % 8 == 4 && heap_.hopeless() != 0 ? heap_.hopeless() : wanted;
  size_t const align = size_t{16} << (flags >= 0xE0 ? flags % 4 : 0);
  if (racers_ != 0 || live_.size() >= kMostLive) {
    return;
  }
  calls_++;
  void *const ptr = heap_.alloc(size, align, flags);
  calls_--;
  trace("alloc", ptr, size);
  if (ptr == nullptr) {
    expected_.failures++;
    return;
  }
  expected_.allocations++;
  if (heap_.aligns() && !heap_.zeroes(flags) && !rf_is_aligned(ptr, align)) {
    threads_fail("block %p is not aligned to %zu", ptr, align);
  }
  add(ptr, size, heap_.zeroes(flags));
}

void Program::free(Reader &in) {
  size_t const choice = in.u8();
  if (live_.empty()) {
    return;
  }
  Live const block = take(choice % live_.size());
  if (!heap_.free(block.ptr, block.size)) {
    threads_fail("a free of block %p, %zu bytes, was refused", static_cast<void *>(block.ptr), block.size);
  }
  trace("freed", block.ptr, block.size);
}

void Program::realloc(Reader &in) {
  size_t const choice = in.u8();
  size_t const size = std::max<size_t>(in.length() % 3000, 1);
  if (live_.empty() || !heap_.reallocs() || racers_ != 0) {
    return;
  }
  Live const block = take(choice % live_.size());
  expected_.moves++;
  calls_++;
  auto *const ptr = static_cast<unsigned char *>(heap_.realloc(block.ptr, block.size, size));
  calls_--;
  trace("realloc", ptr, size);
  if (ptr == nullptr) {
    expected_.failures++;
    demand_contents(block);
    races_release(block.ptr);
    live_.push_back(block);
    return;
  }
  demand_contents({ptr, std::min(size, block.size), block.tag});
  add(ptr, size, false);
}

// Several threads free one block, while nobody allocates.
void Program::race(Reader &in) {
  size_t const choice = in.u8();
  if (!heap_.refuses_twice() || calls_ != 0) {
    return;
  }
  if (racers_ == 0) {
    if (live_.empty()) {
      return;
    }
    raced_ = take(choice % live_.size());
    by_realloc_ = choice >= 128 && heap_.refuses_realloc_twice();
    joined_ = winners_ = resized_ = 0;
    least_ = raced_.size;
  } else if (by_realloc_ && joined_ == 2) {
    return; // a third one might free what the others allocate
  }
  size_t const larger = raced_.size < kMostRaced ? raced_.size * 4 : raced_.size + 8; // not with each race once more
  size_t const sizes[] = {0, 1 + raced_.size / 2, raced_.size + 8, larger};
  joined_++;
  join_race(by_realloc_ ? sizes[choice % 4] : 0);
}

// Reallocs it; where the size is 0, frees it.
void Program::join_race(size_t size) {
  Live const block = raced_;
  if (racers_++ == 0) {
    heap_.misuse_begins();
  }
  races_acquire(block.ptr);
  least_ = size != 0 ? std::min(least_, size) : least_;
  auto *const moved = size != 0 ? static_cast<unsigned char *>(heap_.realloc(block.ptr, block.size, size)) : nullptr;
  bool const won = size != 0 ? moved != nullptr : heap_.free(block.ptr, block.size);
  trace(won ? "freed or moved, in a race," : "was refused, in a race,", block.ptr, size);
  if (won && moved == block.ptr) {
    resized_++;
  } else {
    winners_ += won ? 1 : 0;
  }
  if (moved != nullptr && moved != block.ptr) {
    demand_contents({moved, std::min(size, least_), block.tag});
    add(moved, size, false);
  }
  if (--racers_ == 0) {
    end_race();
  }
}

// The thread that resized the block had it before the one that freed it.
void Program::end_race() {
  Live block = raced_;
  heap_.misuse_ends(joined_ - winners_ - resized_);
  if (winners_ > 1 || winners_ + resized_ == 0) {
    threads_fail("block %p was freed or moved by %zu of several threads", static_cast<void *>(block.ptr), winners_);
  }
  if (winners_ == 0) {
    demand_contents({block.ptr, least_, block.tag});
    block.size = heap_.usable_size(block.ptr, block.size);
    std::fill(block.ptr, block.ptr + block.size, block.tag);
    races_release(block.ptr);
    live_.push_back(block);
  }
}

// Looks at all blocks, or asks about one, which may be resized.
void Program::look(unsigned choice) {
  if (choice < 160 || live_.empty()) {
    heap_.look(choice);
  } else if (choice < 224) {
    Live const block = live_[choice % live_.size()];
    heap_.ask(block.ptr, block.size, choice);
  } else if (racers_ == 0) {
    Live block = take(choice % live_.size());
    size_t const size = 1 + block.size / (choice % 4 + 1);
    if (size < block.size && heap_.resize(block.ptr, block.size, size)) {
      block.size = size;
    }
    demand_contents(block);
    races_release(block.ptr);
    live_.push_back(block);
  }
}

// While the others wait in the heap, or are outside of it.
void Program::end_heap() {
  bool possible = heap_.may_end();
  for (unsigned i = 0; i < count_; i++) {
    possible = possible && (i == Threads::current() || !threads_[i].in_call || Threads::waits(i));
  }
  if (possible) {
    ended_ = true;
    live_.clear();
    races_acquire(&heap_); // a program ends it when it knows that others are done
    heap_.end();
  }
}

void Program::step(Reader &in) {
  size_t const choice = in.u8();
  if (choice < 96) {
    alloc(in);
  } else if (choice < 168) {
    free(in);
  } else if (choice < 192) {
    realloc(in);
  } else if (choice < 216) {
    race(in);
  } else if (choice < 252) {
    look(in.u8());
  } else {
    end_heap();
  }
}

void Program::thread(unsigned number) {
  Thread &self = threads_[number];
  heap_.thread_begins();
  while (!self.input.empty() && !ended_) {
    self.in_call = true;
    step(self.input);
    self.in_call = false;
    races_release(&heap_);
    Threads::yield();
  }
  heap_.thread_ends();
}

bool Program::relieve() {
  if (live_.empty() || !heap_.is_exhausted()) {
    return false;
  }
  Live const block = take(0);
  return heap_.free(block.ptr, block.size);
}

void Program::run() {
  Threads threads(schedule_);
  if (!heap_.has_no_races()) {
    threads.ignore_races();
  }
  threads.run(
      count_, [](void *self, unsigned number) { static_cast<Program *>(self)->thread(number); },
      [](void *self) { return static_cast<Program *>(self)->relieve(); }, this);
  size_t bytes = 0;
  for (const Live &block : live_) {
    demand_contents(block);
    bytes += block.size;
  }
  expected_.blocks = live_.size();
  expected_.bytes = bytes;
  heap_.finish(expected_);
  for (const Live &block : live_) {
    if (!heap_.free(block.ptr, block.size)) {
      threads_fail("at the end, a free of block %p was refused", static_cast<void *>(block.ptr));
    }
  }
  expected_.blocks = expected_.bytes = 0;
  heap_.finish(expected_);
}

} // namespace

void run_threads(SharedHeap &heap, Reader input) {
  Program(heap, input).run();
}

} // namespace ringfence::fuzz

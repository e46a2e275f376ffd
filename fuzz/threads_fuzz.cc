// threads: two to four virtual threads (threads.h) use one allocator: a lock over simple or tlsf, std, a mempool, a
// memblocks with a mutex. The first byte of the input chooses which, the last third who runs when; the rest are the
// threads' programs (threads_model.h).
#include "threads_model.h"

#include <ringfence/lock.h>
#include <ringfence/memblocks.h>
#include <ringfence/mempool.h>
#include <ringfence/simple.h>
#include <ringfence/std.h>
#include <ringfence/tlsf.h>

#include <cstdlib>
#include <cstring>

namespace ringfence::fuzz {
namespace {

constexpr size_t kArena = 16384;
alignas(64) unsigned char arena[kArena];
size_t faults;

void count_fault(const rf_fault *, void *) {
  faults++;
}

// Sums that hold at any moment, seen from outside.
void demand_sums(const rf_stats &s) {
  if (s.used + s.free_bytes + s.overhead != s.capacity || s.peak < s.used || s.peak_blocks < s.blocks ||
      s.largest_free > s.free_bytes || s.allocations < s.blocks) {
    threads_fail("statistics: used %zu + free %zu + overhead %zu of %zu, peak %zu, %zu blocks of at most %zu, %zu ever",
                 s.used, s.free_bytes, s.overhead, s.capacity, s.peak, s.blocks, s.peak_blocks, s.allocations);
  }
}

// ---- Any rf_allocator that several threads may use ----

class SharedAllocator : public SharedHeap {
public:
  void *alloc(size_t size, size_t align, unsigned flags) override {
    return (flags & 1) != 0 ? rf_calloc(allocator_, 1, size) : rf_aligned_alloc(allocator_, align, size);
  }
  bool zeroes(unsigned flags) const override { return (flags & 1) != 0; }
  bool free(void *ptr, size_t) override { return rf_free(allocator_, ptr) == RF_OK; }
  void *realloc(void *ptr, size_t, size_t size) override { return rf_realloc(allocator_, ptr, size); }
  size_t hopeless() const override { return RF_SIZE_LIMIT - 4096; }
  bool reallocs() const override { return true; }
  bool refuses_twice() const override { return true; }
  bool resize(void *ptr, size_t, size_t size) override { return rf_resize(allocator_, ptr, size) == RF_OK; }
  void ask(void *ptr, size_t, unsigned choice) override {
    if (choice % 2 == 0) {
      (void)rf_owns(allocator_, ptr);
    } else {
      (void)rf_usable_size(allocator_, ptr);
    }
  }

  void finish(const Expected &expected) override {
    rf_stats s;
    rf_fault where;
    rf_stats_get(allocator_, &s);
    if (s.blocks != expected.blocks || s.used != expected.bytes || s.peak < expected.peak ||
        s.allocations < expected.allocations || s.allocations > expected.allocations + expected.moves ||
        s.failures != expected.failures) {
      threads_fail("statistics: %zu blocks, %zu bytes, peak %zu, %zu allocations, %zu failures; not %zu, %zu, at least "
                   "%zu, %zu, %zu",
                   s.blocks, s.used, s.peak, s.allocations, s.failures, expected.blocks, expected.bytes, expected.peak,
                   expected.allocations, expected.failures);
    }
    if (rf_check(allocator_, &where) != RF_OK) {
      threads_fail("check: %s", where.what);
    }
  }

protected:
  rf_allocator *allocator_ = nullptr;
};

class SharedStd : public SharedAllocator {
public:
  SharedStd() {
    rf_std_init(&heap_);
    allocator_ = &heap_.base;
  }
  bool has_no_races() const override { return false; } // the C library's lock, which puts blocks in order, is not seen

private:
  rf_std heap_;
};

class Locked : public SharedAllocator {
public:
  explicit Locked(bool on_simple) {
    memset(arena, 0, sizeof arena);
    rf_allocator *const inner = on_simple ? (rf_simple_init(&simple_, arena, kArena) == RF_OK ? &simple_.base : nullptr)
                                          : (rf_tlsf_init(&tlsf_, arena, kArena) == RF_OK ? &tlsf_.base : nullptr);
    rf_lock_init(&lock_, inner);
    allocator_ = &lock_.base;
  }
  ~Locked() override { rf_deinit(allocator_); }

  void look(unsigned choice) override {
    if (choice % 4 == 0) {
      size_t const before = faults;
      size_t refused = 0;
      rf_walk(allocator_, call_from_within, &refused);
      if (faults < before + refused) {
        threads_fail("a call from within was not reported");
      }
    } else if (choice % 4 == 1) {
      rf_fault where;
      if (rf_check(allocator_, &where) != RF_OK) {
        threads_fail("check: %s", where.what);
      }
    } else if (choice % 4 == 2) {
      rf_counters c;
      rf_counters_get(allocator_, &c);
      if (c.peak < c.used || c.peak_blocks < c.blocks || c.allocations < c.blocks) {
        threads_fail("counters: used %zu, peak %zu, %zu blocks, peak %zu, %zu ever", c.used, c.peak, c.blocks,
                     c.peak_blocks, c.allocations);
      }
    } else {
      rf_stats s;
      rf_stats_get(allocator_, &s);
      demand_sums(s);
    }
  }

private:
  static rf_lock *the_lock;

  static bool call_from_within(const rf_block *block, void *refused) {
    rf_allocator *const a = &the_lock->base;
    Threads::yield(); // another thread may come and wait
    if (rf_free(a, block->ptr) != RF_ERR_BUSY || rf_alloc(a, 1) != nullptr) {
      threads_fail("a call from within was not refused");
    }
    *static_cast<size_t *>(refused) += 2;
    return true;
  }

  rf_simple simple_;
  rf_tlsf tlsf_;
  rf_lock &lock_ = *the_lock;
};

rf_lock lock_storage;
rf_lock *Locked::the_lock = &lock_storage;

// ---- mempool: threads wait for blocks ----

class SharedPool : public SharedHeap {
public:
  static constexpr size_t kBlock = 48;

  explicit SharedPool(size_t blocks) : blocks_(blocks) {
    if (rf_mempool_init(&pool_, arena, blocks * (kBlock + 16) + 16, kBlock, 16) != RF_OK) {
      abort();
    }
    rf_mempool_info info;
    rf_mempool_info_get(&pool_, &info);
    blocks_ = info.num_blocks;
  }
  ~SharedPool() override {
    if (rf_mempool_deinit(&pool_) != RF_OK) {
      threads_fail("a pool that nobody uses cannot end");
    }
  }

  void *alloc(size_t, size_t, unsigned flags) override {
    static const uint32_t kPatience[] = {0, 1, 50, RF_WAIT_FOREVER};
    void *block = nullptr;
    uint32_t const patience = kPatience[flags % 4];
    rf_status const status = rf_mempool_alloc_prio(&pool_, patience, static_cast<int>(flags / 4 % 3), &block);
    rf_status const may_fail = ended_ ? RF_ERR_DELETED : patience == 0 ? RF_ERR_NO_MEMORY : RF_ERR_TIMEOUT;
    bool const forever = patience == RF_WAIT_FOREVER && !ended_;
    if (status != RF_OK && (forever || (status != may_fail && !(ended_ && status == RF_ERR_TIMEOUT)))) {
      threads_fail("a wait of %u ms ended with \"%s\"", static_cast<unsigned>(patience), rf_status_name(status));
    }
    if ((status == RF_OK) != (block != nullptr)) {
      threads_fail("\"%s\" with block %p", rf_status_name(status), block);
    }
    return block;
  }
  bool free(void *ptr, size_t) override { return rf_mempool_free(&pool_, ptr) == RF_OK; }
  bool aligns() const override { return false; }
  size_t size_of(size_t) const override { return kBlock; }
  bool refuses_twice() const override { return true; }
  bool may_end() const override { return true; }

  // The threads that wait are dismissed.
  void end() override {
    ended_ = true;
    if (rf_mempool_deinit(&pool_) != RF_OK) {
      threads_fail("the pool cannot end");
    }
  }

  void look(unsigned) override {
    rf_mempool_info info;
    rf_mempool_info_get(&pool_, &info);
    if (ended_) {
      return;
    }
    if (info.free_blocks > info.num_blocks || info.peak_blocks + info.free_blocks < info.num_blocks ||
        info.waiters > Threads::kMost) {
      threads_fail("%zu of %zu blocks are free, peak %zu, %zu threads wait", info.free_blocks, info.num_blocks,
                   info.peak_blocks, info.waiters);
    }
    rf_stats s;
    rf_stats_get(&pool_.base, &s);
    demand_sums(s);
  }

  void ask(void *ptr, size_t, unsigned choice) override {
    rf_allocator *const a = &pool_.base;
    rf_fault where;
    if (ended_) {
      return;
    }
    switch (choice % 4) {
    case 0:
      (void)rf_usable_size(a, ptr);
      break;
    case 1:
      (void)rf_walk(
          a, [](const rf_block *, void *) { return true; }, nullptr);
      break;
    case 2:
      (void)rf_owns(a, ptr);
      break;
    default:
      if (rf_check(a, &where) != RF_OK) {
        threads_fail("check: %s", where.what);
      }
    }
  }

  // No thread can run: right if all blocks are allocated.
  bool is_exhausted() override {
    rf_mempool_info info;
    rf_mempool_info_get(&pool_, &info);
    return info.num_blocks != 0 && info.free_blocks == 0;
  }

  void finish(const Expected &expected) override {
    rf_stats s;
    rf_fault where;
    rf_stats_get(&pool_.base, &s);
    if (ended_) {
      return;
    }
    if (s.blocks != expected.blocks || s.allocations != expected.allocations || s.failures != expected.failures ||
        s.used != expected.blocks * kBlock) {
      threads_fail("statistics: %zu blocks, %zu bytes, %zu allocations, %zu failures; not %zu, %zu, %zu, %zu", s.blocks,
                   s.used, s.allocations, s.failures, expected.blocks, expected.blocks * kBlock, expected.allocations,
                   expected.failures);
    }
    if (rf_check(&pool_.base, &where) != RF_OK) {
      threads_fail("check: %s", where.what);
    }
  }

private:
  rf_mempool pool_;
  size_t blocks_;
  bool ended_ = false;
};

// ---- memblocks with a mutex: runs of blocks ----

class SharedBlocks : public SharedHeap {
public:
  static constexpr size_t kBlock = 32;
  static constexpr size_t kBlocks = 100;

  SharedBlocks() {
    if (rf_mutex_init(&mutex_) != RF_OK || rf_memblocks_init(&pool_, arena, kBlock, kBlocks, bitmap_) != RF_OK) {
      abort();
    }
    rf_memblocks_share(&pool_, &mutex_);
  }
  ~SharedBlocks() override {
    rf_memblocks_deinit(&pool_);
    rf_mutex_deinit(&mutex_);
  }

  void *alloc(size_t size, size_t, unsigned flags) override {
    void *out = nullptr;
    size_t const count = size / kBlock;
    rf_status status = RF_OK;
    if ((flags & 1) != 0 && count == 1) {
      status = rf_memblocks_alloc(&pool_, 1, &out);
    } else if ((flags & 6) == 6) {
      out = arena + flags / 8 * kBlock;
      status = flags / 8 + count <= kBlocks ? rf_memblocks_claim(&pool_, out, count) : RF_ERR_NO_MEMORY;
      claims_failed_ += status == RF_ERR_NO_MEMORY && flags / 8 + count > kBlocks ? 1 : 0;
    } else {
      status = rf_memblocks_alloc_contiguous(&pool_, count, &out);
    }
    if (status != RF_OK && status != RF_ERR_NO_MEMORY) {
      threads_fail("%zu blocks: \"%s\"", count, rf_status_name(status));
    }
    return status == RF_OK ? out : nullptr;
  }
  // One by one, or as a run.
  bool free(void *ptr, size_t size) override {
    if (size == kBlock && (static_cast<unsigned char *>(ptr) - arena) / static_cast<ptrdiff_t>(kBlock) % 2 != 0) {
      return rf_memblocks_free(&pool_, 1, &ptr) == RF_OK;
    }
    return rf_memblocks_free_contiguous(&pool_, ptr, size / kBlock) == RF_OK;
  }
  bool aligns() const override { return false; }
  size_t size_of(size_t size) const override { return (1 + size % 9) * kBlock; }
  bool refuses_twice() const override { return true; }

  void ask(void *ptr, size_t size, unsigned) override { (void)rf_memblocks_is_region_free(&pool_, ptr, size / kBlock); }

  void look(unsigned choice) override {
    rf_stats s;
    rf_fault where;
    if (choice % 2 == 0) {
      rf_memblocks_stats(&pool_, &s);
      demand_sums(s);
    } else if (rf_memblocks_check(&pool_, &where) != RF_OK) {
      threads_fail("check: %s", where.what);
    }
  }

  void finish(const Expected &expected) override {
    rf_stats s;
    look(1);
    rf_memblocks_stats(&pool_, &s);
    if (s.used != expected.bytes || s.peak < expected.peak || s.failures + claims_failed_ != expected.failures) {
      threads_fail("statistics: %zu bytes, peak %zu, %zu failures; not %zu, at least %zu, %zu", s.used, s.peak,
                   s.failures, expected.bytes, expected.peak, expected.failures - claims_failed_);
    }
  }

private:
  rf_memblocks pool_;
  rf_mutex mutex_;
  size_t bitmap_[RF_MEMBLOCKS_WORDS(kBlocks)];
  size_t claims_failed_ = 0;
};

} // namespace
} // namespace ringfence::fuzz

// Hopeless requests are answered with NULL; by default, AddressSanitizer stops there.
extern "C" const char *__asan_default_options() {
  return "allocator_may_return_null=1";
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace ringfence::fuzz;
  Reader input(data, size);
  size_t const choice = input.u8();
  rf_fault_handler_set(count_fault, nullptr);
  auto const run_on = [&](SharedHeap &&heap) { run_threads(heap, input); };
  switch (choice % 5) {
  case 0:
    run_on(Locked(true));
    break;
  case 1:
    run_on(Locked(false));
    break;
  case 2:
    run_on(SharedStd());
    break;
  case 3:
    run_on(SharedPool(1 + choice / 5 % 6));
    break;
  default:
    run_on(SharedBlocks());
    break;
  }
  rf_fault_handler_set(nullptr, nullptr);
  return 0;
}

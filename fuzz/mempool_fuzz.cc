// mempool: pools of any geometry, over a buffer or created from a heap, used to the last block, with bad frees, damaged
// headers, timeouts and waiting threads. The first byte of the input chooses between this and &pool.base as
// rf_allocator.
#include <ringfence/fuzz/target.h>
#include <ringfence/mempool.h>

#include "blocks_model.h"
#include "record_damage.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <thread>

namespace {

using namespace ringfence::fuzz;

class Harness {
public:
  explicit Harness(Reader &in) : in_(in), memory_(new unsigned char[kMemory]) {
    std::memset(memory_.get(), 0xA5, kMemory);
    block_size_ = 1 + in.below(400);
    align_ = std::max(size_t{1} << in.below(8), sizeof(void *));
    size_t const skew = in.u8() % 32;
    size_t const size = in.below(4000);
    if (in.u8() % 4 == 0) {
      create(1 + size % 40);
    } else if (rf_mempool_init(&over_buffer_, memory_.get() + skew, size, block_size_, align_) == RF_OK) {
      pool_ = &over_buffer_;
    }
  }

  void run() {
    for (the_step = 1; pool_ != nullptr && !in_.empty(); count_step()) {
      step();
      if (pool_ != nullptr) {
        verify();
      }
    }
    if (pool_ == &over_buffer_) {
      RF_HOLDS(rf_mempool_delete(pool_) == RF_ERR_INVALID);
      RF_HOLDS(rf_mempool_deinit(pool_) == RF_OK);
      RF_HOLDS(rf_mempool_deinit(pool_) == RF_OK);
    } else if (pool_ != nullptr) {
      RF_HOLDS(rf_mempool_delete(pool_) == RF_OK);
      RF_HOLDS(rf_mempool_deinit(&heap_) == RF_OK);
    }
  }

private:
  struct Live {
    size_t size;
    unsigned char seed;
  };

  static constexpr size_t kMemory = 64 * 1024;

  // From a heap with a single block, which is all the memory.
  void create(size_t num_blocks) {
    RF_HOLDS(rf_mempool_init(&heap_, memory_.get(), kMemory, kMemory - 4096, 256) == RF_OK);
    RF_HOLDS(rf_mempool_create(&heap_.base, num_blocks, block_size_, align_, &pool_) == RF_OK);
    RF_HOLDS(pool_->num_blocks == num_blocks);
    rf_mempool *second = nullptr;
    RF_HOLDS(rf_mempool_create(&heap_.base, num_blocks, block_size_, align_, &second) == RF_ERR_NO_MEMORY);
  }

  void step() {
    switch (in_.u8() % 8) {
    case 0:
    case 1:
    case 2:
      return take();
    case 3:
    case 4:
      return give();
    case 5:
      return bad_free();
    case 6:
      return in_.u8() % 4 == 0 ? copied_header() : damage();
    default:
      return in_.u8() % 8 == 0 && pool_ == &over_buffer_ ? bad_arguments() : wait();
    }
  }

  bool full() const { return live_.size() == pool_->num_blocks; }

  void adopt(void *ptr, size_t size) {
    auto *const block = static_cast<unsigned char *>(ptr);
    RF_HOLDS(rf_is_aligned(block, align_));
    auto const after = live_.lower_bound(block);
    RF_HOLDS(after == live_.end() || block + block_size_ + sizeof(void *) <= after->first);
    RF_HOLDS(after == live_.begin() || std::prev(after)->first + block_size_ + sizeof(void *) <= block);
    Live const made = {size, in_.u8()};
    std::memset(block, made.seed, size);
    live_[block] = made;
    used_ += size;
    peak_ = std::max(peak_, used_);
    peak_blocks_ = std::max(peak_blocks_, live_.size());
    allocations_++;
  }

  // A whole block, or by rf_alloc a part of one.
  void take() {
    if (in_.u8() % 2 == 0) {
      void *block = &block;
      RF_HOLDS(rf_mempool_alloc(pool_, 0, &block) == (full() ? RF_ERR_NO_MEMORY : RF_OK));
      RF_HOLDS((block == nullptr) == full());
      full() ? void(failures_++) : adopt(block, block_size_);
      return;
    }
    size_t const size = in_.below(block_size_ + 2);
    bool const fits = size <= block_size_ && !full();
    void *const block = rf_alloc_at(&pool_->base, size, in_.u8() % 2 == 0 ? 1 : align_, nullptr);
    RF_HOLDS((block != nullptr) == fits);
    fits ? adopt(block, size) : void(failures_++);
  }

  std::map<unsigned char *, Live>::iterator some_live() {
    return std::next(live_.begin(), static_cast<ptrdiff_t>(in_.below(live_.size())));
  }

  void give() {
    if (live_.empty()) {
      return;
    }
    auto const victim = some_live();
    for (size_t i = 0; i < victim->second.size; i++) {
      RF_HOLDS(victim->first[i] == victim->second.seed);
    }
    RF_HOLDS(rf_mempool_of(victim->first) == pool_);
    RF_HOLDS(rf_mempool_free(pool_, victim->first) == RF_OK);
    freed_ = victim->first;
    used_ -= victim->second.size;
    live_.erase(victim);
  }

  void bad_free() {
    void *bad = &bad;
    rf_status expected = RF_ERR_BAD_POINTER;
    switch (in_.u8() % 3) {
    case 0:
      break;
    case 1:
      if (!live_.empty()) {
        bad = some_live()->first + 1 + in_.below(pool_->stride - 1);
      }
      break;
    default:
      if (freed_ != nullptr && live_.count(freed_) == 0) {
        bad = freed_;
        expected = RF_ERR_NOT_ALLOCATED;
      }
    }
    RF_HOLDS(rf_mempool_free(pool_, bad) == expected);
    RF_HOLDS(faults_.take() == 1);
  }

  // Changes a byte of a header: check reports it, every call returns, and once it is restored all is well.
  void damage() {
    rf_mempool const pool = *pool_;
    std::vector<unsigned char> const memory(pool.start, pool.start + pool.num_blocks * pool.stride - pad());
    size_t const i = in_.below(pool.num_blocks);
    unsigned char *const header = pool.start + i * pool.stride;
    unsigned char *const block = header + sizeof(uintptr_t);
    auto const change = in_.u8();
    header[in_.below(sizeof(uintptr_t))] ^= change;
    RF_HOLDS(rf_check(&pool_->base, nullptr) == (change == 0 ? RF_OK : RF_ERR_CORRUPT));
    void *got = nullptr;
    (void)rf_resize(&pool_->base, block, 1 + in_.below(block_size_));
    (void)rf_usable_size(&pool_->base, block);
    (void)rf_mempool_free(pool_, block);
    (void)rf_mempool_alloc(pool_, 0, &got);
    (void)rf_walk(
        &pool_->base, [](const rf_block *, void *) { return true; }, nullptr);
    (void)faults_.take();
    *pool_ = pool;
    broken_record();
    std::copy(memory.begin(), memory.end(), pool.start);
  }

  // Changes a constant field: the end and the deletion refuse, and say so.
  void broken_record() {
    size_t *const fields[] = {&pool_->stride, &pool_->block_size, &pool_->num_blocks, &pool_->align};
    size_t *const field = fields[change_of_record_++ % 4];
    *field += 1;
    RF_HOLDS(rf_mempool_deinit(pool_) == RF_ERR_CORRUPT && rf_mempool_delete(pool_) == RF_ERR_CORRUPT);
    RF_HOLDS(faults_.take() == 2);
    *field -= 1;
  }

  // The bytes of its stride that the last block lacks.
  size_t pad() const { return pool_->stride - block_size_ - sizeof(uintptr_t); }

  // Refuses a block with the header of another, as after a copy that went too far.
  void copied_header() {
    if (live_.size() < 2) {
      return;
    }
    unsigned char *const from = live_.begin()->first - sizeof(uintptr_t);
    unsigned char *const to = live_.rbegin()->first - sizeof(uintptr_t);
    uintptr_t good;
    std::memcpy(&good, to, sizeof good);
    std::memcpy(to, from, sizeof good);
    RF_HOLDS(rf_mempool_free(pool_, to + sizeof good) == RF_ERR_CORRUPT && faults_.take() == 1);
    std::memcpy(to, &good, sizeof good);
  }

  // Slow parts run at most once per input.
  void wait() {
    if (!full() || waited_) {
      return;
    }
    waited_ = true;
    switch (in_.u8() % 3) {
    case 0:
      return time_out();
    case 1:
      return hand_over();
    default:
      return end_under_waiters();
    }
  }

  void time_out() {
    void *got = nullptr;
    RF_HOLDS(rf_mempool_alloc_prio(pool_, 1, in_.u8(), &got) == RF_ERR_TIMEOUT);
    failures_++;
  }

  // Starts threads that wait with these priorities, one after the other. Each hands its block to the
  // next.
  struct Waiters {
    std::vector<std::thread> threads;
    std::vector<size_t> served; // by the holder of the only block
  };
  void start(Waiters &waiters, const std::vector<int> &priorities, rf_status expected) {
    for (size_t i = 0; i < priorities.size(); i++) {
      waiters.threads.emplace_back([this, &waiters, expected, i, priority = priorities[i]] {
        void *got = nullptr;
        RF_HOLDS(rf_mempool_alloc_prio(pool_, RF_WAIT_FOREVER, priority, &got) == expected);
        if (expected == RF_OK) {
          waiters.served.push_back(i);
          RF_HOLDS(rf_mempool_free(pool_, got) == RF_OK);
        }
      });
      rf_mempool_info info;
      do {
        std::this_thread::yield();
        rf_mempool_info_get(pool_, &info);
      } while (info.waiters != i + 1);
    }
  }

  // A freed block goes to each waiter in turn, by priority, then by arrival.
  void hand_over() {
    if (live_.empty()) {
      return;
    }
    std::vector<int> priorities;
    std::vector<size_t> order;
    for (size_t n = 1 + in_.below(4); n != 0; n--) {
      order.push_back(order.size());
      priorities.push_back(in_.u8() % 3);
    }
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return priorities[a] != priorities[b] ? priorities[a] > priorities[b] : a < b;
    });
    Waiters waiters;
    start(waiters, priorities, RF_OK);
    auto const victim = some_live();
    freed_ = victim->first;
    size_t const without = used_ - victim->second.size;
    RF_HOLDS(rf_mempool_free(pool_, victim->first) == RF_OK);
    for (std::thread &t : waiters.threads) {
      t.join();
    }
    RF_HOLDS(waiters.served == order);
    allocations_ += order.size();
    peak_ = std::max(peak_, without + block_size_);
    used_ = without;
    live_.erase(victim);
  }

  void end_under_waiters() {
    Waiters waiters;
    start(waiters, {0, in_.u8() % 3 - 1}, RF_ERR_DELETED);
    RF_HOLDS((pool_ == &over_buffer_ ? rf_mempool_deinit(pool_) : rf_mempool_delete(pool_)) == RF_OK);
    for (std::thread &t : waiters.threads) {
      t.join();
    }
    if (pool_ == &over_buffer_) {
      calls_after_the_end();
    } else {
      RF_HOLDS(rf_mempool_deinit(&heap_) == RF_OK);
    }
    pool_ = nullptr;
  }

  void calls_after_the_end() {
    rf_allocator *const a = &pool_->base;
    void *got = &got;
    rf_mempool_info info;
    rf_stats stats;
    RF_HOLDS(rf_mempool_alloc(pool_, 0, &got) == RF_ERR_DELETED && got == nullptr);
    RF_HOLDS(rf_mempool_free(pool_, &got) == RF_ERR_BAD_POINTER && faults_.take() == 1);
    RF_HOLDS(rf_alloc(a, 0) == nullptr && rf_usable_size(a, &got) == 0 && !rf_owns(a, &got));
    RF_HOLDS(rf_walk(
                 a, [](const rf_block *, void *) { return true; }, nullptr) == RF_OK);
    RF_HOLDS(rf_check(a, nullptr) == RF_OK);
    rf_mempool_info_get(pool_, &info);
    rf_stats_get(a, &stats);
    RF_HOLDS(info.num_blocks == 0 && stats.capacity == 0);
  }

  void bad_arguments() {
    void *got;
    rf_mempool *created;
    rf_allocator *const from = &pool_->base;
    unsigned char *const memory = memory_.get();
    RF_HOLDS(rf_mempool_init(nullptr, memory, 100, 8, 8) == RF_ERR_INVALID);
    RF_HOLDS(rf_mempool_init(&heap_, nullptr, 100, 8, 8) == RF_ERR_INVALID);
    RF_HOLDS(rf_mempool_init(&heap_, memory, 100, 0, 8) == RF_ERR_INVALID);
    RF_HOLDS(rf_mempool_init(&heap_, memory, 100, SIZE_MAX - in_.u8(), 8) == RF_ERR_INVALID);
    RF_HOLDS(rf_mempool_init(&heap_, memory, 100, 8, 3) == RF_ERR_INVALID);
    RF_HOLDS(rf_mempool_create(nullptr, 1, 8, 8, &created) == RF_ERR_INVALID);
    RF_HOLDS(rf_mempool_create(from, 1, 8, 8, nullptr) == RF_ERR_INVALID);
    RF_HOLDS(rf_mempool_create(from, 0, 8, 8, &created) == RF_ERR_INVALID);
    RF_HOLDS(rf_mempool_create(from, 1, 0, 1, &created) == RF_ERR_INVALID);
    RF_HOLDS(rf_mempool_create(from, SIZE_MAX / 8, 8, 8, &created) == RF_ERR_INVALID);
    RF_HOLDS(rf_mempool_deinit(nullptr) == RF_ERR_INVALID && rf_mempool_delete(nullptr) == RF_ERR_INVALID);
    RF_HOLDS(rf_mempool_alloc(nullptr, 0, &got) == RF_ERR_INVALID);
    RF_HOLDS(rf_mempool_free(pool_, nullptr) == RF_OK);
  }

  void verify() {
    rf_stats s;
    rf_stats_get(&pool_->base, &s);
    RF_HOLDS(s.used == used_ && s.peak == peak_);
    RF_HOLDS(s.blocks == live_.size() && s.peak_blocks == peak_blocks_);
    RF_HOLDS(s.free_bytes == (pool_->num_blocks - live_.size()) * block_size_);
    RF_HOLDS(s.largest_free == (full() ? 0 : block_size_));
    RF_HOLDS(s.allocations == allocations_ && s.failures == failures_);
    RF_HOLDS(s.capacity == s.used + s.free_bytes + s.overhead);
    for (const auto &[block, made] : live_) {
      RF_HOLDS(made.size == 0 || (block[0] == made.seed && block[made.size - 1] == made.seed));
    }
    RF_HOLDS(rf_check(&pool_->base, nullptr) == RF_OK);
    RF_HOLDS(faults_.take() == 0);
  }

  Reader &in_;
  std::unique_ptr<unsigned char[]> memory_;
  rf_mempool over_buffer_;
  rf_mempool heap_;
  rf_mempool *pool_ = nullptr; // NULL: the arguments made no pool
  size_t block_size_;
  size_t align_;
  std::map<unsigned char *, Live> live_;
  unsigned char *freed_ = nullptr;
  bool waited_ = false;
  size_t change_of_record_ = 0;
  size_t used_ = 0;
  size_t peak_ = 0;
  size_t peak_blocks_ = 0;
  size_t allocations_ = 0;
  size_t failures_ = 0;
  FaultCount faults_;
};

// ---- &pool.base, by the interpreter ----

constexpr size_t kBlock = 248;
rf_mempool the_pool;

rf_allocator *init(void *, void *arena, size_t size) {
  return rf_mempool_init(&the_pool, arena, size, kBlock, 64) == RF_OK ? &the_pool.base : nullptr;
}

rf_fuzz_target target() {
  rf_fuzz_target t = rf_fuzz_target_default("mempool", init);
  t.min_arena = 1024;
  t.max_arena = 65536;
  t.max_request = 512;
  t.align_factor = SIZE_MAX; // none beyond 64
  t.survives_damage = true;
  t.refuses_ended = true;
  return t;
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Reader in(data, size);
  switch (in.u8() % 8) {
  case 0:
  case 4: {
    rf_fuzz_target const t = target();
    rf_fuzz_run(&t, data + 1, size > 1 ? size - 1 : 0);
    return 0;
  }
  case 1: {
    alignas(64) unsigned char arena[2048];
    RF_HOLDS(init(nullptr, arena, sizeof arena) != nullptr);
    damage_record(&the_pool.base, &the_pool, offsetof(rf_mempool, mutex), in); // the mutex is the port's
    return 0;
  }
  default:
    Harness(in).run();
    return 0;
  }
}

// memblocks: valid and invalid batches, runs, claims and frees, against a list of the taken blocks and a copy of the
// buffer, of which the pool may not touch a byte. The first byte of the input chooses between this and the adapter to
// rf_allocator.
#include <ringfence/fuzz/target.h>
#include <ringfence/memblocks_allocator.h>

#include "blocks_model.h"
#include "record_damage.h"

#include <algorithm>
#include <cstddef>

namespace {

using namespace ringfence::fuzz;

constexpr size_t kMaxBlocks = 200;

class Harness {
public:
  Harness(Reader &in, size_t num_blocks, size_t block_size)
      : in_(in), model_(num_blocks, block_size), bitmap_(RF_MEMBLOCKS_WORDS(num_blocks), ~size_t{0}) {
    RF_HOLDS(rf_memblocks_init(&pool_, model_.memory(), block_size, num_blocks, bitmap_.data()) == RF_OK);
    if (in.u8() % 2 != 0) {
      RF_HOLDS(rf_mutex_init(&mutex_) == RF_OK);
      rf_memblocks_share(&pool_, &mutex_);
    }
    rf_memblocks_listen(&pool_, &listener_);
    pool_.quiet = in.u8() % 4 == 0;
  }

  void run() {
    for (the_step = 1; !in_.empty(); count_step()) {
      step();
      verify();
    }
    for (size_t i = 0; i < model_.count(); i++) {
      if (model_.taken[i]) {
        RF_HOLDS(rf_memblocks_free_contiguous(&pool_, model_.at(i), 1) == RF_OK);
      }
    }
    RF_HOLDS(rf_memblocks_is_region_free(&pool_, model_.at(0), model_.count()));
    rf_mutex *const mutex = pool_.mutex;
    rf_memblocks_unlisten(&pool_, &listener_);
    rf_memblocks_deinit(&pool_);
    if (mutex != nullptr) {
      rf_mutex_deinit(mutex);
    }
  }

private:
  void step() {
    switch (in_.u8() % 8) {
    case 0:
      return alloc();
    case 1:
      return alloc_contiguous();
    case 2:
      return claim();
    case 3:
      return free_batch();
    case 4:
      return free_run();
    case 5:
      return bad_batch();
    case 6:
      return damage();
    default:
      return in_.u8() % 2 == 0 ? reset_peak() : bad_arguments();
    }
  }

  void reset_peak() {
    rf_memblocks_reset_peak(&pool_);
    model_.peak = model_.used();
  }

  void bad_arguments() {
    rf_memblocks other;
    size_t word;
    size_t const n = model_.count() + 1;
    RF_HOLDS(rf_memblocks_init(&other, model_.memory(), 0, 1, &word) == RF_ERR_INVALID);
    RF_HOLDS(rf_memblocks_init(&other, model_.memory(), SIZE_MAX / 2, 3, &word) == RF_ERR_INVALID);
    void *block = model_.at(0);
    RF_HOLDS(rf_memblocks_alloc(&pool_, 1, nullptr) == RF_ERR_INVALID);
    RF_HOLDS(rf_memblocks_alloc(nullptr, 1, &block) == RF_ERR_INVALID);
    RF_HOLDS(rf_memblocks_free(nullptr, 1, &block) == RF_ERR_INVALID && !rf_memblocks_owns(nullptr, block));
    RF_HOLDS(rf_memblocks_alloc_contiguous(&pool_, 1, nullptr) == RF_ERR_INVALID);
    RF_HOLDS(rf_memblocks_free(&pool_, 1, nullptr) == RF_ERR_INVALID);
    RF_HOLDS(rf_memblocks_free_contiguous(&pool_, model_.at(0), n) == RF_ERR_INVALID);
    RF_HOLDS(rf_memblocks_free_contiguous(&pool_, model_.at(n), 1) == RF_ERR_BAD_POINTER);
    RF_HOLDS(faults_.take() == (pool_.quiet ? 0 : 1));
  }

  // Any count: mostly small, sometimes impossible.
  size_t some_count() {
    size_t const n = in_.u8();
    return n < 200 ? n % 9 : n < 250 ? n - 200 : SIZE_MAX - (n - 250);
  }

  void alloc() {
    size_t const n = some_count();
    void *out[kMaxBlocks];
    bool const fits = n <= model_.count() - model_.used();
    events_ = 0;
    RF_HOLDS(rf_memblocks_alloc(&pool_, n, out) == (fits ? RF_OK : RF_ERR_NO_MEMORY));
    model_.failures += fits ? 0 : 1;
    RF_HOLDS(events_ == (fits ? n : 0));
    for (size_t k = 0; fits && k < n; k++) {
      size_t const i = model_.next(0, false);
      RF_HOLDS(out[k] == model_.at(i));
      model_.take(i, 1);
      model_.write(i, in_.u8());
    }
  }

  void alloc_contiguous() {
    size_t const n = some_count();
    size_t const i = n == 0 ? 0 : model_.first_run(n);
    void *out = &out;
    RF_HOLDS(rf_memblocks_alloc_contiguous(&pool_, n, &out) == (i < model_.count() ? RF_OK : RF_ERR_NO_MEMORY));
    if (i < model_.count()) {
      RF_HOLDS(out == (n == 0 ? nullptr : model_.at(i)));
      model_.take(i, n);
    } else {
      RF_HOLDS(out == &out);
      model_.failures++;
    }
  }

  void claim() {
    size_t const i = in_.below(model_.count());
    size_t const n = some_count();
    bool const inside = n <= model_.count() - i;
    bool const free = inside && model_.next(i, true) - i >= n;
    RF_HOLDS(rf_memblocks_is_region_free(&pool_, model_.at(i), n) == free);
    rf_status const expected = n == 0 || free ? RF_OK : inside ? RF_ERR_NO_MEMORY : RF_ERR_INVALID;
    RF_HOLDS(rf_memblocks_claim(&pool_, model_.at(i), n) == expected);
    model_.failures += expected == RF_ERR_NO_MEMORY ? 1 : 0;
    if (expected == RF_OK) {
      model_.take(i, n);
    }
    RF_HOLDS(rf_memblocks_claim(&pool_, model_.at(i) + model_.count() * model_.block_size, 1) == RF_ERR_BAD_POINTER);
  }

  // Some of the taken blocks, in any order.
  std::vector<void *> some_taken() {
    std::vector<void *> batch;
    for (size_t n = in_.u8() % 20; n != 0; n--) {
      size_t i = model_.next(in_.below(model_.count()), true);
      i = i < model_.count() ? i : model_.next(0, true);
      void *const block = model_.at(i);
      if (i < model_.count() && std::find(batch.begin(), batch.end(), block) == batch.end()) {
        batch.push_back(block);
      }
    }
    return batch;
  }

  void free_batch() {
    std::vector<void *> const batch = some_taken();
    events_ = 0;
    RF_HOLDS(rf_memblocks_free(&pool_, batch.size(), batch.data()) == RF_OK);
    RF_HOLDS(events_ == batch.size());
    for (void *const block : batch) {
      model_.taken[model_.index_of(block)] = false;
    }
  }

  void free_run() {
    size_t const i = in_.below(model_.count());
    size_t const n = some_count();
    bool const inside = n <= model_.count() - i;
    bool const all_taken = inside && model_.next(i, false) - i >= n;
    rf_status const expected = n == 0 || all_taken ? RF_OK : inside ? RF_ERR_NOT_ALLOCATED : RF_ERR_INVALID;
    RF_HOLDS(rf_memblocks_free_contiguous(&pool_, model_.at(i), n) == expected);
    RF_HOLDS(faults_.take() == (expected == RF_ERR_NOT_ALLOCATED && !pool_.quiet ? 1 : 0));
    if (expected == RF_OK) {
      std::fill_n(model_.taken.begin() + static_cast<ptrdiff_t>(i), n, false);
    }
  }

  // A batch of taken blocks with one invalid or repeated pointer.
  void bad_batch() {
    std::vector<void *> batch = some_taken();
    size_t const i = in_.below(model_.count());
    rf_status expected = RF_ERR_BAD_POINTER;
    void *bad = nullptr;
    switch (in_.u8() % 5) {
    case 0:
      break;
    case 1:
      bad = &batch;
      break;
    case 2:
      bad = model_.at(i) + 1 + in_.below(model_.block_size - 1);
      break;
    case 3:
      bad = model_.at(model_.count());
      break;
    default:
      bad = model_.at(i);
      expected = RF_ERR_NOT_ALLOCATED;
      if (model_.taken[i] && std::find(batch.begin(), batch.end(), bad) == batch.end()) {
        batch.push_back(bad);
      }
    }
    if (model_.block_size == 1 && expected == RF_ERR_BAD_POINTER) {
      bad = &batch; // nothing is inside a block of one byte
    }
    batch.insert(batch.begin() + static_cast<ptrdiff_t>(in_.below(batch.size() + 1)), bad);
    bool const too_many = batch.size() > model_.count();
    events_ = 0;
    RF_HOLDS(rf_memblocks_free(&pool_, batch.size(), batch.data()) == (too_many ? RF_ERR_INVALID : expected));
    RF_HOLDS(faults_.take() == (too_many || pool_.quiet ? 0 : 1));
    RF_HOLDS(events_ == 0);
  }

  // Changes a word of the bitmap or a count: check reports it, calls return, and once it is restored all is well.
  void damage() {
    size_t *const words[] = {&bitmap_[in_.below(bitmap_.size())], &pool_.used, &pool_.bitmap_checksum};
    size_t *const word = words[in_.u8() % 3];
    size_t const good = *word;
    size_t const change = static_cast<size_t>(in_.u8()) << (in_.u8() % 8 * (sizeof(size_t) - 1));
    *word ^= change;
    rf_fault where;
    RF_HOLDS(rf_memblocks_check(&pool_, &where) == (change == 0 ? RF_OK : RF_ERR_CORRUPT));
    *word = good;
    in_.u8() % 2 == 0 ? false_counts() : broken_record();
  }

  // Changes a byte of a constant field: no pointer is followed, and every call reports it.
  void broken_record() {
    rf_memblocks const good = pool_;
    void *block = model_.at(0);
    rf_stats s;
    reinterpret_cast<unsigned char *>(&pool_)[in_.below(offsetof(rf_memblocks, quiet))] ^=
        static_cast<unsigned char>(in_.u8() | 1);
    RF_HOLDS(rf_memblocks_check(&pool_, nullptr) == RF_ERR_CORRUPT);
    RF_HOLDS(!rf_memblocks_owns(&pool_, block) && !rf_memblocks_is_region_free(&pool_, block, 1));
    RF_HOLDS(rf_memblocks_alloc(&pool_, 1, &block) == RF_ERR_CORRUPT);
    RF_HOLDS(rf_memblocks_alloc_contiguous(&pool_, 1, &block) == RF_ERR_CORRUPT);
    RF_HOLDS(rf_memblocks_claim(&pool_, block, 1) == RF_ERR_CORRUPT);
    RF_HOLDS(rf_memblocks_free(&pool_, 1, &block) == RF_ERR_CORRUPT);
    RF_HOLDS(rf_memblocks_free_contiguous(&pool_, block, 1) == RF_ERR_CORRUPT);
    rf_memblocks_reset_peak(&pool_);
    rf_memblocks_listen(&pool_, &listener_);
    rf_memblocks_unlisten(&pool_, &listener_);
    rf_memblocks_share(&pool_, nullptr);
    RF_HOLDS(faults_.take() == 9);
    rf_memblocks_stats(&pool_, &s);
    RF_HOLDS(s.capacity == 0);
    pool_ = good;
    no_new_pool();
    pool_ = good;
  }

  // A record without a checksum is that of a pool before its first call, unless no initialiser can have made it.
  void no_new_pool() {
    pool_.checksum = 0;
    switch (in_.u8() % 6) {
    case 0:
      pool_.block_size = 0;
      break;
    case 1:
      pool_.num_blocks = 0;
      break;
    case 2:
      pool_.num_blocks = SIZE_MAX;
      break;
    case 3:
      pool_.shift = pool_.shift == 2 ? 3 : 2;
      break;
    case 4:
      pool_.shift = RF_SIZE_BITS;
      break;
    default:
      pool_.buffer = nullptr;
      break;
    }
    RF_HOLDS(!rf_memblocks_owns(&pool_, model_.at(0)));
  }

  // The count of used blocks, or the hint, contradicts the bitmap: the pool refuses, changes nothing, and reports it
  // whether it is quiet or not.
  void false_counts() {
    size_t const used = pool_.used;
    size_t const hint = pool_.hint;
    std::vector<void *> out(model_.count());
    pool_.used = model_.count() + 1;
    RF_HOLDS(rf_memblocks_alloc(&pool_, 1, out.data()) == RF_ERR_CORRUPT);
    RF_HOLDS(rf_memblocks_alloc_contiguous(&pool_, 1, out.data()) == RF_ERR_CORRUPT);
    RF_HOLDS(faults_.take() == 2);
    pool_.used = 0;
    size_t const i = model_.next(0, true);
    if (i < model_.count()) {
      void *const block = model_.at(i);
      RF_HOLDS(rf_memblocks_alloc(&pool_, model_.count(), out.data()) == RF_ERR_CORRUPT);
      RF_HOLDS(rf_memblocks_free(&pool_, 1, &block) == RF_ERR_CORRUPT);
      RF_HOLDS(rf_memblocks_free_contiguous(&pool_, block, 1) == RF_ERR_CORRUPT);
      RF_HOLDS(faults_.take() == 3);
    }
    pool_.used = used;
    pool_.hint = bitmap_.size() + 1;
    RF_HOLDS(rf_memblocks_check(&pool_, nullptr) == RF_ERR_CORRUPT);
    pool_.hint = hint;
  }

  void verify() {
    rf_stats s;
    rf_memblocks_stats(&pool_, &s);
    size_t const used = model_.used();
    size_t longest = 0;
    for (size_t i = model_.next(0, false); i < model_.count(); i = model_.next(model_.next(i, true), false)) {
      longest = std::max(longest, model_.next(i, true) - i);
    }
    RF_HOLDS(s.capacity == model_.count() * model_.block_size);
    RF_HOLDS(s.blocks == used && s.used == used * model_.block_size);
    RF_HOLDS(s.peak_blocks == model_.peak && s.peak == model_.peak * model_.block_size);
    RF_HOLDS(s.free_bytes == s.capacity - s.used && s.overhead == 0);
    RF_HOLDS(s.largest_free == longest * model_.block_size);
    RF_HOLDS(s.allocations == model_.allocations && s.failures == model_.failures);
    for (size_t i = 0; i < model_.count(); i++) {
      RF_HOLDS(rf_memblocks_is_region_free(&pool_, model_.at(i), 1) != model_.taken[i]);
    }
    RF_HOLDS(model_.untouched());
    RF_HOLDS(rf_memblocks_check(&pool_, nullptr) == RF_OK);
    RF_HOLDS(faults_.take() == 0);
  }

  Reader &in_;
  PoolModel model_;
  std::vector<size_t> bitmap_;
  rf_memblocks pool_;
  rf_mutex mutex_;
  FaultCount faults_;
  size_t events_ = 0;
  rf_memblocks_listener listener_ = {count, count, &events_, nullptr};

  static void count(rf_memblocks *, void *, size_t, void *events) { ++*static_cast<size_t *>(events); }
};

// ---- The adapter, by the interpreter ----

constexpr size_t kBlock = 48;
constexpr size_t kAdapterBlocks = 4096;
size_t adapter_bitmap[RF_MEMBLOCKS_WORDS(kAdapterBlocks)];
size_t adapter_sizes[kAdapterBlocks];
rf_memblocks adapter_pool;
rf_memblocks_allocator adapter;

rf_allocator *init(void *, void *arena, size_t size) {
  size_t const gap = rf_align_gap(arena, RF_ALIGN_DEFAULT);
  size_t const count = size < gap ? 0 : std::min((size - gap) / kBlock, kAdapterBlocks);
  if (arena == nullptr || size > RF_SIZE_LIMIT ||
      rf_memblocks_init(&adapter_pool, static_cast<char *>(arena) + gap, kBlock, count, adapter_bitmap) != RF_OK ||
      rf_memblocks_allocator_init(&adapter, &adapter_pool, adapter_sizes) != RF_OK) {
    return nullptr;
  }
  return &adapter.base;
}

rf_fuzz_target target() {
  rf_fuzz_target t = rf_fuzz_target_default("memblocks", init);
  t.min_arena = 64;
  t.max_arena = kAdapterBlocks * kBlock;
  t.align_factor = kBlock; // blocks at a multiple of 64 are as rare as 48 makes them
  t.align_slack = kBlock;
  t.survives_damage = true;
  t.refuses_ended = true;
  return t;
}

// Changes beyond the interpreter's: blocks taken directly from the pool, damaged words of its table.
class TableDamage {
public:
  explicit TableDamage(Reader &in) : in_(in) {
    RF_HOLDS(rf_memblocks_init(&adapter_pool, memory_, kBlock, kCount, adapter_bitmap) == RF_OK);
    RF_HOLDS(rf_memblocks_allocator_init(&adapter, nullptr, adapter_sizes) == RF_ERR_INVALID);
    RF_HOLDS(rf_memblocks_allocator_init(&adapter, &adapter_pool, adapter_sizes) == RF_OK);
  }

  void run() {
    size_t const operations = in_.u8() % 16; // the rest of the input is for the damage at the end
    for (the_step = 1; the_step <= operations; count_step()) {
      switch (in_.u8() % 4) {
      case 0:
        (void)rf_alloc(&adapter.base, in_.below(4 * kBlock));
        break;
      case 1:
        free_any();
        break;
      case 2:
        take_directly();
        break;
      default:
        change_a_size();
      }
      RF_HOLDS(rf_check(&adapter.base, nullptr) == RF_OK);
      RF_HOLDS(faults_.take() == 0);
    }
    bool const of_pool = in_.u8() % 2 == 0;
    damage_record(&adapter.base, of_pool ? static_cast<void *>(&adapter_pool) : &adapter,
                  of_pool ? sizeof adapter_pool : sizeof adapter, in_);
  }

private:
  static constexpr size_t kCount = 40;

  void free_any() {
    size_t const i = in_.below(kCount);
    bool const starts = adapter_sizes[i] != 0;
    RF_HOLDS((rf_free(&adapter.base, memory_ + i * kBlock) == RF_OK) == starts);
    RF_HOLDS(faults_.take() == (starts ? 0 : 1));
  }

  void take_directly() {
    void *block = nullptr;
    if (rf_memblocks_alloc(&adapter_pool, 1, &block) == RF_OK && in_.u8() % 2 == 0) {
      RF_HOLDS(rf_free(&adapter.base, block) == RF_ERR_BAD_POINTER);
      RF_HOLDS(faults_.take() == 1);
      RF_HOLDS(rf_memblocks_free(&adapter_pool, 1, &block) == RF_OK);
    }
  }

  // Check reports it; a free through the changed word succeeds only where it could be right; a walk ends.
  void change_a_size() {
    size_t const i = in_.below(kCount);
    size_t const good = adapter_sizes[i];
    size_t const used = adapter_pool.used;
    adapter_sizes[i] = in_.u8() % 2 == 0 ? in_.below(8 * kBlock) : SIZE_MAX - in_.u8();
    rf_fault where;
    RF_HOLDS((rf_check(&adapter.base, &where) == RF_OK) == (adapter_sizes[i] == good));
    RF_HOLDS(rf_walk(
                 &adapter.base, [](const rf_block *, void *) { return true; }, nullptr) == RF_OK);
    if (rf_usable_size(&adapter.base, memory_ + i * kBlock) == 0) {
      RF_HOLDS(rf_free(&adapter.base, memory_ + i * kBlock) != RF_OK);
      RF_HOLDS(rf_resize(&adapter.base, memory_ + i * kBlock, 1) != RF_OK);
      RF_HOLDS(faults_.take() == 2);
    }
    adapter_sizes[i] = good;
    adapter_pool.used = kCount + 1;
    RF_HOLDS(rf_alloc(&adapter.base, 1) == nullptr && faults_.take() == 1);
    adapter_pool.used = used;
  }

  Reader &in_;
  alignas(16) unsigned char memory_[kCount * kBlock];
  FaultCount faults_;
};

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Reader in(data, size);
  size_t const kind = in.u8();
  if (kind % 4 == 0) {
    rf_fuzz_target const t = target();
    rf_fuzz_run(&t, data + 1, size > 1 ? size - 1 : 0);
    return 0;
  }
  if (kind % 4 == 1) {
    TableDamage(in).run();
    return 0;
  }
  size_t const sizes[] = {1, 4, 12, 16, 96};
  size_t const num_blocks = 1 + in.below(kMaxBlocks);
  Harness(in, num_blocks, sizes[kind / 4 % 5]).run();
  return 0;
}

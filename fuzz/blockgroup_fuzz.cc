// blockgroup: valid and invalid batches that span pools, pools that leave and come back, against a list of the blocks
// taken from each pool. The first byte of the input chooses between this and the adapter to rf_allocator.
#include <ringfence/blockgroup_allocator.h>
#include <ringfence/fuzz/target.h>

#include "blocks_model.h"
#include "record_damage.h"

#include <algorithm>
#include <cstddef>
#include <memory>

namespace {

using namespace ringfence::fuzz;

constexpr size_t kMaxBlocks = 70; // of a pool

struct Pool {
  Pool(size_t num_blocks, size_t block_size) : model(num_blocks, block_size) {
    RF_HOLDS(rf_memblocks_init(&blocks, model.memory(), block_size, num_blocks, bitmap) == RF_OK);
  }
  PoolModel model;
  size_t bitmap[RF_MEMBLOCKS_WORDS(kMaxBlocks)];
  rf_memblocks blocks;
  rf_blockgroup_member member;
  bool in_group = false;
};

class Harness {
public:
  explicit Harness(Reader &in) : in_(in) {
    RF_HOLDS(rf_blockgroup_init(&group_, choose) == RF_OK);
    RF_HOLDS(rf_mutex_init(&mutexes_[0]) == RF_OK && rf_mutex_init(&mutexes_[1]) == RF_OK);
    group_.quiet = in.u8() % 4 == 0;
    for (size_t n = 1 + in.below(5); n != 0; n--) {
      size_t const sizes[] = {8, 16, 24, 40, 64};
      size_t const blocks = 1 + in.below(kMaxBlocks);
      pools_.push_back(std::make_unique<Pool>(blocks, sizes[in.below(5)]));
      Pool &pool = *pools_.back();
      pool.blocks.quiet = group_.quiet;
      size_t const mutex = in.below(3); // some share one, some have none
      rf_memblocks_share(&pool.blocks, mutex < 2 ? &mutexes_[mutex] : nullptr);
      add(pool);
    }
  }
  ~Harness() {
    rf_mutex_deinit(&mutexes_[0]);
    rf_mutex_deinit(&mutexes_[1]);
  }

  void run() {
    for (the_step = 1; !in_.empty(); count_step()) {
      step();
      verify();
    }
    rf_blockgroup_deinit(&group_);
  }

private:
  static rf_memblocks *choose(rf_blockgroup *, void *config) { return static_cast<rf_memblocks *>(config); }

  void step() {
    switch (in_.u8() % 8) {
    case 0:
    case 1:
      return alloc();
    case 2:
      return alloc_contiguous();
    case 3:
      return free_batch();
    case 4:
      return free_run();
    case 5:
      return bad_batch();
    case 6:
      return odd_calls(some_pool());
    default:
      return come_or_go(some_pool());
    }
  }

  Pool &some_pool() { return *pools_[in_.below(pools_.size())]; }

  void add(Pool &pool) {
    RF_HOLDS(rf_blockgroup_add(&group_, &pool.member, &pool.blocks) == RF_OK);
    pool.in_group = true;
  }

  void come_or_go(Pool &pool) {
    if (pool.in_group) {
      rf_blockgroup_member other;
      RF_HOLDS(rf_blockgroup_add(&group_, &other, &pool.blocks) == RF_ERR_BUSY);
      RF_HOLDS(rf_blockgroup_remove(&group_, &pool.member) == RF_OK);
      pool.in_group = false;
    } else {
      RF_HOLDS(rf_blockgroup_remove(&group_, &pool.member) == RF_ERR_INVALID);
      add(pool);
    }
  }

  // Invalid calls, empty requests, and a damaged member.
  void odd_calls(Pool &pool) {
    size_t size = 99;
    void *out = &out;
    RF_HOLDS(rf_blockgroup_init(&group_, nullptr) == RF_ERR_INVALID);
    RF_HOLDS(rf_blockgroup_add(&group_, &pool.member, nullptr) == RF_ERR_INVALID);
    RF_HOLDS(rf_blockgroup_alloc(&group_, &pool.blocks, 1, nullptr, nullptr) == RF_ERR_INVALID);
    RF_HOLDS(rf_blockgroup_alloc_contiguous(&group_, &pool.blocks, 1, nullptr, nullptr) == RF_ERR_INVALID);
    RF_HOLDS(rf_blockgroup_alloc_contiguous(&group_, &pool.blocks, 0, &out, &size) == RF_OK);
    RF_HOLDS(out == nullptr && size == 0);
    pool.blocks.used ^= 1;
    RF_HOLDS(rf_blockgroup_check(&group_, nullptr) == (pool.in_group ? RF_ERR_CORRUPT : RF_OK));
    pool.blocks.used ^= 1;
    if (pool.in_group) {
      broken_records(pool);
    }
  }

  // Changes a byte of a record: no pointer of it is followed, and every call reports it.
  void broken_records(Pool &pool) {
    struct {
      void *start;
      size_t size;
    } const records[] = {{&group_, offsetof(rf_blockgroup, quiet)},
                         {&pool.member, sizeof pool.member},
                         {&pool.blocks, offsetof(rf_memblocks, quiet)}};
    auto const &record = records[in_.u8() % 3];
    auto *const byte = static_cast<unsigned char *>(record.start) + in_.below(record.size);
    unsigned char const good = *byte;
    void *block = pool.model.at(0);
    rf_fault where;
    *byte ^= static_cast<unsigned char>(in_.u8() | 1);
    RF_HOLDS(rf_blockgroup_check(&group_, &where) == RF_ERR_CORRUPT && where.ptr == record.start);
    RF_HOLDS(rf_blockgroup_owner(&group_, block) == nullptr);
    RF_HOLDS(rf_blockgroup_alloc(&group_, &pool.blocks, 1, &block, nullptr) == RF_ERR_CORRUPT);
    RF_HOLDS(rf_blockgroup_free(&group_, 1, &block) == RF_ERR_CORRUPT);
    RF_HOLDS(rf_blockgroup_free_contiguous(&group_, block, 1) == RF_ERR_CORRUPT);
    RF_HOLDS(rf_blockgroup_remove(&group_, &pool.member) == RF_ERR_CORRUPT);
    RF_HOLDS(rf_blockgroup_add(&group_, &pool.member, &pool.blocks) == RF_ERR_CORRUPT);
    RF_HOLDS(faults_.take() == 5);
    *byte = good;
  }

  void alloc() {
    Pool &pool = some_pool();
    PoolModel &model = pool.model;
    size_t const n = in_.u8() % 12;
    void *out[12];
    size_t size = 99;
    bool const fits = n <= model.count() - model.used();
    rf_status const expected = n == 0 ? RF_OK : !pool.in_group ? RF_ERR_INVALID : fits ? RF_OK : RF_ERR_NO_MEMORY;
    RF_HOLDS(rf_blockgroup_alloc(&group_, &pool.blocks, n, out, &size) == expected);
    RF_HOLDS(size == (expected != RF_OK ? 99 : n == 0 ? 0 : model.block_size));
    for (size_t k = 0; expected == RF_OK && k < n; k++) {
      size_t const i = model.next(0, false);
      RF_HOLDS(out[k] == model.at(i));
      model.take(i, 1);
      model.write(i, in_.u8());
    }
  }

  void alloc_contiguous() {
    Pool &pool = some_pool();
    size_t const n = 1 + in_.u8() % 12;
    size_t const i = pool.model.first_run(n);
    bool const fits = i < pool.model.count();
    void *out = nullptr;
    rf_status const expected = !pool.in_group ? RF_ERR_INVALID : fits ? RF_OK : RF_ERR_NO_MEMORY;
    RF_HOLDS(rf_blockgroup_alloc_contiguous(&group_, &pool.blocks, n, &out, nullptr) == expected);
    if (expected == RF_OK) {
      RF_HOLDS(out == pool.model.at(i));
      pool.model.take(i, n);
    }
  }

  // Some taken blocks of some members, in any order.
  std::vector<void *> some_taken() {
    std::vector<void *> batch;
    for (size_t n = in_.u8() % 12; n != 0; n--) {
      Pool &pool = some_pool();
      size_t const i = pool.model.next(in_.below(pool.model.count()), true);
      if (pool.in_group && i < pool.model.count() &&
          std::find(batch.begin(), batch.end(), pool.model.at(i)) == batch.end()) {
        batch.push_back(pool.model.at(i));
      }
    }
    return batch;
  }

  Pool *owner(const void *ptr) {
    for (auto &pool : pools_) {
      if (rf_memblocks_owns(&pool->blocks, ptr)) {
        return pool.get();
      }
    }
    return nullptr;
  }

  void free_batch() {
    std::vector<void *> const batch = some_taken();
    RF_HOLDS(rf_blockgroup_free(&group_, batch.size(), batch.data()) == RF_OK);
    for (void *const block : batch) {
      PoolModel &model = owner(block)->model;
      model.taken[model.index_of(block)] = false;
    }
  }

  void free_run() {
    Pool &pool = some_pool();
    size_t const i = in_.below(pool.model.count());
    size_t const n = in_.u8() % 12;
    bool const inside = n <= pool.model.count() - i;
    bool const all_taken = inside && pool.model.next(i, false) - i >= n;
    rf_status const expected = n == 0           ? RF_OK
                               : !pool.in_group ? RF_ERR_BAD_POINTER
                               : all_taken      ? RF_OK
                               : inside         ? RF_ERR_NOT_ALLOCATED
                                                : RF_ERR_INVALID;
    RF_HOLDS(rf_blockgroup_free_contiguous(&group_, pool.model.at(i), n) == expected);
    bool const reported = expected == RF_ERR_BAD_POINTER || expected == RF_ERR_NOT_ALLOCATED;
    RF_HOLDS(faults_.take() == (reported && !group_.quiet ? 1 : 0));
    if (expected == RF_OK) {
      std::fill_n(pool.model.taken.begin() + static_cast<ptrdiff_t>(i), n, false);
    }
  }

  size_t blocks_in_group() const {
    size_t sum = 0;
    for (auto const &pool : pools_) {
      sum += pool->in_group ? pool->model.count() : 0;
    }
    return sum;
  }

  // A batch of taken blocks with one invalid or repeated pointer.
  void bad_batch() {
    std::vector<void *> batch = some_taken();
    Pool &pool = some_pool();
    size_t const i = in_.below(pool.model.count());
    void *bad = pool.model.at(i);
    rf_status expected = pool.in_group ? RF_ERR_NOT_ALLOCATED : RF_ERR_BAD_POINTER;
    switch (in_.u8() % 3) {
    case 0:
      bad = &batch;
      expected = RF_ERR_BAD_POINTER;
      break;
    case 1:
      bad = pool.model.at(i) + 1 + in_.below(7);
      expected = RF_ERR_BAD_POINTER;
      break;
    default:
      if (pool.in_group && pool.model.taken[i] && std::find(batch.begin(), batch.end(), bad) == batch.end()) {
        batch.push_back(bad);
      }
    }
    batch.insert(batch.begin() + static_cast<ptrdiff_t>(in_.below(batch.size() + 1)), bad);
    // Too many for the group or for the only pool named: refused before any pointer is read.
    Pool *const first = owner(batch[0]);
    bool const one_pool = first != nullptr && first->in_group &&
                          std::all_of(batch.begin(), batch.end(), [&](void *p) { return owner(p) == first; });
    bool const too_many = batch.size() > (one_pool ? first->model.count() : blocks_in_group());
    RF_HOLDS(rf_blockgroup_free(&group_, batch.size(), batch.data()) == (too_many ? RF_ERR_INVALID : expected));
    RF_HOLDS(faults_.take() == (too_many || group_.quiet ? 0 : 1));
  }

  void verify() {
    for (auto &pool : pools_) {
      PoolModel &model = pool->model;
      RF_HOLDS(pool->blocks.used == model.used() && pool->blocks.peak == model.peak);
      for (size_t i = 0; i < model.count(); i++) {
        RF_HOLDS(rf_memblocks_is_region_free(&pool->blocks, model.at(i), 1) != model.taken[i]);
      }
      RF_HOLDS(rf_blockgroup_owner(&group_, model.at(0)) == (pool->in_group ? &pool->blocks : nullptr));
      RF_HOLDS(model.untouched());
      RF_HOLDS(rf_memblocks_check(&pool->blocks, nullptr) == RF_OK);
    }
    RF_HOLDS(rf_blockgroup_check(&group_, nullptr) == RF_OK);
    RF_HOLDS(faults_.take() == 0);
  }

  Reader &in_;
  std::vector<std::unique_ptr<Pool>> pools_;
  rf_blockgroup group_;
  rf_mutex mutexes_[2];
  FaultCount faults_;
};

// ---- The adapter, by the interpreter ----

constexpr size_t kPools = 3;
constexpr size_t kAdapterBlocks = 512; // of a pool
size_t adapter_bitmaps[kPools][RF_MEMBLOCKS_WORDS(kAdapterBlocks)];
size_t adapter_sizes[kPools * kAdapterBlocks];
rf_memblocks adapter_pools[kPools];
rf_blockgroup_member adapter_members[kPools];
rf_blockgroup adapter_group;
rf_blockgroup_allocator adapter;

rf_memblocks *choose_none(rf_blockgroup *, void *) {
  return nullptr;
}

rf_allocator *init(void *, void *arena, size_t size) {
  size_t const gap = rf_align_gap(arena, RF_ALIGN_DEFAULT);
  size_t const share = size < gap ? 0 : rf_round_down((size - gap) / kPools, RF_ALIGN_DEFAULT);
  if (arena == nullptr || size > RF_SIZE_LIMIT || rf_blockgroup_init(&adapter_group, choose_none) != RF_OK) {
    return nullptr;
  }
  for (size_t i = 0; i < kPools; i++) {
    size_t const block_size = size_t{32} << (2 * i); // 32, 128, 512
    size_t const count = std::min(share / block_size, kAdapterBlocks);
    if (rf_memblocks_init(&adapter_pools[i], static_cast<char *>(arena) + gap + i * share, block_size, count,
                          adapter_bitmaps[i]) != RF_OK ||
        rf_blockgroup_add(&adapter_group, &adapter_members[i], &adapter_pools[i]) != RF_OK) {
      return nullptr;
    }
  }
  return rf_blockgroup_allocator_init(&adapter, &adapter_group, adapter_sizes) == RF_OK ? &adapter.base : nullptr;
}

rf_fuzz_target target() {
  rf_fuzz_target t = rf_fuzz_target_default("blockgroup", init);
  t.min_arena = 2048;
  t.max_arena = 65536;
  t.max_request = 1024;
  t.align_factor = SIZE_MAX; // no alignment beyond that of the blocks
  t.survives_damage = true;
  t.refuses_ended = true;
  return t;
}

// Changes beyond the interpreter's: blocks taken directly from a pool, damaged words of the adapter's table and of its
// pools.
class TableDamage {
public:
  explicit TableDamage(Reader &in) : in_(in) {
    RF_HOLDS(init(nullptr, memory_, sizeof memory_) != nullptr);
    RF_HOLDS(rf_blockgroup_allocator_init(&adapter, nullptr, adapter_sizes) == RF_ERR_INVALID);
  }

  void run() {
    size_t const operations = in_.u8() % 16; // the rest of the input is for the damage at the end
    for (the_step = 1; the_step <= operations; count_step()) {
      rf_memblocks &pool = adapter_pools[in_.below(kPools)];
      switch (in_.u8() % 4) {
      case 0:
        (void)rf_alloc(&adapter.base, in_.below(600));
        break;
      case 1:
        take_directly(pool);
        break;
      case 2:
        change_a_size(pool);
        break;
      default:
        change_a_count(pool);
      }
      RF_HOLDS(rf_check(&adapter.base, nullptr) == RF_OK);
      RF_HOLDS(faults_.take() == 0);
    }
    struct {
      void *start;
      size_t size;
    } const records[] = {{&adapter, sizeof adapter},
                         {&adapter_group, sizeof adapter_group},
                         {&adapter_members[1], sizeof adapter_members[1]},
                         {&adapter_pools[2], sizeof adapter_pools[2]}};
    auto const &record = records[in_.u8() % 4];
    damage_record(&adapter.base, record.start, record.size, in_);
  }

private:
  void take_directly(rf_memblocks &pool) {
    void *block = nullptr;
    if (rf_memblocks_alloc(&pool, 1, &block) == RF_OK && in_.u8() % 2 == 0) {
      RF_HOLDS(rf_free(&adapter.base, block) == RF_ERR_BAD_POINTER);
      RF_HOLDS(faults_.take() == 1);
      RF_HOLDS(rf_memblocks_free(&pool, 1, &block) == RF_OK);
    }
  }

  void change_a_size(rf_memblocks &pool) {
    size_t const i = in_.below(pool.num_blocks);
    size_t *const size = adapter_sizes + (&pool >= &adapter_pools[1] ? adapter_pools[0].num_blocks : 0) +
                         (&pool >= &adapter_pools[2] ? adapter_pools[1].num_blocks : 0) + i;
    size_t const good = *size;
    void *const block = pool.buffer + i * pool.block_size;
    *size = in_.u8() % 2 == 0 ? in_.below(600) : SIZE_MAX - in_.u8();
    rf_fault where;
    RF_HOLDS((rf_check(&adapter.base, &where) == RF_OK) == (*size == good));
    RF_HOLDS(rf_walk(
                 &adapter.base, [](const rf_block *, void *) { return true; }, nullptr) == RF_OK);
    if (rf_usable_size(&adapter.base, block) == 0) {
      RF_HOLDS(rf_free(&adapter.base, block) != RF_OK && rf_resize(&adapter.base, block, 1) != RF_OK);
      RF_HOLDS(faults_.take() == 2);
    }
    *size = good;
  }

  void change_a_count(rf_memblocks &pool) {
    size_t const used = pool.used;
    pool.used = pool.num_blocks + 1;
    rf_fault where;
    RF_HOLDS(rf_check(&adapter.base, &where) == RF_ERR_CORRUPT && where.allocator == &adapter.base);
    void *const block = rf_alloc(&adapter.base, pool.block_size); // from a larger one, if there is one
    RF_HOLDS(faults_.take() >= 1);
    RF_HOLDS(block == nullptr || (!rf_memblocks_owns(&pool, block) && rf_free(&adapter.base, block) == RF_OK));
    pool.used = used;
  }

  Reader &in_;
  alignas(16) unsigned char memory_[3 * 2048];
  FaultCount faults_;
};

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Reader in(data, size);
  switch (in.u8() % 4) {
  case 0: {
    rf_fuzz_target const t = target();
    rf_fuzz_run(&t, data + 1, size > 1 ? size - 1 : 0);
    return 0;
  }
  case 1:
    TableDamage(in).run();
    return 0;
  default:
    Harness(in).run();
    return 0;
  }
}

// pool: over simple or tlsf; the first bytes of the input choose the heap, the classes, their counts and the source of
// their memory. Then the statistics: each class against its own blocks, and the advice that pool prints.
#include <ringfence/fuzz/interpreter.h>
#include <ringfence/pool.h>
#include <ringfence/simple.h>
#include <ringfence/tlsf.h>

#include "record_damage.h"

#include <cstdlib>
#include <iterator>
#include <set>
#include <string>

namespace ringfence::fuzz {
namespace {

constexpr size_t kMaxBlocks = 20; // of a class
constexpr size_t kMaxArena = 1 << 17;

rf_simple simple;
rf_tlsf tlsf;
rf_pool pool;
rf_pool_class classes[RF_POOL_CLASSES_MAX];
rf_pool_options options;
alignas(16) unsigned char buffer[RF_POOL_CLASSES_MAX * (kMaxBlocks * (RF_POOL_SIZE_MAX + 1) + RF_ALIGN_DEFAULT) + 64];
bool given; // false: the options are NULL, which stands for the default

void demand(bool promise) {
  if (!promise) {
    abort();
  }
}

// Up to eight classes, of growing sizes, in memory of their own or of the heap below.
void choose_options(Reader &input) {
  size_t const shape = input.u8();
  given = shape % 8 != 0;
  options = {};
  options.class_count = static_cast<unsigned>(input.below(RF_POOL_CLASSES_MAX + 1));
  options.classes = options.class_count == 0 ? nullptr : classes;
  size_t size = 0;
  for (unsigned i = 0; i < options.class_count; i++) {
    size += sizeof(size_t) * (1 + input.below(3));
    classes[i] = {size, input.below(kMaxBlocks + 1)};
  }
  if (shape / 8 % 2 != 0 && options.class_count != 0) {
    options.buffer = buffer + shape / 16 % 16;
    options.buffer_size = rf_pool_buffer_size(&options);
    demand(options.buffer_size != 0 && options.buffer_size <= sizeof buffer - 16);
  }
}

rf_allocator *pooled(rf_allocator *inner) {
  rf_pool_options const *const o = given ? &options : nullptr;
  demand(rf_pool_init(nullptr, inner, o) == RF_ERR_INVALID && rf_pool_init(&pool, nullptr, o) == RF_ERR_INVALID);
  if (inner == nullptr) {
    return nullptr;
  }
  rf_stats before;
  rf_stats after;
  rf_stats_get(inner, &before);
  rf_status const status = rf_pool_init(&pool, inner, o);
  rf_stats_get(inner, &after);
  demand(status == RF_OK ||
         (status == RF_ERR_NO_MEMORY && (!given || options.buffer == nullptr) && after.used == before.used));
  return status == RF_OK ? &pool.base : nullptr;
}

rf_allocator *over_simple(void *, void *arena, size_t size) {
  return pooled(rf_simple_init(&simple, arena, size) == RF_OK ? &simple.base : nullptr);
}

rf_allocator *over_tlsf(void *, void *arena, size_t size) {
  return pooled(rf_tlsf_init(&tlsf, arena, size) == RF_OK ? &tlsf.base : nullptr);
}

rf_fuzz_target choose_target(bool on_simple) {
  rf_fuzz_target t =
      rf_fuzz_target_default(on_simple ? "pool over simple" : "pool over tlsf", on_simple ? over_simple : over_tlsf);
  t.max_arena = kMaxArena;
  t.min_arena = kMaxArena; // enough for the pools
  t.in_arena = options.buffer == nullptr || !given;
  t.shrinks_in_place = false; // a block that has become small moves into the pools
  // A free pooled block counts as the largest even where its alignment is below the default.
  t.serves_largest = false;
  t.walks_in_order = t.in_arena;
  return t;
}

// ---- Statistics ----

struct Sums {
  size_t used[RF_POOL_CLASSES_MAX];
};

bool count_block(const rf_block *block, void *context) {
  for (unsigned i = 0; block->used && i < pool.class_count; i++) {
    const rf_pool_slots &s = pool.slots[i];
    bool const inside = static_cast<const unsigned char *>(block->ptr) >= s.area &&
                        static_cast<const unsigned char *>(block->ptr) < s.area + s.stats.count * s.stats.size;
    static_cast<Sums *>(context)->used[i] += inside ? 1 : 0;
  }
  return true;
}

// Blocks do not show the demand, which counts requests by size, wherever they were served.
void account() {
  Sums sums = {};
  rf_pool_class_stats s;
  size_t demand_of_all = 0;
  demand(rf_walk(&pool.base, count_block, &sums) == RF_OK);
  for (unsigned i = 0; i < pool.class_count; i++) {
    demand(rf_pool_class_stats_get(&pool, i, &s));
    demand(s.used == sums.used[i] && s.used <= s.peak && s.peak <= s.count);
    demand(s.hits + s.spills == s.requests && s.demand <= s.peak_demand);
    demand_of_all += s.demand;
  }
  rf_stats stats;
  rf_stats_get(&pool.base, &stats);
  demand(demand_of_all <= stats.blocks);
  demand(!rf_pool_class_stats_get(&pool, pool.class_count, &s));
}

// A line for each class, and an initialiser.
void read_advice() {
  char last = 0;
  rf_sink const sink = {[](void *end, const char *text, size_t length) {
                          *static_cast<char *>(end) = length != 0 ? text[length - 1] : *static_cast<char *>(end);
                        },
                        &last};
  rf_pool_advise(&pool, &sink);
  demand(last == '\n');
}

// Impossible options.
void try_bad_options(Reader &input) {
  rf_pool_options bad = options;
  rf_pool_class bad_classes[RF_POOL_CLASSES_MAX + 1] = {{16, 1}, {32, 1},  {48, 1},  {64, 1}, {80, 1},
                                                        {96, 1}, {112, 1}, {128, 1}, {144, 1}};
  bad.classes = bad_classes;
  bad.class_count = RF_POOL_CLASSES_MAX;
  bad.buffer = nullptr;
  switch (input.below(6)) {
  case 0:
    bad.class_count = RF_POOL_CLASSES_MAX + 1;
    break;
  case 1:
    bad.class_count = 0;
    break;
  case 2:
    bad_classes[3].size = 48;
    break;
  case 3:
    bad_classes[7].size = RF_POOL_SIZE_MAX + 8;
    break;
  case 4:
    bad_classes[0].size = 12;
    bad_classes[0].size += sizeof(size_t) == 4 ? 2 : 0;
    break;
  default:
    bad_classes[2].count = SIZE_MAX / 40;
    break;
  }
  demand(rf_pool_buffer_size(&bad) == 0);
  rf_pool other;
  demand(rf_simple_init(&simple, buffer, sizeof buffer) == RF_OK);
  demand(rf_pool_init(&other, &simple.base, &bad) == RF_ERR_INVALID);
  bad.class_count = 1;
  bad_classes[0] = {16, 4};
  bad.buffer = buffer + 1;
  bad.buffer_size = 16 * 4 + 3;
  demand(rf_pool_init(&other, &simple.base, &bad) == RF_ERR_INVALID);
}

// Writes to a free block: check reports it, and no block is handed out twice. At the end the heap below is empty.
void overwrite_a_free_block(Reader &input) {
  constexpr size_t kBlocks = 8;
  rf_pool_class const one = {32, kBlocks};
  rf_pool_options const o = {&one, 1, input.below(2) == 0 ? buffer : nullptr, sizeof buffer};
  alignas(16) static unsigned char arena[4096];
  rf_pool other;
  size_t faults = 0;
  rf_fault_handler_set([](const rf_fault *, void *count) { ++*static_cast<size_t *>(count); }, &faults);
  demand(rf_simple_init(&simple, arena, sizeof arena) == RF_OK && rf_pool_init(&other, &simple.base, &o) == RF_OK);
  std::set<void *> blocks;
  for (size_t i = 0; i < kBlocks; i++) {
    blocks.insert(rf_alloc(&other.base, 32));
  }
  for (void *const p : blocks) {
    demand(rf_free(&other.base, p) == RF_OK);
  }
  auto *const freed =
      static_cast<unsigned char *>(*std::next(blocks.begin(), static_cast<ptrdiff_t>(input.below(kBlocks))));
  size_t const at = input.below(sizeof(size_t));
  freed[at] = static_cast<unsigned char>(freed[at] ^ (1 + input.below(255)));
  rf_fault where;
  demand(rf_check(&other.base, &where) == RF_ERR_CORRUPT);
  blocks.clear();
  for (size_t i = 0; i < 2 * kBlocks; i++) {
    void *const p = rf_alloc(&other.base, 32);
    demand(p != nullptr && blocks.insert(p).second);
  }
  demand(faults <= 1);
  for (void *const p : blocks) {
    demand(rf_free(&other.base, p) == RF_OK);
  }
  other.base.ops->deinit(&other.base);
  rf_stats stats;
  rf_stats_get(&simple.base, &stats);
  demand(stats.blocks == 0); // the pools' own memory, too
  rf_fault_handler_set(nullptr, nullptr);
}

// Pools whose memory is in the heap below, or behind it, with a live block in each.
class OverwrittenPools {
public:
  explicit OverwrittenPools(bool behind) {
    rf_pool_options const o = {kTwo, 2, behind ? memory_ + kArena : nullptr, sizeof memory_ - kArena};
    demand(rf_simple_init(&simple, memory_, kArena) == RF_OK && rf_pool_init(&pool_, &simple.base, &o) == RF_OK);
    (void)rf_alloc(&pool_.base, 10);
    (void)rf_alloc(&pool_.base, 100);
    (void)rf_alloc(&pool_.base, 1000);
    demand(walk() == RF_OK && used_ == 3);
  }

  // Changes a word that check knows: it says so, and says it no more when the word is back.
  void change(size_t &word) {
    rf_fault where;
    demand(rf_check(&pool_.base, &where) == RF_OK);
    word++;
    demand(rf_check(&pool_.base, &where) == RF_ERR_CORRUPT && where.what != nullptr);
    word--;
  }

  // No figure is made up of a record that was overwritten, and no count is advised.
  void ask_damaged() {
    std::string said;
    rf_sink const sink = {
        [](void *text, const char *more, size_t length) { static_cast<std::string *>(text)->append(more, length); },
        &said};
    rf_stats stats;
    pool_.slots[1].stats.count++;
    rf_pool_advise(&pool_, &sink);
    rf_stats_get(&pool_.base, &stats);
    demand(said == "record of the pool was overwritten\n" && stats.capacity == 0 && walk() == RF_ERR_CORRUPT);
    pool_.slots[1].stats.count--;
  }

  // A state that no block of its class can have ends a walk.
  void walk_damaged() {
    unsigned char &state = pool_.slots[0].state[0];
    unsigned char const good = state;
    state = kTwo[0].size + 1;
    demand(walk() == RF_ERR_CORRUPT);
    state = good;
  }

  rf_pool &pool() { return pool_; }

private:
  static constexpr size_t kArena = 4096;
  static constexpr rf_pool_class kTwo[] = {{16, 6}, {128, 3}};

  rf_status walk() {
    used_ = 0;
    return rf_walk(
        &pool_.base,
        [](const rf_block *block, void *used) {
          *static_cast<size_t *>(used) += block->used ? 1 : 0;
          return true;
        },
        &used_);
  }

  alignas(16) unsigned char memory_[2 * kArena];
  rf_pool pool_;
  size_t used_ = 0;
};

void overwrite_the_record(Reader input) {
  OverwrittenPools pools(input.u8() % 2 == 0);
  pools.ask_damaged();
  pools.walk_damaged();
  pools.change(pools.pool().pool_used);
  pools.change(pools.pool().pool_blocks);
  inspect_damaged_record(&pools.pool().base, &pools.pool(), sizeof pools.pool(), input);
}

void run_program(const rf_fuzz_target &target, Reader input) {
  Interpreter program(target, input, Conduct::kAny);
  if (program.start()) {
    size_t const interval = comparison_interval(input);
    size_t steps = 0;
    do {
      if (steps++ % interval == 0) {
        account();
      }
    } while (program.step());
    if (program.verdict().ok()) {
      account();
      read_advice();
      program.finish();
    }
  }
  demand_ok(target, program.verdict());
}

} // namespace
} // namespace ringfence::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace ringfence::fuzz;
  Reader input(data, size);
  bool const on_simple = input.u8() % 2 == 0;
  choose_options(input);
  if (input.below(8) == 0) {
    try_bad_options(input);
    overwrite_a_free_block(input);
    overwrite_the_record(input);
  }
  run_program(choose_target(on_simple), input);
  return 0;
}

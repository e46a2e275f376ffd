// slab: every promise, and refusal of every bad pointer, also behind a copied header. Then pages, allocated and freed
// in parts, and damage to the records, over pages of each size.
#include "record_damage.h"

#include <ringfence/fuzz/interpreter.h>
#include <ringfence/fuzz/target.h>
#include <ringfence/slab.h>

#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

using ringfence::fuzz::damage_record;
using ringfence::fuzz::Reader;

rf_slab heap;

rf_allocator *init(void *, void *arena, size_t size) {
  return rf_slab_init(&heap, arena, size) == RF_OK ? &heap.base : nullptr;
}

constexpr size_t kPages = 32;
constexpr size_t kRecord = 24; // bytes of a page's
alignas(16) unsigned char arena[(kPages + 2) * 4096 + 1024];

// A model of the pages of one heap: those that the program holds.
class Pages {
public:
  explicit Pages(Reader &reader) : reader_(reader), page_(size_t{128} << reader.below(6)) {
    size_t const size = kPages * (page_ + 24) + page_ + 7;
    size_t const start = reader.below(8);
    used_ = start + size;
    if (rf_slab_init_paged(&heap, arena + start, size, page_) != RF_OK || heap.count < kPages ||
        rf_slab_page_size(&heap) != page_) {
      abort();
    }
    free_ = heap.count;
    rf_fault_handler_set([](const rf_fault *, void *faults) { ++*static_cast<size_t *>(faults); }, &faults_);
  }

  ~Pages() { rf_fault_handler_set(nullptr, nullptr); }

  // Allocates and frees. The model must agree after every k-th step and the last.
  void play() {
    for (size_t turns = reader_.below(24); turns != 0; turns--) {
      switch (reader_.below(5)) {
      case 0:
      case 1:
        take(reader_.below(9));
        break;
      case 2:
        damage();
        break;
      default:
        give(reader_.below(heap.count), reader_.below(6));
      }
      if (turns % interval_ == 0 || turns == 1) {
        verify();
      }
    }
  }

private:
  void verify() const {
    rf_stats stats;
    rf_stats_get(&heap.base, &stats);
    require(rf_check(&heap.base, nullptr) == RF_OK);
    require(stats.free_bytes == free_ * page_ && stats.used == (heap.count - free_) * page_);
  }

  static void require(bool holds) {
    if (!holds) {
      abort();
    }
  }

  // Calls on a damaged heap, which must return.
  void use(void *block) {
    switch (reader_.below(8)) {
    case 0:
      (void)rf_slab_alloc_pages(&heap, 1 + reader_.below(8), RF_HERE);
      break;
    case 1:
      (void)rf_slab_free_pages(&heap, heap.pages + reader_.below(heap.count) * page_, 1, RF_HERE);
      break;
    case 2:
      (void)rf_free(&heap.base, heap.pages + reader_.below(heap.count) * page_);
      break;
    case 3:
      (void)rf_alloc(&heap.base, reader_.below(3 * page_));
      break;
    case 4:
      (void)rf_aligned_alloc(&heap.base, size_t{16} << reader_.below(10), 20);
      break;
    case 5:
      (void)rf_resize(&heap.base, heap.pages + reader_.below(heap.count) * page_, 1 + reader_.below(4 * page_));
      break;
    case 6:
      (void)rf_realloc(&heap.base, block, 1 + reader_.below(60));
      break;
    default:
      (void)rf_free(&heap.base, block);
    }
    rf_stats stats;
    rf_stats_get(&heap.base, &stats);
    (void)rf_check(&heap.base, nullptr);
    (void)rf_walk(
        &heap.base, [](const rf_block *, void *) { return true; }, nullptr);
  }

  // Changes a byte of a record or of the heap itself, or restores an old record. Then puts the heap back as it was.
  void damage() {
    static unsigned char saved[sizeof arena];
    memcpy(saved, arena, used_);
    rf_slab const saved_heap = heap;
    auto *const records = reinterpret_cast<unsigned char *>(heap.records);
    void *blocks[6];
    for (void *&block : blocks) {
      block = rf_alloc(&heap.base, reader_.below(40));
    }
    std::vector<unsigned char> const old(records, records + heap.count * kRecord);
    for (size_t n = reader_.below(6); n != 0; n--) {
      (void)rf_free(&heap.base, blocks[n]);
      blocks[n] = rf_slab_alloc_pages(&heap, reader_.below(4), RF_HERE);
    }
    unsigned char *const record = records + reader_.below(heap.count) * kRecord;
    size_t const byte = reader_.below(kRecord);
    unsigned char const change = reader_.u8() | 1U;
    size_t const kind = reader_.below(4);
    switch (kind) {
    case 0:
      memcpy(record, old.data() + (record - records), kRecord);
      break;
    case 1:
      heap.classes ^= change;
      break;
    default:
      record[byte] ^= change;
    }
    std::vector<unsigned char> const damaged(record, record + kRecord);
    for (size_t n = 1 + reader_.below(4); n != 0; n--) {
      use(blocks[reader_.below(6)]);
    }
    if (kind > 1 && memcmp(record, damaged.data(), kRecord) == 0) { // only this byte is wrong
      record[byte] ^= change;
      require(rf_check(&heap.base, nullptr) == RF_OK);
    }
    memcpy(arena, saved, used_);
    heap = saved_heap;
  }

  void take(size_t count) {
    auto *const p = static_cast<unsigned char *>(rf_slab_alloc_pages(&heap, count, RF_HERE));
    if (p == nullptr) {
      return;
    }
    require(count != 0 && rf_is_aligned(p, page_));
    size_t const first = static_cast<size_t>(p - heap.pages) / page_;
    for (size_t i = 0; i < count; i++) {
      require(run_[first + i] == 0);
      run_[first + i] = next_run_;
    }
    next_run_++;
    free_ -= count;
  }

  // Whether a program may free this many pages from there on: all belong to one block.
  bool may_give(size_t first, size_t count) const {
    for (size_t i = 0; i < count; i++) {
      if (first + i >= heap.count || run_[first + i] == 0 || run_[first + i] != run_[first]) {
        return false;
      }
    }
    return true;
  }

  void give(size_t first, size_t count) {
    size_t const before = faults_;
    rf_status const status = rf_slab_free_pages(&heap, heap.pages + first * page_, count, RF_HERE);
    if (count == 0 || !may_give(first, count)) {
      require(status != RF_OK && faults_ - before == (count != 0 ? 1 : 0));
      return;
    }
    require(status == RF_OK && faults_ == before);
    size_t const run = run_[first];
    for (size_t i = 0; i < count; i++) {
      run_[first + i] = 0;
    }
    // The pages behind it become a block of their own.
    for (size_t i = first + count; i < heap.count && run_[i] == run; i++) {
      run_[i] = next_run_;
    }
    next_run_++;
    free_ += count;
  }

  Reader &reader_;
  size_t interval_ = ringfence::fuzz::comparison_interval(reader_);
  size_t page_;
  size_t used_; // bytes of the arena
  size_t run_[kPages + 8] = {};
  size_t next_run_ = 1;
  size_t free_;
  size_t faults_ = 0;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  rf_fuzz_target t = rf_fuzz_target_default("slab", init);
  Reader reader(data, size);
  t.min_arena = RF_SLAB_LEAST_ARENA;
  t.refuses |= RF_FUZZ_FORGED;
  t.survives_damage = true;
  t.refuses_ended = true;
  Pages(reader).play();
  damage_record(&heap.base, &heap, sizeof heap, reader);
  rf_fuzz_run(&t, data, size);
  return 0;
}

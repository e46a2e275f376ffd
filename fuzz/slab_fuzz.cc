// slab: every promise, and every bad pointer refused, behind a copied header, too. Then pages, taken and given back in parts,
// and damage to the record, over pages of each size.
#include "record_damage.h"

#include <ringfence/fuzz/target.h>
#include <ringfence/slab.h>

#include <cstdlib>
#include <cstring>

namespace {

using ringfence::fuzz::damage_record;
using ringfence::fuzz::Reader;

rf_slab heap;

rf_allocator *init(void *, void *arena, size_t size) {
  return rf_slab_init(&heap, arena, size) == RF_OK ? &heap.base : nullptr;
}

constexpr size_t kPages = 32;
alignas(16) unsigned char arena[(kPages + 2) * 4096 + 1024];

// A model of the pages of one heap: which of them the program has.
class Pages {
public:
  explicit Pages(Reader &reader) : reader_(reader), page_(size_t{128} << reader.below(6)) {
    size_t const size = kPages * (page_ + 24) + page_ + 7;
    if (rf_slab_init_paged(&heap, arena + reader.below(8), size, page_) != RF_OK || heap.count < kPages ||
        rf_slab_page_size(&heap) != page_) {
      abort();
    }
    free_ = heap.count;
    rf_fault_handler_set([](const rf_fault *, void *faults) { ++*static_cast<size_t *>(faults); }, &faults_);
  }

  ~Pages() { rf_fault_handler_set(nullptr, nullptr); }

  // Takes and gives back. The model must agree after each.
  void play() {
    for (size_t turns = reader_.below(24); turns != 0; turns--) {
      if (reader_.below(2) == 0) {
        take(reader_.below(9));
      } else {
        give(reader_.below(heap.count), reader_.below(6));
      }
      rf_stats stats;
      rf_stats_get(&heap.base, &stats);
      require(rf_check(&heap.base, nullptr) == RF_OK);
      require(stats.free_bytes == free_ * page_ && stats.used == (heap.count - free_) * page_);
    }
  }

private:
  static void require(bool holds) {
    if (!holds) {
      abort();
    }
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

  // Whether a program may give back so many pages from there on: all of one block.
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
    // What was behind it is a block of its own.
    for (size_t i = first + count; i < heap.count && run_[i] == run; i++) {
      run_[i] = next_run_;
    }
    next_run_++;
    free_ += count;
  }

  Reader &reader_;
  size_t page_;
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

#include "handle_damage.h"

#include "blocks_model.h"
#include "finding_log.h"

#include <ringfence/fuzz/interpreter.h>
#include <ringfence/handle_allocator.h>
#include <ringfence/handle_guard.h>

#include <algorithm>

namespace ringfence::fuzz {
namespace {

// `most` rounds; two where the input has no more for them.
void use_everything(rf_handles *h, const rf_handle *a, size_t most, Reader &in) {
  rf_handle_usage u;
  size_t const interval = std::min<size_t>(comparison_interval(in), 8);
  for (size_t i = 0; i < most && (i < 2 || !in.empty()); i++) {
    rf_handle const handle = a[in.below(8)];
    rf_handle_usage_get(h, &u);
    rf_handle_find(h, rf_handle_lock(h, handle));
    rf_handle_realloc(h, handle, 1 + in.u8());
    rf_handle_swap(h, handle, a[i % 8]);
    rf_handle_unlock(h, handle);
    rf_handle_address(h, handle);
    rf_handle_size(h, handle);
    rf_handle_compact(h, in.u16());
    rf_handle_free(h, handle);
    rf_handle_alloc(h, 1 + in.u8());
    if (i % interval == 0) {
      (void)rf_handle_check(h, nullptr);
      (void)rf_handle_walk(
          h, [](const rf_handle_block *, void *) { return true; }, nullptr);
    }
  }
}

void use_pointers(rf_allocator *a, void *p, rf_handle_heap *heap, rf_handle handle) {
  rf_stats stats;
  rf_fault where;
  rf_stats_get(a, &stats);
  (void)rf_check(a, &where);
  (void)rf_usable_size(a, p);
  (void)rf_free(a, static_cast<char *>(p) + 64);
  (void)rf_free(a, rf_handle_address(&heap->base, handle));
  (void)rf_alloc(a, 40);
  (void)rf_aligned_alloc(a, 256, 40);
  (void)rf_resize(a, p, 90);
  (void)rf_realloc(a, p, 150);
  (void)rf_free(a, p);
  (void)rf_walk(
      a, [](const rf_block *, void *) { return true; }, nullptr);
}

// Changes bytes of the table or the record. Check reports the first; no call crashes, hangs or leaves the arena.
void change_bytes(rf_handle_heap *heap, Reader &in) {
  size_t const stride = 2 * heap->offset_width + 2 * heap->index_width + 4;
  size_t const count = 1 + in.u8() % 6;
  for (size_t i = 0; i < count; i++) {
    bool const record = in.u8() % 8 == 0;
    auto *const bytes = record ? reinterpret_cast<unsigned char *>(heap) + sizeof heap->base : heap->table;
    size_t const at = in.below(record ? sizeof *heap - sizeof heap->base : std::min<size_t>(heap->blocks, 12) * stride);
    bytes[at] ^= static_cast<unsigned char>(in.u8() | 1U);
    RF_HOLDS(i != 0 || rf_handle_check(&heap->base, nullptr) == RF_ERR_CORRUPT);
    if (record) {
      break; // the table pointer itself was hit
    }
  }
}

// A stray write, also to bytes that the guard has poisoned.
__attribute__((no_sanitize("address"))) void change(unsigned char *at, unsigned char by) {
  *at = static_cast<unsigned char>(*at ^ by);
}

} // namespace

void damage_handles(Reader &in) {
  alignas(8) static unsigned char arena[70000];
  rf_handle_heap heap;
  rf_handle_allocator pointers;
  rf_handle_options options = {};
  FaultCount faults;
  FindingLog log;
  unsigned const shape = in.u8();
  bool const large = shape % 8 >= 4; // more than offsets of two bytes reach; a table for as much is slow to check
  bool const guarded = shape % 16 >= 8;
  size_t const many = guarded && shape < 192 ? 60 : 256; // from 256 on, numbers of places have two bytes
  options.max_blocks = shape % 2 == 0 ? 20 : shape % 4 == 1 || large ? many : 0;
  RF_HOLDS(rf_handle_heap_init(&heap, arena, large ? sizeof arena : 8000, &options) == RF_OK);
  RF_HOLDS(rf_handle_allocator_init(&pointers, nullptr) == RF_ERR_INVALID);
  RF_HOLDS(rf_handle_allocator_init(&pointers, &heap) == RF_OK);
  rf_handle_guard guard;
  RF_HOLDS(rf_handle_guard_init(&guard, nullptr, nullptr) == RF_ERR_INVALID);
  if (guarded) {
    rf_handle_guard_options o = {shape % 32 < 16 ? 4000U : 0U, true, log.reporter(), true, true};
    RF_HOLDS(rf_handle_guard_init(&guard, &heap.base, &o) == RF_OK);
  }
  rf_handles *const h = guarded ? &guard.base : &heap.base;
  rf_handle a[8];
  for (rf_handle &handle : a) {
    handle = rf_handle_alloc(h, 1 + in.below(100));
  }
  void *const p = guarded ? nullptr : rf_alloc(&pointers.base, in.below(100));
  (void)rf_handle_address(h, a[in.below(8)]);
  rf_handle_lock(h, a[in.below(8)]);
  rf_handle_free(h, a[in.below(8)]);
  rf_handle_free(h, a[in.below(8)]);
  faults.take();
  RF_HOLDS(rf_handle_check(h, nullptr) == RF_OK && rf_handle_align(h) == 4);
  if (guarded && in.u8() % 2 == 0) {
    // Damages headers instead, on which the guard relies.
    for (size_t n = 1 + in.u8() % 4; n != 0; n--) {
      size_t const at = in.below(900);
      change(heap.data + at, static_cast<unsigned char>(in.u8() | 1U));
    }
  } else {
    change_bytes(&heap, in);
  }
  if (!guarded && in.u8() % 2 == 0) {
    use_pointers(&pointers.base, p, &heap, a[in.below(8)]);
  }
  use_everything(h, a, 16, in);
  rf_handle_heap_on_short(&heap, nullptr, nullptr);
  if (guarded) {
    rf_handle_guard_sweep(&guard);
    rf_handle_guard_report_live(&guard);
    guard.base.ops->deinit(&guard.base);
    use_everything(h, a, 2, in); // each call is a finding
    rf_handle_guard_flush(&guard, 0);
  }
  rf_handle_deinit(&heap.base);
}

} // namespace ringfence::fuzz

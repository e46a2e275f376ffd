#include "tests/fuzz/toy_heap.h"

#include <algorithm>
#include <cstring>

namespace ringfence::fuzz {
namespace {

size_t length_for(size_t size) {
  return std::max((size + ToyHeap::kUnit - 1) / ToyHeap::kUnit, size_t{1}) * ToyHeap::kUnit;
}

ToyHeap::Region *region_of(ToyHeap &heap, const void *ptr) {
  auto const at = std::find_if(heap.regions.begin(), heap.regions.end(), [ptr](const ToyHeap::Region &region) {
    return ptr >= region.data && ptr < region.data + region.size;
  });
  return at == heap.regions.end() ? nullptr : &*at;
}

// Makes one span of free neighbours.
void merge(ToyHeap::Region &region) {
  std::vector<ToyHeap::Span> merged;
  for (const ToyHeap::Span &span : region.spans) {
    if (!merged.empty() && !merged.back().used && !span.used) {
      merged.back().length += span.length;
    } else {
      merged.push_back(span);
    }
  }
  region.spans = merged;
}

// Replaces the free span at `index` by a block of `length` bytes after `gap` free ones.
void *carve(ToyHeap::Region &region, size_t index, size_t gap, size_t length, size_t size) {
  ToyHeap::Span const span = region.spans[index];
  std::vector<ToyHeap::Span> pieces;
  if (gap != 0) {
    pieces.push_back({span.at, gap, 0, false});
  }
  pieces.push_back({span.at + gap, length, size, true});
  if (span.length > gap + length) {
    pieces.push_back({span.at + gap + length, span.length - gap - length, 0, false});
  }
  auto const at = region.spans.erase(region.spans.begin() + static_cast<ptrdiff_t>(index));
  region.spans.insert(at, pieces.begin(), pieces.end());
  return span.at + gap;
}

void *toy_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *) {
  ToyHeap &heap = ToyHeap::of(self);
  void *const ptr = heap.take(size, align);
  if (ptr == nullptr) {
    heap.counters.failures++;
  } else {
    rf_count_alloc(&heap.counters, size);
  }
  return ptr;
}

rf_status toy_free(rf_allocator *self, void *ptr, const rf_site *) {
  ToyHeap &heap = ToyHeap::of(self);
  ToyHeap::Span *const block = heap.find(ptr);
  if (block == nullptr) {
    return heap.refuse(ptr);
  }
  rf_count_free(&heap.counters, block->size);
  heap.give(*block);
  return RF_OK;
}

rf_status toy_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *) {
  ToyHeap &heap = ToyHeap::of(self);
  ToyHeap::Span *const block = heap.find(ptr);
  if (block == nullptr) {
    return heap.refuse(ptr);
  }
  size_t const old_size = block->size;
  if (!heap.resize(*block, size)) {
    return RF_ERR_NO_MEMORY;
  }
  rf_count_resize(&heap.counters, old_size, size);
  return RF_OK;
}

void *toy_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *) {
  ToyHeap &heap = ToyHeap::of(self);
  ToyHeap::Span *const block = heap.find(ptr);
  if (block == nullptr) {
    heap.refuse(ptr);
    return nullptr;
  }
  size_t const old_size = block->size;
  size_t const keep = std::min(block->length, size); // usable_size told the whole length
  void *moved = ptr;
  if (!rf_is_aligned(ptr, align) || !heap.resize(*block, size)) {
    moved = heap.take(size, align);
    if (moved == nullptr) {
      heap.counters.failures++;
      return nullptr;
    }
    memcpy(moved, ptr, keep);
    heap.give(*heap.find(ptr));
  }
  rf_count_resize(&heap.counters, old_size, size);
  return moved;
}

size_t toy_usable_size(rf_allocator *self, const void *ptr) {
  const ToyHeap::Span *const block = ToyHeap::of(self).find(ptr);
  return block == nullptr ? 0 : block->length;
}

bool toy_owns(rf_allocator *self, const void *ptr) {
  return region_of(ToyHeap::of(self), ptr) != nullptr;
}

rf_status toy_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  const ToyHeap &heap = ToyHeap::of(self);
  for (const ToyHeap::Region &region : heap.regions) {
    for (const ToyHeap::Span &span : region.spans) {
      size_t const size = span.used ? span.size : span.length;
      rf_block block = {span.at, size, span.length - size, span.used, nullptr};
      if (heap.alter_walk != nullptr) {
        heap.alter_walk(block);
      }
      if (!visit(&block, context)) {
        return RF_OK;
      }
    }
  }
  return RF_OK;
}

rf_status toy_check(rf_allocator *, rf_fault *) {
  return RF_OK;
}

void toy_stats(rf_allocator *self, rf_stats *out) {
  const ToyHeap &heap = ToyHeap::of(self);
  *out = {};
  rf_count_into(&heap.counters, out);
  for (const ToyHeap::Region &region : heap.regions) {
    out->capacity += region.size;
    for (const ToyHeap::Span &span : region.spans) {
      if (!span.used) {
        out->free_bytes += span.length;
        out->largest_free = std::max(out->largest_free, span.length);
      }
    }
  }
  out->overhead = out->capacity - out->used - out->free_bytes;
  if (heap.alter_stats != nullptr) {
    heap.alter_stats(*out);
  }
}

void toy_deinit(rf_allocator *self) {
  ToyHeap::of(self).regions.clear();
}

} // namespace

const rf_allocator_ops kToyOps = {"toy",    toy_alloc, toy_free,  toy_realloc, toy_resize, toy_usable_size, toy_owns,
                                  toy_walk, toy_check, toy_stats, nullptr,     nullptr,    toy_deinit,      nullptr};

ToyHeap::ToyHeap() : base{&ops}, ops(kToyOps), counters() {}

bool ToyHeap::init(void *arena, size_t size) {
  counters = {};
  return add_region(arena, size) == RF_OK;
}

rf_status ToyHeap::add_region(void *data, size_t size) {
  auto *const start = static_cast<unsigned char *>(data);
  bool const overlaps = std::any_of(regions.begin(), regions.end(), [start, size](const Region &region) {
    return start < region.data + region.size && region.data < start + size;
  });
  if (data == nullptr || size > RF_SIZE_LIMIT || overlaps) {
    return RF_ERR_INVALID;
  }
  size_t const gap = rf_align_gap(data, kUnit);
  if (size < gap + kUnit) {
    return RF_ERR_NO_MEMORY;
  }
  regions.push_back({start, size, {{start + gap, rf_round_down(size - gap, kUnit), 0, false}}});
  return RF_OK;
}

rf_status ToyHeap::remove_region(void *data) {
  auto const at =
      std::find_if(regions.begin(), regions.end(), [data](const Region &region) { return region.data == data; });
  if (at == regions.end()) {
    return RF_ERR_INVALID;
  }
  if (std::any_of(at->spans.begin(), at->spans.end(), [](const Span &span) { return span.used; })) {
    return RF_ERR_BUSY;
  }
  regions.erase(at);
  return RF_OK;
}

ToyHeap::Span *ToyHeap::find(const void *ptr) {
  for (Region &region : regions) {
    for (Span &span : region.spans) {
      if (span.at == ptr && span.used) {
        return &span;
      }
    }
  }
  return nullptr;
}

void *ToyHeap::take(size_t size, size_t align) {
  for (Region &region : regions) {
    for (size_t i = 0; i < region.spans.size(); i++) {
      const Span &span = region.spans[i];
      size_t const gap = rf_align_gap(span.at, std::max(align, kUnit));
      if (!span.used && gap < span.length && size <= span.length - gap) {
        return carve(region, i, gap, length_for(size), size);
      }
    }
  }
  return nullptr;
}

void ToyHeap::give(Span &block) {
  block.used = false;
  merge(*region_of(*this, block.at));
}

bool ToyHeap::resize(Span &block, size_t size) {
  Region &region = *region_of(*this, block.at);
  auto const index = static_cast<size_t>(&block - region.spans.data());
  bool const room_behind = index + 1 < region.spans.size() && !region.spans[index + 1].used;
  size_t const room = block.length + (room_behind ? region.spans[index + 1].length : 0);
  if (size > room) {
    return false;
  }
  if (room_behind) {
    region.spans.erase(region.spans.begin() + static_cast<ptrdiff_t>(index) + 1);
  }
  region.spans[index].length = room;
  carve(region, index, 0, length_for(size), size);
  merge(region);
  return true;
}

rf_status ToyHeap::refuse(const void *ptr) {
  return rf_fault_refuse(&base, RF_ERR_BAD_POINTER, "bad pointer", ptr, nullptr);
}

} // namespace ringfence::fuzz

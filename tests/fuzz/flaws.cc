#include "tests/fuzz/flaws.h"

#include <algorithm>
#include <cstring>

// Each flaw is an operation without captures, as the operations of an allocator are; it falls back on those of the
// correct heap.

namespace ringfence::fuzz {
namespace {

using Target = rf_fuzz_target;
using Self = rf_allocator *;
using Site = const rf_site *;

ToyHeap &heap(Self self) {
  return ToyHeap::of(self);
}

size_t largest_free(Self self) {
  rf_stats stats;
  kToyOps.stats(self, &stats);
  return stats.largest_free;
}

void *fail(Self self) {
  heap(self).counters.failures++;
  return nullptr;
}

// True now and then, at the same calls of the same program.
bool sometimes(Self self) {
  return heap(self).counters.allocations % 3 == 2;
}

// The live block that holds `ptr`, its start not included.
ToyHeap::Span *around(Self self, const void *ptr) {
  for (ToyHeap::Region &region : heap(self).regions) {
    for (ToyHeap::Span &span : region.spans) {
      if (span.used && ptr > span.at && ptr < span.at + span.length) {
        return &span;
      }
    }
  }
  return nullptr;
}

constexpr Flaw kPlacement[] = {
    {"BlocksOverlap", "overlap",
     [](ToyHeap &toy, Target &) {
       toy.ops.walk = nullptr; // which would show it as well
       toy.ops.usable_size = nullptr;
       toy.ops.alloc = [](Self self, size_t size, size_t align, Site site) {
         void *const p = kToyOps.alloc(self, size, align, site);
         if (p != nullptr && size > 64) {
           heap(self).resize(*heap(self).find(p), size - 64);
           heap(self).find(p)->size = size;
         }
         return p;
       };
     }},
    {"EmptyBlocksShareAnAddress", "overlap",
     [](ToyHeap &toy, Target &) {
       toy.ops.alloc = [](Self self, size_t size, size_t align, Site site) -> void * {
         for (ToyHeap::Region &region : heap(self).regions) {
           for (ToyHeap::Span &span : region.spans) {
             if (size == 0 && span.used && span.size == 0 && rf_is_aligned(span.at, align)) {
               rf_count_alloc(&heap(self).counters, 0);
               return span.at;
             }
           }
         }
         return kToyOps.alloc(self, size, align, site);
       };
     }},
    {"BlockEndsBeyondTheArena", "arena, statistics", // statistics: where the next region begins there
     [](ToyHeap &toy, Target &target) {
       target.largest_is_bound = false; // which would show it as well
       toy.ops.alloc = [](Self self, size_t size, size_t align, Site site) {
         ToyHeap::Span &last = heap(self).regions.back().spans.back();
         bool const free_at_end = !last.used && size > last.length && align <= ToyHeap::kUnit;
         last.used = last.used || free_at_end;
         return free_at_end ? last.at : kToyOps.alloc(self, size, align, site);
       };
     }},
    {"AlignmentIsIgnored", "alignment",
     [](ToyHeap &toy, Target &) {
       toy.ops.alloc = [](Self self, size_t size, size_t align, Site site) {
         return kToyOps.alloc(self, size, std::min<size_t>(align, 32), site);
       };
     }},
    {"AlignmentIsIgnoredByRealloc", "alignment",
     [](ToyHeap &toy, Target &) {
       toy.ops.realloc = [](Self self, void *ptr, size_t size, size_t, Site site) {
         return kToyOps.realloc(self, ptr, size, ToyHeap::kUnit, site);
       };
     }},
};

constexpr Flaw kContents[] = {
    {"FreeWritesToANeighbour", "contents",
     [](ToyHeap &toy, Target &) {
       toy.ops.free = [](Self self, void *ptr, Site site) {
         const ToyHeap::Span *const block = heap(self).find(ptr);
         const ToyHeap::Span *const next = block != nullptr ? heap(self).find(block->at + block->length) : nullptr;
         if (next != nullptr) {
           *next->at ^= 1;
         }
         return kToyOps.free(self, ptr, site);
       };
     }},
    {"AllocWritesToAnotherBlock", "contents",
     [](ToyHeap &toy, Target &) {
       toy.ops.alloc = [](Self self, size_t size, size_t align, Site site) {
         const ToyHeap::Span &first = heap(self).regions.front().spans.front();
         if (first.used) {
           first.at[first.size / 2] ^= 1;
         }
         return kToyOps.alloc(self, size, align, site);
       };
     }},
    {"ReallocLosesTheLastByte", "contents",
     [](ToyHeap &toy, Target &) {
       toy.ops.realloc = [](Self self, void *ptr, size_t size, size_t align, Site site) -> void * {
         const ToyHeap::Span *const block = heap(self).find(ptr);
         size_t const keep = block != nullptr ? std::min(size, block->size) : 0;
         auto *const p = static_cast<unsigned char *>(kToyOps.realloc(self, ptr, size, align, site));
         if (p != nullptr && p != ptr && keep != 0) {
           p[keep - 1] ^= 1;
         }
         return p;
       };
     }},
    {"ReallocLosesTheSlackThatItsOwnerUsed", "contents",
     [](ToyHeap &toy, Target &) {
       toy.ops.realloc = [](Self self, void *ptr, size_t size, size_t align, Site site) -> void * {
         const ToyHeap::Span *const block = heap(self).find(ptr);
         size_t const requested = block != nullptr ? block->size : 0;
         size_t const keep = block != nullptr ? std::min(size, block->length) : 0;
         auto *const p = static_cast<unsigned char *>(kToyOps.realloc(self, ptr, size, align, site));
         if (p != nullptr && p != ptr && keep > requested) {
           p[keep - 1] ^= 1;
         }
         return p;
       };
     }},
    {"ResizeLosesTheFirstByte", "contents",
     [](ToyHeap &toy, Target &) {
       toy.ops.resize = [](Self self, void *ptr, size_t size, Site site) {
         rf_status const status = kToyOps.resize(self, ptr, size, site);
         if (status == RF_OK) {
           *static_cast<unsigned char *>(ptr) ^= 1;
         }
         return status;
       };
     }},
    {"FailedReallocFreesTheBlock", "statistics",
     [](ToyHeap &toy, Target &) {
       toy.ops.realloc = [](Self self, void *ptr, size_t size, size_t align, Site site) {
         void *const p = kToyOps.realloc(self, ptr, size, align, site);
         if (p == nullptr && heap(self).find(ptr) != nullptr) {
           kToyOps.free(self, ptr, site);
         }
         return p;
       };
     }},
    {"WritesOutsideTheArena", "outside",
     [](ToyHeap &toy, Target &) {
       toy.ops.free = [](Self self, void *ptr, Site site) {
         const ToyHeap::Region &region = heap(self).regions.back();
         region.data[region.size] = 1;
         return kToyOps.free(self, ptr, site);
       };
     }},
    {"UsableSizeReachesIntoTheNextBlock", "contents",
     [](ToyHeap &toy, Target &) {
       toy.ops.usable_size = [](Self self, const void *ptr) {
         const ToyHeap::Span *const block = heap(self).find(ptr);
         bool const has_next = block != nullptr && heap(self).find(block->at + block->length) != nullptr;
         return kToyOps.usable_size(self, ptr) + (has_next ? 1 : 0);
       };
     }},
    {"UsableSizeIsLessThanRequested", "usable",
     [](ToyHeap &toy, Target &) {
       toy.ops.usable_size = [](Self self, const void *ptr) { return kToyOps.usable_size(self, ptr) / 2; };
     }},
    {"UsableSizeOfWhatIsNoBlock", "usable",
     [](ToyHeap &toy, Target &) {
       toy.ops.usable_size = [](Self self, const void *ptr) {
         return std::max<size_t>(kToyOps.usable_size(self, ptr), 1);
       };
     }},
};

constexpr Flaw kRequests[] = {
    {"RefusesWhatFits", "refused",
     [](ToyHeap &toy, Target &) {
       toy.ops.alloc = [](Self self, size_t size, size_t align, Site site) {
         return sometimes(self) && size > 100 ? fail(self) : kToyOps.alloc(self, size, align, site);
       };
     }},
    {"RefusesTheExactFit", "refused",
     [](ToyHeap &toy, Target &) {
       toy.ops.alloc = [](Self self, size_t size, size_t align, Site site) {
         return size == largest_free(self) ? fail(self) : kToyOps.alloc(self, size, align, site);
       };
     }},
    {"RefusesAlignmentThatFits", "refused",
     [](ToyHeap &toy, Target &) {
       toy.ops.alloc = [](Self self, size_t size, size_t align, Site site) {
         return align == 64 && sometimes(self) ? fail(self) : kToyOps.alloc(self, size, align, site);
       };
     }},
    {"RefusesToGrowByRealloc", "refused",
     [](ToyHeap &toy, Target &) {
       toy.ops.realloc = [](Self self, void *ptr, size_t size, size_t align, Site site) {
         const ToyHeap::Span *const block = heap(self).find(ptr);
         return block != nullptr && size > block->size ? fail(self) : kToyOps.realloc(self, ptr, size, align, site);
       };
     }},
    {"RefusesToShrinkByResize", "resize",
     [](ToyHeap &toy, Target &) {
       toy.ops.resize = [](Self self, void *ptr, size_t size, Site site) {
         const ToyHeap::Span *const block = heap(self).find(ptr);
         return block != nullptr && size < block->size ? RF_ERR_NO_MEMORY : kToyOps.resize(self, ptr, size, site);
       };
     }},
    {"MovesWhenItShrinks", "moved",
     [](ToyHeap &toy, Target &) {
       toy.ops.realloc = [](Self self, void *ptr, size_t size, size_t align, Site site) -> void * {
         ToyHeap::Span *const block = heap(self).find(ptr);
         void *const other = block != nullptr && size < block->size ? heap(self).take(size, align) : nullptr;
         if (other == nullptr) {
           return kToyOps.realloc(self, ptr, size, align, site);
         }
         memcpy(other, ptr, size);
         rf_count_resize(&heap(self).counters, heap(self).find(ptr)->size, size);
         heap(self).give(*heap(self).find(ptr));
         return other;
       };
     }},
    {"RefusesAGoodFree", "free, report",
     [](ToyHeap &toy, Target &) {
       toy.ops.free = [](Self self, void *ptr, Site site) {
         return sometimes(self) ? heap(self).refuse(ptr) : kToyOps.free(self, ptr, site);
       };
     }},
    {"LargestFreeIsTooSmall", "bound, walk",
     [](ToyHeap &toy, Target &) {
       toy.alter_stats = [](rf_stats &stats) { stats.largest_free -= stats.largest_free / 16; };
     }},
    {"LargestFreeIsTooLarge", "refused",
     [](ToyHeap &toy, Target &) {
       toy.ops.walk = nullptr;
       toy.alter_stats = [](rf_stats &stats) { stats.largest_free = stats.free_bytes; };
     }},
    {"ReportsAGoodCall", "report",
     [](ToyHeap &toy, Target &) {
       toy.ops.alloc = [](Self self, size_t size, size_t align, Site site) {
         if (size == 0) {
           heap(self).refuse(nullptr);
         }
         return kToyOps.alloc(self, size, align, site);
       };
     }},
    {"FailureChangesFreeMemory", "unchanged",
     [](ToyHeap &toy, Target &) {
       toy.ops.alloc = [](Self self, size_t size, size_t align, Site site) {
         void *const p = kToyOps.alloc(self, size, align, site);
         ToyHeap::Span &first = heap(self).regions.front().spans.front();
         if (p == nullptr && !first.used && first.length > ToyHeap::kUnit) {
           heap(self).regions.front().spans.insert(
               heap(self).regions.front().spans.begin() + 1,
               {first.at + ToyHeap::kUnit, first.length - ToyHeap::kUnit, 0, false});
           heap(self).regions.front().spans.front().length = ToyHeap::kUnit;
         }
         return p;
       };
     }},
    {"CountsAMalformedRequest", "statistics",
     [](ToyHeap &toy, Target &) { toy.ops.reject = [](Self self, rf_reject, size_t, size_t, Site) { fail(self); }; }},
    {"ReportsAMalformedRequest", "report",
     [](ToyHeap &toy, Target &) {
       toy.ops.reject = [](Self self, rf_reject, size_t, size_t, Site) { heap(self).refuse(nullptr); };
     }},
};

constexpr Flaw kMisuse[] = {
    {"FreesAnInteriorPointer", "refusal",
     [](ToyHeap &toy, Target &) {
       toy.ops.free = [](Self self, void *ptr, Site site) {
         const ToyHeap::Span *const block = around(self, ptr);
         return kToyOps.free(self, block != nullptr ? block->at : ptr, site);
       };
     }},
    {"IgnoresASecondFree", "refusal",
     [](ToyHeap &toy, Target &) {
       toy.ops.free = [](Self self, void *ptr, Site site) {
         bool const mine = kToyOps.owns(self, ptr);
         return heap(self).find(ptr) == nullptr && mine ? RF_OK : kToyOps.free(self, ptr, site);
       };
     }},
    {"TakesABadPointerForDamage", "refusal",
     [](ToyHeap &toy, Target &) {
       toy.ops.free = [](Self self, void *ptr, Site site) {
         return heap(self).find(ptr) != nullptr ? kToyOps.free(self, ptr, site)
                                                : rf_fault_refuse(self, RF_ERR_CORRUPT, "damaged header", ptr, site);
       };
     }},
    {"ReallocsWhatIsFree", "refusal, report",
     [](ToyHeap &toy, Target &) {
       toy.ops.realloc = [](Self self, void *ptr, size_t size, size_t align, Site site) {
         return heap(self).find(ptr) == nullptr && kToyOps.owns(self, ptr)
                    ? kToyOps.alloc(self, size, align, site)
                    : kToyOps.realloc(self, ptr, size, align, site);
       };
     }},
    {"ResizesWhatIsFree", "refusal",
     [](ToyHeap &toy, Target &) {
       toy.ops.resize = [](Self self, void *ptr, size_t size, Site site) {
         return heap(self).find(ptr) == nullptr ? RF_OK : kToyOps.resize(self, ptr, size, site);
       };
     }},
    {"RefusesInSilence", "report",
     [](ToyHeap &toy, Target &) {
       toy.ops.free = [](Self self, void *ptr, Site site) {
         return heap(self).find(ptr) == nullptr ? RF_ERR_BAD_POINTER : kToyOps.free(self, ptr, site);
       };
     }},
    {"ReportsTwice", "report",
     [](ToyHeap &toy, Target &) {
       toy.ops.free = [](Self self, void *ptr, Site site) {
         if (heap(self).find(ptr) == nullptr) {
           heap(self).refuse(ptr);
         }
         return kToyOps.free(self, ptr, site);
       };
     }},
    {"ReportsAnotherStatus", "report, refusal",
     [](ToyHeap &toy, Target &) {
       toy.ops.free = [](Self self, void *ptr, Site site) {
         rf_status const status = kToyOps.free(self, ptr, site);
         return status == RF_OK ? RF_OK : RF_ERR_NOT_ALLOCATED;
       };
     }},
    {"RefusalChangesStatistics", "statistics",
     [](ToyHeap &toy, Target &) {
       toy.ops.free = [](Self self, void *ptr, Site site) {
         rf_status const status = kToyOps.free(self, ptr, site);
         heap(self).counters.failures += status == RF_OK ? 0 : 1;
         return status;
       };
     }},
};

constexpr Flaw kStatistics[] = {
    {"UsedCountsSlack", "statistics",
     [](ToyHeap &toy, Target &) {
       toy.alter_stats = [](rf_stats &stats) {
         size_t const slack = stats.used % ToyHeap::kUnit;
         stats.used += slack;
         stats.overhead -= slack;
       };
     }},
    {"PeakIsForgotten", "statistics",
     [](ToyHeap &toy, Target &) { toy.alter_stats = [](rf_stats &stats) { stats.peak = stats.used; }; }},
    {"PeakOfBlocksIsForgotten", "statistics",
     [](ToyHeap &toy, Target &) { toy.alter_stats = [](rf_stats &stats) { stats.peak_blocks = stats.blocks; }; }},
    {"PeakIsTooHigh", "statistics",
     [](ToyHeap &toy, Target &) {
       toy.alter_stats = [](rf_stats &stats) { stats.peak += stats.peak > 1000 ? 1 : 0; };
     }},
    {"FailuresAreNotCounted", "statistics",
     [](ToyHeap &toy, Target &) { toy.alter_stats = [](rf_stats &stats) { stats.failures = 0; }; }},
    {"FailedResizeIsCounted", "statistics",
     [](ToyHeap &toy, Target &) {
       toy.ops.resize = [](Self self, void *ptr, size_t size, Site site) {
         rf_status const status = kToyOps.resize(self, ptr, size, site);
         heap(self).counters.failures += status == RF_ERR_NO_MEMORY ? 1 : 0;
         return status;
       };
     }},
    {"AllocationsCountFailures", "statistics",
     [](ToyHeap &toy, Target &) { toy.alter_stats = [](rf_stats &stats) { stats.allocations += stats.failures; }; }},
    {"OverheadForgetsSlack", "capacity",
     [](ToyHeap &toy, Target &) { toy.alter_stats = [](rf_stats &stats) { stats.overhead -= stats.used % 16; }; }},
    {"CapacityShrinks", "capacity",
     [](ToyHeap &toy, Target &) {
       toy.alter_stats = [](rf_stats &stats) {
         size_t const less = stats.blocks > 2 ? stats.overhead : 0;
         stats.capacity -= less;
         stats.overhead -= less;
       };
     }},
    {"AFieldIsNotFilledIn", "statistics",
     [](ToyHeap &toy, Target &) {
       toy.ops.stats = [](Self self, rf_stats *out) {
         size_t const before = out->peak_blocks;
         kToyOps.stats(self, out);
         out->peak_blocks = before;
       };
     }},
};

constexpr Flaw kWalks[] = {
    {"WalkShowsFreedBlocks", "walk",
     [](ToyHeap &toy, Target &) {
       toy.alter_walk = [](rf_block &block) { block.used = block.used || block.size == 2 * ToyHeap::kUnit; };
     }},
    {"WalkMissesABlock", "walk",
     [](ToyHeap &toy, Target &) {
       toy.alter_walk = [](rf_block &block) { block.used = block.used && block.size != 7; };
     }},
    {"WalkRoundsSizes", "walk",
     [](ToyHeap &toy, Target &) {
       toy.alter_walk = [](rf_block &block) {
         block.size += block.overhead;
         block.overhead = 0;
       };
     }},
    {"WalkShowsOverlappingBlocks", "walk",
     [](ToyHeap &toy, Target &target) {
       target.walks_sizes = false;
       toy.alter_walk = [](rf_block &block) { block.size += block.used ? 2 * ToyHeap::kUnit : 0; };
     }},
    {"WalkLosesFreeMemory", "walk",
     [](ToyHeap &toy, Target &) {
       toy.alter_walk = [](rf_block &block) { block.size -= block.used || block.size < 2000 ? 0 : 16; };
     }},
    {"WalkLosesOverhead", "walk",
     [](ToyHeap &toy, Target &) { toy.alter_walk = [](rf_block &block) { block.overhead = 0; }; }},
    {"WalkIsDisordered", "walk",
     [](ToyHeap &toy, Target &) {
       toy.ops.walk = [](Self self, rf_walk_fn visit, void *context) {
         for (ToyHeap::Region &region : heap(self).regions) {
           std::reverse(region.spans.begin(), region.spans.end());
         }
         rf_status const status = kToyOps.walk(self, visit, context);
         for (ToyHeap::Region &region : heap(self).regions) {
           std::reverse(region.spans.begin(), region.spans.end());
         }
         return status;
       };
     }},
    {"WalkDoesNotStop", "walk",
     [](ToyHeap &toy, Target &) {
       toy.ops.walk = [](Self self, rf_walk_fn visit, void *context) {
         struct Outer {
           rf_walk_fn visit;
           void *context;
         } outer = {visit, context};
         return kToyOps.walk(
             self,
             [](const rf_block *block, void *argument) {
               auto *const to = static_cast<Outer *>(argument);
               to->visit(block, to->context);
               return true;
             },
             &outer);
       };
     }},
    {"WalkFails", "walk",
     [](ToyHeap &toy, Target &) {
       toy.ops.walk = [](Self self, rf_walk_fn visit, void *context) {
         kToyOps.walk(self, visit, context);
         return heap(self).counters.blocks > 3 ? RF_ERR_CORRUPT : RF_OK;
       };
     }},
    {"CheckFails", "check",
     [](ToyHeap &toy, Target &) {
       toy.ops.check = [](Self self, rf_fault *where) {
         where->what = "imagined";
         return heap(self).counters.blocks > 3 ? RF_ERR_CORRUPT : RF_OK;
       };
     }},
    {"OwnsNothing", "owns", [](ToyHeap &toy, Target &) { toy.ops.owns = [](Self, const void *) { return false; }; }},
    {"OwnsEverything", "owns", [](ToyHeap &toy, Target &) { toy.ops.owns = [](Self, const void *) { return true; }; }},
};

constexpr Flaw kLife[] = {
    {"DoesNotCoalesce", "coalescing",
     [](ToyHeap &toy, Target &) {
       toy.ops.free = [](Self self, void *ptr, Site site) {
         ToyHeap::Span *const block = heap(self).find(ptr);
         if (block == nullptr) {
           return kToyOps.free(self, ptr, site);
         }
         rf_count_free(&heap(self).counters, block->size);
         block->used = false; // where give() would merge it
         return RF_OK;
       };
     }},
    {"LosesBytesOnFree", "walk",
     [](ToyHeap &toy, Target &) {
       toy.ops.free = [](Self self, void *ptr, Site site) {
         ToyHeap::Span *const block = heap(self).find(ptr);
         if (block != nullptr && block->length == 3 * ToyHeap::kUnit) {
           block->length -= ToyHeap::kUnit;
         }
         return kToyOps.free(self, ptr, site);
       };
     }},
    {"InitRefusesAGoodArena", "init",
     [](ToyHeap &, Target &target) {
       target.init = [](void *context, void *arena, size_t size) -> rf_allocator * {
         auto *const toy = static_cast<ToyHeap *>(context);
         return size % 8 != 0 && toy->init(arena, size) ? &toy->base : nullptr;
       };
     }},
    {"InitRemembersStatistics", "statistics",
     [](ToyHeap &, Target &target) {
       target.init = [](void *context, void *arena, size_t size) -> rf_allocator * {
         auto *const toy = static_cast<ToyHeap *>(context);
         rf_counters const before = toy->counters;
         bool const good = toy->init(arena, size);
         toy->counters = before;
         return good ? &toy->base : nullptr;
       };
     }},
    {"InitDependsOnDirt", "init",
     [](ToyHeap &, Target &target) {
       target.init = [](void *context, void *arena, size_t size) -> rf_allocator * {
         auto *const toy = static_cast<ToyHeap *>(context);
         auto *const bytes = static_cast<unsigned char *>(arena);
         bool const dirty = size > 100 && std::any_of(bytes, bytes + 100, [&](auto byte) { return byte != *bytes; });
         return toy->init(arena, dirty ? size - 32 : size) ? &toy->base : nullptr;
       };
     }},
    {"DeinitReports", "report",
     [](ToyHeap &toy, Target &) {
       toy.ops.deinit = [](Self self) {
         if (heap(self).regions.empty()) {
           heap(self).refuse(nullptr);
         }
         kToyOps.deinit(self);
       };
     }},
    {"RegionIsNotUsed", "region",
     [](ToyHeap &, Target &target) {
       target.add_region = [](void *, rf_allocator *, void *, size_t) { return RF_OK; };
     }},
    {"GoodRegionIsRefused", "region",
     [](ToyHeap &, Target &target) {
       target.add_region = [](void *, rf_allocator *, void *, size_t) { return RF_ERR_NO_MEMORY; };
     }},
    {"UsedRegionIsRemoved", "region",
     [](ToyHeap &, Target &target) {
       target.remove_region = [](void *, rf_allocator *allocator, void *data) {
         auto &regions = heap(allocator).regions;
         auto const at = std::find_if(regions.begin(), regions.end(), [data](const auto &r) { return r.data == data; });
         if (at == regions.end()) {
           return RF_ERR_INVALID;
         }
         regions.erase(at);
         return RF_OK;
       };
     }},
    {"RemovedRegionIsStillUsed", "walk",
     [](ToyHeap &, Target &target) {
       target.remove_region = [](void *, rf_allocator *allocator, void *data) {
         auto const before = heap(allocator).regions;
         rf_status const status = heap(allocator).remove_region(data);
         heap(allocator).regions = before;
         return status;
       };
     }},
    {"RegionIsAddedTwice", "region",
     [](ToyHeap &, Target &target) {
       target.add_region = [](void *, rf_allocator *allocator, void *data, size_t size) {
         rf_status const status = heap(allocator).add_region(data, size);
         return status == RF_ERR_INVALID ? RF_OK : status;
       };
     }},
    {"InitAcceptsNoArena", "init",
     [](ToyHeap &, Target &target) {
       target.init = [](void *context, void *arena, size_t size) -> rf_allocator * {
         auto *const toy = static_cast<ToyHeap *>(context);
         return toy->init(arena, size) || arena == nullptr ? &toy->base : nullptr;
       };
     }},
    {"ServesAfterDeinit", "ended",
     [](ToyHeap &toy, Target &target) {
       target.refuses_ended = true;
       toy.ops.alloc = [](Self self, size_t size, size_t align, Site site) -> void * {
         static unsigned char somewhere[16];
         return heap(self).regions.empty() ? somewhere : kToyOps.alloc(self, size, align, site);
       };
     }},
    {"CheckReportsByItself", "report",
     [](ToyHeap &toy, Target &) {
       toy.ops.check = [](Self self, rf_fault *) {
         heap(self).refuse(nullptr);
         return RF_OK;
       };
     }},
};

} // namespace

std::vector<Flaw> all_flaws() {
  std::vector<Flaw> all;
  auto const add = [&all](const auto &flaws) { all.insert(all.end(), std::begin(flaws), std::end(flaws)); };
  add(kPlacement);
  add(kContents);
  add(kRequests);
  add(kMisuse);
  add(kStatistics);
  add(kWalks);
  add(kLife);
  return all;
}

} // namespace ringfence::fuzz

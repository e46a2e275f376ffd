// Flaws of requests: good ones that are refused, and bad ones that are served.
#include "tests/fuzz/flaw_lists.h"

#include <cstring>

namespace ringfence::fuzz {
namespace {

size_t largest_free(Self self) {
  rf_stats stats;
  kToyOps.stats(self, &stats);
  return stats.largest_free;
}

constexpr Flaw kFlaws[] = {
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

} // namespace

std::vector<Flaw> flaws_of_requests() {
  return {std::begin(kFlaws), std::end(kFlaws)};
}

} // namespace ringfence::fuzz

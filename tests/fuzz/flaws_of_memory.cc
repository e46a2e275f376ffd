// Flaws of placement, and of the contents of blocks.
#include "tests/fuzz/flaw_lists.h"

#include <algorithm>

namespace ringfence::fuzz {
namespace {

constexpr Flaw kFlaws[] = {
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

} // namespace

std::vector<Flaw> flaws_of_memory() {
  return {std::begin(kFlaws), std::end(kFlaws)};
}

} // namespace ringfence::fuzz

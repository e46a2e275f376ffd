// Flaws in the answer to misuse: frees and resizes of what is no block.
#include "tests/fuzz/flaw_lists.h"

namespace ringfence::fuzz {
namespace {

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

constexpr Flaw kFlaws[] = {
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

} // namespace

std::vector<Flaw> flaws_of_misuse() {
  return {std::begin(kFlaws), std::end(kFlaws)};
}

} // namespace ringfence::fuzz

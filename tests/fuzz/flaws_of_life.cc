// Flaws between init and deinit: memory that is lost, regions, checks that report.
#include "tests/fuzz/flaw_lists.h"

#include <algorithm>

namespace ringfence::fuzz {
namespace {

constexpr Flaw kFlaws[] = {
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

std::vector<Flaw> flaws_of_life() {
  return {std::begin(kFlaws), std::end(kFlaws)};
}

} // namespace ringfence::fuzz

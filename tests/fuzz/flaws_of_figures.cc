// Flaws of statistics, walks, checks and owners.
#include "tests/fuzz/flaw_lists.h"

#include <algorithm>

namespace ringfence::fuzz {
namespace {

constexpr Flaw kFlaws[] = {
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

} // namespace

std::vector<Flaw> flaws_of_figures() {
  return {std::begin(kFlaws), std::end(kFlaws)};
}

} // namespace ringfence::fuzz

#include "tests/conformance/broken.h"

#include "tests/conformance/subjects/subjects.h"

#include <ringfence/simple.h>

#include <algorithm>
#include <cstring>

namespace ringfence::conformance {

namespace {

Fault the_fault = Fault::kNone;
size_t the_global_blocks = 0;

// A sound heap, and what is done to its answers.
struct Broken {
  rf_allocator base;
  rf_simple heap;
  unsigned char *arena;
  void *last;              // handed out last
  size_t allocs;           // calls so far
  size_t hidden;           // bytes taken behind the program's back, one block each
  size_t wrong_failures;   // counted though none
  size_t missing_failures; // not counted
  size_t wrong_peak;
  size_t refused;
  bool ended;
};

Broken &self_of(rf_allocator *a) {
  return *reinterpret_cast<Broken *>(a);
}

rf_allocator *inner(rf_allocator *a) {
  return &self_of(a).heap.base;
}

bool is(Fault fault) {
  return the_fault == fault;
}

size_t largest_free(rf_allocator *heap) {
  rf_stats s;
  rf_stats_get(heap, &s);
  return s.largest_free;
}

// ---- alloc ----

void *fail(Broken &b, size_t size) {
  rf_stats s;
  rf_stats_get(&b.heap.base, &s);
  b.wrong_peak = std::max(b.wrong_peak, s.used + std::min<size_t>(size, 1U << 20));
  b.missing_failures++;
  return nullptr;
}

unsigned char elsewhere[1 << 16];

void *alloc(rf_allocator *a, size_t size, size_t align, const rf_site *site) {
  Broken &b = self_of(a);
  b.allocs++;
  if (is(Fault::kZeroSizeGivesNull) && size == 0) {
    return nullptr;
  }
  if (is(Fault::kHandsOutABlockTwice) && b.allocs % 5 == 0 && b.last != nullptr) {
    return b.last;
  }
  if (is(Fault::kLeavesTheArena) && size < 100) {
    return elsewhere + b.allocs * 128 % sizeof elsewhere;
  }
  if (is(Fault::kWrapsLargeSizes) && size > RF_SIZE_LIMIT - 32) {
    size = (size + 32) % 32;
  }
  if (is(Fault::kAlignsToDefaultOnly)) {
    align = std::min(align, RF_ALIGN_DEFAULT);
  }
  if (is(Fault::kForgetsBytesAbove4GiB)) {
    size = static_cast<uint32_t>(size);
  }
  if (is(Fault::kWastesTheLastBlock) && size != 0 && size == largest_free(inner(a))) {
    b.wrong_failures++;
    return nullptr;
  }
  if (is(Fault::kServesDefaultAlignmentsOnly) && align > RF_ALIGN_DEFAULT) {
    b.wrong_failures++;
    return nullptr;
  }
  void *const p = rf_alloc_at(inner(a), size, align, site);
  if (p == nullptr) {
    return fail(b, size);
  }
  the_global_blocks++;
  b.last = p;
  return p;
}

// ---- free ----

struct Search {
  const unsigned char *inside;
  void *found;
};

bool find_around(const rf_block *block, void *context) {
  auto *const search = static_cast<Search *>(context);
  auto *const start = static_cast<unsigned char *>(block->ptr);
  if (block->used && start <= search->inside && search->inside < start + block->size) {
    search->found = block->ptr;
  }
  return true;
}

bool is_live(rf_allocator *a, void *ptr) {
  Search search = {static_cast<unsigned char *>(ptr), nullptr};
  (void)rf_walk(inner(a), find_around, &search);
  return search.found == ptr || rf_usable_size(inner(a), ptr) != 0;
}

rf_status free_bad(rf_allocator *a, void *ptr, const rf_site *site) {
  Search search = {static_cast<unsigned char *>(ptr), nullptr};
  (void)rf_walk(inner(a), find_around, &search);
  if (is(Fault::kObeysInteriorFree) && search.found != nullptr) {
    return rf_free_at(inner(a), search.found, site);
  }
  if (is(Fault::kObeysDoubleFree) && rf_owns(inner(a), ptr)) {
    return RF_OK;
  }
  if (is(Fault::kRefusesInSilence)) {
    return RF_ERR_BAD_POINTER;
  }
  self_of(a).refused++;
  rf_status const status = rf_free_at(inner(a), ptr, site);
  return is(Fault::kWrongAnswerToDoubleFree) ? RF_ERR_BAD_POINTER : status;
}

rf_status free(rf_allocator *a, void *ptr, const rf_site *site) {
  Broken &b = self_of(a);
  if (!is_live(a, ptr)) {
    return free_bad(a, ptr, site);
  }
  b.last = nullptr;
  the_global_blocks--;
  if (is(Fault::kNeverReusesMemory)) {
    (void)rf_resize(inner(a), ptr, 1);
    b.hidden++;
    return RF_OK;
  }
  if (is(Fault::kReportsSoundFrees)) {
    (void)rf_fault_refuse(a, RF_ERR_CORRUPT, "nothing at all", ptr, site);
  }
  rf_status const status = rf_free_at(inner(a), ptr, site);
  if (is(Fault::kLosesAByteAtEachFree) && rf_alloc(inner(a), 1) != nullptr) {
    b.hidden++;
  }
  return status;
}

// ---- realloc and resize ----

void *realloc(rf_allocator *a, void *ptr, size_t size, size_t align, const rf_site *site) {
  Broken &b = self_of(a);
  bool const live = is_live(a, ptr);
  b.last = nullptr;
  if (is(Fault::kReallocIgnoresAlignment)) {
    align = 1;
  }
  if (is(Fault::kForgetsBytesAbove4GiB)) {
    size = static_cast<uint32_t>(size) == 0 ? 1 : static_cast<uint32_t>(size);
  }
  if (is(Fault::kServesDefaultAlignmentsOnly) && live && align > RF_ALIGN_DEFAULT) {
    b.wrong_failures++;
    return nullptr;
  }
  if (is(Fault::kReallocNeverGrowsInPlace) && live) {
    return rf_realloc_move(inner(a), ptr, rf_usable_size(inner(a), ptr), size, align, site);
  }
  void *const p = rf_realloc_at(inner(a), ptr, size, align, site);
  if (p == nullptr && live && is(Fault::kReallocFreesOnFailure)) {
    (void)rf_free_at(inner(a), ptr, site);
  }
  if (p != nullptr && is(Fault::kReallocDropsContents) && p != ptr) {
    std::memset(p, 0, size);
  }
  return p != nullptr || !live ? p : fail(b, size);
}

rf_status resize(rf_allocator *a, void *ptr, size_t size, const rf_site *site) {
  rf_status const status = rf_resize_at(inner(a), ptr, size, site);
  if (status == RF_ERR_NO_MEMORY && is(Fault::kCountsFailedResize)) {
    self_of(a).wrong_failures++;
  }
  return is(Fault::kResizeLies) && status == RF_ERR_NO_MEMORY ? RF_OK : status;
}

// ---- Questions ----

size_t usable_size(rf_allocator *a, const void *ptr) {
  size_t const usable = rf_usable_size(inner(a), ptr);
  if (is(Fault::kOverstatesUsableSize) && usable != 0) {
    return usable + 8;
  }
  return is(Fault::kUsableSizeOfFreedBlocks) && usable == 0 && rf_owns(inner(a), ptr) ? 8 : usable;
}

bool owns(rf_allocator *a, const void *ptr) {
  return is(Fault::kOwnsEverything) || rf_owns(inner(a), ptr);
}

struct Filter {
  rf_walk_fn visit;
  void *context;
};

bool pass_on(const rf_block *block, void *context) {
  auto *const filter = static_cast<Filter *>(context);
  if (is(block->used ? Fault::kWalkMissesUsedBlocks : Fault::kWalkMissesFreeBlocks)) {
    return true;
  }
  return filter->visit(block, filter->context) || is(Fault::kWalkNeverStops);
}

rf_status walk(rf_allocator *a, rf_walk_fn visit, void *context) {
  Filter filter = {visit, context};
  return rf_walk(inner(a), pass_on, &filter);
}

rf_status check(rf_allocator *a, rf_fault *where) {
  if (is(Fault::kFindsDamageInSoundHeap)) {
    where->status = RF_ERR_CORRUPT;
    return RF_ERR_CORRUPT;
  }
  rf_status const status = rf_check(inner(a), where);
  if (status != RF_OK && is(Fault::kCheckRaisesFaults)) {
    return rf_fault_raise(where);
  }
  return status;
}

bool add_usable(const rf_block *block, void *context) {
  *static_cast<size_t *>(context) += block->used ? (block->size + 15) / 16 * 16 : 0;
  return true;
}

void break_counts(Broken &b, rf_stats *out) {
  if (is(Fault::kCountsPeakOfFailures)) {
    out->peak = std::max(out->peak, b.wrong_peak);
  }
  if (is(Fault::kCountsRefusedFree)) {
    out->blocks -= b.refused;
  }
  if (is(Fault::kCountsRejectedSizes) || is(Fault::kCountsFailedResize) || is(Fault::kWastesTheLastBlock) ||
      is(Fault::kServesDefaultAlignmentsOnly)) {
    out->failures += b.wrong_failures;
  }
  if (is(Fault::kDoesNotCountFailures)) {
    out->failures -= b.missing_failures;
  }
  if (is(Fault::kKeepsLiveCountInAGlobal)) {
    out->blocks = the_global_blocks;
  }
}

void stats(rf_allocator *a, rf_stats *out) {
  Broken &b = self_of(a);
  rf_stats_get(inner(a), out);
  // The hidden fault is not told.
  out->used -= b.hidden;
  out->overhead += b.hidden;
  out->blocks -= b.hidden;
  if (is(Fault::kLosesAByteAtEachFree)) {
    out->allocations -= b.hidden;
  }
  break_counts(b, out);
  if (is(Fault::kOverstatesLargestFree) && out->largest_free > 100) {
    out->largest_free -= 1; // which is served, and one byte more
  }
  if (is(Fault::kPeakFollowsUsed)) {
    out->peak = out->used;
  }
  if (is(Fault::kUsedIsRoundedUp)) {
    out->used = 0;
    (void)rf_walk(inner(a), add_usable, &out->used);
  }
}

void reject(rf_allocator *a, rf_reject, size_t, size_t, const rf_site *) {
  if (is(Fault::kCountsRejectedSizes)) {
    self_of(a).wrong_failures++;
  }
}

void deinit(rf_allocator *a) {
  Broken &b = self_of(a);
  if (is(Fault::kDeinitTwiceWrites) && b.ended) {
    b.arena[100] = 0;
  }
  b.ended = true;
  rf_deinit(inner(a));
}

const rf_allocator_ops broken_ops = {
    "broken", alloc, free, realloc, resize, usable_size, owns, walk, check, stats, reject, nullptr, deinit, nullptr,
};

rf_allocator *make(void *state, void *arena, size_t size) {
  auto *const b = static_cast<Broken *>(state);
  *b = Broken();
  b->base.ops = &broken_ops;
  b->arena = static_cast<unsigned char *>(arena);
  if (rf_simple_init(&b->heap, arena, size) != RF_OK) {
    return nullptr;
  }
  if (is(Fault::kWritesBeforeTheArena) && size <= (1U << 20)) { // a huge one begins at a mapping
    b->arena[-1] = 0;
  }
  return &b->base;
}

} // namespace

const rf_conformance_subject &broken_subject(Fault fault) {
  static rf_conformance_subject subject;
  subject = *rf_simple_subject();
  subject.name = "broken";
  subject.state_size = sizeof(Broken);
  subject.make = make;
  the_fault = fault;
  the_global_blocks = 0;
  return subject;
}

} // namespace ringfence::conformance

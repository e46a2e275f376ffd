// Heaps of various abilities, which page and sample wrap in their harnesses.
#ifndef RINGFENCE_FUZZ_PAGE_INNER_H
#define RINGFENCE_FUZZ_PAGE_INNER_H

#include <ringfence/fuzz/target.h>
#include <ringfence/simple.h>
#include <ringfence/std.h>
#include <ringfence/tlsf.h>

namespace ringfence::fuzz {

class PageInner {
public:
  enum Kind { kSimple, kTlsf, kStd, kKinds };

  Kind kind = kSimple;

  // NULL where the arena is refused.
  rf_allocator *init(void *arena, size_t size) {
    switch (kind) {
    case kTlsf:
      return rf_tlsf_init(&tlsf_, arena, size) == RF_OK ? &tlsf_.base : nullptr;
    case kStd:
      return rf_std_init(&std_) == RF_OK ? &std_.base : nullptr;
    default:
      return rf_simple_init(&simple_, arena, size) == RF_OK ? &simple_.base : nullptr;
    }
  }

  // The promises of a checker that puts this heap's blocks on pages.
  void describe(rf_fuzz_target &t) const {
    t.in_arena = false;
    t.reports_rejects = true;
    t.shrinks_in_place = false; // blocks move on purpose
    t.walk_adds_up = false;     // the walk has no free memory, or that of the inner heap
    if (kind == kStd) {
      t.accounts_capacity = false;
      t.largest_is_bound = false; // unknown
      t.coalesces = false;
      t.max_request = 1 << 16;
      t.refuses &= ~static_cast<unsigned>(RF_FUZZ_IN_ARENA);
      t.stale_records = true; // the C library's memory has those of blocks of earlier inputs, too
    }
  }

private:
  rf_simple simple_;
  rf_tlsf tlsf_;
  rf_std std_;
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_PAGE_INNER_H

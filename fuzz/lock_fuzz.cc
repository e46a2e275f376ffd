// lock: over simple or tlsf, as the first byte of the input chooses, with the promises of the inner heap. One program
// in four ends by calling the lock from within itself, which must be refused.
#include <ringfence/fuzz/interpreter.h>
#include <ringfence/lock.h>
#include <ringfence/simple.h>
#include <ringfence/tlsf.h>

namespace ringfence::fuzz {
namespace {

rf_simple simple;
rf_tlsf tlsf;
rf_lock lock;

rf_allocator *locked(rf_allocator *inner) {
  return rf_lock_init(&lock, inner) == RF_OK ? &lock.base : nullptr;
}

rf_allocator *over_simple(void *, void *arena, size_t size) {
  return locked(rf_simple_init(&simple, arena, size) == RF_OK ? &simple.base : nullptr);
}

rf_allocator *over_tlsf(void *, void *arena, size_t size) {
  return locked(rf_tlsf_init(&tlsf, arena, size) == RF_OK ? &tlsf.base : nullptr);
}

rf_fuzz_target choose_target(size_t choice) {
  bool const on_simple = choice % 2 == 0;
  rf_fuzz_target t =
      rf_fuzz_target_default(on_simple ? "lock over simple" : "lock over tlsf", on_simple ? over_simple : over_tlsf);
  t.refuses |= RF_FUZZ_FORGED;
  t.refuses_ended = true;
  return t;
}

// Makes every call from the visitor of a walk, while the lock is held. False where one is not refused.
bool call_from_within(const rf_block *block, void *context) {
  rf_allocator *const a = &lock.base;
  rf_fault where = {};
  rf_stats stats;
  rf_counters counters;
  rf_stats_get(a, &stats);
  rf_counters_get(a, &counters);
  bool const refused = stats.capacity == 0 && counters.allocations == 0 && rf_alloc(a, 1) == nullptr &&
                       rf_calloc(a, SIZE_MAX, 2) == nullptr && rf_realloc(a, block->ptr, 1) == nullptr &&
                       rf_free(a, block->ptr) == RF_ERR_BUSY && rf_resize(a, block->ptr, 1) == RF_ERR_BUSY &&
                       rf_usable_size(a, block->ptr) == 0 && !rf_owns(a, block->ptr) &&
                       rf_walk(a, call_from_within, nullptr) == RF_ERR_BUSY && rf_check(a, &where) == RF_ERR_BUSY;
  constexpr size_t kCalls = 11;
  *static_cast<size_t *>(context) += refused ? kCalls : 0;
  return refused;
}

void call_from_within_after(const rf_fuzz_target &target, Reader input) {
  Interpreter program(target, input, Conduct::kCorrect);
  if (program.start()) {
    while (program.step()) {
    }
    size_t refused = 0;
    program.verdict().begin("rf_walk(a, …), calling a from within");
    if (program.settle_all(0)) {
      rf_walk(&lock.base, call_from_within, &refused);
    }
    if (program.verdict().ok() && program.settle_unchanged(refused, "although it was called from within")) {
      program.finish();
    }
  }
  demand_ok(target, program.verdict());
}

} // namespace
} // namespace ringfence::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace ringfence::fuzz;
  Reader input(data, size);
  size_t const choice = input.u8();
  rf_fuzz_target const target = choose_target(choice);
  if (choice / 2 % 4 == 0) {
    call_from_within_after(target, input);
  } else {
    run_or_abort(target, input);
  }
  return 0;
}

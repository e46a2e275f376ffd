// guard: over several heaps, with options that the input chooses. Either any program at all, whose misuse must be reported
// once and change nothing; or a correct program, silent, that commits exactly one error: then exactly that finding must come,
// whenever and however it is noticed.
#include "guard_error.h"

#include <ringfence/fuzz/interpreter.h>
#include <ringfence/guard.h>
#include <ringfence/simple.h>
#include <ringfence/std.h>
#include <ringfence/tlsf.h>

#include <cstring>

namespace ringfence::fuzz {
namespace {

// What the guard wraps. kBare is simple without all that is optional but an arena's `owns`.
enum Inner { kSimple, kTlsf, kStd, kBare, kInners };

const char *const kNames[] = {"guard over simple", "guard over tlsf", "guard over std", "guard over a bare heap"};

rf_simple simple;
rf_tlsf tlsf;
rf_std std_heap;

struct Guarded {
  Inner inner;
  rf_guard_options options;
  rf_guard guard;
  FindingLog log;
  rf_stack_depot depot;
  alignas(8) unsigned char stacks[4096]; // few, so that it fills up
};

rf_allocator *init_simple(void *arena, size_t size, bool bare) {
  static rf_allocator_ops ops;
  if (rf_simple_init(&simple, arena, size) != RF_OK) {
    return nullptr;
  }
  if (bare) {
    ops = *simple.base.ops;
    ops.realloc = nullptr;
    ops.resize = nullptr;
    ops.usable_size = nullptr;
    ops.walk = nullptr;
    simple.base.ops = &ops;
  }
  return &simple.base;
}

rf_allocator *init_inner(Inner inner, void *arena, size_t size) {
  switch (inner) {
  case kTlsf:
    return rf_tlsf_init(&tlsf, arena, size) == RF_OK ? &tlsf.base : nullptr;
  case kStd:
    return rf_std_init(&std_heap) == RF_OK ? &std_heap.base : nullptr;
  default:
    return init_simple(arena, size, inner == kBare);
  }
}

rf_allocator *init(void *context, void *arena, size_t size) {
  auto *const self = static_cast<Guarded *>(context);
  rf_allocator *const inner = init_inner(self->inner, arena, size);
  return rf_guard_init(&self->guard, inner, &self->options) == RF_OK ? &self->guard.base : nullptr;
}

void set_up(Guarded &guarded, Reader &reader) {
  static const size_t kAmounts[] = {0, 64, 1024, SIZE_MAX};
  static const unsigned kDepths[] = {0, 0, 3, RF_TRACE_DEPTH};
  size_t const choice = reader.u8();
  size_t const more = reader.u8();
  size_t const quarantine = kAmounts[choice / kInners % 4];
  guarded.log.clear();
  guarded.inner = static_cast<Inner>(choice % kInners);
  rf_guard_options &options = guarded.options;
  rf_guard_options_default(&options);
  options.quarantine = quarantine == SIZE_MAX ? 1 << 16 : quarantine;
  options.fill_alloc = kAmounts[choice / kInners / 4 % 4];
  options.fill_free = kAmounts[choice / kInners / 16 % 4];
  options.move_below = kAmounts[more % 4];
  options.stack_depth = kDepths[more / 4 % 4];
  options.reporter = guarded.log.reporter();
  if (options.stack_depth != 0) {
    memset(guarded.stacks, 0, sizeof guarded.stacks);
    rf_stack_depot_init(&guarded.depot, guarded.stacks, sizeof guarded.stacks);
    options.depot = &guarded.depot;
  }
}

rf_fuzz_target target_for(Guarded &guarded) {
  rf_fuzz_target t = rf_fuzz_target_default(kNames[guarded.inner], init);
  t.context = &guarded;
  t.reports = [](void *context) { return static_cast<Guarded *>(context)->log.count(); };
  t.reports_rejects = true;
  t.align_factor = 2;         // the header keeps the alignment: it takes a multiple of it
  t.largest_is_bound = false; // quarantined blocks are given back for a large request
  t.quiet_failure = false;    // even where that is in vain
  t.shrinks = guarded.inner != kBare && guarded.inner != kStd; // else there is no resize to shrink by
  t.shrinks_in_place = false;                                  // blocks move on purpose: move_below
  t.walk_adds_up = false; // the walk says of free memory what can be requested, guards and header deducted
  t.coalesces = guarded.options.quarantine == 0;
  t.survives_damage = guarded.inner == kSimple || guarded.inner == kBare;
  if (guarded.inner == kStd || guarded.inner == kBare) {
    t.walks_in_order = false; // guard's own list, newest first
  }
  if (guarded.inner == kStd) {
    t.in_arena = false;
    t.accounts_capacity = false;
    t.coalesces = false;
    t.max_request = 1 << 16;
    t.refuses &= ~static_cast<unsigned>(RF_FUZZ_IN_ARENA);
  }
  return t;
}

void any_program(Guarded &guarded, Reader &reader) {
  guarded.options.leaks_at_deinit = false; // programs may end with blocks live
  rf_fuzz_target target = target_for(guarded);
  target.survives_damage = false; // damage that is met is reported and mended: nothing can be undone
  if (auto const violation = run(target, reader, Conduct::kAny)) {
    abort_with(target.name, *violation);
  }
}

void one_error(Guarded &guarded, Reader &reader) {
  guarded.options.leaks_at_deinit = true;
  rf_fuzz_target const target = target_for(guarded);
  GuardError error(guarded.guard, guarded.log, reader, target);
  size_t steps = reader.u8();
  Interpreter program(target, reader, Conduct::kCorrect);
  if (program.start()) {
    while (steps-- != 0 && program.step()) {
    }
    error.commit(program);
  }
  if (!program.verdict().ok()) {
    abort_with(target.name, program.verdict().violation());
  }
}

} // namespace
} // namespace ringfence::fuzz

// Large requests of std are answered with NULL; sanitizers stop there unless told.
extern "C" const char *__asan_default_options() {
  return "allocator_may_return_null=1";
}
extern "C" const char *__tsan_default_options() {
  return "allocator_may_return_null=1";
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace ringfence::fuzz;
  static Guarded guarded;
  Reader reader(data, size);
  set_up(guarded, reader);
  if (reader.u8() % 4 == 0) {
    any_program(guarded, reader);
  } else {
    one_error(guarded, reader);
  }
  return 0;
}

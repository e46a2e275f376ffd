// guard: over simple or over tlsf, with options and an inner heap that the input chooses. Either any program at all, whose
// misuse must be reported once and change nothing; or a correct program, silent, that commits exactly one error: then
// exactly that finding must come, whenever and however it is noticed.
#include "guard_error.h"

#include <ringfence/fuzz/interpreter.h>
#include <ringfence/guard.h>
#include <ringfence/simple.h>
#include <ringfence/tlsf.h>

namespace ringfence::fuzz {
namespace {

rf_simple simple;
rf_tlsf tlsf;

// Options of the guard, from the first bytes of the input.
struct Setup {
  bool over_tlsf;
  rf_guard_options options;
};

Setup choose_setup(Reader &reader, rf_reporter *reporter) {
  static const size_t kAmounts[] = {0, 64, 1024, SIZE_MAX};
  size_t const choice = reader.u8();
  size_t const more = reader.u8();
  Setup setup = {};
  rf_guard_options_default(&setup.options);
  setup.over_tlsf = choice % 2 != 0;
  setup.options.quarantine = kAmounts[choice / 2 % 4] == SIZE_MAX ? 1 << 16 : kAmounts[choice / 2 % 4];
  setup.options.fill_alloc = kAmounts[choice / 8 % 4];
  setup.options.fill_free = kAmounts[choice / 32 % 4];
  setup.options.move_below = kAmounts[more % 4];
  setup.options.leaks_at_deinit = true;
  setup.options.reporter = reporter;
  return setup;
}

struct Guarded {
  rf_guard guard;
  Setup setup;
  FindingLog log;
};

rf_allocator *init(void *context, void *arena, size_t size) {
  auto *const self = static_cast<Guarded *>(context);
  rf_allocator *inner = nullptr;
  if (self->setup.over_tlsf) {
    inner = rf_tlsf_init(&tlsf, arena, size) == RF_OK ? &tlsf.base : nullptr;
  } else {
    inner = rf_simple_init(&simple, arena, size) == RF_OK ? &simple.base : nullptr;
  }
  bool const good = inner != nullptr && rf_guard_init(&self->guard, inner, &self->setup.options) == RF_OK;
  return good ? &self->guard.base : nullptr;
}

rf_fuzz_target target_for(Guarded &guarded) {
  rf_fuzz_target t = rf_fuzz_target_default(guarded.setup.over_tlsf ? "guard over tlsf" : "guard over simple", init);
  t.context = &guarded;
  t.reports = [](void *context) { return static_cast<Guarded *>(context)->log.count(); };
  t.reports_rejects = true;
  t.align_factor = 2;         // the header keeps the alignment: it takes a multiple of it
  t.largest_is_bound = false; // quarantined blocks are given back for a large request
  t.quiet_failure = false;    // even where that is in vain
  t.shrinks_in_place = false; // blocks move on purpose: move_below
  t.walk_adds_up = false;     // the walk says of free memory what can be requested, guards and header deducted
  t.coalesces = guarded.setup.options.quarantine == 0;
  return t;
}

void any_program(Guarded &guarded, Reader &reader) {
  guarded.setup.options.leaks_at_deinit = false; // programs of the interpreter may end with blocks live
  rf_fuzz_target const target = target_for(guarded);
  Interpreter interpreter(target, reader, Conduct::kAny);
  if (interpreter.start()) {
    while (interpreter.step()) {
    }
    interpreter.finish();
  }
  if (!interpreter.verdict().ok()) {
    abort_with(target.name, interpreter.verdict().violation());
  }
}

void one_error(Guarded &guarded, Reader &reader) {
  rf_fuzz_target const target = target_for(guarded);
  GuardError error(guarded.guard, guarded.log, reader);
  size_t steps = reader.u8();
  Interpreter interpreter(target, reader, Conduct::kCorrect);
  if (interpreter.start()) {
    while (steps-- != 0 && interpreter.step()) {
    }
    error.commit(interpreter);
  }
  if (!interpreter.verdict().ok()) {
    abort_with(target.name, interpreter.verdict().violation());
  }
}

} // namespace
} // namespace ringfence::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace ringfence::fuzz;
  static Guarded guarded;
  Reader reader(data, size);
  guarded.log.clear();
  guarded.setup = choose_setup(reader, guarded.log.reporter());
  if (reader.u8() % 4 == 0) {
    any_program(guarded, reader);
  } else {
    one_error(guarded, reader);
  }
  return 0;
}

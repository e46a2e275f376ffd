// oom: over simple or tlsf, as the first byte of the input chooses, behind an allocator that sometimes fails without
// reason. One callback always grants another try, so the program must not notice. Callbacks are added and removed, and
// refuse, as the input says; each is checked against the promises of the decorator. One program in four ends with
// requests from callbacks.
#include <ringfence/fuzz/interpreter.h>
#include <ringfence/oom.h>
#include <ringfence/simple.h>
#include <ringfence/tlsf.h>

#include <cstdlib>

namespace ringfence::fuzz {
namespace {

constexpr size_t kCallbacks = 4; // the first stays and grants
constexpr unsigned kAttempts = 3;

rf_simple simple;
rf_tlsf tlsf;
rf_oom oom;

void demand(bool promise) {
  if (!promise) {
    abort();
  }
}

// ---- An allocator that fails on demand ----

struct Stingy {
  rf_allocator base;
  rf_allocator *inner;
  unsigned refusals; // the number of next requests that fail
};

Stingy stingy;
rf_allocator_ops stingy_ops;

bool refuses() {
  bool const refused = stingy.refusals != 0;
  stingy.refusals -= refused ? 1 : 0;
  return refused;
}

void *stingy_alloc(rf_allocator *, size_t size, size_t align, const rf_site *site) {
  return refuses() ? nullptr : rf_alloc_at(stingy.inner, size, align, site);
}

// The decorator tries a request without usable bytes once only, so it is not refused.
void *stingy_realloc(rf_allocator *, void *ptr, size_t size, size_t align, const rf_site *site) {
  return rf_usable_size(stingy.inner, ptr) != 0 && refuses() ? nullptr
                                                             : rf_realloc_at(stingy.inner, ptr, size, align, site);
}

rf_allocator *make_stingy(rf_allocator *inner) {
  stingy_ops = {};
  stingy_ops.name = "stingy";
  stingy_ops.alloc = stingy_alloc;
  stingy_ops.realloc = stingy_realloc;
  stingy_ops.free = [](rf_allocator *, void *p, const rf_site *site) { return rf_free_at(stingy.inner, p, site); };
  stingy_ops.resize = [](rf_allocator *, void *p, size_t size, const rf_site *site) {
    return rf_resize_at(stingy.inner, p, size, site);
  };
  stingy_ops.usable_size = [](rf_allocator *, const void *p) { return rf_usable_size(stingy.inner, p); };
  stingy_ops.owns = [](rf_allocator *, const void *p) { return rf_owns(stingy.inner, p); };
  stingy_ops.walk = [](rf_allocator *, rf_walk_fn visit, void *c) { return rf_walk(stingy.inner, visit, c); };
  stingy_ops.check = [](rf_allocator *, rf_fault *where) { return rf_check(stingy.inner, where); };
  stingy_ops.stats = [](rf_allocator *, rf_stats *out) { rf_stats_get(stingy.inner, out); };
  stingy_ops.inner = [](rf_allocator *) { return stingy.inner; };
  stingy = {{&stingy_ops}, inner, 0};
  return &stingy.base;
}

// ---- Callbacks, and the promises to them ----

struct Callback {
  rf_oom_callback registration;
  bool added;
};

Callback callbacks[kCallbacks];
Reader *script;        // their actions
unsigned last_attempt; // of the request that is in its callbacks
size_t last_needed;
size_t sessions; // requests that went to their callbacks so far, in this life of the decorator

void add(size_t i);

// Adds or removes any callback but the first, itself among them.
void change_registrations() {
  size_t const i = script->below(kCallbacks);
  if (i == 0) {
    demand(rf_oom_add(&oom, &callbacks[0].registration, callbacks[0].registration.fn, nullptr) == RF_ERR_BUSY);
  } else if (callbacks[i].added) {
    demand(rf_oom_remove(&oom, &callbacks[i].registration) == RF_OK);
    callbacks[i].added = false;
  } else {
    demand(rf_oom_remove(&oom, &callbacks[i].registration) == RF_ERR_INVALID);
    add(i);
  }
}

// The first callback: begins each round, and grants.
bool grant(void *, unsigned attempt, size_t needed) {
  demand(attempt == 1 || (attempt == last_attempt + 1 && needed == last_needed));
  demand(attempt <= kAttempts);
  sessions += attempt == 1 ? 1 : 0;
  last_attempt = attempt;
  last_needed = needed;
  if (script->below(4) == 1) {
    change_registrations();
  }
  return true;
}

bool any_answer(void *context, unsigned attempt, size_t needed) {
  demand(static_cast<Callback *>(context)->added);
  demand(attempt == last_attempt && needed == last_needed);
  if (script->below(3) == 0) {
    change_registrations();
  }
  return script->u8() % 2 == 0;
}

void add(size_t i) {
  callbacks[i].added = true;
  demand(rf_oom_add(&oom, &callbacks[i].registration, i == 0 ? grant : any_answer, &callbacks[i]) == RF_OK);
}

rf_allocator *over(rf_allocator *inner, unsigned attempts) {
  demand(rf_oom_init(nullptr, inner, 0) == RF_ERR_INVALID && rf_oom_init(&oom, nullptr, 0) == RF_ERR_INVALID);
  if (inner == nullptr || rf_oom_init(&oom, make_stingy(inner), attempts) != RF_OK) {
    return nullptr;
  }
  sessions = 0;
  for (Callback &c : callbacks) {
    c.added = false;
  }
  demand(rf_oom_add(&oom, nullptr, grant, nullptr) == RF_ERR_INVALID);
  demand(rf_oom_add(nullptr, &callbacks[0].registration, grant, nullptr) == RF_ERR_INVALID);
  demand(rf_oom_add(&oom, &callbacks[0].registration, nullptr, nullptr) == RF_ERR_INVALID);
  demand(rf_oom_remove(&oom, nullptr) == RF_ERR_INVALID);
  demand(rf_oom_remove(nullptr, &callbacks[0].registration) == RF_ERR_INVALID);
  add(0);
  return &oom.base;
}

rf_allocator *over_simple(void *, void *arena, size_t size) {
  // 0 stands for the default, which is the same number.
  return over(rf_simple_init(&simple, arena, size) == RF_OK ? &simple.base : nullptr, 0);
}

rf_allocator *over_tlsf(void *, void *arena, size_t size) {
  return over(rf_tlsf_init(&tlsf, arena, size) == RF_OK ? &tlsf.base : nullptr, kAttempts);
}

static_assert(RF_OOM_ATTEMPTS == kAttempts, "the default is what is expected");

// ---- A program ----

// Each request that went to its callbacks was counted, by its result.
void account() {
  rf_oom_stats stats;
  rf_oom_stats_get(&oom, &stats);
  demand(stats.rescued + stats.given_up == sessions);
}

struct Within {
  size_t calls;
  size_t refused;
};

// Requests memory, some of which cannot be there.
bool ask_within(void *context, unsigned, size_t) {
  auto *const within = static_cast<Within *>(context);
  within->calls++;
  within->refused += rf_alloc(&oom.base, RF_SIZE_LIMIT - 64) == nullptr ? 1 : 0;
  void *const p = rf_alloc(&oom.base, 1);
  demand(rf_free(&oom.base, p) == RF_OK);
  return false;
}

// A request from a callback fails at once: no callback runs for it.
void ask_from_within() {
  Within within = {0, 0};
  rf_oom_callback asking;
  rf_stats before;
  rf_stats after;
  demand(rf_oom_add(&oom, &asking, ask_within, &within) == RF_OK);
  rf_stats_get(&oom.base, &before);
  size_t const sessions_before = sessions;
  demand(rf_alloc(&oom.base, RF_SIZE_LIMIT - 64) == nullptr);
  rf_stats_get(&oom.base, &after);
  demand(within.calls == kAttempts && within.refused == kAttempts && sessions == sessions_before + 1);
  demand(after.failures >= before.failures + 1 + kAttempts); // more where a single byte was not available either
  demand(rf_oom_remove(&oom, &asking) == RF_OK);
}

// No callback runs any more, and none can be added.
void ask_after_the_end() {
  rf_counters counters;
  size_t const sessions_before = sessions;
  oom.base.ops->deinit(&oom.base); // of it alone: the heap below goes on
  demand(rf_alloc(&oom.base, RF_SIZE_LIMIT - 64) == nullptr && sessions == sessions_before);
  rf_counters_get(&oom.base, &counters);
  demand(rf_oom_add(&oom, &callbacks[0].registration, grant, nullptr) == RF_ERR_INVALID);
  demand(rf_oom_remove(&oom, &callbacks[0].registration) == RF_ERR_INVALID);
  account();
}

void run_program(const rf_fuzz_target &target, Reader input, bool from_within) {
  Interpreter program(target, input, Conduct::kAny);
  if (program.start()) {
    do {
      account();
      if (script->below(4) == 1) {
        change_registrations();
      }
      stingy.refusals = script->below(2) == 0 ? static_cast<unsigned>(script->below(kAttempts + 1)) : 0;
    } while (program.step());
    stingy.refusals = 0;
    if (program.verdict().ok()) {
      account();
      if (from_within) {
        ask_from_within();
        ask_after_the_end();
      } else {
        program.finish();
      }
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
  size_t const scripted = size / 4; // the last quarter is for callbacks and failures
  Reader acts(data + size - scripted, scripted);
  script = &acts;
  bool const on_simple = choice % 2 == 0;
  rf_fuzz_target const target =
      rf_fuzz_target_default(on_simple ? "oom over simple" : "oom over tlsf", on_simple ? over_simple : over_tlsf);
  run_program(target, input, choice / 2 % 4 == 0);
  return 0;
}

// Random programs, correct but for the misuse that they announce, against the model.
#include "tests/conformance/checks.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace ringfence::conformance {

namespace {

class Trace {
public:
  Trace(const Subject &subject, uint64_t seed, size_t arena_size, size_t skew)
      : subject_(subject), random_(seed), env_(subject, arena_size, skew), most_(arena_size / 8) {}

  void step() {
    switch (random_.below(16)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
      env_.alloc(any_size());
      break;
    case 5:
      env_.alloc(any_size(), any_align());
      break;
    case 6:
    case 7:
    case 8:
      with_block([&](unsigned char *p) { env_.realloc(p, any_size() + 1); });
      break;
    case 9:
      with_block([&](unsigned char *p) { env_.realloc(p, any_size() + 1, any_align()); });
      break;
    case 10:
      with_block([&](unsigned char *p) { env_.resize(p, any_size() + 1); });
      break;
    case 11:
      misuse();
      break;
    default:
      with_block([&](unsigned char *p) { env_.free(p); });
      break;
    }
  }

  void finish() {
    env_.verify_contents();
    env_.free_all();
    env_.verify();
  }

  Env &env() { return env_; }

private:
  // Mostly small, now and then large; less by one than what realloc and resize want.
  size_t any_size() {
    size_t const bound = random_.below(4) != 0 ? 64 : random_.below(4) != 0 ? 512 : most_;
    return served(subject_, random_.below(std::min(bound, most_)) + 1) - 1;
  }

  size_t any_align() {
    std::vector<size_t> const aligns = aligns_to_try(subject_);
    return aligns[random_.below(random_.below(4) != 0 ? std::min<size_t>(aligns.size(), 8) : aligns.size())];
  }

  template <typename Function> void with_block(Function use) {
    if (env_.live().empty()) {
      return;
    }
    auto it = env_.live().begin();
    std::advance(it, random_.below(env_.live().size()));
    unsigned char *const p = it->first;
    last_ = p;
    use(p);
  }

  void misuse() {
    if (last_ != nullptr && env_.live().count(last_) == 0) {
      env_.refuse_free(last_, {RF_ERR_NOT_ALLOCATED, RF_ERR_BAD_POINTER}, "what may be free by now");
    }
    with_block([&](unsigned char *p) {
      size_t const usable = env_.live().at(p).usable;
      if (usable > 1) {
        env_.refuse_free(p + 1 + random_.below(usable - 1), {RF_ERR_BAD_POINTER}, "a pointer into a block");
      }
    });
  }

  const Subject &subject_;
  Random random_;
  Env env_;
  size_t most_;
  unsigned char *last_ = nullptr;
};

void run_trace(const Subject &subject, uint64_t seed, size_t arena_size, size_t steps) {
  size_t at = 0;
  Note const note([&] {
    Text text;
    text << "seed " << seed << ", arena " << arena_size << ", step " << at;
    return text.str();
  });
  Trace trace(subject, seed, arena_size, static_cast<size_t>(seed % 17));
  for (; at < steps; at++) {
    trace.step();
    trace.env().verify();
    if (at % 16 == 0) {
      trace.env().verify_contents();
    }
  }
  trace.finish();
}

// The seeds that every run tries, and one more from the environment, to try again or to try on.
std::vector<uint64_t> seeds() {
  std::vector<uint64_t> result = {1, 2, 3, 4, 5, 6};
  if (const char *const more = std::getenv("RF_CONFORMANCE_SEED")) {
    result.push_back(std::strtoull(more, nullptr, 0));
  }
  return result;
}

void RandomProgramsInASmallArena(const Subject &subject) {
  for (uint64_t const seed : seeds()) {
    run_trace(subject, seed, 1024, 400);
  }
}

void RandomProgramsInALargeArena(const Subject &subject) {
  for (uint64_t const seed : seeds()) {
    run_trace(subject, seed, kArena, 600);
  }
}

} // namespace

std::vector<Check> trace_checks() {
  return {
      RF_CHECK(RandomProgramsInASmallArena, 0),
      RF_CHECK(RandomProgramsInALargeArena, 0),
  };
}

} // namespace ringfence::conformance

// stacks: a depot of stacks (checkers/os/stack_depot.c, stack_guess.c) is asked for the stacks of calls by code of all
// kinds that come and go on two stacks, while words on them change, code is replaced, and the depot fills up or is
// shrunk. Each id has the frames that are there, one id has one stack, what was kept stays as it is, and each new stack
// is told once.
// Processors without rules of stacks have nothing to test.
#include "blocks_model.h"
#include "made_stack.h"

#if RF_STACK_RULES

#define _Static_assert static_assert
extern "C" {
#include "checkers/os/host.h"
#include "checkers/os/stack_guess.h"
#include "checkers/os/stack_record.h"
}
#undef _Static_assert

#include <algorithm>
#include <map>
#include <sys/mman.h>
#include <unistd.h>

namespace {

using ringfence::fuzz::count_step;
using ringfence::fuzz::kCodeStep;
using ringfence::fuzz::kPlaces;
using ringfence::fuzz::kWord;
using ringfence::fuzz::MadeStack;
using ringfence::fuzz::pc_of;
using ringfence::fuzz::Reader;
using ringfence::fuzz::Rules;

using Frames = std::vector<uintptr_t>;

constexpr size_t kStacks = 2;
constexpr unsigned kRootPlaces = 4; // the last places: the function that calls main and those around it
constexpr unsigned kFreePlaces = kPlaces - kRootPlaces;
constexpr unsigned kRoot = kFreePlaces;
constexpr unsigned kFramesMost = 48;
constexpr size_t kRecordMost = RF_TRACE_DEPTH * (sizeof(rf_stack_check) + 2 * sizeof(uint64_t)) + 64; // bytes
constexpr unsigned kCutDepth = 6; // stacks of a depot that is nearly full
constexpr size_t kMany = 256;
constexpr uintptr_t kCodeOfMany = 0x00800000; // their frames are no place's
constexpr size_t kDepotMost = 512 * 1024;     // bytes; the least that has buckets on a page of their own
constexpr size_t kOthers = 512;               // bytes behind what a depot has left that somebody else writes to

// Two pages for each stack, and one behind that cannot be read.
class Pages {
public:
  Pages()
      : page_(static_cast<size_t>(getpagesize())),
        all_(static_cast<char *>(mmap(nullptr, 3 * kStacks * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    for (size_t i = 0; i < kStacks; i++) {
      RF_HOLDS(mprotect(at(i), 2 * page_, PROT_READ | PROT_WRITE) == 0);
    }
  }

  uintptr_t *low(size_t i) { return reinterpret_cast<uintptr_t *>(at(i)); }
  uintptr_t *high(size_t i) { return reinterpret_cast<uintptr_t *>(at(i) + 2 * page_); }

private:
  char *at(size_t i) { return all_ + i * 3 * page_; }

  size_t page_;
  char *all_;
};

Pages pages;
alignas(8) unsigned char depot_memory[kDepotMost + kOthers];

struct Told {
  size_t stacks;
  uintptr_t caller;
  bool frees;
};

Told told;

class Program {
public:
  explicit Program(Reader &in) : in_(in), rules_(in), stacks_{stack(0), stack(1)} {
    size_t const size = depot_size(in);
    RF_HOLDS(rf_stack_depot_init(&depot_, depot_memory, size) == RF_OK);
    set_others(size);
    told = Told();
    depot_.added_call = [](uintptr_t caller, bool frees) { told = {told.stacks + 1, caller, frees}; };
    rf_stack_generation = 1;
    enter_root();
  }
  ~Program() {
    rf_stack_set_root(0, 0);
    std::memset(depot_memory, 0, static_cast<size_t>(depot_.records - depot_memory) + depot_.used);
    std::memset(depot_memory + kept_, 0, kOthers);
  }
  Program(const Program &) = delete;
  Program &operator=(const Program &) = delete;

  void run() {
    while (!in_.empty()) {
      count_step();
      step();
    }
    for (const auto &one : ids_) {
      RF_HOLDS(frames_of(one.second) == one.first);
    }
    RF_HOLDS(ringfence::fuzz::all_bytes_are(depot_memory + kept_, kOthers, 0xff));
  }

private:
  unsigned below(unsigned n) { return static_cast<unsigned>(in_.below(n)); }

  MadeStack stack(size_t i) const { return {rules_, pages.low(i), pages.high(i)}; }

  // Most have room enough; in the least there is hardly any.
  static size_t depot_size(Reader &in) {
    unsigned const drawn = in.u8();
    return drawn < 192 ? kDepotMost >> 2 * (drawn % 4) : 256U + (drawn - 192U) * 64U;
  }

  // The outermost frames of the first stack, which stay.
  void enter_root() {
    unsigned const drawn = in_.u8();
    if (drawn % 2 != 0) {
      return;
    }
    for (unsigned outer = 1 + drawn / 2 % kRootPlaces; --outer != 0;) {
      (void)stacks_[0].push(kRoot + outer, in_);
    }
    (void)stacks_[0].push(kRoot, in_);
    root_depth_ = stacks_[0].has(kRoot) ? stacks_[0].depth() : 0;
    if (root_depth_ != 0) {
      rf_stack_set_root(pc_of(kRoot) - 1, pc_of(kRoot) + kCodeStep / 2);
    }
  }

  size_t locked() const { return now_ == 0 ? root_depth_ : 0; }
  MadeStack &current() { return stacks_[now_]; }

  void step() {
    unsigned const drawn = in_.u8();
    switch (drawn % 16) {
    case 0:
    case 1:
    case 2:
      push(drawn / 16);
      ask(RF_TRACE_DEPTH, false);
      break;
    case 3:
    case 4:
      restore();
      pop(1 + drawn / 64);
      break;
    case 5:
    case 6:
    case 7:
      push(drawn / 16);
      break;
    case 8:
    case 9:
      ask(1 + below(RF_TRACE_DEPTH), drawn >= 128);
      break;
    case 10:
    case 11:
      ask(RF_TRACE_DEPTH, drawn >= 128);
      break;
    case 12:
      scribble();
      break;
    case 13:
      restore();
      now_ = 1 - now_;
      break;
    case 14:
      change_code();
      break;
    default:
      keep_frames(drawn / 16);
      break;
    }
  }

  void push(unsigned count) {
    restore();
    for (unsigned i = 0; i <= count / 4; i++) {
      (void)current().push(below(kFreePlaces), in_);
    }
  }

  void pop(unsigned count) {
    for (; count != 0 && current().depth() > locked(); count--) {
      current().pop();
    }
  }

  // Any word up to the one that returns into the root: what is above that stays as it is.
  void scribble() {
    if (current().depth() <= locked()) {
      return;
    }
    (void)current().frame();
    uintptr_t *const begin = current().begin();
    uintptr_t *const end = locked() != 0 ? current().begin_of(locked() - 1) - 1 : current().end_of(0);
    uintptr_t *const word = begin + in_.below(std::min(static_cast<size_t>(end - begin), size_t{256}));
    scribbled_.emplace_back(word, *word);
    *word = current().any_word(in_);
  }

  void restore() {
    for (; !scribbled_.empty(); scribbled_.pop_back()) {
      *scribbled_.back().first = scribbled_.back().second;
    }
  }

  // The code around a place that no call will return to.
  void change_code() {
    unsigned const place = below(kFreePlaces);
    if (!stacks_[0].has(place) && !stacks_[1].has(place)) {
      rules_.change(place, in_);
    }
  }

  // ---- Asking ----

  Frames frames_of(uint32_t id) const {
    Frames frames(kFramesMost);
    frames.resize(rf_stack_depot_get(&depot_, id, frames.data(), kFramesMost));
    return frames;
  }

  bool is_filling() const { return depot_.used > depot_.capacity / 4 * 3; }
  bool may_be_full() const { return depot_.capacity - depot_.used < kRecordMost; }

  // One stack has one id, and one id one stack.
  void know(uint32_t id, const Frames &frames) {
    auto const known = ids_.emplace(frames, id);
    RF_HOLDS(known.first->second == id);
    RF_HOLDS(!known.second || depot_.used != used_before_);
  }

  void ask(unsigned max, bool frees) {
    if (current().depth() == 0) {
      return;
    }
    bool const is_whole = scribbled_.empty();
    const void *const frame = is_whole ? current().frame() : current().begin();
    rf_origin const origin = {nullptr, current().caller(), frame};
    rf_host_last_stack = {current().low(), current().high()};
    Frames there(max);
    there.resize(rf_stack_capture(&origin, there.data(), max));
    if (is_whole) {
      Frames expected = current().expected();
      expected.resize(std::min<size_t>(expected.size(), max));
      RF_HOLDS(there == expected);
      uint32_t id = 0;
      if (rf_stack_guess_holds(&depot_, &predictor_, origin.caller, frame, max, true, &id)) {
        check_found(id, there);
        predictor_.trust = RF_TRUST_MOST;
      }
    }
    size_t const told_before = told.stacks;
    used_before_ = depot_.used;
    uint32_t const id =
        frees ? rf_stack_depot_put_free_from(&depot_, &origin, max) : rf_stack_depot_put_from(&depot_, &origin, max);
    check_told(id, told_before, frees);
    check_found(id, there);
  }

  void check_found(uint32_t id, const Frames &there) {
    Frames const found = frames_of(id);
    if (id == 0) {
      RF_HOLDS(found.empty() && may_be_full());
      return;
    }
    bool const is_cut = found.size() == kCutDepth && there.size() > kCutDepth && is_filling();
    RF_HOLDS(is_cut ? std::equal(found.begin(), found.end(), there.begin()) : found == there);
    know(id, found);
  }

  void check_told(uint32_t id, size_t before, bool frees) {
    if (id == 0 || depot_.used == used_before_) {
      RF_HOLDS(told.stacks == before);
    } else {
      RF_HOLDS(told.stacks == before + 1);
      RF_HOLDS(told.caller == frames_of(id)[0] && told.frees == frees);
    }
  }

  // ---- Stacks that nobody captured ----

  void keep_frames(unsigned what) {
    Frames frames = current().expected();
    frames.resize(std::min<size_t>(frames.size(), 1 + in_.below(kFramesMost - 1)));
    if (frames.empty()) {
      return;
    }
    auto const depth = static_cast<unsigned>(frames.size());
    size_t const told_before = told.stacks;
    used_before_ = depot_.used;
    if (what == 15) {
      shrink();
    } else if (what == 14) {
      keep_many();
    } else if (what >= 12) {
      frames.resize(1);
      uint32_t const id = rf_stack_depot_put_caller(&depot_, frames[0], what == 12);
      check_put(id, told_before, what == 12, frames);
    } else {
      frames[frames.size() - 1] += what / 4;
      check_put(rf_stack_depot_put(&depot_, frames.data(), depth), told_before, false, frames);
    }
  }

  void check_put(uint32_t id, size_t told_before, bool frees, const Frames &frames) {
    check_told(id, told_before, frees);
    if (id == 0) {
      RF_HOLDS(may_be_full());
    } else {
      RF_HOLDS(frames_of(id) == frames);
      know(id, frames);
    }
  }

  // So many that buckets are full, and all of them again.
  void keep_many() {
    size_t const known = many_.size();
    for (uintptr_t i = 0; i < known + kMany; i++) {
      uintptr_t const frames[] = {kCodeOfMany + i, kCodeOfMany};
      uint32_t const id = rf_stack_depot_put(&depot_, frames, 2);
      if (i < known) {
        RF_HOLDS(id == many_[i] || many_[i] == 0);
      } else {
        RF_HOLDS(id != 0 || may_be_full());
        many_.push_back(id);
      }
    }
  }

  // The memory that the depot gave back is somebody else's.
  void shrink() {
    size_t const kept = rf_stack_depot_shrink(&depot_, 1024 + in_.length());
    RF_HOLDS(kept % 8 == 0 && kept <= kept_);
    set_others(kept);
  }

  void set_others(size_t kept) {
    std::memset(depot_memory + kept_, 0, kOthers);
    std::memset(depot_memory + kept, 0xff, kOthers);
    kept_ = kept;
  }

  Reader &in_;
  Rules rules_;
  MadeStack stacks_[kStacks];
  size_t now_ = 0;
  size_t root_depth_ = 0;             // of the first stack: frames that stay
  size_t kept_ = 0;                   // of the memory
  rf_stack_predictor predictor_ = {}; // which tries each successor once there is one
  rf_stack_depot depot_ = {};
  size_t used_before_ = 0;
  std::map<Frames, uint32_t> ids_;
  std::vector<uint32_t> many_;
  std::vector<std::pair<uintptr_t *, uintptr_t>> scribbled_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Reader in(data, size);
  Program(in).run();
  return 0;
}

#else

extern "C" int LLVMFuzzerTestOneInput(const uint8_t * /*data*/, size_t /*size*/) {
  return 0;
}

#endif

// A stack of words in memory with frames as code leaves them that was compiled in one way or another, and the rules by
// which they are found (checkers/os/stack_rules.h).
#ifndef RINGFENCE_FUZZ_MADE_STACK_H
#define RINGFENCE_FUZZ_MADE_STACK_H

#include "checkers/os/stack_rules.h"

#if RF_STACK_RULES

#include <ringfence/fuzz/reader.h>
#include <vector>

namespace ringfence::fuzz {

constexpr unsigned kPlaces = 24;        // return addresses, each with a rule
constexpr uintptr_t kCode = 0x00100000; // in no module
constexpr uintptr_t kCodeStep = 16;
constexpr uintptr_t kWord = sizeof(uintptr_t);

inline uintptr_t pc_of(unsigned place) {
  return kCode + place * kCodeStep;
}

// The rules of all places, as .eh_frame would have them.
class Rules {
public:
  explicit Rules(Reader &in);
  ~Rules();
  Rules(const Rules &) = delete;
  Rules &operator=(const Rules &) = delete;

  uint32_t of(unsigned place) const { return rules_[place]; }

  // Other code is where this place was.
  void change(unsigned place, Reader &in);

private:
  void draw(unsigned place, Reader &in);

  uint32_t rules_[kPlaces] = {};
};

// The memory of a stack ends at a page that cannot be read.
class MadeStack {
public:
  MadeStack(const Rules &rules, uintptr_t *low, uintptr_t *high) : rules_(&rules), low_(low), high_(high) {}

  // The frame of a function that calls something, which will return to `place`: inside of the frames that are there.
  // False, and nothing changed, where there is no room.
  bool push(unsigned place, Reader &in);
  void pop() { frames_.pop_back(); }

  size_t depth() const { return frames_.size(); }
  bool has(unsigned place) const;

  // The frame of what was called last, as in rf_origin, and where it returns to. There is at least one frame.
  const uintptr_t *frame();
  uintptr_t caller() const { return pc_of(frames_.back().place); }

  // The return addresses that are to be found, innermost first.
  std::vector<uintptr_t> expected() const;

  // Words of the innermost frame, and of the one that `frame` has made: any of them may be written to.
  uintptr_t *begin() const { return frames_.back().sp - 2; }
  // The words of the frame `index`, counted from the outermost one.
  uintptr_t *begin_of(size_t index) const { return frames_[index].sp; }
  uintptr_t *end_of(size_t index) const { return frames_[index].cfa; }

  // A word as code keeps them in registers and on its stack: a number, an address of the stack, a return address.
  uintptr_t any_word(Reader &in) const;

  uintptr_t low() const { return reinterpret_cast<uintptr_t>(low_); }
  uintptr_t high() const { return reinterpret_cast<uintptr_t>(high_); }

private:
  struct Frame {
    unsigned place;
    uintptr_t *sp; // at the call, before the return address is pushed
    uintptr_t *cfa;
    uintptr_t bp; // at the call
  };

  uintptr_t *fill(uintptr_t *cfa, size_t words, Reader &in) const;

  const Rules *rules_;
  uintptr_t *low_;
  uintptr_t *high_;
  std::vector<Frame> frames_;
};

} // namespace ringfence::fuzz

#endif // RF_STACK_RULES

#endif // RINGFENCE_FUZZ_MADE_STACK_H

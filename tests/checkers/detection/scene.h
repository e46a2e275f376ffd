// A bug, an allocator and a mode: one program, in a process of its own or on a board, which commits the bug or, as its
// twin, does the same correctly; and what was found.
#ifndef RINGFENCE_TESTS_CHECKERS_DETECTION_SCENE_H
#define RINGFENCE_TESTS_CHECKERS_DETECTION_SCENE_H

#include <ringfence/checked.h>
#include <ringfence/conformance.h>
#include <ringfence/guard_small.h>

#include <string>
#include <vector>

namespace ringfence::detection {

// ---- Modes. A new one: a word here, its checker in modes.cc. ----

enum class Mode { kOff, kSample, kGuard, kPage, kAsan, kMte, kGuardSmall, kCount };
constexpr size_t kModes = static_cast<size_t>(Mode::kCount);

const char *mode_name(Mode mode);

// True where this build has the mode: asan needs a build with AddressSanitizer, mte a processor with tags; a board has
// no pages.
bool mode_is_built(Mode mode);

// True where the mode's checker can wrap the allocator: guard_small needs one that knows its blocks.
bool mode_takes(Mode mode, const rf_conformance_subject &subject);

// The checker of a mode over `inner`; `inner` itself in mode off.
class Checker {
public:
  Checker(Mode mode, rf_allocator *inner, rf_reporter *reporter, rf_page_side side);
  Checker(const Checker &) = delete;
  Checker &operator=(const Checker &) = delete;

  rf_allocator *allocator() const { return allocator_; }
  void end(); // the checker, not what it wraps; once

private:
  struct Small {
    rf_guard_small guard;
    rf_reporter *reporter;
  };

  static void report_small(rf_guard_small *guard, const rf_small_finding *finding);

  rf_checked checked_ = {};
  Small small_;
  rf_allocator *allocator_;
  bool ended_ = false;
};

// ---- How a bug is told ----

enum class How {
  kNot,      // not at all
  kRefused,  // the allocator itself refuses it and raises a fault, or answers NULL
  kAtOnce,   // at the instruction, or at the call that is wrong
  kLater,    // by a finding at the next free, sweep or end
  kShown,    // what is read is a fill, not what was there
  kNotTried, // there is nothing that could notice, and what the bug destroys is anybody's
  kNoMode    // this build does not have the mode
};

// As it stands in the table: "!", "f", "-" …
const char *how_sign(How how);

// ---- Bugs ----

class Scene;

struct Bug {
  const char *name; // of the test
  const char *text; // for the table
  const char *cwe;

  // The expected finding. For pointers into no block, `has_block` is false.
  rf_bug kind;
  rf_access access;
  bool has_block;
  size_t size;
  ptrdiff_t offset;
  bool freed;

  rf_page_side side;       // for page and sample; what the default takes in turn
  void (*commit)(Scene &); // or, where !scene.bad(), the same without the bug
  How expected[kModes];    // by Mode
  const char *why[kModes]; // why it is not found, or found later: for the table
};

extern const std::vector<Bug> kBugs;

// Allocators on which a mode tells less or more of a bug than on the others, and why.
struct Exception {
  const char *bug;
  const char *allocator; // nullptr: each
  Mode mode;
  How how;
  const char *why;
};

extern const std::vector<Exception> kExceptions;

How expected_of(const Bug &bug, const std::string &allocator, Mode mode);

// ---- Running ----

struct Outcome {
  How how = How::kNot;
  std::string trouble; // what is wrong with what was found, or "" where all is as it should be
};

// The bug, committed: how it was told, and whether kind, address, distance, size, access and call sites are right.
Outcome run_bad(const Bug &bug, const rf_conformance_subject &subject, Mode mode);

// Its twin: trouble where anything at all was found.
Outcome run_good(const Bug &bug, const rf_conformance_subject &subject, Mode mode);

std::vector<const rf_conformance_subject *> subjects();

// The tools of a bug's code.
class Scene {
public:
  Scene(const Bug &bug, bool bad, rf_allocator *allocator, rf_allocator *other, Checker *checker)
      : bug_(bug), bad_(bad), allocator_(allocator), other_(other), checker_(checker) {}

  bool bad() const { return bad_; }
  const Bug &bug() const { return bug_; }
  rf_allocator *allocator() const { return allocator_; }
  rf_allocator *other() const { return other_; } // another of the same kind

  unsigned char *make();       // a block of bug().size, filled
  void drop(unsigned char *p); // frees it
  void misuse(void *p);        // a free that is wrong
  // The moment of the bug.
  template <typename F> void act(F what) {
    in_act_ = true;
    what();
    in_act_ = false;
  }
  void answered(bool refused) { refused_ = refused; }
  void shows(bool fill) { shown_ = fill; }
  void end_checker() { checker_->end(); }

  bool in_act() const { return in_act_; }
  bool refused() const { return refused_; }
  bool shown() const { return shown_; }
  uintptr_t block() const { return block_; }
  unsigned made_at() const { return made_at_; }
  unsigned dropped_at() const { return dropped_at_; }
  unsigned misused_at() const { return misused_at_; }

private:
  const Bug &bug_;
  bool bad_;
  rf_allocator *allocator_;
  rf_allocator *other_;
  Checker *checker_;
  bool in_act_ = false;
  bool refused_ = false;
  bool shown_ = false;
  uintptr_t block_ = 0;
  unsigned made_at_ = 0;
  unsigned dropped_at_ = 0;
  unsigned misused_at_ = 0;
};

} // namespace ringfence::detection

#endif // RINGFENCE_TESTS_CHECKERS_DETECTION_SCENE_H

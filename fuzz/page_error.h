// One error in an otherwise correct program, committed on blocks with pages of their own, and the finding that must
// follow; for the harnesses of page and of sample.
#ifndef RINGFENCE_FUZZ_PAGE_ERROR_H
#define RINGFENCE_FUZZ_PAGE_ERROR_H

#include "finding_log.h"

#include <ringfence/fuzz/interpreter.h>

#include <cstddef>
#include <cstdint>
#include <functional>

namespace ringfence::fuzz {

// The checker, as seen by the errors.
struct Paged {
  const char *mode;
  rf_allocator *allocator;
  FindingLog *log;
  std::function<bool(const void *)> has; // the block is on pages
  std::function<void()> sweep;
  size_t sure_below; // with fewer live blocks than that a new one of up to a page is on pages; 0: never surely
  bool finds_leaks;
  bool finds_reentry;
};

class PageError {
public:
  // Takes the error and its place from the input.
  PageError(const Paged &paged, Reader &reader);

  // Commits the error silently on the program that has run so far, makes the checker notice, and ends the program
  // correctly. The interpreter's verdict holds what is wrong with the findings.
  void commit(Interpreter &program);

private:
  // The expected report.
  struct Expected {
    rf_bug bug;
    rf_access access;
    uintptr_t address;
    uintptr_t block; // 0: none
    size_t size;
    size_t access_size; // 0: not to be told
    bool at_access;
    bool freed;
    unsigned cwe; // 0: the kind's usual one
  };

  enum class Notice { kNow, kLater, kAtEnd };

  struct Deed {
    bool done = false; // false: not possible with this victim
    Notice notice = Notice::kNow;
    bool victim_lives = true;
    Expected expected = {};
  };

  Deed act();
  Deed touch_behind();
  Deed touch_before();
  Deed touch_freed();
  Deed touch_beside_freed();
  Deed double_free();
  Deed interior_free();
  Deed beside_free();
  Deed foreign_free();
  Deed leak();
  Deed too_big();
  Deed calloc_overflow();
  Deed bad_alignment();
  Deed reentry();

  using Act = Deed (PageError::*)();
  struct Kind {
    const char *name;
    Act act;
  };
  static const Kind kKinds[];
  const Kind &kind() const;

  const Block *fresh_victim(Interpreter &program);
  bool choose_victim(Interpreter &program);
  size_t choose_distance(size_t slack) const;
  uintptr_t open_start() const;
  uintptr_t open_end() const;
  Deed touch(unsigned char *at, bool is_open, rf_bug bug);
  Deed misuse(rf_bug bug, const void *ptr) const;
  void hand_in(void *ptr);
  void wind_up(Shadow &shadow, const Deed &deed);
  bool compare(Verdict &verdict, const Deed &deed) const;
  bool compare_kind(Verdict &verdict, const rf_finding &f, const Expected &expected) const;
  bool compare_place(Verdict &verdict, const rf_finding &f, const Expected &expected) const;

  const Paged &paged_;
  size_t kind_;
  size_t victim_choice_;
  size_t fresh_size_;
  size_t where_;
  size_t verb_;
  size_t trigger_;
  Block victim_ = {};
  bool victim_is_fresh_ = false;
};

// Runs a correct program for a number of steps, commits an error on it, and aborts unless exactly that is found. The
// input decides everything.
void commit_one_error(const Paged &paged, const rf_fuzz_target &target, Reader &reader);

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_PAGE_ERROR_H

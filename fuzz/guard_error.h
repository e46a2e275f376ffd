// One error in a program that is otherwise correct, committed on a guard, and the finding that must come of it.
#ifndef RINGFENCE_FUZZ_GUARD_ERROR_H
#define RINGFENCE_FUZZ_GUARD_ERROR_H

#include "finding_log.h"

#include <ringfence/fuzz/interpreter.h>
#include <ringfence/guard.h>

#include <cstddef>
#include <cstdint>

namespace ringfence::fuzz {

class GuardError {
public:
  // Takes what error it is, where and how it will be noticed from the input.
  GuardError(rf_guard &guard, FindingLog &log, Reader &reader);

  // Commits it on the program that has run so far, silently; sees to it that it is noticed; ends the program as a correct
  // one. The interpreter's verdict says what was wrong with the findings.
  void commit(Interpreter &program);

private:
  // What must be reported: the fields of rf_finding that say where.
  struct Expected {
    rf_bug bug;
    rf_access access;
    uintptr_t address;
    uintptr_t block; // 0: none
    size_t size;
    size_t access_size;
    bool freed;
    unsigned cwe; // 0: the kind's usual one
  };

  // What was done: what it must be reported as, and whether that is so already.
  struct Deed {
    bool done; // false: not possible with this victim
    bool noticed;
    bool victim_is_gone; // freed, or not to be freed any more
    Expected expected;
  };

  using Act = Deed (GuardError::*)();
  static const Act kActs[];

  Deed overflow();
  Deed underflow();
  Deed header();
  Deed write_after_free();
  Deed write_around_freed();
  Deed double_free();
  Deed interior_free();
  Deed forged_interior_free();
  Deed foreign_free();
  Deed forged_foreign_free();
  Deed leak();
  Deed too_big();
  Deed calloc_overflow();
  Deed bad_alignment();
  Deed other_family();
  Deed other_size();

  bool choose_victim(Interpreter &program);
  bool quarantine_victim();
  void hand_in(void *ptr);
  Expected written(rf_bug bug, unsigned char *at, size_t count, bool freed) const;
  void scribble(unsigned char *at, size_t count) const;
  Deed act();
  void go_on();
  bool notice(const Deed &deed);
  void wind_up(Interpreter &program, const Deed &deed);
  bool compare(Verdict &verdict, const Expected &expected) const;
  bool compare_window(Verdict &verdict, const Expected &expected) const;

  rf_guard &guard_;
  rf_allocator *allocator_;
  FindingLog &log_;

  size_t kind_;
  size_t victim_choice_;
  size_t fresh_size_;
  size_t where_;
  size_t length_;
  unsigned char mask_; // what written bytes are changed by, not 0
  size_t verb_;
  size_t churn_;
  size_t trigger_;

  Block victim_ = {};
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_GUARD_ERROR_H

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
  // Takes what error it is, where and how it will be noticed from the input. `target` has what is promised of the guard:
  // errors that damage more than the guard are committed where that is survived.
  GuardError(rf_guard &guard, FindingLog &log, Reader &reader, const rf_fuzz_target &target);
  virtual ~GuardError() = default;
  GuardError(const GuardError &) = delete;
  GuardError &operator=(const GuardError &) = delete;

  // Runs a correct program, the rest of the input, which must be silent, and commits the error in it; sees to it that it is
  // noticed; ends the program as a correct one. Aborts with what was wrong, of the program or of the findings.
  void commit(Reader &reader);

protected:
  // What must be reported: the fields of rf_finding that say where.
  struct Expected {
    rf_bug bug;
    rf_access access;
    uintptr_t address;
    uintptr_t block; // 0: none
    size_t size;
    size_t access_size;
    bool freed;
    unsigned cwe;   // 0: the kind's usual one
    bool at_access; // told at the instruction, and nothing was overwritten
  };

  enum class Notice {
    kNow,   // when it is done
    kLater, // when the guard looks
    kAtEnd, // when the program ends
    kAfter  // it is done after the program has ended
  };

  enum class Victim { kLive, kFreed, kGivenUp };

  struct Deed {
    bool done; // false: not possible with this victim
    Notice notice;
    Victim victim;
    Expected expected;
    bool with_others; // there may be more findings: what was overwritten was not the guard's alone
  };

  using Act = Deed (GuardError::*)();
  struct Kind {
    const char *name;
    Act act;
  };

  // For modes that find more. `choice` is the input's.
  virtual const char *mode() const { return "guard"; }
  virtual const Kind &kind(size_t choice) const;

  // When all is over: what is not to be told by the findings.
  virtual void judge(Verdict &verdict) { (void)verdict; }

  bool quarantine_victim();
  static uintptr_t number(const void *ptr) { return reinterpret_cast<uintptr_t>(ptr); }

  size_t where_;
  size_t length_;
  size_t verb_;
  Block victim_ = {};

private:
  // The errors; guard_error_acts.cc.
  Deed overflow();
  Deed long_overflow();
  Deed underflow();
  Deed header();
  Deed write_after_free();
  Deed write_around_freed();
  Deed double_free();
  Deed interior_free();
  Deed forged_interior_free();
  Deed foreign_free();
  Deed forged_foreign_free();
  Deed other_guard();
  Deed behind_the_back();
  Deed leak();
  Deed leak_on_demand();
  Deed too_big();
  Deed calloc_overflow();
  Deed bad_alignment();
  Deed other_family();
  Deed other_size();
  Deed use_after_deinit();

  static const Kind kKinds[];

  void hand_in(void *ptr);
  void scribble(unsigned char *at, size_t count) const;
  Deed damage(rf_bug bug, unsigned char *at, size_t count, bool freed) const;
  Deed misuse(rf_bug bug, rf_access access, const void *ptr) const;

  // What comes before and after; guard_error.cc.
  void commit_on(Interpreter &program);
  bool choose_victim(Interpreter &program);
  const Block *fresh_victim(Interpreter &program);
  bool described(Verdict &verdict);
  void go_on();
  bool look(const Deed &deed);
  void wind_up(Shadow &shadow, const Deed &deed);
  bool compare(Verdict &verdict, const Deed &deed) const;
  bool compare_kind(Verdict &verdict, const Expected &expected) const;
  bool compare_place(Verdict &verdict, const Expected &expected) const;
  bool compare_window(Verdict &verdict, const Expected &expected) const;
  bool compare_untouched(Verdict &verdict) const;

  rf_guard &guard_;
  rf_allocator *allocator_;
  FindingLog &log_;
  const rf_fuzz_target &target_;

  size_t kind_;
  size_t victim_choice_;
  size_t fresh_size_;
  unsigned char mask_; // what written bytes are changed by, not 0
  size_t churn_;
  size_t trigger_;

  uintptr_t victim_block_ = 0; // where it was when the error was committed
  bool victim_is_fresh_ = false;
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_GUARD_ERROR_H

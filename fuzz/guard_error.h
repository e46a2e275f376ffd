// One error in an otherwise correct program on a guard, and the finding that must follow.
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
  // Takes the error, its place and the way it is noticed from the input. `target` holds the promises of the guard:
  // errors that damage more than the guard are committed only where that is survived.
  GuardError(rf_guard &guard, FindingLog &log, Reader &reader, const rf_fuzz_target &target);
  virtual ~GuardError() = default;
  GuardError(const GuardError &) = delete;
  GuardError &operator=(const GuardError &) = delete;

  // Runs the rest of the input as a correct program, which must be silent, commits the error in it, makes the guard
  // notice, and ends the program correctly. Aborts with the violation, of the program or of the findings.
  void commit(Reader &reader);

protected:
  // The expected report: the fields of rf_finding that locate it.
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
    bool with_others; // more findings may follow: other data was overwritten as well
  };

  using Act = Deed (GuardError::*)();
  struct Kind {
    const char *name;
    Act act;
  };

  // For modes that find more. `choice` comes from the input.
  virtual const char *mode() const { return "guard"; }
  virtual const Kind &kind(size_t choice) const;

  // At the end: checks that the findings do not show.
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

  // Before and after the error; guard_error.cc.
  void commit_on(Interpreter &program);
  bool choose_victim(Interpreter &program);
  const Block *fresh_victim(Interpreter &program);
  bool described(Verdict &verdict);
  void go_on();
  void sweep();
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
  unsigned char mask_; // XORed into written bytes, not 0
  size_t churn_;
  size_t trigger_;

  uintptr_t victim_block_ = 0; // where it was when the error was committed
  bool victim_is_fresh_ = false;
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_GUARD_ERROR_H

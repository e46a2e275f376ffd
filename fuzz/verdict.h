// The first broken promise, and the operation that broke it.
#ifndef RINGFENCE_FUZZ_VERDICT_H
#define RINGFENCE_FUZZ_VERDICT_H

#include <cstddef>
#include <string>

namespace ringfence::fuzz {

struct Violation {
  std::string rule;      // the promise, as a fixed word: "overlap", "contents", …
  std::string what;      // the difference, with the numbers
  std::string statement; // the operation, as a statement of C
  size_t operation = 0;  // its number, from 1; 0: making the allocator
};

// Collects violations found by the shadow model and the interpreter. Only the first counts: later ones may be its
// consequence.
class Verdict {
public:
  // `trace`: print each operation to stderr as it begins and ends.
  explicit Verdict(bool trace) : trace_(trace) {}

  // The next operation begins; printf-like.
  void begin(const char *format, ...) __attribute__((format(printf, 2, 3)));

  // Its result, for the trace.
  void outcome(const char *format, ...) __attribute__((format(printf, 2, 3)));

  // A promise is broken. Always false, for `return verdict.fail(...)`.
  bool fail(const char *rule, const char *format, ...) __attribute__((format(printf, 3, 4)));

  bool ok() const { return violation_.rule.empty(); }
  const Violation &violation() const { return violation_; }
  size_t operations() const { return operations_; }

private:
  bool trace_;
  size_t operations_ = 0;
  std::string statement_ = "init";
  Violation violation_;
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_VERDICT_H

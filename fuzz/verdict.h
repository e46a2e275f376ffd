// The first broken promise, and the operation that broke it.
#ifndef RINGFENCE_FUZZ_VERDICT_H
#define RINGFENCE_FUZZ_VERDICT_H

#include <cstddef>
#include <cstdint>
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
  // `traced`: print each operation to stderr as it begins and ends.
  explicit Verdict(bool traced) : trace_(traced) {}

  // The next operation begins; printf-like, with arguments of integer, pointer and string type. The text is made only
  // where it is needed: strings must live until the next operation begins.
  void begin(const char *format, ...) __attribute__((format(printf, 2, 3)));

  // Its result, for the trace.
  void outcome(const char *format, ...) __attribute__((format(printf, 2, 3)));

  // A promise is broken. Always false, for `return verdict.fail(...)`.
  bool fail(const char *rule, const char *format, ...) __attribute__((format(printf, 3, 4)));

  bool ok() const { return violation_.rule.empty(); }
  const Violation &violation() const { return violation_; }
  size_t operations() const { return operations_; }

  // Operations begun by all verdicts of this process.
  static size_t begun() { return begun_; }
  // One more, by a harness with a model of its own.
  static void begun_elsewhere() { begun_++; }

private:
  static constexpr size_t kArguments = 6;

  std::string statement() const;

  bool trace_;
  size_t operations_ = 0;
  const char *format_ = "init";
  uintmax_t arguments_[kArguments] = {};
  static size_t begun_;
  Violation violation_;
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_VERDICT_H

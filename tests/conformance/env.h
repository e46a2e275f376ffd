// One allocator under test: its arena, a model of what it should be, and calls that check what they do against it.
#ifndef RINGFENCE_TESTS_CONFORMANCE_ENV_H
#define RINGFENCE_TESTS_CONFORMANCE_ENV_H

#include "tests/conformance/suite.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace ringfence::conformance {

// The address in the pointer: on AArch64 its top byte may be a tag.
inline uintptr_t address_of(const void *ptr) {
#if defined(__aarch64__)
  return reinterpret_cast<uintptr_t>(ptr) & (~uintptr_t{0} >> 8);
#else
  return reinterpret_cast<uintptr_t>(ptr);
#endif
}

// Text in pieces. Not a stream: boards have none.
class Text {
public:
  Text &operator<<(const char *piece) { return add(piece); }
  Text &operator<<(const std::string &piece) { return add(piece); }
  Text &operator<<(const void *pointer);
  template <typename T> std::enable_if_t<std::is_integral_v<T>, Text &> operator<<(T number) {
    return add(std::to_string(number));
  }
  const std::string &str() const { return text_; }

private:
  Text &add(const std::string &piece) {
    text_ += piece;
    return *this;
  }

  std::string text_;
};

// Ends the check: run.cc by an exception, tests/board by the end of the program.
[[noreturn]] void fail(const char *file, int line, const std::string &text);

// The place, the text and the notes of a failure.
std::string failure_text(const char *file, int line, const std::string &text);

// Says, while it lives, more of any failure: the seed of a random program, say. For one thread.
class Note {
public:
  explicit Note(std::function<std::string()> text) : text_(std::move(text)), outer_(the_note) { the_note = this; }
  ~Note() { the_note = outer_; }
  Note(const Note &) = delete;
  Note &operator=(const Note &) = delete;

private:
  friend std::string failure_text(const char *file, int line, const std::string &text);
  static const Note *the_note;

  std::function<std::string()> text_;
  const Note *outer_;
};

// RF_REQUIRE(p != nullptr, "size " << size): fails with the condition and the rest.
#define RF_REQUIRE(condition, message)                                                                                 \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      ::ringfence::conformance::Text rf_text_;                                                                         \
      rf_text_ << #condition << " does not hold: " << message;                                                         \
      ::ringfence::conformance::fail(__FILE__, __LINE__, rf_text_.str());                                              \
    }                                                                                                                  \
  } while (false)

// The same numbers on every machine and run.
class Random {
public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next();
  // 0 … bound - 1
  size_t below(size_t bound) { return bound == 0 ? 0 : static_cast<size_t>(next() % bound); }

private:
  uint64_t state_;
};

constexpr size_t kAlign = RF_ALIGN_DEFAULT;
constexpr size_t kArena = 64 * 1024;

// Around a check: a fault handler that counts, from any thread.
void begin_counting_faults();
void end_counting_faults();
size_t fault_count();

class Env {
public:
  // `skew` bytes are what the arena's address exceeds a multiple of 4096 by.
  explicit Env(const Subject &subject, size_t arena_size = kArena, size_t skew = 0);
  // The same, but an arena that is too small is no failure: then made() is false.
  static std::unique_ptr<Env> try_make(const Subject &subject, size_t arena_size, size_t skew);
  ~Env();
  Env(const Env &) = delete;
  Env &operator=(const Env &) = delete;

  bool made() const { return allocator_ != nullptr; }
  rf_allocator *allocator() const { return allocator_; }
  unsigned char *arena() const { return arena_; }
  size_t arena_size() const { return arena_size_; }
  bool has(unsigned trait) const { return (subject_.traits & trait) == trait; }

  // ---- Calls that are checked against the model ----

  // NULL, counted as a failure, or a new block: aligned, of its own, all of its usable bytes filled.
  unsigned char *alloc(size_t size, size_t align = kAlign);
  // The same by another call, which asks for a block of that size and alignment.
  unsigned char *alloc_by(size_t size, size_t align, const std::function<void *()> &call);
  // The same as alloc, but NULL is wrong.
  unsigned char *must_alloc(size_t size, size_t align = kAlign);
  // The block must hold what was put there; its free must succeed.
  void free(void *ptr);
  void free_all();
  // NULL, counted as a failure with the block as it was, or the resized block with its contents.
  unsigned char *realloc(void *ptr, size_t size, size_t align = kAlign);
  // RF_OK with the block resized where it is, or one of the other answers with the block as it was.
  rf_status resize(void *ptr, size_t size);

  // A free of what cannot be freed: one of the answers `allowed`, one report, and nothing else.
  void refuse_free(void *ptr, std::initializer_list<rf_status> allowed, const char *what);
  // The same of a realloc.
  void refuse_realloc(void *ptr, size_t size, const char *what);
  // A call that may change nothing, not even `failures`; `expected_reports` is how many it makes, or kAnyReports.
  static constexpr size_t kAnyReports = SIZE_MAX;
  void unchanged(const char *what, size_t expected_reports, const std::function<void()> &call);
  // A call that answers a well-formed request with NULL: one more failure, and nothing else.
  void failing(const char *what, const std::function<void()> &call);

  // ---- Invariants ----

  // Integrity, statistics, walk, bytes around the arena, and no report but those asked for.
  void verify();
  // The contents of every live block.
  void verify_contents();

  // ---- The model ----

  struct Live {
    size_t size;
    size_t usable;
    uint64_t seed; // of its contents
  };
  struct ByAddress {
    bool operator()(const void *a, const void *b) const { return address_of(a) < address_of(b); }
  };
  using Blocks = std::map<unsigned char *, Live, ByAddress>;
  const Blocks &live() const { return live_; }
  rf_stats stats() const;
  // Fills the block with new contents, after a test has put its own there.
  void fill(unsigned char *ptr);

  // Ends the allocator as a program would, again if told again. Then only again() makes it usable.
  void end();
  // Makes a new one over the same arena.
  void again();

private:
  struct Expected {
    size_t used = 0;
    size_t peak = 0;
    size_t peak_most = 0; // where a realloc held the old and the new block at once
    size_t blocks = 0;
    size_t peak_blocks = 0;
    size_t peak_blocks_most = 0;
    size_t allocations = 0;
    size_t moves = 0; // reallocs that moved: may count as allocations
    size_t failures = 0;
  };
  // All that can be seen from outside.
  struct Picture {
    rf_stats stats;
    std::vector<rf_block> blocks;
  };
  struct Quiet {};

  Env(const Subject &subject, size_t arena_size, size_t skew, Quiet);
  void make();
  size_t reports() const;
  void check_place(unsigned char *ptr, size_t usable, size_t align) const;
  void adopt(unsigned char *ptr, size_t size, size_t align);
  void check_prefix(const unsigned char *ptr, uint64_t seed, size_t count, const char *when) const;
  void verify_stats() const;
  void verify_walk() const;
  void verify_surroundings() const;
  void count_live(size_t size);
  Picture picture() const;

  const Subject &subject_;
  size_t arena_size_;
  std::unique_ptr<unsigned char[]> memory_;
  std::unique_ptr<std::max_align_t[]> state_;
  unsigned char *arena_ = nullptr;
  rf_allocator *allocator_ = nullptr;
  bool ended_ = false;
  Blocks live_;
  Expected expected_;
  size_t expected_reports_ = 0;
  uint64_t next_seed_ = 1;
};

// The sizes to try where any will do: all small ones, those around powers of two, some large; within max_size.
std::vector<size_t> sizes_to_try(const Subject &subject);
// Well-formed sizes that nobody can serve. A system of 32 bits may have nearly two gibibytes to give.
std::vector<size_t> unservable_sizes(const Subject &subject);
// 1, 2, 4 … 4096, within max_align.
std::vector<size_t> aligns_to_try(const Subject &subject);
// `size`, or less where the subject serves less.
size_t served(const Subject &subject, size_t size);

} // namespace ringfence::conformance

#endif // RINGFENCE_TESTS_CONFORMANCE_ENV_H

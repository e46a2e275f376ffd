// Reads a fuzz input as a program of allocator operations, runs it on an allocator, and compares every result with the
// shadow model.
//
//     alloc, aligned alloc, calloc, realloc, resize, free   of ordinary, exact, hopeless and malformed sizes
//     free, realloc, resize of bad pointers                 foreign, misaligned, interior, stale, anywhere in the arena
//     writes, queries, walks that stop early                as a correct program makes them
//     add and remove region, free all, end and begin again
//     stray writes to the allocator's own data              undone after the check, or any operation, was tried
#ifndef RINGFENCE_FUZZ_INTERPRETER_H
#define RINGFENCE_FUZZ_INTERPRETER_H

#include <ringfence/fuzz/memory.h>
#include <ringfence/fuzz/reader.h>
#include <ringfence/fuzz/shadow.h>
#include <ringfence/fuzz/target.h>
#include <ringfence/fuzz/verdict.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace ringfence::fuzz {

struct BadPointer;

// The operations that an input may choose.
enum class Conduct {
  kAny,    // misuse as well, which must be refused
  kCorrect // only those of a correct program
};

class Interpreter {
public:
  static constexpr size_t kMaxOperations = 2000;
  static constexpr size_t kMaxLive = 512;

  // `target` and the bytes behind `reader` must outlive the interpreter, which takes over the program's fault handler.
  Interpreter(const rf_fuzz_target &target, Reader reader, Conduct conduct);
  ~Interpreter();
  Interpreter(const Interpreter &) = delete;
  Interpreter &operator=(const Interpreter &) = delete;

  // Lays out the arena and makes the allocator. False: refused, or a violation; no other call is allowed then.
  bool start();
  // One operation. False: the input has ended, or a violation.
  bool step();
  // Frees everything and expects memory as new, then ends the allocator.
  void finish();

  // -- For harnesses that make calls of their own after some steps --

  // Adds a block that the harness allocated to the model; nullptr for nullptr, and on a violation.
  const Block *adopt(void *ptr, size_t size, size_t align, bool zeroed);
  // Compares everything, as step does only where it is due. False on a violation.
  bool settle_all(size_t expected_reports);
  // Nothing may have changed since the last comparison except the number of reported misuses: call settle_all before
  // the operation. False on a violation.
  bool settle_unchanged(size_t expected_reports, const char *when);
  bool release(Block block); // false on a violation
  bool free_all();           // the same
  bool end_allocator();      // deinit, twice

  rf_allocator *allocator() { return allocator_; }
  Shadow &shadow() { return shadow_; }
  Reader &reader() { return reader_; }
  Verdict &verdict() { return verdict_; }

  using Operation = void (Interpreter::*)();

private:
  // Operations, each with its arguments chosen by the input; operations.cc, misuse.cc.
  Operation choose_operation();
  void op_alloc();
  void op_aligned_alloc();
  void op_calloc();
  void op_alloc_hopeless();
  void op_realloc();
  void op_realloc_null();
  void op_realloc_to_zero();
  void op_realloc_hopeless();
  void op_resize();
  void op_free();
  void op_free_last();
  void op_free_null();
  void op_write();
  void op_query();
  void op_walk_partly();
  void op_regions();
  void op_free_all();
  void op_restart();
  void op_malformed_alloc();
  void op_malformed_calloc();
  void op_malformed_realloc();
  void op_malformed_resize();
  void op_malformed_region();
  void op_use_ended();
  void op_damage();
  void op_bad_free();
  void op_bad_realloc();
  void op_bad_resize();
  void op_bad_query();

  void add_region(size_t index);
  void remove_region(size_t index);
  void begin_again();
  bool serves(size_t verb, void *ptr);
  bool check_damaged();
  bool walk_damaged();
  bool in_region_record(const unsigned char *at) const;

  size_t choose_size();
  size_t choose_align();
  size_t choose_bad_align();
  size_t choose_bad_size();
  unsigned char *choose_damage();
  Block &choose_block() { return shadow_.nth(reader_.below(shadow_.count())); }

  // Judging results; interpreter.cc.
  bool judge_allocation(void *ptr, size_t size, size_t align, bool zeroed);
  bool judge_realloc(Block &block, void *ptr, size_t size, size_t align);
  bool judge_rejection(bool refused);
  bool judge_refusal(const BadPointer &bad, rf_status status);
  bool must_succeed(size_t size, size_t align);
  bool must_fail(size_t size, size_t align) const;
  bool settle(size_t expected_reports);
  bool settle_failure(size_t expected_reports);

  void lay_out();
  bool refuses_bad_arenas();
  bool make_allocator();
  bool expect_as_new();
  size_t reports() const;
  ptrdiff_t offset_of(const void *ptr) const; // from the start of the first arena, as messages have it
  static void record_fault(const rf_fault *fault, void *context);

  const rf_fuzz_target &target_;
  Reader reader_;
  Conduct conduct_;
  Memory memory_;
  Verdict verdict_;
  Shadow shadow_;
  rf_allocator *allocator_ = nullptr;

  size_t main_region_ = 0;
  std::vector<size_t> extra_regions_; // open ones, in order of addition
  State pristine_;                    // after init, before any region was added
  bool resizes_ = true;
  bool walkable_ = false;

  size_t interval_;    // the whole model is compared at every operation of this number
  bool is_due_ = true; // and at this one

  size_t faults_ = 0;
  rf_status last_fault_ = RF_OK;
  const void *last_fault_ptr_ = nullptr;
  size_t settled_reports_ = 0;
};

// How often interpreters made from now on compare the whole model: after every `operations`-th operation, and at the
// end. Results, contents of blocks that are moved or freed, and reports are compared after each. 0, the default: each
// input chooses, which lets a fuzzer run ten times as many inputs.
void compare_every(size_t operations);
// The number of operations between comparisons, for harnesses with a model of their own; an input chooses by all of its
// bytes.
size_t comparison_interval(const Reader &reader);

// Runs one input to its end. Nothing: all promises were kept.
std::optional<Violation> run(const rf_fuzz_target &target, Reader input, Conduct conduct = Conduct::kAny);

// The same, but aborts on a violation, as demand_ok does.
void run_or_abort(const rf_fuzz_target &target, Reader input, Conduct conduct = Conduct::kAny);

// On a violation, prints it to stderr with the way to trace the operations before it, and aborts.
void demand_ok(const rf_fuzz_target &target, const Verdict &verdict);

// True where RF_FUZZ_TRACE is set.
bool trace_wanted();

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_INTERPRETER_H

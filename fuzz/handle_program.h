// Requests, resizes, locks, moves and frees by handle, valid and invalid, against a model of the bytes, the holes and
// the largest possible block; for the harness of handle. On a guard, the program is correct until it commits one error.
#ifndef RINGFENCE_FUZZ_HANDLE_PROGRAM_H
#define RINGFENCE_FUZZ_HANDLE_PROGRAM_H

#include "blocks_model.h"
#include "finding_log.h"

#include <ringfence/fuzz/interpreter.h>
#include <ringfence/fuzz/reader.h>
#include <ringfence/handle.h>
#include <ringfence/handle_guard.h>

#include <cstddef>
#include <map>
#include <vector>

namespace ringfence::fuzz {

class HandleProgram {
public:
  HandleProgram(Reader &in, bool guarded);

  void run();

private:
  static constexpr size_t kMaxArena = 6000;
  static constexpr size_t kGuardedArena = 12000;

  // One entry of a walk.
  struct Stretch {
    rf_handle handle; // RF_HANDLE_NULL: a hole
    const unsigned char *ptr;
    size_t size;
    size_t extent;
    unsigned locks;
  };

  struct Block {
    std::vector<unsigned char> bytes;
    unsigned locks = 0;
    const unsigned char *address = nullptr; // where it is locked
  };

  void step();

  // The model.
  std::vector<Stretch> walk(rf_handles *h) const;
  size_t extent(size_t size) const { return std::max(heap_.align, (size + heap_.align - 1) & ~(heap_.align - 1)); }
  rf_handle some();
  size_t some_size();
  rf_handle_usage usage();
  size_t lowest_free() const;
  size_t largest(const std::vector<Stretch> &map) const;
  unsigned char *at(rf_handle a);

  // Operations.
  void alloc();
  void fill(rf_handle a);
  void write();
  void free_one();
  void resize();
  void expect_resize(rf_handle a, size_t size, rf_status status, const std::vector<Stretch> &before);
  void lock();
  void unlock();
  void compact();
  void swap();
  void misuse();
  static bool give(void *self, unsigned, size_t);

  // After each operation, and at the end.
  void verify();
  void finish();

  // One error; handle_error.cc.
  void expect(rf_bug bug, rf_handle a, bool with_block, ptrdiff_t offset, size_t size);
  void commit_an_error();
  void stale(rf_handle a, const Block &b, size_t inside);
  void write_to_free_memory();
  void keep_address(rf_handle a, const Block &b, size_t inside);
  void end_condemned();

  Reader &in_;
  size_t interval_ = comparison_interval(in_);
  bool guarded_;
  unsigned error_; // of the guarded program: which, how far, in which block
  size_t detail_;
  size_t which_;
  alignas(64) unsigned char arena_[kGuardedArena + 64];
  unsigned char table_[16 * 301];
  rf_handle_heap heap_;
  rf_handle_guard guard_;
  rf_handles *h_;
  FindingLog log_;
  FaultCount faults_;
  std::map<rf_handle, Block> live_;
  rf_handle stale_ = RF_HANDLE_NULL;
  rf_handle_usage fresh_;
  size_t peak_ = 0;
  size_t failures_ = 0;
  size_t moved_ = 0;
  unsigned asked_ = 0;
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_HANDLE_PROGRAM_H

// Blocks on pages of their own, by the calls that page, sample and the drop-in make; for the harness of store. Each
// block keeps its contents, a touch of what is closed is one finding of the right kind, and correct use none.
#ifndef RINGFENCE_FUZZ_STORE_SESSION_H
#define RINGFENCE_FUZZ_STORE_SESSION_H

#include "blocks_model.h"
#include "finding_log.h"

#include <ringfence/fuzz/reader.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

extern "C" {
#include "checkers/page/page_impl.h"
}

namespace ringfence::fuzz {

constexpr size_t kPage = 4096;

inline uintptr_t number(const void *ptr) {
  return reinterpret_cast<uintptr_t>(ptr);
}

class StoreSession {
public:
  explicit StoreSession(Reader &in);

  void run();

private:
  struct Block {
    unsigned char *ptr;
    size_t size;
    rf_family family;
    unsigned char seed;
    void *backing;
    bool touched; // beside it
  };

  // The finding is made by a signal handler, which changes memory behind the compiler's back.
  static void touch(const volatile unsigned char *at) {
    (void)*at;
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }

  static uintptr_t open_end(const Block &b) {
    return (number(b.ptr) + std::max<size_t>(b.size, 1) + kPage - 1) & ~(kPage - 1);
  }

  void step();
  void rare_step();
  void expect(rf_bug bug, const void *address);

  // Blocks.
  size_t a_size();
  bool alloc();
  size_t promised_align(const rf_page_request &request) const;
  static void fill(const Block &b) { std::memset(b.ptr, b.seed, b.size); }
  static bool is_whole(const Block &b) { return all_bytes_are(b.ptr, b.size, b.seed); }
  const Block *owner_of(const void *backing) const;
  Block take();
  rf_status free_as(const Block &b, rf_family family, size_t size);
  void free_well();
  void free_wrong();
  void free_again();
  void resize();

  // Errors; store_errors.cc.
  void touch_behind();
  void touch_freed();
  void write_slack();
  void transfer();
  void tell_leak();
  void touch_after_end();

  // Other stores, and calls that interrupt others.
  void meet_other_store();
  void with_all_locks();
  void interrupted();
  void change_backing();

  // Faults and handlers of the program's own; store_signals.cc.
  void with_own_handler();
  void settle_otherwise();
  void restrict_rights();
  void touch_restricted(const Block &b);
  void change_stack();
  void touch_in_thread();
  void serve_otherwise();

  // All of it.
  void check_all();
  static bool note(const rf_page_block *block, void *context);
  void check_block(const Block &b);

  Reader &in_;
  FindingLog log_;
  rf_page_store_options options_;
  rf_page_store *store_ = nullptr;
  std::vector<Block> blocks_;
  Block last_freed_ = {};
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_STORE_SESSION_H

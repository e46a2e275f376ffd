// Programs of several virtual threads on one heap, and the shadow model of what they may see: no block overlaps
// another, contents are kept whoever frees the block, a block that several threads free at once is freed once, and
// counts are exact when all is quiet.
//
// A heap is anything that is called like malloc: SharedHeap. Programs share one table of blocks, so that most blocks
// are freed by other threads than allocated them.
#ifndef RINGFENCE_FUZZ_THREADS_MODEL_H
#define RINGFENCE_FUZZ_THREADS_MODEL_H

#include "threads.h"

#include <ringfence/fuzz/reader.h>

#include <cstddef>

namespace ringfence::fuzz {

// Facts that hold while no call is under way.
struct Expected {
  size_t blocks;
  size_t bytes;
  size_t peak; // of bytes in blocks that were out for certain
  size_t allocations;
  size_t moves; // reallocs, which may count as allocations
  size_t failures;
};

// Calls come from any virtual thread; each demands by itself what only it knows (threads_fail).
class SharedHeap {
public:
  virtual ~SharedHeap() = default;

  // `flags`: for the heap to choose among its ways. nullptr: no memory, or no time.
  virtual void *alloc(size_t size, size_t align, unsigned flags) = 0;
  virtual bool zeroes(unsigned) const { return false; }
  // Blocks are aligned as asked; except zeroed ones, which are for any type.
  virtual bool aligns() const { return true; }
  // The size that a request of any size stands for.
  virtual size_t size_of(size_t size) const { return size; }
  // False: refused.
  virtual bool free(void *ptr, size_t size) = 0;

  // Larger than any memory; 0: not to be tried.
  virtual size_t hopeless() const { return 0; }

  virtual bool reallocs() const { return false; }
  virtual void *realloc(void *, size_t, size_t) { return nullptr; }
  virtual size_t usable_size(void *, size_t size) { return size; }
  // In place. False: it stays as it is.
  virtual bool resize(void *, size_t, size_t) { return false; }

  // Several threads free one block while nobody allocates: one succeeds, the others are refused.
  virtual bool refuses_twice() const { return false; }

  // The same of two threads, one of which reallocs it, the other one frees or reallocs it.
  virtual bool refuses_realloc_twice() const { return false; }
  // Such threads are about to do so, or have done so; so many calls were refused.
  virtual void misuse_begins() {}
  virtual void misuse_ends(size_t) {}

  // No two accesses race: what threads share is locked or atomic.
  virtual bool has_no_races() const { return true; }

  // Queries, sweeps, forks: whatever must be right at any moment.
  virtual void look(unsigned) {}
  // Questions on a block, which another thread may free meanwhile.
  virtual void ask(void *, size_t, unsigned) {}

  virtual void thread_begins() {}
  virtual void thread_ends() {}

  // Ends it while others wait in alloc, which then fails.
  virtual bool may_end() const { return false; }
  virtual void end() {}

  // No thread can run: true if that is right, since all memory is allocated and a free would help.
  virtual bool is_exhausted() { return false; }

  // All threads have ended; then, with nothing live, again.
  virtual void finish(const Expected &) {}
};

// Runs the threads that the input describes on `heap`. Aborts on a violation.
void run_threads(SharedHeap &heap, Reader input);

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_THREADS_MODEL_H

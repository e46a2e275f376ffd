// Two heaps, one program: whatever it asks for, it sees the same of both. The first bytes of the input choose the pair,
// bare heaps and those with decorators or a checker around them, and the size of their arenas.
//
// The two agree on whether a request is served where both have room, contents after each call, alignment, bytes that
// the owner may use, how much is in use, in how many blocks of which sizes, and how wrong calls are answered. A request
// that only one of them can serve is taken back there.
#include <ringfence/fuzz/interpreter.h>
#include <ringfence/guard.h>
#include <ringfence/lock.h>
#include <ringfence/memheap.h>
#include <ringfence/pool.h>
#include <ringfence/simple.h>
#include <ringfence/sizeclass.h>
#include <ringfence/slab.h>
#include <ringfence/smallmem.h>
#include <ringfence/std.h>
#include <ringfence/tlsf.h>

#include "blocks_model.h"
#include "finding_log.h"

#include <algorithm>
#include <cstring>
#include <malloc.h>

namespace {

using namespace ringfence::fuzz;

constexpr size_t kArena = size_t{96} << 10;
constexpr size_t kBlocks = 24;

struct Heaps {
  rf_simple simple;
  rf_tlsf tlsf;
  rf_std std;
  rf_memheap memheap;
  rf_memheap_region region;
  rf_smallmem smallmem;
  rf_sizeclass sizeclass;
  rf_slab slab;
  rf_lock lock;
  rf_pool pool;
  rf_guard guard;
  FindingLog log;
};

Heaps heaps[2];
alignas(4096) unsigned char arenas[2][kArena];

constexpr unsigned kKinds = 10;
constexpr unsigned kStd = 2;            // has no walk, and its free memory is unknown
constexpr unsigned kGuard = kKinds - 1; // its header takes a multiple of the alignment

rf_allocator *tlsf_in(Heaps &h, unsigned char *arena, size_t size) {
  return rf_tlsf_init(&h.tlsf, arena, size) == RF_OK ? &h.tlsf.base : nullptr;
}

rf_allocator *guard_over(Heaps &h, rf_allocator *inner) {
  rf_guard_options options;
  rf_guard_options_default(&options);
  options.reporter = h.log.reporter();
  options.quarantine = 0; // else freed memory is not free yet
  return rf_guard_init(&h.guard, inner, &options) == RF_OK ? &h.guard.base : nullptr;
}

rf_allocator *make(unsigned kind, Heaps &h, unsigned char *arena, size_t size) {
  switch (kind) {
  case 0:
    return rf_simple_init(&h.simple, arena, size) == RF_OK ? &h.simple.base : nullptr;
  case 1:
    return tlsf_in(h, arena, size);
  case kStd:
    return rf_std_init(&h.std) == RF_OK ? &h.std.base : nullptr;
  case 3:
    return rf_memheap_init(&h.memheap) == RF_OK && rf_memheap_add(&h.memheap, &h.region, "one", arena, size) == RF_OK
               ? &h.memheap.base
               : nullptr;
  case 4:
    return rf_smallmem_init(&h.smallmem, arena, size) == RF_OK ? &h.smallmem.base : nullptr;
  case 5:
    return rf_sizeclass_init(&h.sizeclass, arena, size, nullptr) == RF_OK ? &h.sizeclass.base : nullptr;
  case 6:
    return rf_slab_init(&h.slab, arena, size) == RF_OK ? &h.slab.base : nullptr;
  case 7:
    return rf_lock_init(&h.lock, tlsf_in(h, arena, size)) == RF_OK ? &h.lock.base : nullptr;
  case 8:
    return rf_pool_init(&h.pool, tlsf_in(h, arena, size), nullptr) == RF_OK ? &h.pool.base : nullptr;
  default:
    return guard_over(h, tlsf_in(h, arena, size));
  }
}

struct Block {
  unsigned char *at[2];
  size_t size;
};

struct Sizes {
  size_t list[kBlocks + 1];
  size_t count;
};

class Pair {
public:
  explicit Pair(Reader &in) : in_(in), interval_(comparison_interval(in)) {
    unsigned const choice = in.u8();
    size_t const size = kArena / 2 + in.below(kArena / 2 + 1);
    for (unsigned i = 0; i < 2; i++) {
      kinds_[i] = i == 0 ? choice % kKinds : (choice % kKinds + 1 + choice / kKinds % (kKinds - 1)) % kKinds;
      heaps[i].log.clear();
      allocators_[i] = make(kinds_[i], heaps[i], arenas[i], size);
      RF_HOLDS(allocators_[i] != nullptr);
    }
  }
  ~Pair() {
    for (rf_allocator *const a : allocators_) {
      rf_deinit(a);
    }
  }

  void run() {
    for (the_step = 1; !in_.empty(); count_step()) {
      step();
      RF_HOLDS(faults_.take() == 0);
      if (the_step % interval_ == 0) {
        compare();
      }
    }
    for (Block &b : blocks_) {
      free(b);
    }
    compare();
  }

private:
  void step() {
    unsigned const call = in_.u8() % 8;
    Block &b = blocks_[in_.below(kBlocks)];
    switch (call) {
    case 0:
    case 1:
      return alloc(b, in_.length(), RF_ALIGN_DEFAULT);
    case 2:
      return alloc(b, in_.length(), size_t{1} << in_.below(9));
    case 3:
      return calloc(b, in_.below(20), in_.length() % 4096); // larger ones are but more zeros
    case 4:
      return realloc(b, in_.length());
    case 5:
      return resize(b, in_.length());
    case 6:
      return wrong(b, in_.u8());
    default:
      return free(b);
    }
  }

  // True where both heaps certainly serve it.
  bool has_room(size_t size, size_t align) {
    for (unsigned i = 0; i < 2; i++) {
      rf_stats s;
      rf_stats_get(allocators_[i], &s);
      size_t const needed = size + (kinds_[i] == kGuard ? 2 : 1) * align + 64;
      if (kinds_[i] != kStd && (s.largest_free < needed || needed < size)) {
        return false;
      }
    }
    return true;
  }

  // Keeps the blocks where both heaps gave one. True where they are kept.
  bool keep(Block &b, void *const got[2], size_t size, size_t align) {
    bool const room = (got[0] == nullptr) != (got[1] == nullptr) || got[0] == nullptr ? false : true;
    for (unsigned i = 0; i < 2; i++) {
      if (got[i] != nullptr) {
        RF_HOLDS(reinterpret_cast<uintptr_t>(got[i]) % align == 0);
        RF_HOLDS(rf_usable_size(allocators_[i], got[i]) >= size);
        RF_HOLDS(room || rf_free(allocators_[i], got[i]) == RF_OK);
      }
      b.at[i] = room ? static_cast<unsigned char *>(got[i]) : nullptr;
    }
    b.size = room ? size : 0;
    return room;
  }

  void fill(const Block &b) {
    stamp_++;
    for (unsigned char *const p : b.at) {
      write_ramp(p, b.size, static_cast<unsigned char>(stamp_));
    }
  }

  void alloc(Block &b, size_t size, size_t align) {
    free(b);
    bool const room = has_room(size, align);
    void *const got[2] = {rf_aligned_alloc(allocators_[0], align, size), rf_aligned_alloc(allocators_[1], align, size)};
    RF_HOLDS(!room || (got[0] != nullptr && got[1] != nullptr));
    if (keep(b, got, size, align)) {
      fill(b);
    }
  }

  void calloc(Block &b, size_t count, size_t size) {
    free(b);
    bool const room = has_room(count * size, RF_ALIGN_DEFAULT);
    void *const got[2] = {rf_calloc(allocators_[0], count, size), rf_calloc(allocators_[1], count, size)};
    RF_HOLDS(!room || (got[0] != nullptr && got[1] != nullptr));
    if (keep(b, got, count * size, RF_ALIGN_DEFAULT)) {
      for (const unsigned char *const p : b.at) {
        RF_HOLDS(all_bytes_are(p, b.size, 0));
      }
      fill(b);
    }
  }

  void realloc(Block &b, size_t size) {
    bool const room = has_room(size, RF_ALIGN_DEFAULT);
    bool const had = b.at[0] != nullptr;
    size_t const kept = std::min(b.size, size);
    void *got[2];
    for (unsigned i = 0; i < 2; i++) {
      got[i] = rf_realloc(allocators_[i], b.at[i], size);
    }
    if (had && size == 0) {
      RF_HOLDS(got[0] == nullptr && got[1] == nullptr);
      b = {};
      return;
    }
    RF_HOLDS(!(room || (had && size <= b.size)) || (got[0] != nullptr && got[1] != nullptr));
    for (unsigned i = 0; had && i < 2; i++) {
      b.at[i] = got[i] != nullptr ? static_cast<unsigned char *>(got[i]) : b.at[i];
    }
    if (!had) {
      (void)keep(b, got, size, RF_ALIGN_DEFAULT);
    } else if (got[0] != nullptr && got[1] != nullptr) {
      RF_HOLDS(std::memcmp(got[0], got[1], kept) == 0);
      b.size = size;
    } else {
      b.size = got[0] != nullptr || got[1] != nullptr ? back(b, got, size) : b.size;
    }
    fill(b);
  }

  // One of them has the new size: it goes back to the old one.
  size_t back(Block &b, void *const got[2], size_t size) {
    unsigned const i = got[0] != nullptr ? 0 : 1;
    RF_HOLDS(size > b.size);
    void *const again = rf_realloc(allocators_[i], b.at[i], std::max(b.size, size_t{1}));
    RF_HOLDS(again != nullptr);
    b.at[i] = static_cast<unsigned char *>(again);
    RF_HOLDS(std::memcmp(b.at[0], b.at[1], b.size) == 0);
    if (b.size == 0) { // no realloc makes a block of no bytes
      free(b);
    }
    return b.size;
  }

  void resize(Block &b, size_t size) {
    if (b.at[0] == nullptr) {
      RF_HOLDS(rf_resize(allocators_[0], nullptr, size) == rf_resize(allocators_[1], nullptr, size));
      return;
    }
    size_t const kept = std::min(b.size, size);
    rf_status const done[2] = {rf_resize(allocators_[0], b.at[0], size), rf_resize(allocators_[1], b.at[1], size)};
    if (size == 0 || size > RF_SIZE_LIMIT) {
      RF_HOLDS(done[0] == RF_ERR_INVALID && done[1] == RF_ERR_INVALID);
      return;
    }
    RF_HOLDS(std::memcmp(b.at[0], b.at[1], kept) == 0);
    unsigned const other = done[0] == RF_OK ? 0 : 1;
    if (done[0] == RF_OK && done[1] == RF_OK) {
      b.size = size;
    } else if (done[other] == RF_OK && (b.size == 0 || rf_resize(allocators_[other], b.at[other], b.size) != RF_OK)) {
      return drop(b);
    }
    fill(b);
  }

  // Without a look at the contents, of which one has lost some.
  void drop(Block &b) {
    RF_HOLDS(rf_free(allocators_[0], b.at[0]) == RF_OK && rf_free(allocators_[1], b.at[1]) == RF_OK);
    b = {};
  }

  void free(Block &b) {
    if (b.at[0] != nullptr) {
      RF_HOLDS(std::memcmp(b.at[0], b.at[1], b.size) == 0);
      drop(b);
    }
  }

  // Requests that none may serve, and frees that none may obey.
  void wrong(const Block &b, unsigned choice) {
    static unsigned char foreign[64];
    rf_status status[2] = {RF_OK, RF_OK};
    for (unsigned i = 0; i < 2; i++) {
      rf_allocator *const a = allocators_[i];
      switch (choice % 8) {
      case 0:
        RF_HOLDS(rf_alloc(a, RF_SIZE_LIMIT + 1 + choice) == nullptr);
        break;
      case 1:
        RF_HOLDS(rf_aligned_alloc(a, 3 + choice / 8 * 8, 8) == nullptr);
        break;
      case 2:
        RF_HOLDS(rf_calloc(a, SIZE_MAX / 2, 3 + choice) == nullptr);
        break;
      case 3:
        status[i] = rf_free(a, nullptr);
        break;
      case 4:
        status[i] = rf_free(a, foreign + 16);
        RF_HOLDS(status[i] != RF_OK && rf_realloc(a, foreign + 16, 8) == nullptr);
        RF_HOLDS(rf_usable_size(a, foreign + 16) == 0);
        break;
      case 5:
        status[i] = b.at[i] != nullptr ? rf_free(a, b.at[i] + 1) : RF_OK;
        RF_HOLDS(b.at[i] == nullptr || status[i] != RF_OK);
        break;
      case 6:
        status[i] = rf_resize(a, foreign + 16, 8);
        RF_HOLDS(status[i] != RF_OK);
        status[i] = RF_OK; // one without resize says that it has none
        break;
      default:
        RF_HOLDS(rf_realloc(a, b.at[i], SIZE_MAX - choice) == nullptr);
        break;
      }
    }
    RF_HOLDS(status[0] == status[1]);
    (void)faults_.take();
  }

  static bool add_used(const rf_block *block, void *context) {
    auto *const sizes = static_cast<Sizes *>(context);
    if (block->used) {
      RF_HOLDS(sizes->count <= kBlocks);
      sizes->list[sizes->count++] = block->size;
    }
    return true;
  }

  void compare() {
    Sizes own = {};
    for (const Block &b : blocks_) {
      if (b.at[0] != nullptr) {
        own.list[own.count++] = b.size;
      }
    }
    std::sort(own.list, own.list + own.count);
    for (unsigned i = 0; i < 2; i++) {
      RF_HOLDS(rf_check(allocators_[i], nullptr) == RF_OK);
      rf_stats s;
      rf_stats_get(allocators_[i], &s);
      size_t sum = 0;
      for (size_t n = 0; n < own.count; n++) {
        sum += own.list[n];
      }
      RF_HOLDS(s.used == sum && s.blocks == own.count);
      Sizes walked = {};
      if (kinds_[i] != kStd) {
        RF_HOLDS(rf_walk(allocators_[i], add_used, &walked) == RF_OK && walked.count == own.count);
        std::sort(walked.list, walked.list + walked.count);
        RF_HOLDS(std::equal(own.list, own.list + own.count, walked.list));
      }
    }
    RF_HOLDS(faults_.take() == 0);
    RF_HOLDS(heaps[0].log.count() <= the_step * 4 && heaps[1].log.count() <= the_step * 4);
  }

  Reader &in_;
  size_t interval_; // of steps between comparisons of everything
  unsigned kinds_[2];
  rf_allocator *allocators_[2];
  Block blocks_[kBlocks] = {};
  FaultCount faults_;
  size_t stamp_ = 0;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
#ifdef M_TRIM_THRESHOLD
  // A refused free reads the freed memory, which must stay mapped. std.h says so.
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
#endif
  Reader in(data, size);
  Pair(in).run();
  return 0;
}

// checked: one call that wraps a heap, a heap of handles or the pools of a process, by options of every kind. A correct
// program is silent in each mode, and snapshots have what it holds; after one error exactly one finding of the right
// kind follows where the mode looks for it, to the reporter given, to a log, or to the process's own.
#include "blocks_model.h"
#include "captured.h"
#include "finding_log.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <ringfence/checked.h>
#include <ringfence/checked_handles.h>
#include <ringfence/checked_pools.h>
#include <ringfence/handle.h>
#include <ringfence/memblocks.h>
#include <ringfence/mempool.h>
#include <ringfence/pool_watch.h>
#include <ringfence/simple.h>
#include <ringfence/snapshot.h>
#include <ringfence/tlsf.h>
#include <ringfence/watch.h>
#include <string>
#include <vector>

namespace {

using namespace ringfence::fuzz;

constexpr size_t kArena = 64 * 1024;
alignas(64) unsigned char arena[kArena];

const std::string &log_path() {
  static const std::string path = Folder::path() + "/log";
  return path;
}

// The options of the process, which are read once; its reporter counts the findings of all inputs.
[[maybe_unused]] int const named = setenv(
    "RINGFENCE_OPTIONS", ("mode=guard:halt=0:max_findings=0:format=json:leaks=all:log=" + log_path()).c_str(), 1);

size_t lines_in(const std::string &text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

// Any options that neither end the process nor write anywhere else.
rf_options some_options(Reader &in) {
  static const size_t sizes[] = {0, 64, 4096, SIZE_MAX};
  rf_options o;
  rf_options_default(&o);
  o.mode = static_cast<rf_mode>(in.below(RF_MODE_MTE + 1));
  o.halt = false;
  o.format = RF_FORMAT_JSON;
  o.log = log_path().c_str();
  o.log_length = log_path().size();
  o.quarantine = in.u8() % 4 == 1 ? 0 : size_t{1} << 20;
  o.fill = sizes[1 + in.below(3)];
  o.fill_alloc = sizes[in.below(4)];
  o.move_below = sizes[in.below(3)];
  o.stack_depth = static_cast<unsigned>(in.below(5));
  o.leaks = static_cast<rf_leaks>(in.below(RF_LEAKS_REACHABLE + 1));
  o.sweep = in.u8() % 4 != 1;
  o.sample_rate = 1;
  o.sample_slots = in.u8() % 8 == 1 ? 1 : 64;
  o.sample_seed = in.u8();
  o.align = static_cast<rf_page_side>(in.below(RF_PAGE_UNALIGNED + 1));
  o.closed = in.u8() % 4 == 1 ? size_t{1} << 20 : size_t{1} << 30;
  o.page_memory = in.u8() % 4 == 1 ? size_t{64} << 10 : 0;
  o.page_seed = in.u8();
  o.verbosity = in.u8() % 8 == 1;
  o.help = in.u8() % 16 == 1;
  return o;
}

// ---- A heap ----

struct Block {
  unsigned char *ptr;
  size_t size;
  unsigned char seed;
};

class Program {
public:
  explicit Program(Reader &in) : in_(in), of_process_(in.u8() % 8 == 1) {
    own_log_ = in.u8() % 2 == 1;
    options_.settings = some_options(in);
    options_.reporter = own_log_ ? nullptr : log_.reporter();
    simple_heap_ = in.u8() % 4 == 1;
    write_file(log_path(), "");
    if (simple_heap_) {
      RF_HOLDS(rf_simple_init(&simple_, arena, sizeof arena) == RF_OK);
    } else {
      RF_HOLDS(rf_tlsf_init(&tlsf_, arena, sizeof arena) == RF_OK);
    }
    inner_ = simple_heap_ ? &simple_.base : &tlsf_.base;
  }

  void run() {
    begin();
    for (size_t left = in_.below(40); left != 0; left--) {
      step();
    }
    RF_HOLDS(findings() == 0);
    look();
    commit();
    end();
  }

private:
  // The library's words on standard error name the mode that was asked for, and the one in its place.
  void begin() {
    std::string said;
    {
      StandardError error;
      heap_ = rf_checked_init(&checked_, inner_, of_process_ ? nullptr : &options_);
      said = error.text();
    }
    rf_mode const asked = of_process_ ? RF_MODE_GUARD : options_.settings.mode;
    bool const other = checked_.mode != asked;
    RF_HOLDS(!other || ((asked == RF_MODE_ASAN || asked == RF_MODE_MTE) && checked_.mode == RF_MODE_GUARD));
    RF_HOLDS((checked_.status != RF_OK) == other);
    RF_HOLDS((heap_ == inner_) == (checked_.mode == RF_MODE_OFF));
    if (!of_process_) {
      bool const verbose = options_.settings.verbosity != 0;
      std::string const start =
          std::string("ringfence: checking ") + inner_->ops->name + ": mode " + rf_mode_name(asked);
      RF_HOLDS((said.find(start) != std::string::npos) == verbose);
      RF_HOLDS((said.find("sample_rate=") != std::string::npos) >= options_.settings.help);
    }
    RF_HOLDS(rf_checked_init(&other_, nullptr, &options_) == nullptr);
    RF_HOLDS(rf_checked_init(nullptr, inner_, &options_) == inner_);
  }

  size_t findings() const { return own_log_ || of_process_ ? lines_in(read_file(log_path())) : log_.count(); }

  void step() {
    switch (in_.below(6)) {
    case 0:
      free_one();
      break;
    case 1:
      resize_one();
      break;
    case 2:
      RF_HOLDS(rf_checked_sweep(&checked_, in_.u8() % 2 == 0 ? 0 : 1 + in_.u8()) == 0);
      break;
    case 3:
      add_zeroed(1 + in_.below(300));
      break;
    default:
      add(rf_alloc(heap_, 1 + in_.below(6000)));
      break;
    }
  }

  void add_zeroed(size_t size) {
    auto *const p = static_cast<unsigned char *>(rf_calloc(heap_, 1, size));
    RF_HOLDS(p == nullptr || all_bytes_are(p, size, 0));
    add(p);
  }

  void add(void *ptr) {
    if (ptr == nullptr) {
      return;
    }
    Block const b = {static_cast<unsigned char *>(ptr), rf_usable_size(heap_, ptr), in_.u8()};
    write_ramp(b.ptr, b.size, b.seed);
    blocks_.push_back(b);
  }

  Block take_one() {
    size_t const i = in_.below(blocks_.size());
    Block const b = blocks_[i];
    blocks_.erase(blocks_.begin() + static_cast<ptrdiff_t>(i));
    RF_HOLDS(is_ramp(b.ptr, b.size, b.seed));
    return b;
  }

  void free_one() {
    if (!blocks_.empty()) {
      rf_free(heap_, take_one().ptr);
    }
  }

  void resize_one() {
    if (blocks_.empty()) {
      return;
    }
    Block const b = take_one();
    size_t const size = 1 + in_.below(4000);
    void *const moved = rf_realloc(heap_, b.ptr, size);
    if (moved == nullptr) {
      blocks_.push_back(b);
      return;
    }
    RF_HOLDS(is_ramp(static_cast<const unsigned char *>(moved), std::min(size, b.size), b.seed));
    add(moved);
  }

  // A snapshot has each live block, and the difference from one with fewer has those between.
  void look() {
    std::array<rf_snapshot_site, 8> sites{};
    std::array<rf_snapshot_site, 8> later_sites{};
    rf_snapshot before;
    rf_snapshot after;
    rf_guard *const guard = checked_.mode == RF_MODE_GUARD ? &checked_.guard : nullptr;
    rf_snapshot_init(&before, "before", sites.data(), sites.size());
    rf_snapshot_init(&after, "after", later_sites.data(), in_.below(later_sites.size() + 1));
    if (checked_.mode == RF_MODE_SAMPLE || (simple_heap_ && checked_.mode == RF_MODE_OFF)) {
      return; // blocks of two heaps
    }
    RF_HOLDS(rf_snapshot_take(&before, heap_, guard) == RF_OK);
    RF_HOLDS(before.blocks == blocks_.size());
    step();
    RF_HOLDS(rf_snapshot_take(&after, heap_, guard) == RF_OK);
    RF_HOLDS(after.blocks == blocks_.size());
    size_t bytes = 0;
    for (const Block &b : blocks_) {
      bytes += b.size;
    }
    RF_HOLDS(checked_.mode == RF_MODE_OFF || after.bytes <= bytes);
    RF_HOLDS(after.omitted_blocks <= after.blocks && before.omitted_blocks == 0);
  }

  // ---- One error ----

  enum Error { kNone, kOverflow, kWriteAfterFree, kDoubleFree, kForeignFree, kLeak, kErrors };

  // Not in mode asan, which is there with AddressSanitizer alone: an error ends the process (asan_fuzz is for that).
  bool is_watched(const Block &b) const {
    return checked_.mode != RF_MODE_OFF && checked_.mode != RF_MODE_ASAN &&
           (checked_.mode != RF_MODE_SAMPLE || !rf_owns(inner_, b.ptr));
  }

  void commit() {
    auto const error = static_cast<Error>(in_.below(kErrors));
    size_t const size = 1 + in_.below(2000);
    auto *const ptr = static_cast<unsigned char *>(rf_alloc(heap_, size));
    if (ptr == nullptr || !is_watched({ptr, size, 0})) {
      rf_free(heap_, ptr);
      return;
    }
    switch (error) {
    case kOverflow:
      *const_cast<volatile unsigned char *>(ptr + rf_usable_size(heap_, ptr)) ^= 0x55;
      expected_ = RF_BUG_BUFFER_OVERFLOW;
      rf_free(heap_, ptr);
      break;
    case kWriteAfterFree:
      rf_free(heap_, ptr);
      write_freed(ptr);
      break;
    case kDoubleFree:
      rf_free(heap_, ptr);
      rf_free(heap_, ptr);
      expected_ = RF_BUG_DOUBLE_FREE;
      may_be_ = RF_BUG_BAD_FREE;
      break;
    case kForeignFree:
      rf_free(heap_, &checked_);
      expected_ = RF_BUG_BAD_FREE;
      rf_free(heap_, ptr);
      break;
    case kLeak:
      leaks_ = true;
      break;
    default:
      rf_free(heap_, ptr);
      break;
    }
    if (in_.u8() % 2 == 0) {
      (void)rf_checked_sweep(&checked_, in_.u8() % 2 == 0 ? 0 : 1 + in_.u8());
    }
  }

  // In mode guard the block has to be kept back for that.
  void write_freed(unsigned char *ptr) {
    bool const guarded = checked_.mode == RF_MODE_GUARD || (checked_.mode == RF_MODE_PAGE && rf_owns(inner_, ptr));
    bool const kept = of_process_ || options_.settings.quarantine != 0;
    bool const closed = checked_.mode == RF_MODE_PAGE || checked_.mode == RF_MODE_SAMPLE;
    if (guarded ? kept && (of_process_ || options_.settings.sweep) : closed) {
      *static_cast<volatile unsigned char *>(ptr) ^= 0x55;
      expected_ = RF_BUG_USE_AFTER_FREE;
    }
  }

  bool finds_leaks() const {
    bool const asked = of_process_ || options_.settings.leaks != RF_LEAKS_NONE;
    return asked && (checked_.mode == RF_MODE_GUARD || checked_.mode == RF_MODE_PAGE);
  }

  void end() {
    while (!blocks_.empty()) {
      free_one();
    }
    size_t const expected = expected_ != RF_BUG_COUNT || (leaks_ && finds_leaks()) ? 1 : 0;
    rf_checked_deinit(&checked_);
    rf_checked_deinit(&checked_);
    if (own_log_ || of_process_) {
      std::string const text = read_file(log_path());
      RF_HOLDS(lines_in(text) == expected);
      RF_HOLDS(expected == 0 || has_name(text));
    } else {
      RF_HOLDS(log_.count() == expected);
      RF_HOLDS(expected == 0 || is_expected(log_.findings()[0].bug));
    }
  }

  rf_bug bug() const { return leaks_ ? RF_BUG_LEAK : expected_; }
  bool is_expected(rf_bug found) const { return found == bug() || found == may_be_; }
  bool has_name(const std::string &text) const {
    auto const has = [&](rf_bug b) {
      return text.find(std::string("\"") + rf_bug_name(b) + "\"") != std::string::npos;
    };
    return has(bug()) || has(may_be_);
  }

  Reader &in_;
  bool of_process_;
  bool own_log_ = false;
  bool simple_heap_ = false;
  bool leaks_ = false;
  rf_bug expected_ = RF_BUG_COUNT;
  rf_bug may_be_ = RF_BUG_COUNT;
  rf_checked_options options_ = {};
  rf_simple simple_{};
  rf_tlsf tlsf_{};
  rf_checked checked_{};
  rf_checked other_{};
  FindingLog log_;
  rf_allocator *inner_ = nullptr;
  rf_allocator *heap_ = nullptr;
  std::vector<Block> blocks_;
};

// ---- A heap of handles ----

void run_handles(Reader &in) {
  FindingLog log;
  rf_checked_options options = {};
  options.settings = some_options(in);
  options.reporter = log.reporter();
  rf_handle_heap heap;
  rf_checked_handles checked;
  std::vector<std::pair<rf_handle, size_t>> blocks;
  RF_HOLDS(rf_handle_heap_init(&heap, arena, sizeof arena, nullptr) == RF_OK);
  RF_HOLDS(rf_checked_handles_init(nullptr, &heap.base, &options) == &heap.base);
  rf_handles *const h = rf_checked_handles_init(&checked, &heap.base, &options);
  bool const guarded = options.settings.mode != RF_MODE_OFF && options.settings.mode != RF_MODE_SAMPLE;
  RF_HOLDS((h != &heap.base) == guarded && (checked.mode != RF_MODE_OFF) == guarded);
  for (size_t left = in.below(24); left != 0; left--) {
    size_t const size = 1 + in.below(900);
    rf_handle const handle = in.u8() % 4 != 0 ? rf_handle_alloc_at(h, size, 0, RF_HERE) : 0;
    if (handle != 0) {
      auto *const p = static_cast<unsigned char *>(rf_handle_lock_at(h, handle, RF_HERE));
      RF_HOLDS(p != nullptr);
      std::memset(p, static_cast<int>(size % 251), size);
      RF_HOLDS(rf_handle_unlock_at(h, handle, RF_HERE) == RF_OK);
      blocks.emplace_back(handle, size);
    } else if (!blocks.empty()) {
      auto const [old, bytes] = blocks.back();
      auto *const p = static_cast<unsigned char *>(rf_handle_lock_at(h, old, RF_HERE));
      RF_HOLDS(p != nullptr && p[0] == bytes % 251 && p[bytes - 1] == bytes % 251);
      RF_HOLDS(rf_handle_unlock_at(h, old, RF_HERE) == RF_OK && rf_handle_free_at(h, old, RF_HERE) == RF_OK);
      blocks.pop_back();
    }
  }
  RF_HOLDS(log.count() == 0);
  bool const stale = guarded && in.u8() % 2 == 1 && !blocks.empty();
  if (stale) {
    RF_HOLDS(rf_handle_free_at(h, blocks[0].first, RF_HERE) == RF_OK);
    RF_HOLDS(rf_handle_free_at(h, blocks[0].first, RF_HERE) != RF_OK);
    blocks.erase(blocks.begin());
  }
  bool const leaks = guarded && options.settings.leaks != RF_LEAKS_NONE;
  if (!leaks) {
    blocks.clear();
  }
  rf_checked_handles_deinit(&checked);
  rf_checked_handles_deinit(&checked);
  RF_HOLDS(log.count() == blocks.size() + (stale ? 1 : 0));
  RF_HOLDS(!stale || log.findings()[0].bug == RF_BUG_STALE_HANDLE || log.findings()[0].bug == RF_BUG_DOUBLE_FREE);
}

// ---- Pools ----

#if RF_WATCH

class Pools {
public:
  explicit Pools(Reader &in) : in_(in), buffer_(kCount * kRoom) {
    static const rf_watcher *const of_start = rf_watcher_of_process; // asks for the process's options at the first pool
    options_.settings = some_options(in);
    size_t const how = in.u8() % 8;
    bool const by_itself = how == 2;
    options_.settings.pools = how != 1;
    options_.reporter = log_.reporter();
    if (by_itself) {
      rf_watcher_of_process = of_start;
      watched_ = false; // with the process's own reporter, so that no error is committed
    } else {
      rf_mode const mode = rf_checked_pools_init(&options_);
      rf_mode const asked = options_.settings.mode;
      bool const can = asked != RF_MODE_OFF && asked != RF_MODE_SAMPLE && options_.settings.pools;
      watched_ = mode != RF_MODE_OFF;
      RF_HOLDS(watched_ == can);
    }
    size_ = 8 * (1 + in.below(kRoom / 8 - 1));
    blocks_of_memory_ = in.u8() % 2 == 0;
    if (by_itself && blocks_of_memory_ && in.u8() % 2 == 0) { // as RF_MEMBLOCKS_DEFINE has them
      memblocks_ = RF_MEMBLOCKS_INITIALIZER(size_, kCount, buffer_.data(), bitmap_, false, nullptr, nullptr);
    } else if (blocks_of_memory_) {
      RF_HOLDS(rf_memblocks_init(&memblocks_, buffer_.data(), size_, kCount, bitmap_) == RF_OK);
    } else {
      RF_HOLDS(rf_mempool_init(&mempool_, buffer_.data(), buffer_.size(), size_, 8) == RF_OK);
    }
  }

  void run() {
    for (size_t left = in_.below(40); left != 0; left--) {
      step();
    }
    RF_HOLDS(log_.count() == 0);
    bool const damaged = watched_ && commit();
    for (size_t left = in_.below(20); left != 0; left--) {
      step();
    }
    if (in_.u8() % 8 == 1 && blocks_of_memory_) { // as a program may that does not end its pools
      RF_HOLDS(damaged || rf_memblocks_init(&memblocks_, buffer_.data(), size_, kCount, bitmap_) == RF_OK);
    }
    end();
    RF_HOLDS(log_.count() == (damaged ? 1 : 0));
    RF_HOLDS(!damaged || log_.findings()[0].bug == RF_BUG_USE_AFTER_FREE ||
             log_.findings()[0].bug == RF_BUG_BUFFER_OVERFLOW);
    RF_HOLDS(!damaged || log_.findings()[0].window_address >= reinterpret_cast<uintptr_t>(buffer_.data()));
  }

private:
  static constexpr size_t kCount = 12;
  static constexpr size_t kRoom = 128;

  void *take() {
    void *p = nullptr;
    rf_status const status =
        blocks_of_memory_ ? rf_memblocks_alloc(&memblocks_, 1, &p) : rf_mempool_alloc(&mempool_, 0, &p);
    return status == RF_OK ? p : nullptr;
  }

  // Several that lie one after another.
  void take_run() {
    void *first = nullptr;
    size_t const count = 1 + in_.below(4);
    if (blocks_of_memory_ && rf_memblocks_alloc_contiguous(&memblocks_, count, &first) == RF_OK) {
      for (size_t i = 0; i < count; i++) {
        own(static_cast<unsigned char *>(first) + i * size_);
      }
    }
  }

  // Any that are free, whatever was in them.
  void claim() {
    size_t const first = in_.below(kCount);
    size_t const count = 1 + in_.below(3);
    bool free = first + count <= kCount;
    for (size_t i = first; i < first + count; i++) {
      free = free && std::find(live_.begin(), live_.end(), &buffer_[i % kCount * size_]) == live_.end();
    }
    if (free) {
      RF_HOLDS(rf_memblocks_claim(&memblocks_, &buffer_[first * size_], count) == RF_OK);
      for (size_t i = first; i < first + count; i++) {
        own(&buffer_[i * size_]);
      }
    }
  }

  void own(void *p) {
    std::memset(p, static_cast<int>(live_.size() + 1), size_);
    live_.push_back(static_cast<unsigned char *>(p));
  }

  void step() {
    unsigned const what = in_.u8();
    if (what % 16 == 8 && blocks_of_memory_) {
      claim();
    } else if (what % 8 == 0) {
      take_run();
    } else if (what % 2 == 0 || live_.empty()) {
      void *const p = take();
      if (p != nullptr) {
        own(p);
      }
    } else {
      give(what / 2 % live_.size());
    }
  }

  void give(size_t i) {
    unsigned char *const p = live_[i];
    void *in = p;
    RF_HOLDS(size_ == 0 || all_bytes_are(p, size_, p[0]));
    live_.erase(live_.begin() + static_cast<ptrdiff_t>(i));
    freed_.push_back(p);
    rf_status const status =
        blocks_of_memory_ ? rf_memblocks_free(&memblocks_, 1, &in) : rf_mempool_free(&mempool_, in);
    RF_HOLDS(status == RF_OK);
  }

  // A byte of a block that was freed and not taken since changes.
  bool commit() {
    size_t const choice = in_.u8();
    size_t const offset = in_.below(std::min<size_t>(size_, options_.settings.fill));
    for (unsigned char *const p : freed_) {
      bool const is_live = std::find(live_.begin(), live_.end(), p) != live_.end();
      if (!is_live && choice % 4 != 0) {
        p[offset] ^= 0x11;
        return true;
      }
    }
    return false;
  }

  void end() {
    if (blocks_of_memory_) {
      rf_memblocks_deinit(&memblocks_);
    } else {
      RF_HOLDS(rf_mempool_deinit(&mempool_) == RF_OK);
    }
    (void)rf_pool_watch_sweep();
    rf_pool_watch_stop();
  }

  Reader &in_;
  rf_checked_options options_ = {};
  FindingLog log_;
  std::vector<unsigned char> buffer_;
  size_t bitmap_[RF_MEMBLOCKS_WORDS(kCount)] = {};
  rf_memblocks memblocks_ = {};
  rf_mempool mempool_ = {};
  size_t size_;
  bool blocks_of_memory_;
  bool watched_;
  std::vector<unsigned char *> live_;
  std::vector<unsigned char *> freed_;
};

#endif

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Reader in(data, size);
  switch (in.u8() % 6) {
  case 0:
    run_handles(in);
    break;
#if RF_WATCH
  case 1:
  case 2: {
    Pools pools(in);
    pools.run();
    break;
  }
#endif
  default: {
    Program program(in);
    program.run();
    break;
  }
  }
  return 0;
}

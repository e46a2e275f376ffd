// A heap in any mode, with a reporter of its own, a log, or the process's options.
#include "checked_programs.h"

#include "blocks_model.h"
#include "captured.h"
#include "finding_log.h"

#include <algorithm>
#include <array>
#include <ringfence/checked.h>
#include <ringfence/simple.h>
#include <ringfence/snapshot.h>
#include <ringfence/tlsf.h>
#include <string>
#include <vector>

namespace ringfence::fuzz {
namespace {

alignas(64) unsigned char arena[kCheckedArena];

size_t lines_in(const std::string &text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

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
    if (own_log_ || of_process_) {
      write_file(checked_log(), "");
    }
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

  size_t findings() const { return own_log_ || of_process_ ? lines_in(read_file(checked_log())) : log_.count(); }

  void step() {
    switch (in_.below(6)) {
    case 0:
      free_one();
      break;
    case 1:
      resize_one();
      break;
    case 2:
      look_or_flush();
      break;
    case 3:
      add_zeroed(1 + in_.below(300));
      break;
    default:
      add(rf_alloc(heap_, 1 + in_.below(6000)));
      break;
    }
  }

  void look_or_flush() {
    size_t const how = in_.u8() % 4;
    if (how == 2) {
      rf_checked_flush(&checked_);
    } else {
      RF_HOLDS(rf_checked_sweep(&checked_, how == 0 ? 0 : 1 + in_.u8()) == 0);
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
      std::string const text = read_file(checked_log());
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

} // namespace

void run_checked_heap(Reader &in) {
  Program program(in);
  program.run();
}

} // namespace ringfence::fuzz

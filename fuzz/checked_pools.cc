// Pools that are watched from outside: a write to a freed block.
#include "checked_programs.h"

#include "blocks_model.h"
#include "finding_log.h"

#include <algorithm>
#include <cstring>
#include <ringfence/checked_pools.h>
#include <ringfence/memblocks.h>
#include <ringfence/mempool.h>
#include <ringfence/pool_watch.h>
#include <ringfence/watch.h>
#include <vector>

#if RF_WATCH

namespace ringfence::fuzz {
namespace {

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

} // namespace

void run_checked_pools(Reader &in) {
  Pools pools(in);
  pools.run();
}

} // namespace ringfence::fuzz

#endif

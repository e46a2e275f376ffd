// Several threads at once. Boards have none.
#include "tests/conformance/checks.h"
#include "tests/conformance/failure.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <thread>

namespace ringfence::conformance {

namespace {

struct Slot {
  unsigned char *ptr = nullptr;
  size_t size = 0;
};

// One thread's program: its blocks hold its number, which nobody else writes.
class Worker {
public:
  Worker(const Subject &subject, rf_allocator *a, unsigned char number)
      : subject_(subject), allocator_(a), number_(number), random_(number) {}

  void operator()(size_t steps) {
    for (size_t i = 0; i < steps; i++) {
      Slot &slot = slots_[random_.below(16)];
      require_contents(slot);
      if (slot.ptr == nullptr) {
        put(slot, rf_alloc(allocator_, size_), size_);
      } else if (random_.below(3) == 0) {
        resize(slot);
      } else {
        release(slot);
      }
      size_ = served(subject_, random_.below(200) + 1);
    }
    for (Slot &slot : slots_) {
      require_contents(slot);
      release(slot);
    }
  }

private:
  void put(Slot &slot, void *ptr, size_t size) {
    if (ptr != nullptr) {
      slot = {static_cast<unsigned char *>(ptr), size};
      std::memset(ptr, number_, size);
    }
  }

  void resize(Slot &slot) {
    size_t const kept = std::min(slot.size, size_);
    void *const now = rf_realloc(allocator_, slot.ptr, size_);
    if (now != nullptr) {
      slot = {static_cast<unsigned char *>(now), kept};
      require_contents(slot);
      put(slot, now, size_);
    }
  }

  void release(Slot &slot) {
    RF_REQUIRE(rf_free(allocator_, slot.ptr) == RF_OK, "thread " << int{number_});
    slot = Slot();
  }

  void require_contents(const Slot &slot) const {
    for (size_t i = 0; i < slot.size; i++) {
      RF_REQUIRE(slot.ptr[i] == number_, "byte " << i << " of a block of thread " << int{number_});
    }
  }

  const Subject &subject_;
  rf_allocator *allocator_;
  unsigned char number_;
  Random random_;
  size_t size_ = 1;
  Slot slots_[16];
};

void ThreadsDoNotDisturbEachOther(const Subject &subject) {
  Env env(subject);
  std::mutex mutex;
  std::string failure;
  std::vector<std::thread> threads;
  for (unsigned char number = 1; number <= 4; number++) {
    threads.emplace_back([&, number] {
      try {
        Worker(subject, env.allocator(), number)(2000);
      } catch (const Failure &caught) {
        std::lock_guard<std::mutex> const lock(mutex);
        failure = caught.text;
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  RF_REQUIRE(failure.empty(), failure);
  RF_REQUIRE(fault_count() == 0, "reports of what was no misuse");
  RF_REQUIRE(rf_check(env.allocator(), nullptr) == RF_OK, "integrity");
  rf_stats const s = env.stats();
  RF_REQUIRE(s.used == 0 && s.blocks == 0, s.blocks << " blocks are left");
  RF_REQUIRE(s.peak_blocks >= 1 && s.peak_blocks <= size_t{4} * (16 + 1), s.peak_blocks);
  RF_REQUIRE(s.peak >= 1 && s.peak <= size_t{4} * (16 + 1) * 200, s.peak);
}

} // namespace

std::vector<Check> thread_checks() {
  return {RF_CHECK(ThreadsDoNotDisturbEachOther, RF_SUBJECT_THREADS)};
}

} // namespace ringfence::conformance

// A process for the tests of roots: its maps, threads, dead stacks, pages and descriptors are the test's own.
#ifndef RINGFENCE_TESTS_DROPIN_ROOTS_WORLD_H
#define RINGFENCE_TESTS_DROPIN_ROOTS_WORLD_H

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/inspect/roots.h"
#include "checkers/dropin/os/procfs.h"
#include "checkers/dropin/runtime/dead_stacks.h"
#include "checkers/dropin/runtime/handed_over.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/thread.h"
#include "checkers/os/maps.h"
}
#undef _Static_assert

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <iterator>
#include <map>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace ringfence_test {

using Ranges = std::vector<std::pair<uintptr_t, uintptr_t>>;

constexpr uintptr_t kPage = 4096;

struct World {
  std::vector<rf_map> maps;
  Ranges dead;
  Ranges looked_at;
  std::map<uintptr_t, uintptr_t> starts; // of stacks, by an address in their thread's storage
  int listed = 0;
  std::vector<uint32_t> descriptors;
  uintptr_t handed_over = 0;
  bool has_maps = true;
};

inline World world;

inline rf_map map_of(uintptr_t start, uintptr_t end, const char *rights, const char *name) {
  rf_map map = {};
  map.start = start;
  map.end = end;
  map.readable = rights[0] == 'r';
  map.writable = rights[1] == 'w';
  map.executable = rights[2] == 'x';
  map.shared = rights[3] == 's';
  map.name = name;
  map.name_length = strlen(name);
  return map;
}

} // namespace ringfence_test

extern "C" {

rf_process_state rf_process;
RF_THREAD_LOCAL rf_thread rf_current_thread;

// The linker puts it in front of that of //checkers.
bool __wrap_rf_maps_each(bool (*visit)(const rf_map *map, void *context), void *context);
bool __wrap_rf_maps_each(bool (*visit)(const rf_map *map, void *context), void *context) {
  for (const rf_map &map : ringfence_test::world.maps) {
    if (!visit(&map, context)) {
      break;
    }
  }
  return ringfence_test::world.has_maps;
}

size_t rf_pages_round(size_t size) {
  return (size + ringfence_test::kPage - 1) & ~(ringfence_test::kPage - 1);
}

void rf_dead_stacks_look(uintptr_t start, uintptr_t end, uint32_t id) {
  EXPECT_EQ(id, rf_current_thread.id);
  ringfence_test::world.looked_at.emplace_back(start, end);
}

void rf_dead_stacks_list(uint32_t id) {
  EXPECT_EQ(id, rf_current_thread.id);
  ringfence_test::world.listed++;
}

uintptr_t rf_stack_start(uintptr_t own, uintptr_t callers) {
  EXPECT_EQ(callers, reinterpret_cast<uintptr_t>(&rf_current_thread));
  auto const found = ringfence_test::world.starts.find(own);
  return found == ringfence_test::world.starts.end() ? 0 : found->second;
}

bool rf_dead_stacks_each(bool (*visit)(uintptr_t start, uintptr_t end, void *context), void *context) {
  return std::all_of(
      ringfence_test::world.dead.begin(), ringfence_test::world.dead.end(),
      [&](const std::pair<uintptr_t, uintptr_t> &part) { return visit(part.first, part.second, context); });
}

bool rf_procfs_each_descriptor(void (*visit)(uint32_t descriptor, void *context), void *context) {
  for (uint32_t const descriptor : ringfence_test::world.descriptors) {
    visit(descriptor, context);
  }
  return true;
}

void rf_handed_over_visit(void (*visit)(const uintptr_t *words, size_t count, void *context), void *context) {
  visit(&ringfence_test::world.handed_over, 1, context);
}
}

namespace ringfence_test {

class Roots : public testing::Test {
protected:
  Roots() {
    world = World();
    rf_current_thread = {};
    rf_current_thread.id = 77;
    rf_process = {};
    rf_process.id = getpid();
    roots_.excluded = {excluded_, std::size(excluded_), 0};
    roots_.buffer = buffer_;
    roots_.context = this;
    roots_.visit = [](const uintptr_t *words, size_t count, void *self) {
      auto &seen = static_cast<Roots *>(self)->seen_;
      seen.insert(seen.end(), words, words + count);
    };
    rf_roots_open(&roots_);
  }
  ~Roots() override { rf_roots_close(&roots_); }

  Ranges excluded() const {
    Ranges found;
    for (size_t i = 0; i < roots_.excluded.count; i++) {
      found.emplace_back(excluded_[i].start, excluded_[i].end);
    }
    return found;
  }

  // How many words of this value the last reading met.
  long times(uintptr_t word) const { return std::count(seen_.begin(), seen_.end(), word); }

  rf_roots roots_ = {};
  rf_range excluded_[64] = {};
  alignas(8) unsigned char buffer_[RF_ROOTS_BUFFER] = {};
  std::vector<uintptr_t> seen_;
};

// Pages of this process, each word of which is its own address.
class RootsOfMemory : public Roots {
protected:
  static constexpr size_t kPages = 40;

  RootsOfMemory() {
    void *const memory = mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(memory, MAP_FAILED);
    start_ = reinterpret_cast<uintptr_t>(memory);
    for (uintptr_t at = start_; at < start_ + kPages * kPage; at += sizeof at) {
      *reinterpret_cast<uintptr_t *>(at) = at;
    }
  }
  ~RootsOfMemory() override { (void)munmap(reinterpret_cast<void *>(start_), kPages * kPage); }

  uintptr_t page(size_t n) const { return start_ + n * kPage; }

  // The ranges whose words the last reading met.
  Ranges read() {
    EXPECT_TRUE(rf_roots_read(&roots_));
    return met();
  }

  Ranges met() {
    Ranges found;
    std::sort(seen_.begin(), seen_.end());
    seen_.erase(std::unique(seen_.begin(), seen_.end()), seen_.end());
    for (uintptr_t const word : seen_) {
      if (word < start_ || word >= start_ + kPages * kPage) {
        continue;
      }
      if (found.empty() || found.back().second != word) {
        found.emplace_back(word, word);
      }
      found.back().second = word + sizeof word;
    }
    seen_.clear();
    return found;
  }

  // As if the kernel said so of each page from the first on.
  void page_list(const std::vector<uint64_t> &entries) { page_list_from(start_, entries); }

  void page_list_from(uintptr_t first, const std::vector<uint64_t> &entries) {
    rf_roots_close(&roots_);
    roots_.pages = memfd_create("pages", MFD_CLOEXEC);
    auto const at = static_cast<off_t>(first / kPage * sizeof(uint64_t));
    auto const size = static_cast<ssize_t>(entries.size() * sizeof(uint64_t));
    EXPECT_EQ(pwrite(roots_.pages, entries.data(), static_cast<size_t>(size), at), size);
  }

  uintptr_t start_ = 0;
};

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_DROPIN_ROOTS_WORLD_H

// Fakes for the test of checkers/dropin/inspect/leak_check.c: its heap, pages, threads and modules.
#ifndef RINGFENCE_TESTS_DROPIN_LEAK_CHECK_WORLD_H
#define RINGFENCE_TESTS_DROPIN_LEAK_CHECK_WORLD_H

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/inspect/leak_check.h"
#include "checkers/dropin/inspect/reachability.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/os/module.h"
#include "checkers/dropin/runtime/state.h"
}
#undef _Static_assert

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace ringfence_test {

using Ranges = std::vector<std::pair<uintptr_t, uintptr_t>>;

constexpr uintptr_t kStackPointer = 0x7000;
constexpr uintptr_t kUsers = 0x10000; // addresses in the program's code; others follow, 0x1000 for each kind of module
constexpr uintptr_t kRuntime = 0x11000;
constexpr uintptr_t kLoader = 0x12000;
constexpr uintptr_t kSystems = 0x13000;
constexpr uintptr_t kStripped = 0x14000;
constexpr uintptr_t kRingfence = 0x15000;
constexpr uintptr_t kNowhere = 0x16000;

extern const rf_known_module kModules[6];

struct Block {
  uintptr_t start;
  size_t size;
  rf_reachability_state state;
  std::vector<uintptr_t> frames = {kUsers + 1};
  bool paged = false;
  bool live = true; // still, when it is asked where it was allocated
};

struct World {
  std::vector<Block> blocks;
  std::vector<std::string> calls;
  std::set<uintptr_t> told;
  std::vector<bool> noted;
  Ranges excluded;
  const rf_site *site = nullptr; // of all blocks
  const char *cannot_stop = nullptr;
  const rf_known_module *program = kModules;
  bool sandbox = false;
  bool threads_locked = true;
  bool world_locked = true;
  bool has_memory = true;
  bool has_table = true;
  bool reads_stacks = true;
  bool reads_roots = true;
  bool has_store = false;
  bool to_program = false;
  void *memory = nullptr;
  size_t size = 0;
};

extern World world;

rf_page_store *store_of_test();

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_DROPIN_LEAK_CHECK_WORLD_H

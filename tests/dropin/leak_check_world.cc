#include "tests/dropin/leak_check_world.h"

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/inspect/told_leaks.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/runtime/process_reporter.h"
#include "checkers/dropin/runtime/sandbox.h"
}
#undef _Static_assert

#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>
#include <iterator>

namespace ringfence_test {

const rf_known_module kModules[] = {
    {kUsers, kRuntime, false, false, true, true},       {kRuntime, kLoader, true, false, true, false},
    {kLoader, kSystems, true, true, true, false},       {kSystems, kStripped, false, false, true, false},
    {kStripped, kRingfence, false, false, false, true}, {kRingfence, kNowhere, true, false, true, true}};

World world;

rf_page_store *store_of_test() {
  static char the_store;
  return reinterpret_cast<rf_page_store *>(&the_store);
}

} // namespace ringfence_test

using namespace ringfence_test;

namespace {

rf_trace trace_of(const Block &block) {
  rf_trace trace = {};
  trace.site = world.site;
  trace.depth = static_cast<unsigned>(block.frames.size());
  std::copy(block.frames.begin(), block.frames.end(), trace.frames);
  return trace;
}

// They are in order of their addresses.
const Block *block_at(const void *start) {
  auto const address = reinterpret_cast<uintptr_t>(start);
  auto const found = std::lower_bound(world.blocks.begin(), world.blocks.end(), address,
                                      [](const Block &block, uintptr_t at) { return block.start < at; });
  return found == world.blocks.end() || found->start != address ? nullptr : &*found;
}

// Once for several in a row.
void note(const char *call) {
  if (world.calls.empty() || world.calls.back() != call) {
    world.calls.emplace_back(call);
  }
}

size_t table_size; // of that of threads, which is made once

// Two ranges, from this address on.
bool range_of(uintptr_t first, unsigned index, uintptr_t *start, uintptr_t *end) {
  *start = first + 0x100 * index;
  *end = *start + 0x10;
  return index < 2;
}

} // namespace

extern "C" {

rf_guarded_blocks_state rf_guarded_blocks;

// ---- Locks ----

bool rf_sandbox_forbids_search() {
  return world.sandbox;
}

bool rf_thread_lock(unsigned ms) {
  world.calls.push_back("lock threads " + std::to_string(ms));
  return world.threads_locked;
}

void rf_thread_unlock() {
  world.calls.emplace_back("unlock threads");
}

bool rf_lock_blocks(unsigned ms) {
  world.calls.push_back("lock blocks " + std::to_string(ms));
  return world.world_locked;
}

void rf_unlock_blocks() {
  world.calls.emplace_back("unlock blocks");
}

const char *rf_stop_the_world(rf_stopped *stopped, unsigned ms) {
  EXPECT_EQ(table_size, stopped->capacity * sizeof *stopped->threads);
  world.calls.push_back("stop " + std::to_string(stopped->capacity) + " in " + std::to_string(ms));
  return world.cannot_stop;
}

void rf_resume_the_world(rf_stopped *) {
  world.calls.emplace_back("resume");
}

// ---- Memory ----

void *rf_pages_map(size_t size, size_t, size_t) {
  world.size = size;
  world.memory = world.has_memory ? std::calloc(1, size) : nullptr;
  return world.memory;
}

void rf_pages_populate(uintptr_t start, uintptr_t end) {
  EXPECT_LE(start, end);
}

void rf_pages_unmap(void *start, size_t size) {
  EXPECT_EQ(start, world.memory);
  EXPECT_EQ(size, world.size);
  std::free(start);
  world.memory = nullptr;
}

void *rf_record_table(size_t size) {
  static char table[16];
  table_size = size;
  return world.has_table ? table : nullptr;
}

bool rf_record_range(unsigned index, uintptr_t *start, uintptr_t *end) {
  return range_of(0x1000, index, start, end);
}

bool rf_heap_each_range(rf_range_fn visit, void *context) {
  return visit(0x2000, 0x2010, context) && visit(0x2100, 0x2110, context);
}

bool rf_page_store_space(const rf_page_store *, unsigned index, uintptr_t *start, uintptr_t *end) {
  return range_of(0x3000, index, start, end);
}

bool rf_page_store_own_memory(const rf_page_store *, unsigned index, uintptr_t *start, uintptr_t *end) {
  return range_of(0x4000, index, start, end);
}

// ---- Roots ----

bool rf_ranges_add(rf_ranges *ranges, uintptr_t start, uintptr_t end) {
  if (ranges->count == ranges->capacity) {
    return false;
  }
  ranges->list[ranges->count++] = {start, end};
  return true;
}

void rf_ranges_sort(rf_ranges *ranges) {
  world.excluded.clear();
  for (size_t i = 0; i < ranges->count; i++) {
    world.excluded.emplace_back(ranges->list[i].start, ranges->list[i].end);
  }
  std::sort(world.excluded.begin(), world.excluded.end());
}

bool rf_roots_add_library(rf_ranges *out) {
  return rf_ranges_add(out, 0x500, 0x510);
}

void rf_roots_open(rf_roots *) {
  world.calls.emplace_back("open");
}

void rf_roots_close(rf_roots *) {
  world.calls.emplace_back("close");
}

bool rf_roots_stacks(rf_roots *, rf_stopped *, uintptr_t sp) {
  EXPECT_EQ(sp, kStackPointer);
  return world.reads_stacks;
}

size_t rf_reachability_count_blocks() {
  return world.blocks.size();
}

size_t rf_reachability_count_slots() {
  return 2 * world.blocks.size();
}

size_t rf_reachability_count_spans() {
  return 3 * world.blocks.size();
}

void rf_reachability_collect(rf_reachability *table) {
  EXPECT_EQ(table->capacity, world.blocks.size());
  EXPECT_EQ(table->index_capacity, 2 * world.blocks.size());
  EXPECT_EQ(table->first_capacity, 3 * world.blocks.size());
  world.calls.emplace_back("collect");
  for (const Block &block : world.blocks) {
    table->blocks[table->count++] = {block.start, block.size, block.state, block.paged, false, nullptr};
  }
}

bool rf_reachability_mark(rf_reachability *) {
  return world.reads_roots;
}

// ---- Blocks and where they come from ----

bool rf_heap_live(const void *ptr, rf_view *out) {
  static rf_slot slot;
  const Block *const block = block_at(ptr);
  EXPECT_TRUE(block != nullptr && !block->paged);
  out->slot = &slot;
  note("origin");
  slot.allocated = static_cast<uint32_t>(block - world.blocks.data());
  slot.allocated_by = 7;
  return block->live;
}

void rf_check_trace(uint32_t stack, uint16_t thread, rf_trace *out) {
  EXPECT_EQ(thread, 7);
  *out = trace_of(world.blocks[stack]);
}

bool rf_page_store_allocated(rf_page_store *store, const void *ptr, rf_trace *out) {
  const Block *const block = block_at(ptr);
  EXPECT_EQ(store, store_of_test());
  EXPECT_TRUE(block != nullptr && block->paged);
  note("origin");
  *out = trace_of(*block);
  return block->live;
}

const rf_known_module *rf_known_module_find(rf_known_modules *, uintptr_t address) {
  note("module");
  auto const *const found = std::find_if(std::begin(kModules), std::end(kModules), [address](const rf_known_module &m) {
    return address >= m.start && address < m.end;
  });
  return found == std::end(kModules) ? nullptr : found;
}

const rf_known_module *rf_known_module_of_program(rf_known_modules *) {
  return world.program;
}

rf_process_state rf_process = {};

bool rf_process_reports_to_program() {
  return world.to_program;
}

bool rf_told_leaks_has(uintptr_t start, size_t, bool note) {
  world.noted.push_back(note);
  return world.told.count(start) != 0;
}
}

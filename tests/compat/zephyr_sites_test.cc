// Zephyr's calls in code that is built with sites: a finding names the line of the program that made the call.
#include <ringfence/guard.h>
#include <zephyr/kernel.h>
#include <zephyr/multi_heap/shared_multi_heap.h>
#include <zephyr/sys/multi_heap.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <string>
#include <thread>
#include <vector>

namespace {

K_HEAP_DEFINE(waited_for, 8192);

struct Place {
  std::string file;
  uint32_t line;
};

Place place_of(const rf_site *site) {
  return site != nullptr ? Place{site->file, site->line} : Place{"none", 0};
}

struct Found {
  rf_bug bug;
  Place allocated;
  Place found;
};

std::vector<Found> findings;
std::deque<rf_guard> guards;

rf_action record(rf_reporter * /*self*/, const rf_finding *f) {
  findings.push_back({f->bug, place_of(f->allocated.site), place_of(f->found.site)});
  return RF_ACTION_CONTINUE;
}

rf_reporter reporter = {record, nullptr, RF_EXITCODE_DEFAULT, 0};

rf_allocator *wrap(rf_allocator *heap, struct sys_heap * /*made*/, void * /*context*/) {
  rf_guard_options options;
  rf_guard_options_default(&options);
  options.reporter = &reporter;
  guards.emplace_back();
  return rf_guard_init(&guards.back(), heap, &options) == RF_OK ? &guards.back().base : nullptr;
}

// `line` is that of the allocation; the free is the next one's.
void expect_sites(unsigned line) {
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_NE(findings[0].allocated.file.find("zephyr_sites_test.cc"), std::string::npos);
  EXPECT_EQ(findings[0].allocated.line, line);
  EXPECT_NE(findings[0].found.file.find("zephyr_sites_test.cc"), std::string::npos);
  EXPECT_EQ(findings[0].found.line, line + 1);
  findings.clear();
}

void *overrun(void *p, size_t size) {
  static_cast<volatile unsigned char *>(p)[size] ^= 1;
  return p;
}

void *cleared(void *p, ptrdiff_t size) {
  const auto *const bytes = static_cast<const char *>(p);
  EXPECT_EQ(std::count(bytes, bytes + size, 0), size);
  return p;
}

void *aligned(void *p, size_t align) {
  EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % align, 0U);
  return p;
}

class ZephyrSites : public testing::Test {
protected:
  ZephyrSites() { rf_zephyr_wrap_set(wrap, nullptr); }
  ~ZephyrSites() override { rf_zephyr_wrap_set(nullptr, nullptr); }
};

TEST_F(ZephyrSites, OfTheProgramsHeap) {
  void *p = overrun(k_malloc(10), 10);
  k_free(p);
  expect_sites(__LINE__ - 2);
  p = overrun(cleared(k_calloc(2, 5), 10), 10);
  k_free(p);
  expect_sites(__LINE__ - 2);
  p = overrun(aligned(k_aligned_alloc(256, 10), 256), 10);
  k_free(p);
  expect_sites(__LINE__ - 2);
  p = k_malloc(10);
  p = overrun(k_realloc(p, 20), 20);
  k_free(p);
  expect_sites(__LINE__ - 2);
}

TEST_F(ZephyrSites, OfAHeapThatThreadsWaitFor) {
  void *p = overrun(k_heap_alloc(&waited_for, 10, K_NO_WAIT), 10);
  k_heap_free(&waited_for, p);
  expect_sites(__LINE__ - 2);
  p = overrun(aligned(k_heap_aligned_alloc(&waited_for, 256, 10, K_NO_WAIT), 256), 10);
  k_heap_free(&waited_for, p);
  expect_sites(__LINE__ - 2);
  p = overrun(cleared(k_heap_calloc(&waited_for, 2, 5, K_NO_WAIT), 10), 10);
  k_heap_free(&waited_for, p);
  expect_sites(__LINE__ - 2);
  p = overrun(k_heap_realloc(&waited_for, nullptr, 10, K_NO_WAIT), 10);
  k_heap_free(&waited_for, p);
  expect_sites(__LINE__ - 2);
}

TEST_F(ZephyrSites, AreThoseOfTheCallThatWaited) {
  alignas(8) static unsigned char memory[2048];
  static struct k_heap heap;
  k_heap_init(&heap, memory, sizeof memory);
  void *const all = k_heap_alloc(&heap, 1200, K_NO_WAIT);
  ASSERT_NE(all, nullptr);
  std::thread giver([all] {
    for (bool queued = false; !queued; std::this_thread::yield()) {
      rf_mutex_lock(&heap.lock.mutex);
      queued = heap.waiters != nullptr;
      rf_mutex_unlock(&heap.lock.mutex);
    }
    k_heap_free(&heap, all);
  });
  void *const p = k_heap_alloc(&heap, 1200, K_FOREVER);
  giver.join();
  overrun(p, 1200);
  k_heap_free(&heap, p);
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].allocated.line, __LINE__ - 5U);
  findings.clear();
}

TEST_F(ZephyrSites, OfAHeap) {
  alignas(8) static unsigned char memory[4096];
  static struct sys_heap heap;
  sys_heap_init(&heap, memory, sizeof memory);
  void *p = overrun(sys_heap_alloc(&heap, 10), 10);
  sys_heap_free(&heap, p);
  expect_sites(__LINE__ - 2);
  p = overrun(sys_heap_noalign_alloc(&heap, 32, 10), 10);
  sys_heap_free(&heap, p);
  expect_sites(__LINE__ - 2);
  p = overrun(aligned(sys_heap_aligned_alloc(&heap, 256, 10), 256), 10);
  sys_heap_free(&heap, p);
  expect_sites(__LINE__ - 2);
  p = sys_heap_alloc(&heap, 10);
  p = overrun(sys_heap_aligned_realloc(&heap, p, 256, 20), 20);
  sys_heap_free(&heap, p);
  expect_sites(__LINE__ - 2);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 256, 0U);
  p = overrun(sys_heap_alloc(&heap, 10), 10);
  EXPECT_EQ(sys_heap_aligned_realloc(&heap, p, 0, 0), nullptr);
  expect_sites(__LINE__ - 2);
}

TEST_F(ZephyrSites, OfSeveralHeapsBehindOneAreNotThoseOfTheChoice) {
  alignas(8) static unsigned char memory[4096];
  static struct sys_heap heap;
  static struct sys_multi_heap several;
  sys_heap_init(&heap, memory, sizeof memory);
  sys_multi_heap_init(&several, [](struct sys_multi_heap *all, void *, size_t align, size_t size) {
    return sys_heap_aligned_alloc(all->heaps[0].heap, align, size);
  });
  sys_multi_heap_add_heap(&several, &heap, nullptr);
  void *p = overrun(sys_multi_heap_alloc(&several, nullptr, 10), 10);
  sys_multi_heap_free(&several, p);
  expect_sites(__LINE__ - 2);
  p = overrun(aligned(sys_multi_heap_aligned_alloc(&several, nullptr, 256, 10), 256), 10);
  sys_multi_heap_free(&several, p);
  expect_sites(__LINE__ - 2);
  p = overrun(sys_multi_heap_realloc(&several, nullptr, nullptr, 10), 10);
  sys_multi_heap_free(&several, p);
  expect_sites(__LINE__ - 2);
  EXPECT_EQ(sys_multi_heap_alloc(&several, nullptr, 5000), nullptr);
  p = overrun(sys_heap_alloc(&heap, 10), 10);
  sys_heap_free(&heap, p);
  expect_sites(__LINE__ - 2);
}

TEST_F(ZephyrSites, OfThePoolOfSeveralKinds) {
  alignas(8) static unsigned char memory[4096];
  struct shared_multi_heap_region region = {SMH_REG_ATTR_CACHEABLE, reinterpret_cast<uintptr_t>(memory), sizeof memory};
  ASSERT_EQ(shared_multi_heap_pool_init(), 0);
  ASSERT_EQ(shared_multi_heap_add(&region, nullptr), 0);
  void *p = overrun(shared_multi_heap_alloc(SMH_REG_ATTR_CACHEABLE, 10), 10);
  shared_multi_heap_free(p);
  expect_sites(__LINE__ - 2);
  p = shared_multi_heap_alloc(SMH_REG_ATTR_CACHEABLE, 10);
  p = overrun(shared_multi_heap_realloc(SMH_REG_ATTR_CACHEABLE, p, 20), 20);
  shared_multi_heap_free(p);
  expect_sites(__LINE__ - 2);
  p = overrun(aligned(shared_multi_heap_aligned_alloc(SMH_REG_ATTR_CACHEABLE, 256, 10), 256), 10);
  shared_multi_heap_free(p);
  expect_sites(__LINE__ - 2);
}

} // namespace

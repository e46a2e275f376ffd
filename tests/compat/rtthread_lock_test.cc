// RT-Thread: all calls look at heaps and at the list of objects inside the one lock, and change them there. The linker
// puts this file's rf_mutex_lock and rf_mutex_unlock in front of the port's, so that one thread plays all.
#include <rtthread.h>

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>

#include "tests/core/unwatched.h"

namespace {

// Heaps are copied as a whole.
Unwatched const unwatched_here;

constexpr rt_size_t kSize = 128 * 1024; // of a heap; a slab has a zone of 32 KiB for each size

struct Memory {
  alignas(16) unsigned char system[kSize];
  alignas(16) unsigned char small[kSize];
  alignas(16) unsigned char slab[kSize];
  alignas(16) unsigned char mem[kSize];
  struct rt_memheap memheap;
  struct rt_mempool other_pool;
};

Memory memory;
#ifdef RT_USING_MEMHEAP_AS_HEAP
struct rt_memheap *system_heap; // has a record outside of its memory
#endif

// All that the lock guards at one moment.
class Moment {
public:
  void save() {
    memory_ = memory;
#ifdef RT_USING_MEMHEAP_AS_HEAP
    system_ = *system_heap;
#endif
  }
  void load() const {
    memory = memory_;
#ifdef RT_USING_MEMHEAP_AS_HEAP
    *system_heap = system_;
#endif
  }
  bool operator==(const Moment &other) const {
    return memcmp(this, &other, sizeof *this) == 0;
  }

private:
  Memory memory_;
#ifdef RT_USING_MEMHEAP_AS_HEAP
  struct rt_memheap system_;
#endif
};

Moment here;      // as it is inside the lock
Moment elsewhere; // as others leave it whenever the lock is free
Moment before;
Moment after;
bool is_watched;
unsigned depth;                   // of the lock
std::function<void()> after_pool; // in the lock of a pool

// The lock is the only one that no pool has.
bool is_of_pool(const rf_mutex *mutex);

} // namespace

extern "C" {
void __real_rf_mutex_lock(rf_mutex *mutex);
void __real_rf_mutex_unlock(rf_mutex *mutex);
void __wrap_rf_mutex_lock(rf_mutex *mutex);
void __wrap_rf_mutex_unlock(rf_mutex *mutex);

void __wrap_rf_mutex_lock(rf_mutex *mutex) {
  if (is_of_pool(mutex)) {
    __real_rf_mutex_lock(mutex);
    return;
  }
  ASSERT_EQ(depth, 0U) << "waits for itself";
  __real_rf_mutex_lock(mutex);
  depth++;
  if (is_watched) {
    here.load();
  }
}

void __wrap_rf_mutex_unlock(rf_mutex *mutex) {
  if (is_of_pool(mutex)) {
    __real_rf_mutex_unlock(mutex);
    if (after_pool && depth == 0) {
      after_pool();
    }
    return;
  }
  if (is_watched) {
    here.save();
    elsewhere.load();
  }
  depth--;
  __real_rf_mutex_unlock(mutex);
}
}

namespace {

alignas(16) unsigned char fresh_memory[kSize];
alignas(16) unsigned char pool_memory[1024];
alignas(16) unsigned char other_pool_memory[64];
struct rt_mempool pool;
rt_smem_t fresh;

bool is_of_pool(const rf_mutex *mutex) {
  return mutex == &pool.pool.mutex || mutex == &memory.other_pool.pool.mutex;
}

class RtThreadLock : public ::testing::Test {
protected:
  RtThreadLock() {
    memset(&memory, 0, sizeof memory);
    console.write = [](void *self, const char *text, size_t len) {
      static_cast<RtThreadLock *>(self)->answer.append(text, len);
    };
    console.context = this;
    rf_rt_console_set(&console);
    rt_system_heap_init(memory.system, memory.system + kSize);
#ifdef RT_USING_MEMHEAP_AS_HEAP
    system_heap = (struct rt_memheap *)(void *)rt_object_find("heap", RT_Object_Class_MemHeap);
#endif
    small = rt_smem_init("small", memory.small, kSize);
    slab = rt_slab_init("slab", memory.slab, kSize);
    EXPECT_EQ(RT_EOK, rt_memheap_init(&memory.memheap, "mem", memory.mem, kSize));
    EXPECT_EQ(RT_EOK, rt_mp_init(&memory.other_pool, "other", other_pool_memory, sizeof other_pool_memory, 8));
    EXPECT_EQ(RT_EOK, rt_mp_init(&pool, "pool", pool_memory, sizeof pool_memory, 56));
    of_system = take_each(&of_small, &of_slab, &of_mem);
    before.save();
    make_elsewhere();
    before.load();
  }
  ~RtThreadLock() override {
    rt_mp_detach(&pool);
    rt_mp_detach(&memory.other_pool);
    rt_memheap_detach(&memory.memheap);
    rt_slab_detach(slab);
    rt_smem_detach(small);
    rt_system_heap_init(RT_NULL, RT_NULL);
    rf_rt_console_set(nullptr);
  }

  void *take_each(void **from_small, void **from_slab, void **from_mem) {
    *from_small = rt_smem_alloc(small, 100);
    *from_slab = rt_slab_alloc(slab, 100);
    *from_mem = rt_memheap_alloc(&memory.memheap, 100);
    return rt_malloc(100);
  }

  // All heaps in use by others, who are about to take each of them and the second pool out of the list.
  void make_elsewhere() {
    void *unused;
    for (int i = 0; i < 3; i++) {
      (void)take_each(&unused, &unused, &unused);
    }
    for (struct rt_object *const o : {&small->parent, &slab->parent, &memory.memheap.parent}) {
      o->type = RT_Object_Class_Null;
      o->name[0] = '?';
    }
    memory.other_pool.parent.list.next = memory.other_pool.parent.list.prev;
    elsewhere.save();
  }

  void say(const void *p) {
    answer += std::to_string(reinterpret_cast<uintptr_t>(p)) + " ";
  }
  void say_number(rt_size_t number) {
    answer += std::to_string(number) + " ";
  }

  std::string run(const std::function<void()> &call) {
    answer.clear();
    call();
    return answer;
  }

  std::string among_others(const std::function<void()> &call) {
    here.save();
    elsewhere.load();
    is_watched = true;
    std::string const said = run(call);
    is_watched = false;
    here.load();
    return said;
  }

  rf_sink console;
  std::string answer; // of a call: what it returns and prints
  rt_smem_t small;
  rt_slab_t slab;
  void *of_system;
  void *of_small;
  void *of_slab;
  void *of_mem;
};

TEST_F(RtThreadLock, CallsLookAndChangeInsideIt) {
  void *pages;
  rt_size_t total;
  rt_size_t used;
  rt_size_t most;
  auto const nothing = [] {};
  auto const begin_fresh = [] { fresh = rt_smem_init("fresh", fresh_memory, sizeof fresh_memory); };
  auto const end_fresh = [] { (void)rt_smem_detach(fresh); };
  struct {
    const char *name;
    std::function<void()> prepare;
    std::function<void()> call;
    std::function<void()> undo;
    bool fills = false; // a block that is the caller's by then
  } const cases[] = {
      {"malloc", nothing, [&] { say(rt_malloc(40)); }, nothing},
      {"calloc", nothing, [&] { say(rt_calloc(4, 10)); }, nothing, true},
      {"malloc_align", nothing, [&] { say(rt_malloc_align(40, 64)); }, nothing},
      {"strdup", nothing, [&] { say(rt_strdup("")); }, nothing, true},
      {"realloc", nothing, [&] { say(rt_realloc(of_system, 50)); }, nothing},
      {"realloc of nothing", nothing, [&] { say(rt_realloc(nullptr, 50)); }, nothing},
      {"free", nothing, [&] { rt_free(of_system); }, nothing},
      {"memory_info", nothing,
       [&] {
         rt_memory_info(&total, &used, &most);
         say_number(used);
       },
       nothing},
      {"smem_alloc", nothing, [&] { say(rt_smem_alloc(small, 40)); }, nothing},
      {"smem_realloc", nothing, [&] { say(rt_smem_realloc(small, of_small, 50)); }, nothing},
      {"smem_free", nothing, [&] { rt_smem_free(of_small); }, nothing},
      {"slab_alloc", nothing, [&] { say(rt_slab_alloc(slab, 40)); }, nothing},
      {"slab_realloc", nothing, [&] { say(rt_slab_realloc(slab, of_slab, 50)); }, nothing},
      {"slab_free", nothing, [&] { rt_slab_free(slab, of_slab); }, nothing},
      {"slab_page_alloc", nothing, [&] { say(rt_slab_page_alloc(slab, 2)); }, nothing},
      {"slab_page_free", [&] { pages = rt_slab_page_alloc(slab, 2); }, [&] { rt_slab_page_free(slab, pages, 2); },
       nothing},
      {"memheap_alloc", nothing, [&] { say(rt_memheap_alloc(&memory.memheap, 40)); }, nothing},
      {"memheap_realloc", nothing, [&] { say(rt_memheap_realloc(&memory.memheap, of_mem, 50)); }, nothing},
      {"memheap_free", nothing, [&] { rt_memheap_free(of_mem); }, nothing},
      {"memheap_info", nothing,
       [&] {
         rt_memheap_info(&memory.memheap, &total, &used, &most);
         say_number(used);
         say_number(most);
       },
       nothing},
      {"object_find", nothing, [&] { say(rt_object_find("slab", RT_Object_Class_Memory)); }, nothing},
      {"memcheck", nothing, [&] { say_number(static_cast<rt_size_t>(memcheck(0, nullptr))); }, nothing},
      {"memtrace", nothing, [] { (void)memtrace(0, nullptr); }, nothing},
      {"list_memheap", nothing, [] { (void)list_memheap(); }, nothing},
      {"smem_init", nothing, begin_fresh, end_fresh},
      {"smem_detach", begin_fresh, [&] { say_number(static_cast<rt_size_t>(rt_smem_detach(fresh))); }, nothing},
  };
  for (auto const &c : cases) {
    SCOPED_TRACE(c.name);
    c.prepare();
    std::string const expected = run(c.call);
    after.save();
    c.undo();
    before.load();
    c.prepare();
    EXPECT_EQ(among_others(c.call), expected);
    EXPECT_TRUE(c.fills || here == after) << "changed outside";
    c.undo();
    before.load();
  }
}

// Another thread, which removes the pool before it in the list, has not yet linked its neighbours.
TEST_F(RtThreadLock, APoolIsFoundInsideIt) {
  void *const block = rt_mp_alloc(&pool, 0);
  rt_size_t const left = pool.block_free_count;
  (void)among_others([&] { rt_mp_free(block); });
  EXPECT_EQ(pool.block_free_count, left + 1);
}

// Another thread takes a block as soon as it may.
TEST_F(RtThreadLock, ThePublicCountsOfAPoolAreNeverThoseOfAnEarlierMoment) {
  unsigned others = 0;
  after_pool = [&] {
    auto const once = std::move(after_pool);
    after_pool = nullptr;
    EXPECT_NE(rt_mp_alloc(&pool, 0), nullptr);
    others++;
    after_pool = others < 4 ? once : nullptr;
  };
  void *const block = rt_mp_alloc(&pool, 0);
  after_pool = nullptr;
  EXPECT_NE(block, nullptr);
  EXPECT_GT(others, 0U);
  EXPECT_EQ(pool.block_free_count, pool.block_total_count - 1 - others);
}

} // namespace

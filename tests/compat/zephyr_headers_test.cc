// Zephyr's small headers: lists against a model, macros, and sums and products that are looked at.
#include <zephyr/init.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/sys/dlist.h>
#include <zephyr/sys/heap_listener.h>
#include <zephyr/sys/math_extras.h>
#include <zephyr/sys/mem_blocks.h>
#include <zephyr/sys/multi_heap.h>
#include <zephyr/sys/slist.h>
#include <zephyr/sys/sys_heap.h>
#include <zephyr/sys/util.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

// ---- Lists ----

constexpr int kNodes = 6;

struct Entry {
  int number;
  sys_snode_t single;
  sys_dnode_t twice;
};

// Entries 0 to 5, some of which are in a list; which, and in which order, a vector of numbers says as well.
class Lists : public ::testing::Test {
protected:
  Lists() {
    for (int i = 0; i < kNodes; i++) {
      entries[i].number = i;
      sys_dnode_init(&entries[i].twice);
    }
  }

  // A number that is not in the list; -1: all are.
  int any_other() {
    for (int const i : {3, 0, 5, 1, 4, 2}) {
      if (std::count(order.begin(), order.end(), i) == 0) {
        return i;
      }
    }
    return -1;
  }

  Entry entries[kNodes];
  std::vector<int> order;
  std::mt19937 random{7};
};

class SingleList : public Lists {
protected:
  SingleList() { sys_slist_init(&list); }

  sys_snode_t *node(size_t place) { return place < order.size() ? &entries[order[place]].single : nullptr; }
  sys_snode_t *before(size_t place) { return place != 0 ? node(place - 1) : nullptr; }

  void compare() {
    std::vector<int> found;
    Entry *entry;
    SYS_SLIST_FOR_EACH_CONTAINER(&list, entry, single) {
      found.push_back(entry->number);
    }
    ASSERT_EQ(found, order);
    EXPECT_EQ(sys_slist_len(&list), order.size());
    EXPECT_EQ(sys_slist_is_empty(&list), order.empty());
    EXPECT_EQ(sys_slist_peek_head(&list), node(0));
    EXPECT_EQ(sys_slist_peek_tail(&list), order.empty() ? nullptr : node(order.size() - 1));
    for (size_t i = 0; i < order.size(); i++) {
      EXPECT_EQ(sys_slist_peek_next(node(i)), node(i + 1));
    }
  }

  void insert(size_t place) {
    int const number = any_other();
    sys_snode_t *const made = &entries[number].single;
    if (place == 0 && random() % 2 == 0) {
      sys_slist_prepend(&list, made);
    } else if (place == order.size() && random() % 2 == 0) {
      sys_slist_append(&list, made);
    } else {
      sys_slist_insert(&list, before(place), made);
    }
    order.insert(order.begin() + static_cast<ptrdiff_t>(place), number);
  }

  void remove(size_t place) {
    sys_snode_t *const gone = node(place);
    if (place == 0 && random() % 2 == 0) {
      EXPECT_EQ(sys_slist_get(&list), gone);
    } else if (random() % 2 == 0) {
      EXPECT_TRUE(sys_slist_find_and_remove(&list, gone));
    } else {
      sys_slist_remove(&list, before(place), gone);
    }
    order.erase(order.begin() + static_cast<ptrdiff_t>(place));
    EXPECT_EQ(gone->next, nullptr);
    EXPECT_FALSE(sys_slist_find_and_remove(&list, gone));
  }

  sys_slist_t list;
};

TEST_F(SingleList, IsAsItsModelAfterEachOfManyCalls) {
  EXPECT_EQ(sys_slist_get(&list), nullptr);
  EXPECT_EQ(sys_slist_peek_next(nullptr), nullptr);
  for (int i = 0; i < 2000 && !HasFailure(); i++) {
    bool const more = order.empty() || (order.size() != kNodes && random() % 2 == 0);
    size_t const place = random() % (order.size() + (more ? 1 : 0));
    more ? insert(place) : remove(place);
    compare();
  }
}

class DoubleList : public Lists {
protected:
  DoubleList() { sys_dlist_init(&list); }

  sys_dnode_t *node(size_t place) { return place < order.size() ? &entries[order[place]].twice : nullptr; }

  void compare() {
    std::vector<int> found;
    Entry *entry;
    SYS_DLIST_FOR_EACH_CONTAINER(&list, entry, twice) {
      found.push_back(entry->number);
    }
    ASSERT_EQ(found, order);
    EXPECT_EQ(sys_dlist_len(&list), order.size());
    EXPECT_EQ(sys_dlist_is_empty(&list), order.empty());
    EXPECT_EQ(sys_dlist_peek_head(&list), node(0));
    EXPECT_EQ(sys_dlist_peek_tail(&list), order.empty() ? nullptr : node(order.size() - 1));
    for (size_t i = 0; i < order.size(); i++) {
      EXPECT_EQ(sys_dlist_peek_next(&list, node(i)), node(i + 1));
      EXPECT_EQ(sys_dlist_peek_prev(&list, node(i)), i != 0 ? node(i - 1) : nullptr);
      EXPECT_EQ(sys_dlist_is_head(&list, node(i)), i == 0);
      EXPECT_EQ(sys_dlist_is_tail(&list, node(i)), i + 1 == order.size());
      EXPECT_TRUE(sys_dnode_is_linked(node(i)));
    }
  }

  void insert(size_t place) {
    int const number = any_other();
    sys_dnode_t *const made = &entries[number].twice;
    EXPECT_FALSE(sys_dnode_is_linked(made));
    if (place == 0 && random() % 2 == 0) {
      sys_dlist_prepend(&list, made);
    } else if (place == order.size()) {
      sys_dlist_append(&list, made);
    } else {
      sys_dlist_insert(node(place), made);
    }
    order.insert(order.begin() + static_cast<ptrdiff_t>(place), number);
  }

  void remove(size_t place) {
    sys_dnode_t *const gone = node(place);
    if (place == 0 && random() % 2 == 0) {
      EXPECT_EQ(sys_dlist_get(&list), gone);
    } else {
      sys_dlist_remove(gone);
    }
    order.erase(order.begin() + static_cast<ptrdiff_t>(place));
    EXPECT_FALSE(sys_dnode_is_linked(gone));
    EXPECT_EQ(gone->prev, nullptr);
  }

  sys_dlist_t list;
};

TEST_F(DoubleList, IsAsItsModelAfterEachOfManyCalls) {
  EXPECT_EQ(sys_dlist_get(&list), nullptr);
  EXPECT_EQ(sys_dlist_peek_next(&list, nullptr), nullptr);
  EXPECT_EQ(sys_dlist_peek_prev(&list, nullptr), nullptr);
  for (int i = 0; i < 2000 && !HasFailure(); i++) {
    bool const more = order.empty() || (order.size() != kNodes && random() % 2 == 0);
    size_t const place = random() % (order.size() + (more ? 1 : 0));
    more ? insert(place) : remove(place);
    compare();
  }
}

TEST_F(DoubleList, MayLoseEachEntryWhileItIsGoneThrough) {
  for (size_t i = 0; i < kNodes; i++) {
    insert(order.size());
  }
  Entry *entry;
  Entry *after;
  std::vector<int> found;
  SYS_DLIST_FOR_EACH_CONTAINER_SAFE(&list, entry, after, twice) {
    found.push_back(entry->number);
    sys_dlist_remove(&entry->twice);
  }
  EXPECT_EQ(found, order);
  EXPECT_TRUE(sys_dlist_is_empty(&list));
}

// ---- Sums and products ----

// Two factors or terms, and whether their sum and their product fit.
template <typename Number, typename Add, typename Multiply> void expect_exact(Add add, Multiply multiply) {
  Number const most = std::numeric_limits<Number>::max();
  Number const root = Number{1} << sizeof(Number) * 4;
  struct Case {
    Number a, b;
    bool sum_is_lost, product_is_lost;
  };
  Case const cases[] = {{0, 0, false, false},
                        {most, 0, false, false},
                        {most, 1, true, false},
                        {1, most - 1, false, false},
                        {most, most, true, true},
                        {root, root - 1, false, false},
                        {root, root, false, true},
                        {2, most / 2, false, false},
                        {2, most / 2 + 1, false, true},
                        {most / 2 + 1, most / 2, false, true},
                        {most / 2 + 1, most / 2 + 1, true, true},
                        {3, 5, false, false}};
  for (const Case &c : cases) {
    Number result = 77;
    EXPECT_EQ(add(c.a, c.b, &result), c.sum_is_lost) << +c.a << " + " << +c.b;
    EXPECT_EQ(result, static_cast<Number>(c.a + c.b));
    EXPECT_EQ(multiply(c.a, c.b, &result), c.product_is_lost) << +c.a << " * " << +c.b;
    EXPECT_EQ(result, static_cast<Number>(c.a * c.b));
  }
}

TEST(ZephyrMath, TellsWhatDoesNotFit) {
  expect_exact<uint32_t>(u32_add_overflow, u32_mul_overflow);
  expect_exact<uint64_t>(u64_add_overflow, u64_mul_overflow);
  expect_exact<size_t>(size_add_overflow, size_mul_overflow);
}

// ---- Macros ----

#define CONFIG_IS_ON 1
#define CONFIG_IS_OFF 0

TEST(ZephyrMacros, DoAsTheirNamesSay) {
  static const int pair[2] = {};
  struct {
    uint64_t found, expected;
  } const numbers[] = {
      {BIT(5), 32},
      {BIT_MASK(5), 31},
      {BIT_MASK(0), 0},
      {BIT64(40), UINT64_C(1099511627776)},
      {KB(3), 3072},
      {MB(3), 3145728},
      {ROUND_UP(8, 8), 8},
      {ROUND_UP(9, 8), 16},
      {ROUND_UP(10, 3), 12},
      {ROUND_DOWN(15, 8), 8},
      {ROUND_DOWN(16, 8), 16},
      {MIN(2, 3), 2},
      {MIN(3, 2), 2},
      {MAX(2, 3), 3},
      {MAX(3, 2), 3},
      {CLAMP(0, 1, 3), 1},
      {CLAMP(1, 1, 3), 1},
      {CLAMP(2, 1, 3), 2},
      {CLAMP(3, 1, 3), 3},
      {CLAMP(4, 1, 3), 3},
      {DIV_ROUND_UP(0, 5), 0},
      {DIV_ROUND_UP(1, 5), 1},
      {DIV_ROUND_UP(5, 5), 1},
      {DIV_ROUND_UP(6, 5), 2},
      {IS_ALIGNED(24, 8), 1},
      {IS_ALIGNED(20, 8), 0},
      {IS_POWER_OF_TWO(0U), 0},
      {IS_POWER_OF_TWO(1U), 1},
      {IS_POWER_OF_TWO(6U), 0},
      {IS_POWER_OF_TWO(64U), 1},
      {IS_ENABLED(CONFIG_IS_ON), 1},
      {IS_ENABLED(CONFIG_IS_OFF), 0},
      {IS_ENABLED(CONFIG_IS_NOT_DEFINED), 0},
      {WB_UP(1), sizeof(void *)},
      {WB_UP(sizeof(void *)), sizeof(void *)},
      {WB_UP(sizeof(void *) + 1), 2 * sizeof(void *)},
      {WB_DN(sizeof(void *) + 1), sizeof(void *)},
      {IN_RANGE(2, 2, 3) && !IN_RANGE(1, 2, 3) && !IN_RANGE(4, 2, 3), 1},
      {PART_OF_ARRAY(pair, pair + 1) && !PART_OF_ARRAY(pair, pair + 2), 1},
      {CONCAT(CONFIG_IS_, ON), 1},
      {sizeof STRINGIFY(CONFIG_IS_ON), 2},
      {POINTER_TO_UINT(UINT_TO_POINTER(12)), 12},
      {static_cast<uint64_t>(POINTER_TO_INT(INT_TO_POINTER(12))), 12},
  };
  size_t all = 0;
  ARRAY_FOR_EACH(numbers, i) {
    EXPECT_EQ(numbers[i].found, numbers[i].expected) << "the one with number " << i;
  }
  ARRAY_FOR_EACH_PTR(numbers, at) {
    EXPECT_EQ(at, &numbers[all++]);
  }
  EXPECT_EQ(all, ARRAY_SIZE(numbers));
  Entry entry = {};
  EXPECT_EQ(CONTAINER_OF(&entry.twice, Entry, twice), &entry);
}

// ---- The log ----

LOG_MODULE_REGISTER(tested, LOG_LEVEL_WRN);

TEST(ZephyrLog, PrintsWhatIsAsUrgentAsItsLevel) {
  testing::internal::CaptureStdout();
  LOG_ERR("%d of %s", 7, "them");
  for (const char *const word : {"one", "two"}) {
    LOG_WRN_ONCE("%s", word);
  }
  LOG_INF("not this");
  LOG_DBG("nor this");
  LOG_HEXDUMP_ERR("abc", 3, "first");
  LOG_HEXDUMP_WRN("abc", 2, "second");
  LOG_HEXDUMP_INF("abc", 3, "not this");
  LOG_HEXDUMP_DBG("abc", 3, "nor this");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "<err> tested: 7 of them\n"
                                                    "<wrn> tested: one\n"
                                                    "<err> tested: first: 3 bytes\n"
                                                    "<wrn> tested: second: 2 bytes\n");
}

namespace quiet {
LOG_MODULE_REGISTER(quiet, LOG_LEVEL_ERR);
void say() {
  LOG_HEXDUMP_ERR("abc", 3, "this");
  LOG_HEXDUMP_WRN("abc", 3, "not this");
  LOG_WRN("nor this");
}
} // namespace quiet

namespace usual {
LOG_MODULE_REGISTER(usual);
void say() {
  LOG_INF("this");
  LOG_HEXDUMP_INF("abc", 3, "that");
  LOG_DBG("not this");
  LOG_HEXDUMP_DBG("abc", 3, "nor this");
}
} // namespace usual

TEST(ZephyrLog, HasALevelForEachModule) {
  testing::internal::CaptureStdout();
  quiet::say();
  usual::say();
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "<err> quiet: this: 3 bytes\n"
                                                    "<inf> usual: this\n"
                                                    "<inf> usual: that: 3 bytes\n");
}

// ---- Order of what runs before main ----

std::string &runs() {
  static std::string all;
  return all;
}

template <char kName> int run() {
  runs() += kName;
  return 0;
}

// By level, in a level by number, wherever they stand.
SYS_INIT_NAMED(smp, run<'f'>, SMP, 0);
SYS_INIT_NAMED(application, run<'e'>, APPLICATION, 1);
SYS_INIT_NAMED(post_kernel_last, run<'d'>, POST_KERNEL, 99);
SYS_INIT_NAMED(post_kernel, run<'D'>, POST_KERNEL, 0);
SYS_INIT_NAMED(pre_kernel_2, run<'c'>, PRE_KERNEL_2, 50);
SYS_INIT_NAMED(pre_kernel_1, run<'b'>, PRE_KERNEL_1, 99);
SYS_INIT_NAMED(early, run<'a'>, EARLY, 99);

TEST(ZephyrInit, RunsByLevelAndThenByNumber) {
  EXPECT_EQ(runs(), "abcDdef");
}

// ---- Spinlocks ----

TEST(ZephyrSpinlock, IsHeldForOneStatementAndLeftByABreak) {
  struct k_spinlock lock = {};
  int runs_held = 0;
  for (int i = 0; i < 3; i++) {
    K_SPINLOCK(&lock) {
      runs_held++;
      if (i == 1) {
        K_SPINLOCK_BREAK;
      }
      runs_held += 10;
    }
  }
  EXPECT_EQ(runs_held, 23);
  k_spinlock_key_t const key = k_spin_lock(&lock);
  k_spin_unlock(&lock, key);
}

TEST(ZephyrSpinlock, IsHeldByOneThreadAtATime) {
  static struct k_spinlock lock;
  static volatile long sum;
  constexpr long kRounds = 500;
  sum = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([] {
      for (long k = 0; k < kRounds; k++) {
        k_spinlock_key_t const key = k_spin_lock(&lock);
        long before = sum;
        std::this_thread::yield(); // so that another one could come between
        sum = before + 1;
        k_spin_unlock(&lock, key);
        K_SPINLOCK(&lock) {
          before = sum;
          std::this_thread::yield();
          sum = before + 1;
        }
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(sum, 4 * 2 * kRounds);
}

TEST_F(SingleList, WithoutTheEntryIsLeftAsItIs) {
  sys_slist_append(&list, &entries[0].single);
  sys_slist_append(&list, &entries[1].single);
  EXPECT_FALSE(sys_slist_find_and_remove(&list, &entries[2].single));
  EXPECT_EQ(sys_slist_peek_head(&list), &entries[0].single);
  EXPECT_EQ(sys_slist_peek_tail(&list), &entries[1].single);
  EXPECT_EQ(sys_slist_peek_next(&entries[0].single), &entries[1].single);
  EXPECT_EQ(sys_slist_peek_next(&entries[1].single), nullptr);
}

// ---- Numbers ----

TEST(ZephyrNumbers, AreThoseOfTheOriginal) {
  EXPECT_EQ(MAX_MULTI_HEAPS, 8);
  EXPECT_EQ(MAX_MULTI_ALLOCATORS, 8);
  EXPECT_EQ(SYS_HEAP_ARRAY_SIZE, 16);
  EXPECT_EQ(LOG_LEVEL_NONE, 0U);
  EXPECT_EQ(LOG_LEVEL_ERR, 1U);
  EXPECT_EQ(LOG_LEVEL_WRN, 2U);
  EXPECT_EQ(LOG_LEVEL_INF, 3U);
  EXPECT_EQ(LOG_LEVEL_DBG, 4U);
  EXPECT_EQ(HEAP_ID_LIBC, uintptr_t{0});
  EXPECT_EQ(Z_HEAP_MIN_SIZE, 24);
  EXPECT_EQ(Z_HEAP_MIN_SIZE_FOR(1), 24U);
  EXPECT_EQ(Z_HEAP_MIN_SIZE_FOR(8), 24U);
  EXPECT_EQ(Z_HEAP_MIN_SIZE_FOR(9), 32U);
  EXPECT_EQ(K_HEAP_MEM_POOL_SIZE, 65536);
}

TEST(ZephyrTimeouts, AreInMillisecondsRoundedUp) {
  EXPECT_EQ(K_FOREVER.ticks, -1);
  EXPECT_EQ(K_NO_WAIT.ticks, 0);
  EXPECT_EQ(K_TICKS(7).ticks, 7);
  EXPECT_EQ(K_MSEC(7).ticks, 7);
  EXPECT_EQ(K_SECONDS(7).ticks, 7000);
  EXPECT_EQ(K_MINUTES(7).ticks, 420000);
  EXPECT_EQ(K_HOURS(7).ticks, 25200000);
  EXPECT_EQ(K_USEC(0).ticks, 0);
  EXPECT_EQ(K_USEC(1).ticks, 1);
  EXPECT_EQ(K_USEC(1000).ticks, 1);
  EXPECT_EQ(K_USEC(1001).ticks, 2);
  EXPECT_EQ(K_NSEC(1).ticks, 1);
  EXPECT_EQ(K_NSEC(1000000).ticks, 1);
  EXPECT_EQ(K_NSEC(1000001).ticks, 2);
  EXPECT_EQ(K_USEC(UINT32_MAX).ticks, 4294968);
  EXPECT_EQ(K_SECONDS(3000000).ticks, INT64_C(3000000000));
  EXPECT_EQ(K_HOURS(1000000).ticks, INT64_C(3600000000000));
  EXPECT_TRUE(K_TIMEOUT_EQ(K_MSEC(1000), K_SECONDS(1)));
  EXPECT_FALSE(K_TIMEOUT_EQ(K_MSEC(1), K_NO_WAIT));
}

// The time that is left of one that is over; -1 is no wait without end unless it is one of older code.
TEST(ZephyrTimeouts, NegativeOnesAreNone) {
  int left = -1;
  for (k_timeout_t const each : {K_NSEC(-1), K_USEC(-1), K_MSEC(-1), K_SECONDS(-1), K_MINUTES(-1), K_HOURS(-1),
                                 K_MSEC(left), K_USEC(left * 5000), Z_TIMEOUT_MS(left)}) {
    EXPECT_TRUE(K_TIMEOUT_EQ(each, K_NO_WAIT)) << each.ticks;
  }
  left = 5;
  EXPECT_EQ(K_MSEC(left++).ticks, 5);
  EXPECT_EQ(K_USEC(left++ * 1000).ticks, 6);
  EXPECT_EQ(K_HOURS(left++).ticks, 7 * 3600000);
  EXPECT_EQ(left, 8);
  EXPECT_EQ(K_MSEC(UINT32_MAX).ticks, k_ticks_t{UINT32_MAX});
  EXPECT_TRUE(K_TIMEOUT_EQ(rf_zephyr_timeout_of_ms(-1), K_FOREVER));
  static k_timeout_t const fixed = K_SECONDS(3);
  EXPECT_EQ(fixed.ticks, 3000);
}

} // namespace

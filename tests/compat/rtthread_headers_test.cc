// RT-Thread's small headers: lists, numbers, and the debug log.
#include <rtthread.h>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#define DBG_TAG "tested"
#define DBG_LVL DBG_INFO
#include <rtdbg.h>

namespace {

struct Entry {
  int number;
  rt_list_t node;
  rt_slist_t single;
};

TEST(RtThreadLists, AreGoneThroughInBothWaysAndMayLoseEachEntry) {
  rt_list_t head;
  rt_list_init(&head);
  EXPECT_TRUE(rt_list_isempty(&head));
  EXPECT_EQ(RT_NULL, rt_list_first_entry_or_null(&head, Entry, node));
  EXPECT_EQ(0U, rt_list_len(&head));
  Entry entries[3] = {};
  for (int i = 0; i < 3; i++) {
    entries[i].number = i;
    rt_list_insert_before(&head, &entries[i].node);
  }
  EXPECT_EQ(&entries[0], rt_list_first_entry_or_null(&head, Entry, node));
  EXPECT_EQ(&entries[0], rt_list_first_entry(&head, Entry, node));
  std::vector<int> found;
  rt_list_t *at;
  rt_list_for_each(at, &head) {
    found.push_back(rt_list_entry(at, Entry, node)->number);
  }
  Entry *entry;
  rt_list_for_each_entry(entry, &head, node) {
    found.push_back(entry->number + 10);
  }
  EXPECT_EQ((std::vector<int>{0, 1, 2, 10, 11, 12}), found);
  found.clear();
  rt_list_t *next;
  rt_list_for_each_safe(at, next, &head) {
    found.push_back(rt_list_entry(at, Entry, node)->number);
    rt_list_remove(at);
    EXPECT_TRUE(rt_list_isempty(at)) << "it is a list of its own";
  }
  EXPECT_EQ((std::vector<int>{0, 1, 2}), found);
  EXPECT_TRUE(rt_list_isempty(&head));
  rt_list_insert_after(&head, &entries[1].node);
  rt_list_insert_after(&head, &entries[2].node);
  EXPECT_EQ(&entries[2], rt_list_first_entry(&head, Entry, node));
  EXPECT_EQ(&entries[1].node, head.prev);
  Entry *after;
  rt_list_for_each_entry_safe(entry, after, &head, node) {
    rt_list_remove(&entry->node);
  }
  EXPECT_EQ(0U, rt_list_len(&head));
}

TEST(RtThreadLists, SinglyLinkedOnesHaveTheirHeadOutside) {
  rt_slist_t head;
  rt_slist_init(&head);
  EXPECT_TRUE(rt_slist_isempty(&head));
  EXPECT_EQ(&head, rt_slist_tail(&head));
  EXPECT_EQ(RT_NULL, rt_slist_first(&head));
  Entry *entry = nullptr;
  rt_slist_for_each_entry(entry, &head, single) {
    ADD_FAILURE() << "there is none";
  }
  Entry entries[3] = {};
  for (int i = 0; i < 3; i++) {
    entries[i].number = i;
    entries[i].single.next = &entries[0].single; // of another list, once
    rt_slist_append(&head, &entries[i].single);
  }
  std::vector<int> found;
  rt_slist_t *at;
  rt_slist_for_each(at, &head) {
    found.push_back(rt_slist_entry(at, Entry, single)->number);
  }
  rt_slist_for_each_entry(entry, &head, single) {
    found.push_back(entry->number + 10);
  }
  EXPECT_EQ((std::vector<int>{0, 1, 2, 10, 11, 12}), found);
  EXPECT_EQ(&entries[1].single, rt_slist_next(&entries[0].single));
  EXPECT_EQ(&entries[0], rt_slist_first_entry(&head, Entry, single));
  EXPECT_EQ(&entries[2], rt_slist_tail_entry(&head, Entry, single));
  EXPECT_EQ(&head, rt_slist_remove(&head, &entries[1].single));
  EXPECT_EQ(&head, rt_slist_remove(&head, &entries[1].single)); // is not there
  EXPECT_EQ(2U, rt_slist_len(&head));
  rt_slist_insert(&entries[0].single, &entries[1].single);
  EXPECT_EQ(&entries[1].single, rt_slist_next(&entries[0].single));
  EXPECT_EQ(3U, rt_slist_len(&head));
}

TEST(RtThreadMacros, SayWhatIsAlignedAndWhichVersionItIs) {
  EXPECT_TRUE(RT_IS_ALIGN(16, 8));
  EXPECT_FALSE(RT_IS_ALIGN(12, 8));
  EXPECT_FALSE(RT_IS_ALIGN(0, 8));
  EXPECT_EQ(16, RT_ALIGN(16, 8));
  EXPECT_EQ(16, RT_ALIGN_DOWN(16, 8));
  EXPECT_EQ(50102, RT_VERSION_CHECK(5, 1, 2));
  EXPECT_EQ(RT_VERSION_CHECK(5, 0, 0), RTTHREAD_VERSION);
  rt_uint8_t bytes[4] = {1, 2, 3, 4};
  rt_uint8_t copy[4];
  rt_memcpy(copy, bytes, 4);
  EXPECT_EQ(0, rt_memcmp(copy, bytes, 4));
  rt_memmove(bytes + 1, bytes, 3);
  EXPECT_EQ(3, bytes[3]);
  EXPECT_EQ(0, rt_strncmp("abc", "abd", 2));
  EXPECT_EQ(3U, rt_strlen("abc"));
  EXPECT_EQ(3U, rt_strnlen("abc", 4));
  EXPECT_EQ(2U, rt_strnlen("abc", 2));
  char text[4];
  EXPECT_EQ(0, rt_strcmp(rt_strcpy(text, "abc"), "abc"));
  EXPECT_EQ(0, rt_strcasecmp("a[Z1", "A[z1"));
  EXPECT_LT(rt_strcasecmp("ab", "ABC"), 0);
  EXPECT_GT(rt_strcasecmp("b", "A"), 0);
  EXPECT_NE(0, rt_strcasecmp("[", "{")) << "no letters";
}

std::string &printed() {
  static std::string all;
  return all;
}

void enter_and_leave() {
  dbg_enter;
  dbg_exit;
}

TEST(RtThreadLog, PrintsLinesUpToItsLevel) {
  rf_sink const console = {[](void *, const char *text, size_t length) { printed().append(text, length); }, nullptr};
  rf_rt_console_set(&console);
  LOG_E("error %d", 1);
  LOG_W("warning");
  LOG_I("%s", "information");
  LOG_D("not this");
  LOG_RAW("as it %s", "is|");
  LOG_HEX("not this", 16, printed().data(), 3);
  dbg_log(DBG_INFO, "said\n");
  dbg_log(DBG_LOG, "nor this\n");
  dbg_log(DBG_WARNING, "in %d ", 2);
  dbg_log(DBG_ERROR, "parts\n");
  dbg_raw("raw %d\n", 3);
  dbg_here;
  enter_and_leave();
  rf_rt_console_set(nullptr);
  EXPECT_EQ("[E/tested] error 1\n"
            "[W/tested] warning\n"
            "[I/tested] information\n"
            "as it is|[I/tested] said\n"
            "[W/tested] in 2 [E/tested] parts\n"
            "raw 3\n",
            printed());
}

} // namespace

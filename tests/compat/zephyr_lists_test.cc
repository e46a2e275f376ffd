// Zephyr's lists: what their less common calls do.
#include <zephyr/kernel.h>

#include <gtest/gtest.h>

#include <vector>

namespace {

std::vector<const sys_snode_t *> nodes_of(sys_slist_t *list) {
  std::vector<const sys_snode_t *> all;
  sys_snode_t *node;
  SYS_SLIST_FOR_EACH_NODE(list, node) {
    all.push_back(node);
  }
  EXPECT_EQ(all.empty() ? nullptr : all.back(), sys_slist_peek_tail(list));
  return all;
}

using Singles = std::vector<const sys_snode_t *>;

TEST(ZephyrLists, SinglyLinkedOnesAreJoined) {
  sys_slist_t list;
  sys_slist_t other;
  sys_snode_t n[4] = {};
  sys_slist_init(&list);
  sys_slist_init(&other);
  sys_slist_merge_slist(&list, &other);
  EXPECT_TRUE(sys_slist_is_empty(&list)) << "of two that are empty";
  sys_slist_append(&other, &n[0]);
  sys_slist_append(&other, &n[1]);
  sys_slist_merge_slist(&list, &other);
  EXPECT_EQ((Singles{&n[0], &n[1]}), nodes_of(&list));
  EXPECT_TRUE(nodes_of(&other).empty());
  n[2].next = &n[3];
  sys_slist_append_list(&list, &n[2], nullptr);
  sys_slist_append_list(&list, nullptr, &n[3]);
  EXPECT_EQ(2U, sys_slist_len(&list)) << "one end is missing";
  sys_slist_append_list(&list, &n[2], &n[3]);
  EXPECT_EQ((Singles{&n[0], &n[1], &n[2], &n[3]}), nodes_of(&list));
  EXPECT_EQ(&n[3], sys_slist_peek_next_no_check(&n[2]));
}

TEST(ZephyrLists, ANodeIsFoundWithTheOneBeforeIt) {
  sys_slist_t list;
  sys_snode_t n[3] = {};
  sys_snode_t *prev = &n[2];
  sys_slist_init(&list);
  EXPECT_FALSE(sys_slist_find(&list, &n[0], &prev));
  EXPECT_EQ(nullptr, prev);
  sys_slist_append(&list, &n[0]);
  sys_slist_append(&list, &n[1]);
  EXPECT_TRUE(sys_slist_find(&list, &n[0], &prev));
  EXPECT_EQ(nullptr, prev);
  EXPECT_TRUE(sys_slist_find(&list, &n[1], &prev));
  EXPECT_EQ(&n[0], prev);
  EXPECT_FALSE(sys_slist_find(&list, &n[2], &prev));
  EXPECT_EQ(&n[1], prev);
  EXPECT_TRUE(sys_slist_find(&list, &n[1], nullptr));
  EXPECT_FALSE(sys_slist_find_and_remove(&list, &n[2]));
  EXPECT_TRUE(sys_slist_find_and_remove(&list, &n[1]));
  EXPECT_EQ((Singles{&n[0]}), nodes_of(&list));
}

TEST(ZephyrLists, AreGoneThroughFromANodeOn) {
  sys_slist_t list;
  sys_dlist_t ring;
  sys_snode_t n[3] = {};
  sys_dnode_t d[3] = {};
  sys_slist_init(&list);
  sys_dlist_init(&ring);
  for (int i = 0; i < 3; i++) {
    sys_slist_append(&list, &n[i]);
    sys_dlist_append(&ring, &d[i]);
  }
  for (int from = -1; from < 3; from++) {
    int found = 0;
    sys_snode_t *single = from < 0 ? nullptr : &n[from];
    SYS_SLIST_ITERATE_FROM_NODE(&list, single) {
      found++;
      EXPECT_EQ(&n[from + found], single);
    }
    EXPECT_EQ(2 - from, found);
    found = 0;
    sys_dnode_t *node = from < 0 ? nullptr : &d[from];
    SYS_DLIST_ITERATE_FROM_NODE(&ring, node) {
      found++;
      EXPECT_EQ(&d[from + found], node);
    }
    EXPECT_EQ(2 - from, found);
  }
}

int is_node(sys_dnode_t *node, void *wanted) {
  return node == wanted ? 1 : 0;
}

TEST(ZephyrLists, DoublyLinkedOnesTakeANodeWhereItIsToBe) {
  sys_dlist_t list;
  sys_dnode_t n[4] = {};
  sys_dlist_init(&list);
  EXPECT_FALSE(sys_dlist_has_multiple_nodes(&list));
  sys_dlist_insert_at(&list, &n[2], is_node, &n[2]);
  EXPECT_FALSE(sys_dlist_has_multiple_nodes(&list));
  sys_dlist_insert_at(&list, &n[0], is_node, &n[2]);
  sys_dlist_insert_at(&list, &n[3], is_node, nullptr);
  sys_dlist_insert_at(&list, &n[1], is_node, &n[2]);
  EXPECT_TRUE(sys_dlist_has_multiple_nodes(&list));
  EXPECT_EQ(&n[0], sys_dlist_peek_head_not_empty(&list));
  for (int i = 0; i < 4; i++) {
    EXPECT_EQ(i < 3 ? &n[i + 1] : nullptr, sys_dlist_peek_next_no_check(&list, &n[i]));
    EXPECT_EQ(i > 0 ? &n[i - 1] : nullptr, sys_dlist_peek_prev_no_check(&list, &n[i]));
  }
}

} // namespace

/* Zephyr: doubly linked lists, a ring with its head. Threads and interrupts: none. */
#ifndef RINGFENCE_ZEPHYR_SYS_DLIST_H
#define RINGFENCE_ZEPHYR_SYS_DLIST_H

#include <ringfence/zephyr/sys/util.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct _dnode {
  __extension__ union {
    struct _dnode *head;
    struct _dnode *next;
  };
  __extension__ union {
    struct _dnode *tail;
    struct _dnode *prev;
  };
};
typedef struct _dnode sys_dlist_t;
typedef struct _dnode sys_dnode_t;

#define SYS_DLIST_STATIC_INIT(list)                                                                                    \
  {                                                                                                                    \
    {(list)}, {                                                                                                        \
      (list)                                                                                                           \
    }                                                                                                                  \
  }

static inline void sys_dlist_init(sys_dlist_t *list) {
  list->head = list;
  list->tail = list;
}

static inline void sys_dnode_init(sys_dnode_t *node) {
  node->next = NULL;
  node->prev = NULL;
}

static inline bool sys_dnode_is_linked(const sys_dnode_t *node) {
  return node->next != NULL;
}

static inline bool sys_dlist_is_empty(const sys_dlist_t *list) {
  return list->head == list;
}

static inline bool sys_dlist_is_head(const sys_dlist_t *list, const sys_dnode_t *node) {
  return list->head == node;
}

static inline bool sys_dlist_is_tail(const sys_dlist_t *list, const sys_dnode_t *node) {
  return list->tail == node;
}

static inline bool sys_dlist_has_multiple_nodes(const sys_dlist_t *list) {
  return list->head != list->tail;
}

static inline sys_dnode_t *sys_dlist_peek_head(const sys_dlist_t *list) {
  return sys_dlist_is_empty(list) ? NULL : list->head;
}

static inline sys_dnode_t *sys_dlist_peek_tail(const sys_dlist_t *list) {
  return sys_dlist_is_empty(list) ? NULL : list->tail;
}

/* NULL after the last, and for NULL. */
static inline sys_dnode_t *sys_dlist_peek_next(const sys_dlist_t *list, const sys_dnode_t *node) {
  return node != NULL && node != list->tail ? node->next : NULL;
}

static inline sys_dnode_t *sys_dlist_peek_prev(const sys_dlist_t *list, const sys_dnode_t *node) {
  return node != NULL && node != list->head ? node->prev : NULL;
}

/* The same of a list that is not empty, and of a node that there is. */
static inline sys_dnode_t *sys_dlist_peek_head_not_empty(const sys_dlist_t *list) {
  return list->head;
}

static inline sys_dnode_t *sys_dlist_peek_next_no_check(const sys_dlist_t *list, const sys_dnode_t *node) {
  return node != list->tail ? node->next : NULL;
}

static inline sys_dnode_t *sys_dlist_peek_prev_no_check(const sys_dlist_t *list, const sys_dnode_t *node) {
  return node != list->head ? node->prev : NULL;
}

/* Before `successor`, a node or the list itself. */
static inline void sys_dlist_insert(sys_dnode_t *successor, sys_dnode_t *node) {
  node->prev = successor->prev;
  node->next = successor;
  successor->prev->next = node;
  successor->prev = node;
}

static inline void sys_dlist_append(sys_dlist_t *list, sys_dnode_t *node) {
  sys_dlist_insert(list, node);
}

static inline void sys_dlist_prepend(sys_dlist_t *list, sys_dnode_t *node) {
  sys_dlist_insert(list->head, node);
}

/* Before the first node of which `cond` is not 0; at the end where there is none. */
static inline void sys_dlist_insert_at(sys_dlist_t *list, sys_dnode_t *node, int (*cond)(sys_dnode_t *node, void *data),
                                       void *data) {
  sys_dnode_t *at = list->head;
  while (at != list && cond(at, data) == 0) {
    at = at->next;
  }
  sys_dlist_insert(at, node);
}

static inline void sys_dlist_remove(sys_dnode_t *node) {
  node->prev->next = node->next;
  node->next->prev = node->prev;
  sys_dnode_init(node);
}

/* The first, removed; NULL of an empty list. */
static inline sys_dnode_t *sys_dlist_get(sys_dlist_t *list) {
  sys_dnode_t *const node = sys_dlist_peek_head(list);
  if (node != NULL) {
    sys_dlist_remove(node);
  }
  return node;
}

static inline size_t sys_dlist_len(const sys_dlist_t *list) {
  size_t count = 0;
  for (const sys_dnode_t *n = list->head; n != list; n = n->next) {
    count++;
  }
  return count;
}

#define SYS_DLIST_FOR_EACH_NODE(list, node)                                                                            \
  for ((node) = sys_dlist_peek_head(list); (node) != NULL; (node) = sys_dlist_peek_next(list, node))
/* From the node behind `node` on; NULL: from the first. */
#define SYS_DLIST_ITERATE_FROM_NODE(list, node)                                                                        \
  for ((node) = (node) != NULL ? sys_dlist_peek_next(list, node) : sys_dlist_peek_head(list); (node) != NULL;          \
       (node) = sys_dlist_peek_next(list, node))
#define SYS_DLIST_FOR_EACH_NODE_SAFE(list, node, after)                                                                \
  for ((node) = sys_dlist_peek_head(list), (after) = sys_dlist_peek_next(list, node); (node) != NULL;                  \
       (node) = (after), (after) = sys_dlist_peek_next(list, node))
#define SYS_DLIST_CONTAINER(node, owner, field)                                                                        \
  ((node) != NULL ? CONTAINER_OF(node, __typeof__(*(owner)), field) : NULL)
#define SYS_DLIST_PEEK_HEAD_CONTAINER(list, owner, field) SYS_DLIST_CONTAINER(sys_dlist_peek_head(list), owner, field)
#define SYS_DLIST_PEEK_NEXT_CONTAINER(list, owner, field)                                                              \
  ((owner) != NULL ? SYS_DLIST_CONTAINER(sys_dlist_peek_next((list), &(owner)->field), owner, field) : NULL)
#define SYS_DLIST_FOR_EACH_CONTAINER(list, owner, field)                                                               \
  for ((owner) = SYS_DLIST_PEEK_HEAD_CONTAINER(list, owner, field); (owner) != NULL;                                   \
       (owner) = SYS_DLIST_PEEK_NEXT_CONTAINER(list, owner, field))
#define SYS_DLIST_FOR_EACH_CONTAINER_SAFE(list, owner, after, field)                                                   \
  for ((owner) = SYS_DLIST_PEEK_HEAD_CONTAINER(list, owner, field),                                                    \
      (after) = SYS_DLIST_PEEK_NEXT_CONTAINER(list, owner, field);                                                     \
       (owner) != NULL; (owner) = (after), (after) = SYS_DLIST_PEEK_NEXT_CONTAINER(list, owner, field))

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_ZEPHYR_SYS_DLIST_H */

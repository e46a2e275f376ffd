/* Zephyr: singly linked lists with a tail. Threads and interrupts: none. */
#ifndef RINGFENCE_ZEPHYR_SYS_SLIST_H
#define RINGFENCE_ZEPHYR_SYS_SLIST_H

#include <ringfence/zephyr/sys/util.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct _snode {
  struct _snode *next;
};
typedef struct _snode sys_snode_t;

struct _slist {
  sys_snode_t *head;
  sys_snode_t *tail;
};
typedef struct _slist sys_slist_t;

#define SYS_SLIST_STATIC_INIT(list)                                                                                    \
  { NULL, NULL }

static inline void sys_slist_init(sys_slist_t *list) {
  list->head = NULL;
  list->tail = NULL;
}

static inline bool sys_slist_is_empty(const sys_slist_t *list) {
  return list->head == NULL;
}

static inline sys_snode_t *sys_slist_peek_head(const sys_slist_t *list) {
  return list->head;
}

static inline sys_snode_t *sys_slist_peek_tail(const sys_slist_t *list) {
  return list->tail;
}

/* NULL after the last, and for NULL. */
static inline sys_snode_t *sys_slist_peek_next(const sys_snode_t *node) {
  return node != NULL ? node->next : NULL;
}

/* The same of a node that there is. */
static inline sys_snode_t *sys_slist_peek_next_no_check(const sys_snode_t *node) {
  return node->next;
}

/* Behind `prev`; NULL: at the head. */
static inline void sys_slist_insert(sys_slist_t *list, sys_snode_t *prev, sys_snode_t *node) {
  sys_snode_t **const link = prev != NULL ? &prev->next : &list->head;
  node->next = *link;
  *link = node;
  if (node->next == NULL) {
    list->tail = node;
  }
}

static inline void sys_slist_prepend(sys_slist_t *list, sys_snode_t *node) {
  sys_slist_insert(list, NULL, node);
}

static inline void sys_slist_append(sys_slist_t *list, sys_snode_t *node) {
  sys_slist_insert(list, list->tail, node);
}

/* Appends what is linked from `head` to `tail`; nothing where one of them is NULL. */
static inline void sys_slist_append_list(sys_slist_t *list, void *head, void *tail) {
  if (head != NULL && tail != NULL) {
    *(list->tail != NULL ? &list->tail->next : &list->head) = (sys_snode_t *)head;
    list->tail = (sys_snode_t *)tail;
  }
}

/* Moves all of `other` behind the last of `list`. */
static inline void sys_slist_merge_slist(sys_slist_t *list, sys_slist_t *other) {
  sys_slist_append_list(list, other->head, other->tail);
  sys_slist_init(other);
}

/* `prev`: the node before; NULL: `node` is the first. */
static inline void sys_slist_remove(sys_slist_t *list, sys_snode_t *prev, sys_snode_t *node) {
  *(prev != NULL ? &prev->next : &list->head) = node->next;
  if (list->tail == node) {
    list->tail = prev;
  }
  node->next = NULL;
}

/* False where it is not in the list. *prev (NULL allowed): the node before it, or the last where it is not there; NULL
 * where there is none. */
static inline bool sys_slist_find(sys_slist_t *list, sys_snode_t *node, sys_snode_t **prev) {
  sys_snode_t *before = NULL;
  sys_snode_t *at = list->head;
  while (at != NULL && at != node) {
    before = at;
    at = at->next;
  }
  if (prev != NULL) {
    *prev = before;
  }
  return at != NULL;
}

/* False where it is not in the list. */
static inline bool sys_slist_find_and_remove(sys_slist_t *list, sys_snode_t *node) {
  sys_snode_t *prev;
  bool const found = sys_slist_find(list, node, &prev);
  if (found) {
    sys_slist_remove(list, prev, node);
  }
  return found;
}

/* The first, removed; NULL of an empty list. */
static inline sys_snode_t *sys_slist_get(sys_slist_t *list) {
  sys_snode_t *const node = list->head;
  if (node != NULL) {
    sys_slist_remove(list, NULL, node);
  }
  return node;
}

#define sys_slist_get_not_empty(list) sys_slist_get(list)

static inline size_t sys_slist_len(const sys_slist_t *list) {
  size_t count = 0;
  for (const sys_snode_t *n = list->head; n != NULL; n = n->next) {
    count++;
  }
  return count;
}

#define SYS_SLIST_FOR_EACH_NODE(list, node)                                                                            \
  for ((node) = sys_slist_peek_head(list); (node) != NULL; (node) = sys_slist_peek_next(node))
/* From the node behind `node` on; NULL: from the first. */
#define SYS_SLIST_ITERATE_FROM_NODE(list, node)                                                                        \
  for ((node) = (node) != NULL ? sys_slist_peek_next(node) : sys_slist_peek_head(list); (node) != NULL;                \
       (node) = sys_slist_peek_next(node))
#define SYS_SLIST_FOR_EACH_NODE_SAFE(list, node, after)                                                                \
  for ((node) = sys_slist_peek_head(list), (after) = sys_slist_peek_next(node); (node) != NULL;                        \
       (node) = (after), (after) = sys_slist_peek_next(node))
#define SYS_SLIST_CONTAINER(node, owner, field)                                                                        \
  ((node) != NULL ? CONTAINER_OF(node, __typeof__(*(owner)), field) : NULL)
#define SYS_SLIST_PEEK_HEAD_CONTAINER(list, owner, field) SYS_SLIST_CONTAINER(sys_slist_peek_head(list), owner, field)
#define SYS_SLIST_PEEK_TAIL_CONTAINER(list, owner, field) SYS_SLIST_CONTAINER(sys_slist_peek_tail(list), owner, field)
#define SYS_SLIST_PEEK_NEXT_CONTAINER(owner, field)                                                                    \
  ((owner) != NULL ? SYS_SLIST_CONTAINER(sys_slist_peek_next(&(owner)->field), owner, field) : NULL)
#define SYS_SLIST_FOR_EACH_CONTAINER(list, owner, field)                                                               \
  for ((owner) = SYS_SLIST_PEEK_HEAD_CONTAINER(list, owner, field); (owner) != NULL;                                   \
       (owner) = SYS_SLIST_PEEK_NEXT_CONTAINER(owner, field))
#define SYS_SLIST_FOR_EACH_CONTAINER_SAFE(list, owner, after, field)                                                   \
  for ((owner) = SYS_SLIST_PEEK_HEAD_CONTAINER(list, owner, field),                                                    \
      (after) = SYS_SLIST_PEEK_NEXT_CONTAINER(owner, field);                                                           \
       (owner) != NULL; (owner) = (after), (after) = SYS_SLIST_PEEK_NEXT_CONTAINER(owner, field))

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_ZEPHYR_SYS_SLIST_H */

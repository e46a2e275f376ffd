/* RT-Thread's doubly and singly linked lists. */
#ifndef RINGFENCE_RTTHREAD_RTSERVICE_H
#define RINGFENCE_RTTHREAD_RTSERVICE_H

#include <ringfence/rtthread/rtdef.h>

#define rt_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define RT_LIST_OBJECT_INIT(object)                                                                                    \
  { &(object), &(object) }

rt_inline void rt_list_init(rt_list_t *l) {
  l->next = l;
  l->prev = l;
}

rt_inline void rt_list_insert_after(rt_list_t *l, rt_list_t *n) {
  n->next = l->next;
  n->prev = l;
  l->next->prev = n;
  l->next = n;
}

rt_inline void rt_list_insert_before(rt_list_t *l, rt_list_t *n) {
  rt_list_insert_after(l->prev, n);
}

/* `n` is then a list of its own, empty. */
rt_inline void rt_list_remove(rt_list_t *n) {
  n->next->prev = n->prev;
  n->prev->next = n->next;
  rt_list_init(n);
}

rt_inline int rt_list_isempty(const rt_list_t *l) {
  return l->next == l;
}

rt_inline unsigned int rt_list_len(const rt_list_t *l) {
  unsigned int n = 0;
  for (const rt_list_t *p = l->next; p != l; p = p->next) {
    n++;
  }
  return n;
}

#define rt_list_entry(node, type, member) rt_container_of(node, type, member)
#define rt_list_first_entry(ptr, type, member) rt_list_entry((ptr)->next, type, member)
#define rt_list_first_entry_or_null(ptr, type, member)                                                                 \
  (rt_list_isempty(ptr) ? RT_NULL : rt_list_first_entry(ptr, type, member))
#define rt_list_for_each(pos, head) for ((pos) = (head)->next; (pos) != (head); (pos) = (pos)->next)
#define rt_list_for_each_safe(pos, n, head)                                                                            \
  for ((pos) = (head)->next, (n) = (pos)->next; (pos) != (head); (pos) = (n), (n) = (pos)->next)
#define rt_list_for_each_entry(pos, head, member)                                                                      \
  for ((pos) = rt_list_entry((head)->next, __typeof__(*(pos)), member); &(pos)->member != (head);                      \
       (pos) = rt_list_entry((pos)->member.next, __typeof__(*(pos)), member))
#define rt_list_for_each_entry_safe(pos, n, head, member)                                                              \
  for ((pos) = rt_list_entry((head)->next, __typeof__(*(pos)), member),                                                \
      (n) = rt_list_entry((pos)->member.next, __typeof__(*(pos)), member);                                             \
       &(pos)->member != (head); (pos) = (n), (n) = rt_list_entry((n)->member.next, __typeof__(*(n)), member))

/* ---- Singly linked: `l` is the head, which is in no element ---- */

#define RT_SLIST_OBJECT_INIT(object)                                                                                   \
  { RT_NULL }

rt_inline void rt_slist_init(rt_slist_t *l) {
  l->next = RT_NULL;
}

rt_inline rt_slist_t *rt_slist_first(rt_slist_t *l) {
  return l->next;
}

rt_inline rt_slist_t *rt_slist_next(rt_slist_t *n) {
  return n->next;
}

/* The last node; the head of an empty list. */
rt_inline rt_slist_t *rt_slist_tail(rt_slist_t *l) {
  while (l->next != RT_NULL) {
    l = l->next;
  }
  return l;
}

rt_inline void rt_slist_insert(rt_slist_t *l, rt_slist_t *n) {
  n->next = l->next;
  l->next = n;
}

rt_inline void rt_slist_append(rt_slist_t *l, rt_slist_t *n) {
  n->next = RT_NULL;
  rt_slist_tail(l)->next = n;
}

/* Nothing where `n` is not in the list. */
rt_inline rt_slist_t *rt_slist_remove(rt_slist_t *l, rt_slist_t *n) {
  rt_slist_t *at = l;
  while (at->next != RT_NULL && at->next != n) {
    at = at->next;
  }
  if (at->next != RT_NULL) {
    at->next = n->next;
  }
  return l;
}

rt_inline int rt_slist_isempty(rt_slist_t *l) {
  return l->next == RT_NULL;
}

rt_inline unsigned int rt_slist_len(const rt_slist_t *l) {
  unsigned int n = 0;
  for (const rt_slist_t *p = l->next; p != RT_NULL; p = p->next) {
    n++;
  }
  return n;
}

#define rt_slist_entry(node, type, member) rt_container_of(node, type, member)
#define rt_slist_first_entry(ptr, type, member) rt_slist_entry((ptr)->next, type, member)
#define rt_slist_tail_entry(ptr, type, member) rt_slist_entry(rt_slist_tail(ptr), type, member)
#define rt_slist_for_each(pos, head) for ((pos) = (head)->next; (pos) != RT_NULL; (pos) = (pos)->next)
#define rt_slist_for_each_entry(pos, head, member)                                                                     \
  for ((pos) = (head)->next == RT_NULL ? RT_NULL : rt_slist_first_entry(head, __typeof__(*(pos)), member);             \
       (pos) != RT_NULL;                                                                                               \
       (pos) = (pos)->member.next == RT_NULL ? RT_NULL                                                                 \
                                             : rt_slist_entry((pos)->member.next, __typeof__(*(pos)), member))

#endif /* RINGFENCE_RTTHREAD_RTSERVICE_H */

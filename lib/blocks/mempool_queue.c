/* mempool: the queue of waiting threads. */
#include "mempool_impl.h"

void rf_mempool_enqueue(rf_mempool *pool, rf_mempool_waiter *w) {
  rf_mempool_waiter **link = &pool->first;
  if (pool->last != NULL && pool->last->priority >= w->priority) {
    link = &pool->last->next;
  }
  while (*link != NULL && (*link)->priority >= w->priority) {
    link = &(*link)->next;
  }
  w->next = *link;
  *link = w;
  if (w->next == NULL) {
    pool->last = w;
  }
}

void rf_mempool_dequeue(rf_mempool *pool, const rf_mempool_waiter *w) {
  rf_mempool_waiter *before = NULL;
  rf_mempool_waiter **link = &pool->first;
  while (*link != w) {
    before = *link;
    link = &before->next;
  }
  *link = w->next;
  if (pool->last == w) {
    pool->last = before;
  }
}

/* The event is set with the mutex held, and the thread locks the mutex before it lets go of the event: so it cannot
 * vanish while it is being set. */
void rf_mempool_serve_first(rf_mempool *pool, rf_status status, void *block) {
  rf_mempool_waiter *const w = pool->first;
  rf_mempool_dequeue(pool, w);
  w->served = true;
  w->status = status;
  w->block = block;
  rf_event_set(&w->event);
}

void rf_mempool_dismiss_waiters(rf_mempool *pool) {
  while (pool->first != NULL) {
    rf_mempool_serve_first(pool, RF_ERR_DELETED, NULL);
  }
}

/* ./bazelw run //tools/bench:memblocks
 *
 * The cost of a batch of blocks in a pool that is nearly full: one call to memblocks against the usual allocator of
 * fixed blocks, a list of the free ones under a lock, taken from block by block; and against two kinder ones: the list
 * with the whole batch under one lock, and Ringfence's mempool.
 *
 * Each has 4096 blocks of 64 bytes, of which 128 are free. Every round, each of them takes 64 blocks and then gives
 * back 64 that are picked at random from all that are out, so that what is free is scattered over the pool. They run in
 * turn within a round. Printed are nanoseconds per block: the median of the rounds, and the 10th and 90th percentile.
 *
 * A second thread exists and does nothing, since where there is none no lock is needed, and glibc's then costs less. */
#include "tools/bench/median.h"

#include <pthread.h>
#include <ringfence/memblocks.h>
#include <ringfence/mempool.h>
#include <ringfence/port.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCKS = 4096, BATCH = 64, FREE = 2 * BATCH, SIZE = 64, ROUNDS = 20000, KINDS = 4 };

static void must(rf_status status) {
  if (status != RF_OK) {
    (void)fprintf(stderr, "memblocks benchmark: %s\n", rf_status_name(status));
    exit(1);
  }
}

/* ---- The usual allocator ---- */

typedef struct node {
  struct node *next;
} node;

typedef struct locked_list {
  rf_mutex lock;
  node *first;
  _Alignas(SIZE) unsigned char buffer[BLOCKS * SIZE];
} locked_list;

static void *pop(locked_list *list) {
  node *const n = list->first;
  list->first = n->next;
  return n;
}

static void push(locked_list *list, void *block) {
  node *const n = (node *)block;
  n->next = list->first;
  list->first = n;
}

static void list_init(locked_list *list) {
  must(rf_mutex_init(&list->lock));
  for (size_t i = 0; i < BLOCKS; i++) {
    push(list, &list->buffer[i * SIZE]);
  }
}

/* ---- Ways that are compared: one to take a batch and one to give it back ---- */

static void list_take_each(void *self, void **out) {
  locked_list *const list = (locked_list *)self;
  for (size_t i = 0; i < BATCH; i++) {
    rf_mutex_lock(&list->lock);
    out[i] = pop(list);
    rf_mutex_unlock(&list->lock);
  }
}

static void list_give_each(void *self, void **in) {
  locked_list *const list = (locked_list *)self;
  for (size_t i = 0; i < BATCH; i++) {
    rf_mutex_lock(&list->lock);
    push(list, in[i]);
    rf_mutex_unlock(&list->lock);
  }
}

static void list_take_batch(void *self, void **out) {
  locked_list *const list = (locked_list *)self;
  rf_mutex_lock(&list->lock);
  for (size_t i = 0; i < BATCH; i++) {
    out[i] = pop(list);
  }
  rf_mutex_unlock(&list->lock);
}

static void list_give_batch(void *self, void **in) {
  locked_list *const list = (locked_list *)self;
  rf_mutex_lock(&list->lock);
  for (size_t i = 0; i < BATCH; i++) {
    push(list, in[i]);
  }
  rf_mutex_unlock(&list->lock);
}

static void memblocks_take(void *self, void **out) {
  must(rf_memblocks_alloc((rf_memblocks *)self, BATCH, out));
}

static void memblocks_give(void *self, void **in) {
  must(rf_memblocks_free((rf_memblocks *)self, BATCH, in));
}

static void mempool_take(void *self, void **out) {
  for (size_t i = 0; i < BATCH; i++) {
    must(rf_mempool_alloc((rf_mempool *)self, 0, &out[i]));
  }
}

static void mempool_give(void *self, void **in) {
  for (size_t i = 0; i < BATCH; i++) {
    must(rf_mempool_free((rf_mempool *)self, in[i]));
  }
}

RF_MEMBLOCKS_DEFINE_STATIC(blocks, SIZE, BLOCKS, SIZE);
static rf_mempool mempool;
static unsigned char mempool_buffer[BLOCKS * (SIZE + sizeof(void *))];
static locked_list lists[2];

typedef struct kind {
  const char *name;
  void *self;
  void (*take)(void *self, void **out);
  void (*give)(void *self, void **in);
  void *live[BLOCKS]; /* what is out */
  double take_ns[ROUNDS];
  double give_ns[ROUNDS];
} kind;

static kind kinds[KINDS] = {
    {.name = "memblocks, one call", .self = &blocks, .take = memblocks_take, .give = memblocks_give},
    {.name = "list, lock per block", .self = &lists[0], .take = list_take_each, .give = list_give_each},
    {.name = "list, lock per batch", .self = &lists[1], .take = list_take_batch, .give = list_give_batch},
    {.name = "mempool, call per block", .self = &mempool, .take = mempool_take, .give = mempool_give},
};

/* ---- Running ---- */

/* xorshift: the same numbers on every machine. */
static uint32_t random_below(uint32_t limit) {
  static uint64_t state = 88172645463325252U;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)((state >> 32) % limit);
}

/* Moves BATCH random ones of the `n` blocks in `live` to its end. */
static void pick(void **live, uint32_t n) {
  for (uint32_t end = n; end != n - BATCH; end--) {
    uint32_t const chosen = random_below(end);
    void *const block = live[chosen];
    live[chosen] = live[end - 1];
    live[end - 1] = block;
  }
}

/* All blocks out, FREE random ones back. */
static void prepare(kind *k) {
  for (size_t i = 0; i < BLOCKS; i += BATCH) {
    k->take(k->self, &k->live[i]);
  }
  for (uint32_t out = BLOCKS; out != BLOCKS - FREE; out -= BATCH) {
    pick(k->live, out);
    k->give(k->self, &k->live[out - BATCH]);
  }
}

static void run_round(kind *k, size_t round) {
  void **const batch = &k->live[BLOCKS - FREE];
  uint64_t start = rf_port_now_ns();
  k->take(k->self, batch);
  k->take_ns[round] = (double)(rf_port_now_ns() - start) / (double)BATCH;
  pick(k->live, BLOCKS - FREE + BATCH);
  start = rf_port_now_ns();
  k->give(k->self, batch);
  k->give_ns[round] = (double)(rf_port_now_ns() - start) / (double)BATCH;
}

static void print_spread(double *values) {
  double const middle = median(values, ROUNDS);
  printf(" %.1f (%.1f … %.1f) |", middle, values[ROUNDS / 10], values[ROUNDS - ROUNDS / 10]);
}

static void *idle(void *event) {
  must(rf_event_wait((rf_event *)event, RF_WAIT_FOREVER));
  return NULL;
}

int main(void) {
  static rf_mutex lock;
  static rf_event done;
  pthread_t second;
  must(rf_event_init(&done));
  must(pthread_create(&second, NULL, idle, &done) == 0 ? RF_OK : RF_ERR_NO_MEMORY);
  must(rf_mutex_init(&lock));
  rf_memblocks_share(&blocks, &lock);
  must(rf_mempool_init(&mempool, mempool_buffer, sizeof mempool_buffer, SIZE, sizeof(void *)));
  list_init(&lists[0]);
  list_init(&lists[1]);
  for (size_t i = 0; i < KINDS; i++) {
    prepare(&kinds[i]);
  }
  for (size_t round = 0; round < ROUNDS; round++) {
    for (size_t i = 0; i < KINDS; i++) {
      run_round(&kinds[(i + round) % KINDS], round);
    }
  }
  printf("| %d of %d blocks, %d free: ns per block | take | give back |\n|---|---|---|\n", BATCH, BLOCKS, FREE);
  for (size_t i = 0; i < KINDS; i++) {
    printf("| %s |", kinds[i].name);
    print_spread(kinds[i].take_ns);
    print_spread(kinds[i].give_ns);
    printf("\n");
  }
  rf_event_set(&done);
  return pthread_join(second, NULL);
}

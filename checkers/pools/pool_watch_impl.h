/* Shared by the files of the checker of pools. Private. */
#ifndef RINGFENCE_POOL_WATCH_IMPL_H
#define RINGFENCE_POOL_WATCH_IMPL_H

#include <ringfence/pool_watch.h>
#include <ringfence/watch.h>

#include "checkers/shared/origin.h"
#include "checkers/shared/pattern.h"

/* ---- Records: kept outside of the pools ---- */

/* Enough for the wrappers of a compatibility header and the functions above them. */
#define RF_POOL_FRAMES 6

typedef struct rf_pool_call {
  const rf_site *site;
  uint32_t thread;
  uint32_t depth;
  uintptr_t frames[RF_POOL_FRAMES];
} rf_pool_call;

typedef enum rf_pool_block_state {
  RF_POOL_BLOCK_UNKNOWN, /* never out while it was watched, and not filled */
  RF_POOL_BLOCK_READY,   /* never out, and filled */
  RF_POOL_BLOCK_LIVE,
  RF_POOL_BLOCK_FREED
} rf_pool_block_state;

typedef struct rf_pool_block {
  rf_pool_block_state state;
  size_t filled;  /* bytes of a filled block; the option may be another one by now */
  uintptr_t word; /* the pool's own word of a filled block: see rf_pool_fill */
  rf_pool_call allocated;
  rf_pool_call released;
} rf_pool_block;

typedef struct rf_pool_watched {
  struct rf_pool_watched *next;
  const void *pool; /* by which it is found; NULL: free for another pool. Accessed atomically */
  rf_watched_pool view;
  bool is_static;
  size_t capacity;
  rf_pool_block blocks[];
} rf_pool_watched;

extern rf_pool_watch_options rf_pool_watch_options_now;

static inline unsigned char *rf_pool_block_at(const rf_pool_watched *w, size_t index) {
  return w->view.start + index * w->view.stride;
}

static inline size_t rf_pool_span_of(const rf_watched_pool *view) {
  return (view->num_blocks - 1) * view->stride + view->block_size;
}

static inline bool rf_pool_is_live(const rf_pool_watched *w, size_t index) {
  return index < w->view.num_blocks && w->blocks[index].state == RF_POOL_BLOCK_LIVE;
}

/* How many bytes of a block are filled from now on. */
static inline size_t rf_pool_fill_now(const rf_pool_watched *w) {
  size_t const most = rf_pool_watch_options_now.fill;
  return w->view.block_size < most ? w->view.block_size : most;
}

/* The bytes of a free block that must hold the fill. */
rf_pattern_area rf_pool_area_of(const rf_pool_watched *w, size_t index);

/* Fills a free block, and notes the pool's own word before it or at its start. `state` is the block's from now on. */
void rf_pool_fill(rf_pool_watched *w, size_t index, rf_pool_block_state state);

/* Reports damage to a free block, and mends it. Return the number of findings. */
size_t rf_pool_inspect(rf_pool_watched *w, size_t index, const rf_origin *origin);
size_t rf_pool_inspect_all(rf_pool_watched *w, const rf_origin *origin);

#endif /* RINGFENCE_POOL_WATCH_IMPL_H */

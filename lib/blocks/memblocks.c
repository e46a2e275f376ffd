/* memblocks: beginning and end, the lock that pools share, and listeners that come and go. */
#include "memblocks_impl.h"

#include <string.h>

/* ---- Life ---- */

rf_status rf_memblocks_init(rf_memblocks *blocks, void *buffer, size_t block_size, size_t num_blocks, size_t *bitmap) {
  size_t bytes;
  if (blocks == NULL || buffer == NULL || bitmap == NULL || block_size == 0 || num_blocks == 0) {
    return RF_ERR_INVALID;
  }
  if (!rf_mul(block_size, num_blocks, &bytes) || bytes > RF_SIZE_LIMIT || (uintptr_t)buffer > UINTPTR_MAX - bytes) {
    return RF_ERR_INVALID;
  }
  rf_memblocks const made = RF_MEMBLOCKS_INITIALIZER(block_size, num_blocks, buffer, bitmap, false, NULL, NULL);
  *blocks = made;
  rf_memblocks_seal(blocks);
  memset(bitmap, 0, words_of(blocks) * sizeof *bitmap);
  rf_track_arena(buffer, bytes);
  RF_WATCH_TELL(begin, rf_memblocks_view(blocks), NULL, 0, NULL, NULL);
  return RF_OK;
}

void rf_memblocks_deinit(rf_memblocks *blocks) {
  if (RF_TRACK && rf_memblocks_intact(blocks)) {
    rf_track_arena_end(blocks->buffer, blocks->num_blocks * blocks->block_size);
  }
  RF_WATCH_TELL(end, rf_memblocks_view(blocks), NULL, 0, NULL, RF_WATCH_CALLER);
  blocks->num_blocks = 0;
  blocks->used = 0;
  blocks->peak = 0;
  blocks->hint = 0;
  blocks->bitmap_checksum = 0;
  blocks->mutex = NULL;
  blocks->listeners = NULL;
  rf_memblocks_seal(blocks);
}

void rf_memblocks_share(rf_memblocks *blocks, rf_mutex *mutex) {
  if (!rf_memblocks_intact(blocks)) {
    (void)rf_memblocks_report_damage(blocks);
    return;
  }
  blocks->mutex = mutex;
  rf_memblocks_seal(blocks);
}

/* ---- Listeners ---- */

void rf_memblocks_listen(rf_memblocks *blocks, rf_memblocks_listener *listener) {
  if (!rf_memblocks_intact(blocks)) {
    (void)rf_memblocks_report_damage(blocks);
    return;
  }
  for (const rf_memblocks_listener *l = blocks->listeners; l != NULL; l = l->next) {
    if (l == listener) {
      return;
    }
  }
  listener->next = blocks->listeners;
  blocks->listeners = listener;
  rf_memblocks_seal(blocks);
}

void rf_memblocks_unlisten(rf_memblocks *blocks, rf_memblocks_listener *listener) {
  if (!rf_memblocks_intact(blocks)) {
    (void)rf_memblocks_report_damage(blocks);
    return;
  }
  for (rf_memblocks_listener **link = &blocks->listeners; *link != NULL; link = &(*link)->next) {
    if (*link == listener) {
      *link = listener->next;
      rf_memblocks_seal(blocks);
      return;
    }
  }
}

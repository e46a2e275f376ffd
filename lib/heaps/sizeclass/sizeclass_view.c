/* Looking at the heap: walk, check, statistics. */
#include "sizeclass_impl.h"

#include <string.h>

/* The class that the uncarved rest of `left` bytes serves at most; RF_SIZECLASS_COUNT: none. */
static unsigned class_within(size_t left) {
  if (left < HEADER_SIZE + RF_SIZECLASS_SMALLEST) {
    return RF_SIZECLASS_COUNT;
  }
  size_t const payload = left - HEADER_SIZE;
  return payload >= RF_SIZECLASS_LARGEST ? RF_SIZECLASS_COUNT - 1U : rf_log2(payload) - 4U;
}

/* Bytes from `offset` on that can never be part of a block: told with the last block before them. */
static size_t waste_from(const rf_sizeclass *heap, size_t offset) {
  return class_within(heap->size - offset) < RF_SIZECLASS_COUNT ? 0 : heap->size - offset;
}

/* The uncarved rest, as the blocks that it could become, largest first. */
static bool walk_rest(const rf_sizeclass *heap, rf_walk_fn visit, void *context) {
  size_t offset = heap->carved;
  unsigned q;
  while ((q = class_within(heap->size - offset)) < RF_SIZECLASS_COUNT) {
    unsigned char *const payload = heap->buffer + offset + HEADER_SIZE;
    offset += HEADER_SIZE + class_size(q);
    rf_block const block = {payload, class_size(q), HEADER_SIZE + waste_from(heap, offset), false, NULL};
    if (!visit(&block, context)) {
      return false;
    }
  }
  return true;
}

static rf_block describe(const rf_sizeclass *heap, const header *h) {
  if (is_free(h)) {
    rf_block const block = {first_payload(h), class_size(class_of(h)), HEADER_SIZE, false, NULL};
    return block;
  }
  size_t const requested = (size_t)(h->word & SIZE_MASK);
  rf_block const block = {user_payload(h), requested, HEADER_SIZE + class_size(class_of(h)) - requested, true,
                          rf_sizeclass_site_at(heap, row_of(h))};
  return block;
}

/* The carved blocks. *more is false where the visitor ended it. */
static rf_status walk_carved(const rf_sizeclass *heap, rf_walk_fn visit, void *context, bool *more) {
  *more = true;
  for (size_t offset = 0; offset < heap->carved;) {
    const header *const h = (const header *)(const void *)(heap->buffer + offset);
    if (!rf_sizeclass_block_intact(heap, h)) {
      return RF_ERR_CORRUPT;
    }
    offset += HEADER_SIZE + class_size(class_of(h));
    rf_block block = describe(heap, h);
    block.overhead += offset == heap->carved ? waste_from(heap, offset) : 0;
    if (!visit(&block, context)) {
      *more = false;
      break;
    }
  }
  return RF_OK;
}

static rf_status walk_fallback(const rf_sizeclass *heap, rf_walk_fn visit, void *context) {
  large_walk w;
  rf_sizeclass_large_walk_begin(&w, heap);
  for (const large *p = rf_sizeclass_large_walk_next(&w, heap); p != NULL; p = rf_sizeclass_large_walk_next(&w, heap)) {
    const header *const h = header_of(large_payload(p));
    rf_block const block = {large_payload(p), p->requested, rf_sizeclass_front_of(h) + p->room - p->requested, true,
                            rf_sizeclass_site_at(heap, row_of(h))};
    if (!visit(&block, context)) {
      return RF_OK;
    }
  }
  return w.count == 0 && rf_sizeclass_link_intact(heap, &heap->root) ? RF_OK : RF_ERR_CORRUPT;
}

rf_status rf_sizeclass_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  const rf_sizeclass *const heap = sizeclass_of(self);
  bool more = false;
  rf_status const status = rf_sizeclass_record_intact(heap) ? walk_carved(heap, visit, context, &more) : RF_ERR_CORRUPT;
  if (status != RF_OK || !more || !walk_rest(heap, visit, context)) {
    return status;
  }
  return walk_fallback(heap, visit, context);
}

/* Totals of a check. */
typedef struct sums {
  size_t live[RF_SIZECLASS_COUNT];
  size_t queued[RF_SIZECLASS_COUNT];
  size_t used;
  size_t blocks;
  size_t large_blocks;
  size_t large_bytes;
} sums;

/* NULL, or what is wrong, at *at. */
static const char *check_carved(const rf_sizeclass *heap, sums *s, const void **at) {
  for (size_t offset = 0; offset < heap->carved;) {
    const header *const h = (const header *)(const void *)(heap->buffer + offset);
    *at = h;
    if (!rf_sizeclass_block_intact(heap, h)) {
      return "header overwritten";
    }
    unsigned const q = class_of(h);
    offset += HEADER_SIZE + class_size(q);
    if (is_free(h)) {
      s->queued[q]++;
    } else if (!rf_sizeclass_second_intact(heap, h)) {
      *at = header_of(user_payload(h));
      return "second header overwritten";
    } else {
      s->live[q]++;
      s->blocks++;
      s->used += (size_t)(h->word & SIZE_MASK);
    }
  }
  return NULL;
}

static const char *check_queues(const rf_sizeclass *heap, const sums *s, const void **at) {
  for (unsigned q = 0; q < RF_SIZECLASS_COUNT; q++) {
    const header *h = (const header *)heap->queue[q];
    *at = &heap->queue[q];
    if (s->queued[q] != heap->queued[q] || s->live[q] != heap->live[q]) {
      return "blocks of a class do not add up to what was counted";
    }
    for (size_t left = heap->queued[q]; left != 0; left--) {
      if (!rf_sizeclass_block_intact(heap, h) || !is_free(h) || class_of(h) != q) {
        return "queue of free blocks leads elsewhere";
      }
      *at = h;
      h = (const header *)h->word;
    }
    if (h != NULL) {
      return "queue of free blocks does not end";
    }
  }
  return NULL;
}

static const char *check_fallback(const rf_sizeclass *heap, sums *s, const void **at) {
  large_walk w;
  *at = &heap->root;
  if (!rf_sizeclass_link_intact(heap, &heap->root)) {
    return "heap record overwritten";
  }
  rf_sizeclass_large_walk_begin(&w, heap);
  for (const large *p = rf_sizeclass_large_walk_next(&w, heap); p != NULL; p = rf_sizeclass_large_walk_next(&w, heap)) {
    s->large_blocks++;
    s->large_bytes += rf_sizeclass_front_of(header_of(large_payload(p))) + p->room;
    s->blocks++;
    s->used += p->requested;
  }
  if (w.count != 0) {
    *at = w.todo[w.count - 1];
    return "record of a block from the fallback overwritten";
  }
  return NULL;
}

static bool sites_add_up(const rf_sizeclass *heap) {
  size_t blocks = 0;
  size_t bytes = 0;
  for (size_t i = 0; i < heap->site_rows; i++) {
    blocks += heap->sites[i].blocks;
    bytes += heap->sites[i].bytes;
  }
  return heap->site_rows == 0 || (blocks == heap->counters.blocks && bytes == heap->counters.used);
}

static const char *check_counts(const rf_sizeclass *heap, const sums *s, const void **at) {
  const rf_counters *const c = &heap->counters;
  *at = heap;
  if (s->used != c->used || s->blocks != c->blocks || s->large_blocks != heap->large_blocks ||
      s->large_bytes != heap->large_bytes || c->peak < c->used || c->peak_blocks < c->blocks ||
      c->allocations < c->peak_blocks || heap->recent_at >= RF_SIZECLASS_RECENT || !sites_add_up(heap)) {
    return "blocks do not add up to what was counted";
  }
  return NULL;
}

static const char *find_damage(const rf_sizeclass *heap, const void **at) {
  sums s;
  memset(&s, 0, sizeof s);
  *at = heap;
  if (!rf_sizeclass_record_intact(heap)) {
    return "heap record overwritten";
  }
  const char *what = check_carved(heap, &s, at);
  what = what != NULL ? what : check_queues(heap, &s, at);
  what = what != NULL ? what : check_fallback(heap, &s, at);
  return what != NULL ? what : check_counts(heap, &s, at);
}

rf_status rf_sizeclass_check(rf_allocator *self, rf_fault *where) {
  const void *at;
  const char *const what = find_damage(sizeclass_of(self), &at);
  if (what == NULL) {
    return RF_OK;
  }
  rf_fault const fault = {RF_ERR_CORRUPT, what, self, at, NULL};
  *where = fault;
  return RF_ERR_CORRUPT;
}

/* The uncarved rest in free_bytes and largest_free, as walk_rest tells it. */
static void rest_into(const rf_sizeclass *heap, rf_stats *out) {
  size_t left = heap->size - heap->carved;
  size_t const whole = left / (HEADER_SIZE + RF_SIZECLASS_LARGEST);
  out->free_bytes = whole * RF_SIZECLASS_LARGEST;
  out->largest_free = whole != 0 ? RF_SIZECLASS_LARGEST : 0;
  left -= whole * (HEADER_SIZE + RF_SIZECLASS_LARGEST);
  unsigned q;
  while ((q = class_within(left)) < RF_SIZECLASS_COUNT) {
    size_t const size = class_size(q);
    out->free_bytes += size;
    out->largest_free = out->largest_free < size ? size : out->largest_free;
    left -= HEADER_SIZE + size;
  }
}

void rf_sizeclass_stats(rf_allocator *self, rf_stats *out) {
  const rf_sizeclass *const heap = sizeclass_of(self);
  memset(out, 0, sizeof *out);
  rf_count_into(&heap->counters, out);
  if (!rf_sizeclass_record_intact(heap)) {
    return;
  }
  rest_into(heap, out);
  for (unsigned q = 0; q < RF_SIZECLASS_COUNT; q++) {
    out->free_bytes += heap->queued[q] * class_size(q);
    if (heap->queued[q] != 0 && out->largest_free < class_size(q)) {
      out->largest_free = class_size(q);
    }
  }
  out->capacity = heap->size + heap->large_bytes;
  out->overhead = out->capacity - out->used - out->free_bytes;
}

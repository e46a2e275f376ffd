/* pool: where its memory comes from, and how it is divided into classes and their slots. */
#include "pool_impl.h"

#include <ringfence/track.h>

/* ---- Options ---- */

static const rf_pool_class default_classes[] = {
    {8, RF_POOL_DEFAULT_COUNT},  {16, RF_POOL_DEFAULT_COUNT}, {32, RF_POOL_DEFAULT_COUNT},
    {48, RF_POOL_DEFAULT_COUNT}, {64, RF_POOL_DEFAULT_COUNT},
};

static const rf_pool_options default_options = {default_classes, sizeof default_classes / sizeof default_classes[0],
                                                NULL, 0};

static const rf_pool_options *effective(const rf_pool_options *options, rf_pool_options *copy) {
  if (options == NULL) {
    return &default_options;
  }
  *copy = *options;
  if (copy->classes == NULL) {
    copy->classes = default_options.classes;
    copy->class_count = default_options.class_count;
  }
  return copy;
}

static bool class_valid(const rf_pool_options *o, unsigned i) {
  size_t const size = o->classes[i].size;
  return size >= sizeof(size_t) && size <= RF_POOL_SIZE_MAX && size % sizeof(void *) == 0 &&
         (i == 0 || size > o->classes[i - 1].size);
}

/* Bytes of one class in memory that starts aligned and keeps the next class aligned. */
static bool class_bytes(const rf_pool_class *c, size_t *out) {
  size_t bytes;
  return rf_mul(c->size, c->count, &bytes) && rf_round_up(bytes, RF_ALIGN_DEFAULT, out);
}

/* *size = bytes of all areas and state bytes; false where the classes are invalid or the sum wraps. */
static bool layout_size(const rf_pool_options *o, size_t *size) {
  size_t total = 0;
  if (o->class_count == 0 || o->class_count > RF_POOL_CLASSES_MAX) {
    return false;
  }
  for (unsigned i = 0; i < o->class_count; i++) {
    size_t bytes;
    if (!class_valid(o, i) || !class_bytes(&o->classes[i], &bytes) || !rf_add(total, bytes, &total) ||
        !rf_add(total, o->classes[i].count, &total)) {
      return false;
    }
  }
  *size = total;
  return total <= RF_SIZE_LIMIT;
}

size_t rf_pool_buffer_size(const rf_pool_options *options) {
  rf_pool_options copy;
  size_t size;
  return layout_size(effective(options, &copy), &size) ? size + (RF_ALIGN_DEFAULT - 1) : 0;
}

/* ---- Memory ---- */

void rf_pool_relink(rf_pool_slots *s) {
  s->free_head = s->stats.count;
  for (size_t i = s->stats.count; i-- > 0;) {
    if (s->state[i] == RF_POOL_FREE) {
      link_write(s, i, s->free_head);
      s->free_head = i;
    }
  }
}

static void slots_init(rf_pool_slots *s, const rf_pool_class *c, unsigned char *area, unsigned char *state) {
  size_t const divisor = c->size & (~c->size + 1);
  memset(s, 0, sizeof *s);
  s->stats.size = c->size;
  s->stats.count = c->count;
  s->area = area;
  s->state = state;
  s->align = divisor < RF_ALIGN_DEFAULT ? divisor : RF_ALIGN_DEFAULT;
  memset(state, RF_POOL_FREE, c->count);
  rf_pool_relink(s);
}

/* Takes the memory from the caller's buffer or from inner. */
static rf_status take_memory(rf_pool *pool, const rf_pool_options *o) {
  size_t size;
  if (!layout_size(o, &size)) {
    return RF_ERR_INVALID;
  }
  pool->memory_size = size;
  pool->borrowed = o->buffer == NULL && size != 0;
  if (size == 0) {
    pool->memory = (unsigned char *)pool; /* an address to lay nothing out from */
    return RF_OK;
  }
  if (pool->borrowed) {
    pool->memory = (unsigned char *)rf_alloc_at(pool->inner, size, RF_ALIGN_DEFAULT, RF_HERE);
    return pool->memory != NULL ? RF_OK : RF_ERR_NO_MEMORY;
  }
  size_t const gap = rf_align_gap(o->buffer, RF_ALIGN_DEFAULT);
  if (o->buffer_size < gap || o->buffer_size - gap < size) {
    return RF_ERR_INVALID;
  }
  pool->memory = (unsigned char *)o->buffer + gap;
  return RF_OK;
}

rf_status rf_pool_lay_out(rf_pool *pool, const rf_pool_options *options) {
  rf_pool_options copy;
  const rf_pool_options *const o = effective(options, &copy);
  rf_status const status = take_memory(pool, o);
  if (status != RF_OK) {
    return status;
  }
  rf_track_arena_end(pool->memory, pool->memory_size); /* as a former user that was never ended may have left it */
  unsigned char *area = pool->memory;
  unsigned char *state = pool->memory + pool->memory_size;
  for (unsigned i = 0; i < o->class_count; i++) {
    size_t bytes = 0;
    (void)class_bytes(&o->classes[i], &bytes);
    state -= o->classes[i].count;
    slots_init(&pool->slots[i], &o->classes[i], area, state);
    area += bytes;
  }
  pool->class_count = o->class_count;
  return RF_OK;
}

#include <ringfence/bump.h>

/* At the start of each chunk; `next` and `end` of the arena before it grew. */
typedef struct rf_bump_chunk {
  struct rf_bump_chunk *before;
  unsigned char *next;
  unsigned char *end;
  size_t size;
} chunk;

rf_status rf_bump_init(rf_bump *bump, void *memory, size_t size, const rf_bump_source *source) {
  if (bump == NULL || (memory == NULL && size != 0) || size > UINTPTR_MAX - (uintptr_t)memory) {
    return RF_ERR_INVALID;
  }
  unsigned char *const start = (unsigned char *)memory;
  *bump = (rf_bump){.next = start, .end = size != 0 ? start + size : start, .start = start, .source = source};
  return RF_OK;
}

/* From what is left. NULL: too little. */
static void *take(rf_bump *bump, size_t size, size_t align) {
  size_t const room = (size_t)(bump->end - bump->next);
  size_t const gap = rf_align_gap(bump->next, align);
  if (gap > room || size > room - gap) {
    return NULL;
  }
  unsigned char *const p = bump->next + gap;
  bump->next = p + size;
  return p;
}

/* Adds a chunk with room for `size` bytes at any multiple of `align`. */
static bool grow(rf_bump *bump, size_t size, size_t align) {
  const rf_bump_source *const source = bump->source;
  size_t total;
  if (source == NULL || !rf_add(size, align - 1, &total) ||
      !rf_add(total, sizeof(chunk) + _Alignof(chunk) - 1, &total) || total > RF_SIZE_LIMIT) {
    return false;
  }
  size_t got = total;
  unsigned char *const memory = (unsigned char *)source->grow(source->context, &got);
  if (memory == NULL) {
    return false;
  }
  chunk *const c = (chunk *)(void *)(memory + rf_align_gap(memory, _Alignof(chunk)));
  *c = (chunk){bump->chunk, bump->next, bump->end, got};
  bump->chunk = c;
  bump->next = (unsigned char *)(c + 1);
  bump->end = memory + got;
  return true;
}

void *rf_bump_alloc(rf_bump *bump, size_t size, size_t align) {
  size_t const wanted = size != 0 ? size : 1;
  if (!rf_is_pow2(align)) {
    return NULL;
  }
  void *const p = take(bump, wanted, align);
  if (p != NULL || !grow(bump, wanted, align)) {
    return p;
  }
  return take(bump, wanted, align);
}

rf_bump_mark rf_bump_get_mark(const rf_bump *bump) {
  return (rf_bump_mark){bump->chunk, bump->next};
}

static unsigned char *first_in(const rf_bump *bump, const chunk *c) {
  return c != NULL ? (unsigned char *)(uintptr_t)(c + 1) : bump->start;
}

/* True where `mark` lies in a chunk of the arena, not above the allocated bytes of that chunk. */
static bool is_position(const rf_bump *bump, rf_bump_mark mark) {
  const unsigned char *top = bump->next;
  const chunk *c = bump->chunk;
  while (c != NULL && c != mark.chunk) {
    top = c->next;
    c = c->before;
  }
  return c == mark.chunk && mark.next >= first_in(bump, c) && mark.next <= top;
}

static void drop_chunk(rf_bump *bump) {
  chunk const c = *bump->chunk;
  unsigned char *const memory = bump->end - c.size;
  bump->chunk = c.before;
  bump->next = c.next;
  bump->end = c.end;
  if (bump->source->shrink != NULL) {
    bump->source->shrink(bump->source->context, memory, c.size);
  }
}

rf_status rf_bump_reset(rf_bump *bump, rf_bump_mark mark) {
  if (!is_position(bump, mark)) {
    return RF_ERR_INVALID;
  }
  while (bump->chunk != mark.chunk) {
    drop_chunk(bump);
  }
  bump->next = mark.next;
  return RF_OK;
}

void rf_bump_clear(rf_bump *bump) {
  (void)rf_bump_reset(bump, (rf_bump_mark){NULL, bump->start});
}

#include "slots.h"

#include <ringfence/track.h>
#include <string.h>

#define FREE UINT16_MAX

static slots *self_of(rf_allocator *a) {
  return (slots *)(void *)a;
}

static void *slots_alloc(rf_allocator *a, size_t size, size_t align, const rf_site *site) {
  slots *const s = self_of(a);
  (void)site;
  for (size_t i = 0; i < s->count && size <= SLOT && align <= SLOT; i++) {
    if (s->state[i] == FREE) {
      s->state[i] = (uint16_t)size;
      rf_count_alloc(&s->counters, size);
      return s->memory + i * SLOT;
    }
  }
  s->counters.failures++;
  return NULL;
}

/* The live slot that starts at `p`. */
static rf_status find(const slots *s, const void *p, size_t *index) {
  size_t const offset = (size_t)((uintptr_t)p - (uintptr_t)s->memory);
  *index = offset / SLOT;
  if (*index >= s->count || offset % SLOT != 0) {
    return RF_ERR_BAD_POINTER;
  }
  return s->state[*index] == FREE ? RF_ERR_NOT_ALLOCATED : RF_OK;
}

static rf_status refuse(slots *s, rf_status status, const void *p, const rf_site *site) {
  const char *const what = status == RF_ERR_NOT_ALLOCATED ? "double free" : "no block of this allocator";
  return rf_fault_refuse(&s->base, status, what, p, site);
}

static rf_status slots_free(rf_allocator *a, void *p, const rf_site *site) {
  slots *const s = self_of(a);
  size_t i;
  rf_status const status = find(s, p, &i);
  if (status != RF_OK) {
    return refuse(s, status, p, site);
  }
  rf_count_free(&s->counters, s->state[i]);
  s->state[i] = FREE;
  return RF_OK;
}

static rf_status slots_resize(rf_allocator *a, void *p, size_t size, const rf_site *site) {
  slots *const s = self_of(a);
  size_t i;
  rf_status const status = find(s, p, &i);
  if (status != RF_OK) {
    return refuse(s, status, p, site);
  }
  if (size > SLOT) {
    return RF_ERR_NO_MEMORY;
  }
  rf_count_resize(&s->counters, s->state[i], size);
  s->state[i] = (uint16_t)size;
  return RF_OK;
}

static size_t slots_usable_size(rf_allocator *a, const void *p) {
  size_t i;
  return find(self_of(a), p, &i) == RF_OK ? SLOT : 0;
}

static bool slots_owns(rf_allocator *a, const void *p) {
  const slots *const s = self_of(a);
  return (uintptr_t)p - (uintptr_t)s->memory < s->count * SLOT;
}

static rf_status slots_walk(rf_allocator *a, rf_walk_fn visit, void *context) {
  const slots *const s = self_of(a);
  for (size_t i = 0; i < s->count; i++) {
    bool const used = s->state[i] != FREE;
    size_t const size = used ? s->state[i] : SLOT;
    rf_block const block = {s->memory + i * SLOT, size, SLOT - size, used, NULL};
    if (!visit(&block, context)) {
      break;
    }
  }
  return RF_OK;
}

static void slots_stats(rf_allocator *a, rf_stats *out) {
  const slots *const s = self_of(a);
  memset(out, 0, sizeof *out);
  rf_count_into(&s->counters, out);
  out->capacity = s->count * SLOT;
  out->free_bytes = (s->count - out->blocks) * SLOT;
  out->largest_free = out->free_bytes != 0 ? SLOT : 0;
  out->overhead = out->capacity - out->used - out->free_bytes;
}

static void slots_deinit(rf_allocator *a) {
  slots *const s = self_of(a);
  rf_track_arena_end(s->memory, s->count * SLOT);
  s->count = 0;
  memset(&s->counters, 0, sizeof s->counters);
}

static const rf_allocator_ops slots_ops = {
    .name = "slots",
    .alloc = slots_alloc,
    .free = slots_free,
    .resize = slots_resize,
    .usable_size = slots_usable_size,
    .owns = slots_owns,
    .walk = slots_walk,
    .stats = slots_stats,
    .deinit = slots_deinit,
};

bool slots_init(slots *self, void *arena, size_t size) {
  size_t const gap = rf_align_gap(arena, SLOT);
  if (size > RF_SIZE_LIMIT || size < gap + SLOT) {
    return false;
  }
  memset(self, 0, sizeof *self);
  self->base.ops = rf_track_ops(&slots_ops);
  self->memory = (unsigned char *)arena + gap;
  self->count = (size - gap) / SLOT < SLOTS ? (size - gap) / SLOT : SLOTS;
  memset(self->state, 0xFF, sizeof self->state); /* FREE */
  rf_track_arena(self->memory, self->count * SLOT);
  return true;
}

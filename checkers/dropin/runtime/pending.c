#include "pending.h"

#include "checkers/dropin/os/pages.h"

#define TRIES 64U /* places in use before there are more */

/* In rf_pending_free.ptr, while the rest is written. */
static char being_written;
#define BEING_WRITTEN ((void *)&being_written)

static uint32_t count_places(const rf_pending *pending) {
  return RF_PENDING_FIRST << __atomic_load_n(&pending->segments, __ATOMIC_ACQUIRE);
}

static rf_pending_free *place(rf_pending *pending, uint32_t index) {
  if (index < RF_PENDING_FIRST) {
    return &pending->first[index];
  }
  unsigned const segment = 31U - (unsigned)__builtin_clz(index / RF_PENDING_FIRST);
  return &__atomic_load_n(&pending->more[segment], __ATOMIC_ACQUIRE)[index - (RF_PENDING_FIRST << segment)];
}

/* False where the place is in use. */
static bool put_at(rf_pending_free *p, const rf_pending_free *free) {
  void *unused = NULL;
  if (!__atomic_compare_exchange_n(&p->ptr, &unused, BEING_WRITTEN, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
    return false;
  }
  p->caller = free->caller;
  p->size = free->size;
  p->family = free->family;
  __atomic_store_n(&p->ptr, free->ptr, __ATOMIC_RELEASE);
  return true;
}

/* Doubles `places`, unless another thread did. False where there is no memory. */
static bool grow(rf_pending *pending, uint32_t places) {
  uint32_t segment = (uint32_t)__builtin_ctz(places / RF_PENDING_FIRST);
  if (segment == RF_PENDING_SEGMENTS) {
    return false;
  }
  size_t const size = places * sizeof(rf_pending_free);
  rf_pending_free *none = NULL;
  rf_pending_free *const made = rf_pages_map(size, 1, 0);
  if (made != NULL &&
      !__atomic_compare_exchange_n(&pending->more[segment], &none, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    rf_pages_unmap(made, size);
  }
  if (__atomic_load_n(&pending->more[segment], __ATOMIC_ACQUIRE) == NULL) {
    return false;
  }
  (void)__atomic_compare_exchange_n(&pending->segments, &segment, segment + 1, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED);
  return true;
}

static bool put_in(rf_pending *pending, uint32_t places, uint32_t tries, const rf_pending_free *free) {
  for (uint32_t i = 0; i < tries; i++) {
    uint32_t const index = __atomic_fetch_add(&pending->next, 1, __ATOMIC_RELAXED) & (places - 1);
    if (put_at(place(pending, index), free)) {
      return true;
    }
  }
  return false;
}

bool rf_pending_put(rf_pending *pending, const rf_pending_free *free) {
  for (;;) {
    uint32_t const places = count_places(pending);
    if (put_in(pending, places, TRIES, free)) {
      return true;
    }
    if (!grow(pending, places)) {
      return put_in(pending, places, places, free);
    }
  }
}

void rf_pending_rewind(rf_pending *pending) {
  __atomic_store_n(&pending->next, 0, __ATOMIC_RELAXED);
}

bool rf_pending_take(rf_pending *pending, uint32_t *at, rf_pending_free *out) {
  while (*at < count_places(pending)) {
    rf_pending_free *const p = place(pending, (*at)++);
    void *const ptr = __atomic_load_n(&p->ptr, __ATOMIC_ACQUIRE);
    if (ptr != NULL && ptr != BEING_WRITTEN) {
      *out = *p;
      __atomic_store_n(&p->ptr, NULL, __ATOMIC_RELEASE);
      return true;
    }
  }
  return false;
}

/* Tables of operations that tell AddressSanitizer or Valgrind of what an allocator does, around its own. */
#include <ringfence/track.h>

#if RF_TRACK

/* ---- Operations that track ---- */

/* More kinds of allocators than any program has. */
#define KINDS 64

/* A table is found by the address of its name, because tests copy tables and change some entries. */
typedef struct kind {
  const char *name; /* set last; NULL: free */
  rf_allocator_ops ops;
  const rf_allocator_ops *bare;
} kind;

static kind kinds[KINDS];

static const rf_allocator_ops *bare_of(const rf_allocator *self) {
  for (size_t i = 0; i < KINDS; i++) {
    if (__atomic_load_n(&kinds[i].name, __ATOMIC_ACQUIRE) == self->ops->name) {
      return kinds[i].bare;
    }
  }
  return self->ops; /* unreachable: callers hold a table made here */
}

static size_t room_of(const rf_allocator_ops *bare, rf_allocator *self, const void *p) {
  return bare->usable_size != NULL ? bare->usable_size(self, p) : 0;
}

static void *track_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_track_enter();
  void *const p = bare_of(self)->alloc(self, size, align, site);
  if (p != NULL) {
    rf_track_alloc(p, size);
  }
  rf_track_leave();
  return p;
}

static rf_status track_free(rf_allocator *self, void *p, const rf_site *site) {
  const rf_allocator_ops *const bare = bare_of(self);
  rf_track_enter();
  size_t const room = room_of(bare, self, p);
  rf_status const status = bare->free(self, p, site);
  if (status == RF_OK && (bare->owns == NULL || bare->owns(self, p))) {
    rf_track_free(p, room);
  }
  rf_track_leave();
  return status;
}

static void *track_realloc(rf_allocator *self, void *p, size_t size, size_t align, const rf_site *site) {
  const rf_allocator_ops *const bare = bare_of(self);
  rf_track_enter();
  size_t const room = room_of(bare, self, p);
  void *const q = bare->realloc(self, p, size, align, site);
  if (q != NULL) {
    bool const still_ours = bare->owns == NULL || bare->owns(self, p);
    rf_track_resize(p, still_ours ? room : 0, q, size);
  }
  rf_track_leave();
  return q;
}

static rf_status track_resize(rf_allocator *self, void *p, size_t size, const rf_site *site) {
  const rf_allocator_ops *const bare = bare_of(self);
  rf_track_enter();
  size_t const room = room_of(bare, self, p);
  rf_status const status = bare->resize(self, p, size, site);
  if (status == RF_OK) {
    rf_track_resize(p, room, p, size);
  }
  rf_track_leave();
  return status;
}

static size_t track_usable_size(rf_allocator *self, const void *p) {
  rf_track_enter();
  size_t const room = room_of(bare_of(self), self, p);
  if (room != 0) {
    rf_track_reveal(p, room);
  }
  rf_track_leave();
  return room;
}

/* ---- Operations that only suppress errors inside the allocator ---- */

static void *mute_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_track_enter();
  void *const p = bare_of(self)->alloc(self, size, align, site);
  rf_track_leave();
  return p;
}

static rf_status mute_free(rf_allocator *self, void *p, const rf_site *site) {
  rf_track_enter();
  rf_status const status = bare_of(self)->free(self, p, site);
  rf_track_leave();
  return status;
}

static void *mute_realloc(rf_allocator *self, void *p, size_t size, size_t align, const rf_site *site) {
  rf_track_enter();
  void *const q = bare_of(self)->realloc(self, p, size, align, site);
  rf_track_leave();
  return q;
}

static rf_status mute_resize(rf_allocator *self, void *p, size_t size, const rf_site *site) {
  rf_track_enter();
  rf_status const status = bare_of(self)->resize(self, p, size, site);
  rf_track_leave();
  return status;
}

static size_t mute_usable_size(rf_allocator *self, const void *p) {
  rf_track_enter();
  size_t const room = bare_of(self)->usable_size(self, p);
  rf_track_leave();
  return room;
}

static bool mute_owns(rf_allocator *self, const void *p) {
  rf_track_enter();
  bool const owns = bare_of(self)->owns(self, p);
  rf_track_leave();
  return owns;
}

static rf_status mute_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  rf_track_enter();
  rf_status const status = bare_of(self)->walk(self, visit, context);
  rf_track_leave();
  return status;
}

static rf_status mute_check(rf_allocator *self, rf_fault *where) {
  rf_track_enter();
  rf_status const status = bare_of(self)->check(self, where);
  rf_track_leave();
  return status;
}

static void mute_stats(rf_allocator *self, rf_stats *out) {
  rf_track_enter();
  bare_of(self)->stats(self, out);
  rf_track_leave();
}

static void mute_deinit(rf_allocator *self) {
  const rf_allocator_ops *const bare = bare_of(self);
  rf_track_enter();
  bare->deinit(self);
  rf_track_leave();
}

static void make_tracking(rf_allocator_ops *ops, const rf_allocator_ops *bare) {
  ops->alloc = track_alloc;
  ops->free = track_free;
  ops->realloc = bare->realloc != NULL ? track_realloc : NULL;
  ops->resize = bare->resize != NULL ? track_resize : NULL;
  ops->usable_size = bare->usable_size != NULL ? track_usable_size : NULL;
}

static void make_mute(rf_allocator_ops *ops, const rf_allocator_ops *bare) {
  ops->alloc = mute_alloc;
  ops->free = mute_free;
  ops->realloc = bare->realloc != NULL ? mute_realloc : NULL;
  ops->resize = bare->resize != NULL ? mute_resize : NULL;
  ops->usable_size = bare->usable_size != NULL ? mute_usable_size : NULL;
}

static void make(kind *k, const rf_allocator_ops *bare, bool tracks) {
  k->bare = bare;
  k->ops = *bare;
  (tracks ? make_tracking : make_mute)(&k->ops, bare);
  k->ops.owns = bare->owns != NULL ? mute_owns : NULL;
  k->ops.walk = bare->walk != NULL ? mute_walk : NULL;
  k->ops.check = bare->check != NULL ? mute_check : NULL;
  k->ops.stats = mute_stats;
  k->ops.deinit = bare->deinit != NULL ? mute_deinit : NULL;
  __atomic_store_n(&k->name, bare->name, __ATOMIC_RELEASE);
}

static const rf_allocator_ops *table_for(const rf_allocator_ops *bare, bool tracks) {
  static int taken;
  const rf_allocator_ops *tracked = bare; /* where the table of kinds is full */
  while (__atomic_exchange_n(&taken, 1, __ATOMIC_ACQUIRE) != 0) {
  }
  for (size_t i = 0; i < KINDS; i++) {
    if (kinds[i].name == NULL) {
      make(&kinds[i], bare, tracks);
    }
    if (kinds[i].name == bare->name) {
      tracked = &kinds[i].ops;
      break;
    }
  }
  __atomic_store_n(&taken, 0, __ATOMIC_RELEASE);
  return tracked;
}

const rf_allocator_ops *rf_track_ops(const rf_allocator_ops *bare) {
  return table_for(bare, true);
}

const rf_allocator_ops *rf_track_mute_ops(const rf_allocator_ops *bare) {
  return RF_TRACK_VALGRIND ? table_for(bare, false) : bare; /* AddressSanitizer checks only instrumented code */
}

#endif /* RF_TRACK */

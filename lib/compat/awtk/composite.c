/* Several simple heaps as one: the first that can serves. */
#include "impl.h"

static rf_awtk_composite *composite_of(rf_allocator *allocator) {
  return (rf_awtk_composite *)(void *)allocator;
}

static rf_allocator *heap_of(const mem_allocator_simple_t *member) {
  return (rf_allocator *)(uintptr_t)&member->view.base;
}

/* Members in use come first. */
static bool used(const rf_awtk_composite *c, uint32_t i) {
  return i < c->room && mem_allocator_simple_is_valid(&c->members[i].allocator);
}

static mem_allocator_simple_t *member_of(const rf_awtk_composite *c, const void *ptr) {
  for (uint32_t i = 0; used(c, i); i++) {
    if (mem_allocator_simple_contains(&c->members[i].allocator, (void *)(uintptr_t)ptr)) {
      return &c->members[i];
    }
  }
  return NULL;
}

/* The member that holds `ptr`; NULL, reported, where there is none. */
static mem_allocator_simple_t *member_for(rf_awtk_composite *c, const void *ptr, const rf_site *site) {
  mem_allocator_simple_t *const member = member_of(c, ptr);
  if (member == NULL) {
    (void)rf_fault_refuse(&c->base, RF_ERR_BAD_POINTER, "pointer from elsewhere", ptr, site);
  }
  return member;
}

/* Sums up the members; allocations and failures are counted by the callers. */
static void count(rf_awtk_composite *c) {
  c->counters.used = 0;
  c->counters.blocks = 0;
  for (uint32_t i = 0; used(c, i); i++) {
    c->counters.used += c->members[i].info.used_bytes;
    c->counters.blocks += c->members[i].info.used_block_nr;
  }
  c->counters.peak = tk_max(c->counters.peak, c->counters.used);
  c->counters.peak_blocks = tk_max(c->counters.peak_blocks, c->counters.blocks);
}

/* ---- Operations ---- */

static void *serve(rf_awtk_composite *c, size_t size, size_t align, const rf_site *site) {
  for (uint32_t i = 0; used(c, i); i++) {
    void *const p = rf_alloc_at(heap_of(&c->members[i]), size, align, site);
    if (p != NULL) {
      return p;
    }
  }
  return NULL;
}

static void *composite_alloc(rf_allocator *allocator, size_t size, size_t align, const rf_site *site) {
  rf_awtk_composite *const c = composite_of(allocator);
  void *const p = serve(c, size, align, site);
  if (p == NULL) {
    c->counters.failures++;
  } else {
    c->counters.allocations++;
    count(c);
  }
  return p;
}

static rf_status composite_free(rf_allocator *allocator, void *ptr, const rf_site *site) {
  rf_awtk_composite *const c = composite_of(allocator);
  mem_allocator_simple_t *const member = member_for(c, ptr, site);
  if (member == NULL) {
    return RF_ERR_BAD_POINTER;
  }
  rf_status const status = rf_free_at(heap_of(member), ptr, site);
  count(c);
  return status;
}

/* To another member; `usable` is not 0. */
static void *move(rf_awtk_composite *c, rf_allocator *from, void *ptr, size_t size, size_t align, const rf_site *site) {
  size_t const usable = rf_usable_size(from, ptr);
  void *const p = usable != 0 ? serve(c, size, align, site) : NULL;
  if (p != NULL) {
    memcpy(p, ptr, tk_min(usable, size));
    (void)rf_free_at(from, ptr, site);
    c->counters.allocations++;
  }
  return p;
}

static void *composite_realloc(rf_allocator *allocator, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_awtk_composite *const c = composite_of(allocator);
  mem_allocator_simple_t *const member = member_for(c, ptr, site);
  if (member == NULL) {
    return NULL;
  }
  const rf_counters *const counters = rf_awtk_simple_counters(member);
  size_t const failures = counters->failures;
  void *p = rf_realloc_at(heap_of(member), ptr, size, align, site);
  if (p == NULL) {
    if (counters->failures == failures) {
      return NULL; /* it was refused, which is no failure */
    }
    p = move(c, heap_of(member), ptr, size, align, site);
    c->counters.failures += p == NULL ? 1 : 0;
  }
  count(c);
  return p;
}

static rf_status composite_resize(rf_allocator *allocator, void *ptr, size_t size, const rf_site *site) {
  rf_awtk_composite *const c = composite_of(allocator);
  mem_allocator_simple_t *const member = member_for(c, ptr, site);
  if (member == NULL) {
    return RF_ERR_BAD_POINTER;
  }
  rf_status const status = rf_resize_at(heap_of(member), ptr, size, site);
  count(c);
  return status;
}

static size_t composite_usable_size(rf_allocator *allocator, const void *ptr) {
  const mem_allocator_simple_t *const member = member_of(composite_of(allocator), ptr);
  return member != NULL ? rf_usable_size(heap_of(member), ptr) : 0;
}

static bool composite_owns(rf_allocator *allocator, const void *ptr) {
  const mem_allocator_simple_t *const member = member_of(composite_of(allocator), ptr);
  return member != NULL && rf_owns(heap_of(member), ptr);
}

typedef struct visitor {
  rf_walk_fn visit;
  void *context;
  bool stopped;
} visitor;

static bool visit_block(const rf_block *block, void *context) {
  visitor *const v = (visitor *)context;
  v->stopped = !v->visit(block, v->context);
  return !v->stopped;
}

static rf_status composite_walk(rf_allocator *allocator, rf_walk_fn visit, void *context) {
  const rf_awtk_composite *const c = composite_of(allocator);
  visitor v = {visit, context, false};
  rf_status status = RF_OK;
  for (uint32_t i = 0; status == RF_OK && !v.stopped && used(c, i); i++) {
    status = rf_walk(heap_of(&c->members[i]), visit_block, &v);
  }
  return status;
}

static rf_status composite_check(rf_allocator *allocator, rf_fault *where) {
  const rf_awtk_composite *const c = composite_of(allocator);
  rf_status status = RF_OK;
  for (uint32_t i = 0; status == RF_OK && used(c, i); i++) {
    status = rf_check(heap_of(&c->members[i]), where);
  }
  return status;
}

static void composite_stats(rf_allocator *allocator, rf_stats *out) {
  const rf_awtk_composite *const c = composite_of(allocator);
  memset(out, 0, sizeof *out);
  rf_count_into(&c->counters, out);
  for (uint32_t i = 0; used(c, i); i++) {
    rf_stats s;
    rf_stats_get(heap_of(&c->members[i]), &s);
    out->capacity += s.capacity;
    out->free_bytes += s.free_bytes;
    out->overhead += s.overhead;
    out->largest_free = tk_max(out->largest_free, s.largest_free);
  }
}

static void composite_deinit(rf_allocator *allocator) {
  const rf_awtk_composite *const c = composite_of(allocator);
  for (uint32_t i = 0; i < c->room; i++) {
    (void)mem_allocator_destroy(&c->members[i].allocator);
  }
}

static const rf_allocator_ops COMPOSITE_OPS = {
    .name = "composite",
    .alloc = composite_alloc,
    .free = composite_free,
    .realloc = composite_realloc,
    .resize = composite_resize,
    .usable_size = composite_usable_size,
    .owns = composite_owns,
    .walk = composite_walk,
    .check = composite_check,
    .stats = composite_stats,
    .deinit = composite_deinit,
};

/* ---- As AWTK calls it ---- */

mem_allocator_t *rf_awtk_composite_init(mem_allocator_t *allocator, rf_awtk_view *view, rf_awtk_composite *composite,
                                        mem_allocator_simple_t *members, uint32_t room) {
  memset(composite, 0, sizeof *composite);
  memset(members, 0, room * sizeof *members);
  composite->base.ops = &COMPOSITE_OPS;
  composite->members = members;
  composite->room = room;
  (void)rf_awtk_view_init(allocator, view, &composite->base, NULL, NULL);
  view->counters = &composite->counters;
  return allocator;
}

static rf_awtk_composite *composite_behind(mem_allocator_t *allocator) {
  rf_awtk_view *const view = rf_awtk_view_of(allocator);
  return view != NULL && view->calls->ops == &COMPOSITE_OPS ? composite_of(view->calls) : NULL;
}

ret_t mem_allocator_composite_add_mem(mem_allocator_t *allocator, char *addr, uint32_t size) {
  rf_awtk_composite *const c = composite_behind(allocator);
  for (uint32_t i = 0; c != NULL && i < c->room; i++) {
    if (!used(c, i)) {
      return mem_allocator_simple_init(&c->members[i], addr, size) != NULL ? RET_OK : RET_BAD_PARAMS;
    }
  }
  return RET_BAD_PARAMS;
}

mem_allocator_t *rf_awtk_composite_add_va(mem_allocator_t *allocator, void *buffer, uint32_t size, va_list va) {
  char *addr = (char *)buffer;
  do {
    if (mem_allocator_composite_add_mem(allocator, addr, size) != RET_OK) {
      (void)mem_allocator_destroy(allocator);
      return NULL;
    }
    addr = va_arg(va, char *);
    size = addr != NULL ? va_arg(va, uint32_t) : 0;
  } while (addr != NULL);
  return allocator;
}

bool_t mem_allocator_composite_is_valid_addr(mem_allocator_t *allocator, void *ptr) {
  const rf_awtk_composite *const c = composite_behind(allocator);
  return c != NULL && member_of(c, ptr) != NULL;
}

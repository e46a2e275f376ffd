/* Mode mte: see mte.h. Each operation is guard's, with pointers without tags; around it tags are set and compared. */
#define _GNU_SOURCE /* sysconf's names */
#include "mte_impl.h"

#if RF_MEMORY_TAGS

#include <unistd.h>

/* ---- Tags ---- */

#define TAG_LAST 14U

static inline uintptr_t end_of_tags(uintptr_t start, size_t size) {
  return start + rf_tag_round(size);
}

/* The tag after the one that the last block here had, so that pointers to it are told from pointers to the next. */
static unsigned next_tag(uintptr_t start) {
  static uint8_t last[4096];
  uint8_t *const here = &last[(start / RF_TAG_GRANULE) % sizeof last];
  unsigned const tag = __atomic_load_n(here, __ATOMIC_RELAXED) % TAG_LAST + 1;
  __atomic_store_n(here, (uint8_t)tag, __ATOMIC_RELAXED);
  return tag;
}

/* True where every page from `start` to `end` keeps tags. */
static bool is_tagged_memory(uintptr_t start, uintptr_t end, uintptr_t page, unsigned tag) {
  for (uintptr_t at = start; at < end; at = (at & ~(page - 1)) + page) {
    if (rf_memory_tags_at(at) != tag) {
      return false;
    }
  }
  return true;
}

/* Has all pages of the arena keep tags, as far as the inner allocator knows them, else those from `start` to `end`. */
static void cover(const rf_guard *guard, uintptr_t start, uintptr_t end, uintptr_t page) {
  uintptr_t first = start & ~(page - 1);
  uintptr_t last = ((end - 1) & ~(page - 1)) + page;
  while (rf_owns(guard->inner, (const void *)(first - 1))) {
    first -= page;
  }
  while (rf_owns(guard->inner, (const void *)last)) {
    last += page;
  }
  rf_memory_tags_cover(first, last - first);
}

/* Pages that keep no tags take no notice of them. */
static bool set_tags(const rf_guard *guard, uintptr_t start, uintptr_t end, unsigned tag) {
  uintptr_t const page = (uintptr_t)sysconf(_SC_PAGESIZE);
  rf_memory_tags_set(start, end, tag);
  if (is_tagged_memory(start, end, page, tag)) {
    return true;
  }
  cover(guard, start, end, page);
  rf_memory_tags_set(start, end, tag);
  if (is_tagged_memory(start, end, page, tag)) {
    return true;
  }
  rf_memory_tags_set(start, end, 0);
  return false;
}

static void clear_tags(const rf_guard_header *h) {
  uintptr_t const start = (uintptr_t)payload_of(h);
  rf_memory_tags_set(start, end_of_tags(start, h->size), 0);
}

/* The pointer for the program to a new live block. */
static void *tagged(rf_guard *guard, void *payload, size_t size) {
  uintptr_t const start = (uintptr_t)payload;
  guard->options.tagged = guard->options.tagged && rf_tag_of(start) == 0;
  if (payload == NULL || !guard->options.tagged) {
    return payload;
  }
  if (size == 0) {
    return (void *)rf_tag_add(start, RF_TAG_MOST);
  }
  unsigned const tag = next_tag(start);
  bool const done = set_tags(guard, start, end_of_tags(start, size), tag);
  /* An arena that takes none for its first block will take none at all. */
  guard->options.tagged = done || guard->counters.allocations > 1;
  return (void *)rf_tag_add(start, done ? tag : 0);
}

static inline void *untagged(const rf_guard *guard, const void *ptr) {
  return (void *)(guard->options.tagged ? rf_tag_remove((uintptr_t)ptr) : (uintptr_t)ptr);
}

/* ---- Pointers that come back ---- */

/* A live block, and a pointer with another tag: an earlier block's, or 0, which no pointer has that was given out. */
static void report_stale(rf_guard *guard, const rf_guard_header *h, unsigned tag, const rf_origin *origin) {
  rf_finding f;
  rf_guard_finding(guard, &f, tag != 0 ? RF_BUG_DOUBLE_FREE : RF_BUG_BAD_FREE, RF_ACCESS_FREE, payload_of(h), origin);
  rf_guard_finding_block(guard, &f, h);
  f.detail = tag != 0 ? "the memory has another owner by now" : "the pointer has lost its tag";
  rf_report(guard->options.reporter, &f);
}

/* Its header where `ptr` is the pointer to a live block, NULL where it starts none. *stale: it is reported. */
static rf_guard_header *live_block(rf_guard *guard, const void *ptr, const rf_origin *origin, bool *stale) {
  const void *const payload = untagged(guard, ptr);
  *stale = false;
  if (!guard->options.tagged || !rf_guard_is_live(guard, payload)) {
    return NULL;
  }
  rf_guard_header *const h = header_of(payload);
  unsigned const tag = rf_tag_of((uintptr_t)ptr);
  *stale = tag_of_block(h) != tag;
  if (*stale && origin != NULL) {
    report_stale(guard, h, tag, origin);
  }
  return h;
}

/* An operation on the block at a pointer, with the thread's tag checks paused until rf_mte_leave(before). */
typedef struct block_call {
  uint64_t before;
  const rf_guard_header *h; /* NULL where the pointer starts no live block */
  void *payload;            /* the pointer without its tag */
  bool stale;               /* reported; the operation does nothing more */
} block_call;

/* Clears the tags of a live block, so that guard may write to it, unless the pointer is stale. */
static block_call enter_block(rf_guard *guard, void *ptr, const rf_origin *origin) {
  block_call call = {.before = rf_mte_enter(), .payload = untagged(guard, ptr)};
  call.h = live_block(guard, ptr, origin, &call.stale);
  if (call.h != NULL && !call.stale) {
    clear_tags(call.h);
  }
  return call;
}

/* ---- Operations ---- */

static void *mte_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_guard *const guard = guard_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  uint64_t const before = rf_mte_enter();
  void *const p = tagged(guard, rf_guard_alloc_from(guard, size, align, RF_FAMILY_MALLOC, &origin), size);
  rf_mte_leave(before);
  return p;
}

static rf_status mte_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_guard *const guard = guard_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  block_call const call = enter_block(guard, ptr, &origin);
  rf_status status = RF_ERR_NOT_ALLOCATED;
  if (!call.stale) {
    status = rf_guard_free_from(guard, call.payload, RF_FAMILY_MALLOC, SIZE_MAX, &origin);
  }
  rf_mte_leave(call.before);
  return status;
}

/* A block that stays where it was, perhaps with another size, keeps its tag. */
static void keep_tag(const rf_guard *guard, const rf_guard_header *h, const void *ptr) {
  uintptr_t const start = (uintptr_t)payload_of(h);
  unsigned const tag = rf_tag_of((uintptr_t)ptr);
  if (tag != 0) {
    (void)set_tags(guard, start, end_of_tags(start, h->size), tag);
  }
}

static void *mte_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_guard *const guard = guard_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  block_call const call = enter_block(guard, ptr, &origin);
  void *p = NULL;
  if (!call.stale) {
    void *const payload = rf_guard_realloc_from(guard, call.payload, size, align, &origin);
    if (call.h != NULL && (payload == NULL || payload == call.payload)) {
      keep_tag(guard, call.h, ptr);
      p = payload != NULL ? ptr : NULL;
    } else {
      p = tagged(guard, payload, size);
    }
  }
  rf_mte_leave(call.before);
  return p;
}

static rf_status mte_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_guard *const guard = guard_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  block_call const call = enter_block(guard, ptr, &origin);
  rf_status status = RF_ERR_NOT_ALLOCATED;
  if (!call.stale) {
    status = rf_guard_resize_from(guard, call.payload, size, &origin);
    if (call.h != NULL) {
      keep_tag(guard, call.h, ptr);
    }
  }
  rf_mte_leave(call.before);
  return status;
}

/* ---- Questions ---- */

static size_t mte_usable_size(rf_allocator *self, const void *ptr) {
  rf_guard *const guard = guard_of(self);
  bool stale;
  uint64_t const before = rf_mte_enter();
  (void)live_block(guard, ptr, NULL, &stale);
  size_t const size = stale ? 0 : rf_guard_op_usable_size(self, untagged(guard, ptr));
  rf_mte_leave(before);
  return size;
}

static bool mte_owns(rf_allocator *self, const void *ptr) {
  uint64_t const before = rf_mte_enter();
  bool const owns = rf_guard_op_owns(self, untagged(guard_of(self), ptr));
  rf_mte_leave(before);
  return owns;
}

typedef struct visit {
  rf_walk_fn visit;
  void *context;
  bool tagged;
  uint64_t before;
} visit;

static bool visit_tagged(const rf_block *block, void *context) {
  const visit *const v = context;
  rf_block b = *block;
  if (b.used && v->tagged) {
    b.ptr = (void *)rf_tag_add((uintptr_t)b.ptr, tag_of_block(header_of(b.ptr)));
  }
  rf_memory_tags_resume(v->before);
  bool const more = v->visit(&b, v->context);
  (void)rf_memory_tags_pause();
  return more;
}

static rf_status mte_walk(rf_allocator *self, rf_walk_fn function, void *context) {
  uint64_t const before = rf_mte_enter();
  visit v = {function, context, guard_of(self)->options.tagged, before};
  rf_status const status = rf_guard_op_walk(self, visit_tagged, &v);
  rf_mte_leave(before);
  return status;
}

static rf_status mte_check(rf_allocator *self, rf_fault *where) {
  uint64_t const before = rf_mte_enter();
  rf_status const status = rf_guard_op_check(self, where);
  rf_mte_leave(before);
  return status;
}

static void mte_stats(rf_allocator *self, rf_stats *out) {
  uint64_t const before = rf_mte_enter();
  rf_guard_op_stats(self, out);
  rf_mte_leave(before);
}

size_t rf_mte_sweep(rf_guard *guard, uint64_t budget_ns) {
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  uint64_t const before = rf_mte_enter();
  size_t const count = budget_ns != 0 ? rf_guard_sweep_step(guard, budget_ns) : rf_guard_sweep_from(guard, &origin);
  rf_mte_leave(before);
  return count;
}

/* ---- Beginning and end ---- */

static const rf_allocator_ops *guard_ops; /* of each guard before it was given tags */

static void mte_reject(rf_allocator *self, rf_reject why, size_t size, size_t detail, const rf_site *site) {
  rf_origin const origin = RF_ORIGIN_HERE(site);
  uint64_t const before = rf_mte_enter();
  rf_guard_reject_from(guard_of(self), why, size, detail, &origin);
  rf_mte_leave(before);
}

/* The arena is used without tags afterwards. */
static void mte_deinit(rf_allocator *self) {
  rf_guard *const guard = guard_of(self);
  uint64_t const before = rf_mte_enter();
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  (void)rf_guard_repair(guard, &origin);
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL; rf_guard_next(guard, &at)) {
    if (at.intact && !at.freed && guard->options.tagged) {
      clear_tags(at.h);
    }
  }
  guard_ops->deinit(self);
  rf_mte_leave(before);
}

static const rf_allocator_ops mte_ops = {
    .name = "mte",
    .alloc = mte_alloc,
    .free = mte_free,
    .realloc = mte_realloc,
    .resize = mte_resize,
    .usable_size = mte_usable_size,
    .owns = mte_owns,
    .walk = mte_walk,
    .check = mte_check,
    .stats = mte_stats,
    .reject = mte_reject,
    .inner = rf_guard_op_inner,
    .deinit = mte_deinit,
    .counters = rf_guard_op_counters,
};

rf_status rf_mte_init(rf_guard *guard, rf_allocator *inner, const rf_guard_options *options) {
  if (guard == NULL || inner == NULL) {
    return RF_ERR_INVALID;
  }
  if (!rf_mte_begin()) {
    return RF_ERR_UNSUPPORTED;
  }
  rf_status const status = rf_guard_init(guard, inner, options);
  if (status == RF_OK) {
    guard->options.tagged = true;
    guard_ops = guard->base.ops;
    guard->base.ops = &mte_ops;
    rf_mte_watch();
  }
  return status;
}

#else

rf_status rf_mte_init(rf_guard *guard, rf_allocator *inner, const rf_guard_options *options) {
  (void)options;
  return guard == NULL || inner == NULL ? RF_ERR_INVALID : RF_ERR_UNSUPPORTED;
}

size_t rf_mte_sweep(rf_guard *guard, uint64_t budget_ns) {
  return budget_ns != 0 ? rf_guard_sweep_step(guard, budget_ns) : rf_guard_sweep(guard);
}

#endif

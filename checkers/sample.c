/* rf_sample: the decorator over the page store with a fixed number of slots. */
#include <ringfence/sample.h>

#include <ringfence/reporter.h>
#include <string.h>

#include "host.h"
#include "page_store.h"
#include "sample_pick.h"
#include "wrapper.h"

static const rf_allocator_ops sample_ops;

static rf_sample *self_of(rf_allocator *self) {
  return (rf_sample *)self;
}

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define RARE __attribute__((noinline)) /* kept out of the common paths, which are to need no registers for it */

/* ---- Picking: a few countdowns per thread, for as many objects; more of them draw anew now and then ---- */

#define PICKS 4U

typedef struct thread_pick {
  uint32_t number; /* of the object; 0: none */
  rf_sample_pick pick;
} thread_pick;

/* initial-exec: the first access in a thread must not allocate, since an allocator may be asking. */
#if defined(__unix__) && __STDC_HOSTED__
static __thread thread_pick picks[PICKS] __attribute__((tls_model("initial-exec")));
#elif defined(__APPLE__)
static __thread thread_pick picks[PICKS];
#else
static thread_pick picks[PICKS];
#endif

static void begin_pick(rf_sample *sample, thread_pick *p) {
  uint32_t const ordinal = __atomic_fetch_add(&sample->threads, 1, __ATOMIC_RELAXED);
  p->number = sample->number;
  p->pick.left = 0;
  rf_sample_seed(&p->pick, sample->options.seed + ordinal);
}

RARE static bool is_due_slow(rf_sample *sample, thread_pick *p) {
  if (p->number != sample->number) {
    begin_pick(sample, p);
  }
  return rf_sample_due(&p->pick, sample->options.rate);
}

static inline bool is_due(rf_sample *sample) {
  thread_pick *const p = &picks[sample->number % PICKS];
  if (LIKELY(p->number == sample->number && p->pick.left > 1)) {
    p->pick.left--;
    return false;
  }
  return is_due_slow(sample, p);
}

/* ---- Findings that are not the store's ---- */

/* What the inner allocator refused becomes a finding. */
RARE static void report_refusal(rf_sample *sample, const rf_inner_call *c, const rf_origin *origin) {
  rf_finding f;
  rf_finding_begin_refused(&f, &c->fault, sample->inner->ops->name, "sample", origin);
  rf_report(sample->options.reporter, &f);
}

static inline void call_end(rf_sample *sample, rf_inner_call *c, const rf_origin *origin) {
  if (rf_inner_call_end(c)) {
    report_refusal(sample, c, origin);
  }
}

/* ---- Sampled blocks ---- */

static inline bool has_pages(const rf_sample *sample, const void *ptr) {
  return (uintptr_t)ptr - sample->start < sample->bytes;
}

/* What stands for a sampled block may lie where the program had a block before: a pointer to that one, which is stale, must
 * not free this one. */
static inline uint16_t *standing_at(rf_sample *sample, const void *ptr) {
  return &sample->standing[((uint32_t)((uintptr_t)ptr >> 4) * 0x9E3779B1U) >> 24];
}

_Static_assert(RF_SAMPLE_FILTER == 1U << 8, "eight bits are left of the product");

typedef struct match {
  const void *companion;
  rf_page_block found; /* ptr NULL: none */
} match;

static bool is_companion(const rf_page_block *block, void *context) {
  match *const m = (match *)context;
  if (block->companion == m->companion) {
    m->found = *block;
    return false;
  }
  return true;
}

static inline bool may_stand_for_a_block(rf_sample *sample, const void *ptr) {
  return UNLIKELY(__atomic_load_n(standing_at(sample, ptr), __ATOMIC_RELAXED) != 0);
}

static bool stands_for_a_block(rf_sample *sample, const void *ptr) {
  match m = {ptr, {NULL, 0, RF_FAMILY_MALLOC, 0, NULL}};
  if (!may_stand_for_a_block(sample, ptr)) {
    return false;
  }
  rf_page_store_each(sample->store, is_companion, &m);
  return m.found.ptr != NULL;
}

/* Pages for the block at `inner`, or that block itself. */
static void *put_on_pages(rf_sample *sample, void *inner, size_t size, size_t align, const rf_origin *origin) {
  rf_page_request const request = {.size = size, .align = align, .companion = inner};
  void *const p = rf_page_store_alloc(sample->store, &request, origin);
  if (p == NULL) {
    return inner;
  }
  __atomic_fetch_add(standing_at(sample, inner), 1, __ATOMIC_RELAXED);
  return p;
}

static rf_status take_off_pages(rf_sample *sample, void *ptr, const rf_origin *origin, rf_page_block *freed) {
  rf_status const status = rf_page_store_free(sample->store, ptr, RF_FAMILY_MALLOC, SIZE_MAX, origin, freed);
  if (status == RF_OK) {
    __atomic_fetch_sub(standing_at(sample, freed->companion), 1, __ATOMIC_RELAXED);
  }
  return status;
}

RARE static void *alloc_from(rf_sample *sample, size_t size, size_t align, const rf_origin *origin) {
  void *const p = sample->inner->ops->alloc(sample->inner, size, align, origin->site);
  return p != NULL ? put_on_pages(sample, p, size, align, origin) : NULL;
}

static void *sample_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_sample *const sample = self_of(self);
  if (UNLIKELY(is_due(sample))) {
    rf_origin const origin = RF_ORIGIN_HERE(site);
    return alloc_from(sample, size, align, &origin);
  }
  return sample->inner->ops->alloc(sample->inner, size, align, site);
}

static rf_status report_standing(rf_sample *sample, const void *ptr, const rf_origin *origin) {
  rf_finding f;
  rf_finding_begin(&f, RF_BUG_DOUBLE_FREE, RF_ACCESS_FREE, ptr, sample->inner->ops->name, "sample", origin);
  f.detail = "the block was freed or moved, and its memory now stands for a sampled block";
  rf_report(sample->options.reporter, &f);
  return RF_ERR_NOT_ALLOCATED;
}

/* What is not on pages of ours, and yet not to be looked at by the allocator below: blocks on pages of another one's, and
 * what stands for sampled blocks. RF_OK where there is nothing against it. */
static inline rf_status refuse_others(rf_sample *sample, const void *ptr, const rf_origin *origin) {
  rf_status status = RF_OK;
  if (UNLIKELY(rf_page_may_be(ptr))) {
    status = rf_page_store_refuse_others(sample->store, ptr, origin);
  }
  if (UNLIKELY(status == RF_OK && stands_for_a_block(sample, ptr))) {
    status = report_standing(sample, ptr, origin);
  }
  return status;
}

static rf_status free_inner(rf_sample *sample, void *ptr, const rf_origin *origin) {
  rf_inner_call c;
  rf_inner_call_begin(&c);
  rf_status const status = sample->inner->ops->free(sample->inner, ptr, origin->site);
  call_end(sample, &c, origin);
  return status;
}

static rf_status free_sampled(rf_sample *sample, void *ptr, const rf_origin *origin) {
  rf_page_block freed;
  rf_status const status = take_off_pages(sample, ptr, origin, &freed);
  return status == RF_OK ? free_inner(sample, freed.companion, origin) : status;
}

RARE static rf_status free_apart(rf_sample *sample, void *ptr, const rf_origin *origin) {
  if (has_pages(sample, ptr)) {
    return free_sampled(sample, ptr, origin);
  }
  rf_status const status = refuse_others(sample, ptr, origin);
  return status != RF_OK ? status : free_inner(sample, ptr, origin);
}

static rf_status sample_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_sample *const sample = self_of(self);
  rf_inner_call c;
  if (UNLIKELY(has_pages(sample, ptr) || rf_page_may_be(ptr) || may_stand_for_a_block(sample, ptr))) {
    rf_origin const origin = RF_ORIGIN_HERE(site);
    return free_apart(sample, ptr, &origin);
  }
  rf_inner_call_begin(&c);
  rf_status const status = sample->inner->ops->free(sample->inner, ptr, site);
  if (rf_inner_call_end(&c)) {
    rf_origin const origin = RF_ORIGIN_HERE(site);
    report_refusal(sample, &c, &origin);
  }
  return status;
}

/* ---- Realloc ---- */

/* What can fail comes first, and can be undone. */
static rf_status resize_sampled(rf_sample *sample, void *ptr, size_t size, const rf_origin *origin) {
  rf_page_block block;
  if (!rf_page_store_find(sample->store, ptr, &block)) {
    return rf_page_store_refuse(sample->store, ptr, origin);
  }
  if (size <= block.size) {
    rf_status const shrunk = rf_resize_at(sample->inner, block.companion, size, origin->site);
    return shrunk == RF_OK ? rf_page_store_resize(sample->store, ptr, size, origin) : shrunk;
  }
  rf_status status = rf_page_store_resize(sample->store, ptr, size, origin);
  if (status == RF_OK) {
    status = rf_resize_at(sample->inner, block.companion, size, origin->site);
    if (status != RF_OK) {
      (void)rf_page_store_resize(sample->store, ptr, block.size, origin);
    }
  }
  return status;
}

static void *realloc_inner(rf_sample *sample, void *ptr, size_t size, size_t align, const rf_origin *origin) {
  rf_inner_call c;
  rf_inner_call_begin(&c);
  void *const p = rf_realloc_at(sample->inner, ptr, size, align, origin->site);
  call_end(sample, &c, origin);
  return p;
}

/* A sampled block moves: to other pages if it is their turn, else to what stood for it. It stays where it is aligned and that
 * one is not, which could cost memory that is not there. */
static void *realloc_sampled(rf_sample *sample, void *ptr, size_t size, size_t align, bool due,
                             const rf_origin *origin) {
  rf_page_block block;
  if (!rf_page_store_find(sample->store, ptr, &block)) {
    (void)rf_page_store_refuse(sample->store, ptr, origin);
    return NULL;
  }
  bool const only_here = rf_is_aligned(ptr, align) && !rf_is_aligned(block.companion, align);
  if (only_here && resize_sampled(sample, ptr, size, origin) == RF_OK) {
    return ptr;
  }
  void *const inner = realloc_inner(sample, block.companion, size, align, origin);
  if (inner == NULL) {
    return NULL;
  }
  void *const moved = due ? put_on_pages(sample, inner, size, align, origin) : inner;
  memcpy(moved, ptr, block.size < size ? block.size : size);
  (void)take_off_pages(sample, ptr, origin, &block);
  return moved;
}

static void *sample_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_sample *const sample = self_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  bool const due = is_due(sample);
  if (has_pages(sample, ptr)) {
    return realloc_sampled(sample, ptr, size, align, due, &origin);
  }
  if (refuse_others(sample, ptr, &origin) != RF_OK) {
    return NULL;
  }
  void *const p = realloc_inner(sample, ptr, size, align, &origin);
  if (p == NULL || !due) {
    return p;
  }
  void *const sampled = put_on_pages(sample, p, size, align, &origin);
  if (sampled != p) {
    memcpy(sampled, p, size);
  }
  return sampled;
}

static rf_status sample_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_sample *const sample = self_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  rf_inner_call c;
  if (has_pages(sample, ptr)) {
    return resize_sampled(sample, ptr, size, &origin);
  }
  rf_status const refused = refuse_others(sample, ptr, &origin);
  if (refused != RF_OK) {
    return refused;
  }
  rf_inner_call_begin(&c);
  rf_status const status = rf_resize_at(sample->inner, ptr, size, site);
  call_end(sample, &c, &origin);
  return status;
}

/* ---- The rest ---- */

static size_t sample_usable_size(rf_allocator *self, const void *ptr) {
  rf_sample *const sample = self_of(self);
  rf_page_block block;
  if (has_pages(sample, ptr)) {
    return rf_page_store_find(sample->store, ptr, &block) ? block.size : 0;
  }
  return stands_for_a_block(sample, ptr) ? 0 : rf_usable_size(sample->inner, ptr);
}

static bool sample_owns(rf_allocator *self, const void *ptr) {
  const rf_sample *const sample = self_of(self);
  return has_pages(sample, ptr) || rf_owns(sample->inner, ptr);
}

typedef struct walk {
  rf_sample *sample;
  rf_walk_fn visit;
  void *context;
} walk;

/* What stands for a sampled block is shown as that block. */
static bool visit_inner(const rf_block *block, void *context) {
  const walk *const w = (const walk *)context;
  rf_block shown = *block;
  match m = {block->ptr, {NULL, 0, RF_FAMILY_MALLOC, 0, NULL}};
  if (block->used) {
    rf_page_store_each(w->sample->store, is_companion, &m);
  }
  if (m.found.ptr != NULL) {
    shown.ptr = m.found.ptr;
    shown.overhead += block->size - m.found.size;
    shown.size = m.found.size;
  }
  return w->visit(&shown, w->context);
}

static rf_status sample_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  rf_sample *const sample = self_of(self);
  walk w = {sample, visit, context};
  return rf_walk(sample->inner, visit_inner, &w);
}

static rf_status sample_check(rf_allocator *self, rf_fault *where) {
  rf_sample *const sample = self_of(self);
  if (rf_page_store_damaged(sample->store, where)) {
    where->allocator = self;
    return RF_ERR_CORRUPT;
  }
  return rf_check(sample->inner, where);
}

static void sample_stats(rf_allocator *self, rf_stats *out) {
  rf_stats_get(self_of(self)->inner, out);
}

static void sample_reject(rf_allocator *self, rf_reject why, size_t size, size_t detail, const rf_site *site) {
  rf_sample *const sample = self_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  rf_finding f;
  rf_finding_begin_rejected(&f, why, size, detail, sample->inner->ops->name, "sample", &origin);
  rf_report(sample->options.reporter, &f);
  (void)rf_reject_at(sample->inner, why, size, detail, site);
}

static rf_allocator *sample_inner(rf_allocator *self) {
  return self_of(self)->inner;
}

bool rf_sample_has(rf_sample *sample, const void *ptr) {
  rf_page_block block;
  return has_pages(sample, ptr) && rf_page_store_find(sample->store, ptr, &block);
}

size_t rf_sample_sweep(rf_sample *sample) {
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  return rf_page_store_sweep(sample->store, 0, &origin);
}

/* ---- Beginning and end ---- */

static rf_status open_store(rf_sample *sample) {
  const rf_sample_options *const o = &sample->options;
  rf_page_store_options const store = {
      .allocator = sample->inner->ops->name,
      .mode = "sample",
      .reporter = o->reporter,
      .depot = o->depot,
      .stack_depth = o->stack_depth,
      .side = o->side,
      .quarantine = SIZE_MAX,
      .fill_alloc = 0,
      .slots = o->slots,
      .largest = o->largest,
      .otherwise = "further ones are not sampled",
  };
  uintptr_t end;
  sample->store = rf_page_store_open(&store);
  if (sample->store == NULL || !rf_page_store_reserve(sample->store) ||
      !rf_page_store_space(sample->store, 0, &sample->start, &end)) {
    return RF_ERR_NO_MEMORY;
  }
  sample->bytes = end - sample->start;
  return RF_OK;
}

rf_status rf_sample_init(rf_sample *sample, rf_allocator *inner, const rf_sample_options *options) {
  static uint32_t numbers;
  if (sample == NULL || inner == NULL ||
      (options != NULL && (options->rate == 0 || options->rate > RF_SAMPLE_RATE_MOST || options->slots == 0))) {
    return RF_ERR_INVALID;
  }
  if (rf_page_store_why_not() != NULL) {
    return RF_ERR_UNSUPPORTED;
  }
  memset(sample, 0, sizeof *sample);
  sample->inner = inner;
  if (options != NULL) {
    sample->options = *options;
  } else {
    rf_sample_options_default(&sample->options);
  }
  if (sample->options.reporter == NULL) {
    sample->options.reporter = rf_reporter_default();
  }
  if (sample->options.seed == 0) {
    sample->options.seed = rf_host_secret();
  }
  sample->number = __atomic_add_fetch(&numbers, 1, __ATOMIC_RELAXED);
  rf_status const status = open_store(sample);
  if (status != RF_OK) {
    return status;
  }
  rf_page_fork_register();
  sample->base.ops = &sample_ops;
  return RF_OK;
}

static bool give_back(const rf_page_block *block, void *context) {
  rf_sample *const sample = (rf_sample *)context;
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  (void)free_inner(sample, block->companion, &origin);
  return true;
}

/* ---- After the end ---- */

static void report_ended(rf_allocator *self, const void *ptr, const rf_origin *origin) {
  const rf_sample *const sample = self_of(self);
  rf_finding f;
  rf_finding_begin(&f, RF_BUG_ENDED, RF_ACCESS_UNKNOWN, ptr, sample->inner->ops->name, "sample", origin);
  rf_report(sample->options.reporter, &f);
}

static const rf_ended_ops ended_ops = {
    .ops =
        {
            .name = "sample",
            .alloc = rf_ended_alloc,
            .free = rf_ended_free,
            .realloc = rf_ended_realloc,
            .stats = sample_stats,
            .inner = sample_inner,
        },
    .report = report_ended,
};

static void sample_deinit(rf_allocator *self) {
  rf_sample *const sample = self_of(self);
  (void)rf_sample_sweep(sample);
  rf_page_store_each(sample->store, give_back, sample);
  rf_page_store_close(sample->store);
  sample->base.ops = &ended_ops.ops;
}

static const rf_allocator_ops sample_ops = {
    .name = "sample",
    .alloc = sample_alloc,
    .free = sample_free,
    .realloc = sample_realloc,
    .resize = sample_resize,
    .usable_size = sample_usable_size,
    .owns = sample_owns,
    .walk = sample_walk,
    .check = sample_check,
    .stats = sample_stats,
    .reject = sample_reject,
    .inner = sample_inner,
    .deinit = sample_deinit,
};

/* The allocators that are one of lib/ each. */
#include "impl.h"

static mem_allocator_t *start(void *self, size_t size) {
  memset(self, 0, size);
  return (mem_allocator_t *)self;
}

/* ---- simple ---- */

const rf_counters *rf_awtk_simple_counters(const mem_allocator_simple_t *simple) {
  return simple->info.size < RF_AWTK_SIMPLE_BELOW ? &simple->heap.simple.counters : &simple->heap.tlsf.counters;
}

static void simple_publish(mem_allocator_t *self) {
  mem_allocator_simple_t *const simple = MEM_ALLOCATOR_SIMPLE(self);
  const rf_counters *const c = rf_awtk_simple_counters(simple);
  mem_info_t *const info = &simple->info;
  info->used_bytes = (uint32_t)c->used;
  info->used_block_nr = (uint32_t)c->blocks;
  info->used_max_bytes = (uint32_t)c->peak;
  info->used_max_block_nr = (uint32_t)c->peak_blocks;
  simple->free_memory.size = info->size - info->used_bytes;
}

mem_allocator_t *mem_allocator_simple_init(mem_allocator_simple_t *allocator_simple, void *buffer, uint32_t size) {
  if (allocator_simple == NULL) {
    return NULL;
  }
  mem_allocator_t *const self = start(allocator_simple, sizeof *allocator_simple);
  rf_allocator *heap = &allocator_simple->heap.simple.base;
  rf_status status;
  if (size < RF_AWTK_SIMPLE_BELOW) {
    status = rf_simple_init(&allocator_simple->heap.simple, buffer, size);
  } else {
    status = rf_tlsf_init(&allocator_simple->heap.tlsf, buffer, size);
    heap = &allocator_simple->heap.tlsf.base;
  }
  if (status != RF_OK) {
    return NULL;
  }
  allocator_simple->info.buffer = (char *)buffer;
  allocator_simple->info.size = size;
  allocator_simple->info.free_list = &allocator_simple->free_memory;
  (void)rf_awtk_view_init(self, &allocator_simple->view, heap, NULL, simple_publish);
  allocator_simple->view.counters = rf_awtk_simple_counters(allocator_simple);
  return self;
}

bool_t mem_allocator_simple_is_valid(mem_allocator_t *allocator) {
  return rf_awtk_view_of(allocator) != NULL;
}

bool_t mem_allocator_simple_contains(mem_allocator_t *allocator, void *ptr) {
  const mem_info_t *const info = &MEM_ALLOCATOR_SIMPLE(allocator)->info;
  return mem_allocator_simple_is_valid(allocator) && (uintptr_t)ptr - (uintptr_t)info->buffer < info->size;
}

uint32_t mem_allocator_simple_get_mem_size(mem_allocator_t *allocator, void *ptr) {
  rf_allocator *const heap = rf_awtk_allocator(allocator);
  return heap != NULL ? (uint32_t)rf_usable_size(heap, ptr) : 0;
}

/* ---- std ---- */

#if RF_HAS_STD_MALLOC

static uint32_t now(const size_t *counter) {
  return (uint32_t)__atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* From several threads at once: each figure is one that was true a moment ago. */
static void std_publish(mem_allocator_t *self) {
  mem_allocator_std_t *const std = MEM_ALLOCATOR_STD(self);
  __atomic_store_n(&std->used_nr, now(&std->heap.counters.blocks), __ATOMIC_RELAXED);
  __atomic_store_n(&std->used_size, now(&std->heap.counters.used), __ATOMIC_RELAXED);
  __atomic_store_n(&std->max_used_nr, now(&std->heap.counters.peak_blocks), __ATOMIC_RELAXED);
  __atomic_store_n(&std->max_used_size, now(&std->heap.counters.peak), __ATOMIC_RELAXED);
}

mem_allocator_t *mem_allocator_std_init(mem_allocator_std_t *allocator) {
  if (allocator == NULL) {
    return NULL;
  }
  mem_allocator_t *const self = start(allocator, sizeof *allocator);
  (void)rf_std_init(&allocator->heap); /* fails for NULL only */
  (void)rf_awtk_view_init(self, &allocator->view, &allocator->heap.base, NULL, std_publish);
  allocator->view.zero_frees = true;
  return self;
}

#endif

/* ---- lock ---- */

mem_allocator_t *mem_allocator_lock_init(mem_allocator_lock_t *lock, mem_allocator_t *impl) {
  if (lock == NULL || impl == NULL) {
    return NULL;
  }
  mem_allocator_t *const self = start(lock, sizeof *lock);
  if (rf_lock_init(&lock->lock, rf_awtk_below(impl, &lock->below)) != RF_OK) {
    return NULL;
  }
  lock->impl = impl;
  return rf_awtk_view_init(self, &lock->view, &lock->lock.base, impl, NULL);
}

/* ---- pool ---- */

static const uint32_t pool_sizes[TK_MEM_POOLS_NR] = {8, 16, 32, 48, 64};

static void pool_publish(mem_allocator_t *self) {
  mem_allocator_pool_t *const pool = MEM_ALLOCATOR_POOL(self);
  for (unsigned i = 0; i < TK_MEM_POOLS_NR; i++) {
    pool->figures[i].used = (uint32_t)pool->pool.slots[i].stats.used;
  }
}

mem_allocator_t *mem_allocator_pool_init(mem_allocator_pool_t *pool, mem_allocator_t *impl, uint32_t pool8_nr,
                                         uint32_t pool16_nr, uint32_t pool32_nr, uint32_t pool48_nr,
                                         uint32_t pool64_nr) {
  uint32_t const numbers[TK_MEM_POOLS_NR] = {pool8_nr, pool16_nr, pool32_nr, pool48_nr, pool64_nr};
  rf_pool_class classes[TK_MEM_POOLS_NR];
  if (pool == NULL || impl == NULL) {
    return NULL;
  }
  mem_allocator_t *const self = start(pool, sizeof *pool);
  for (unsigned i = 0; i < TK_MEM_POOLS_NR; i++) {
    classes[i] = (rf_pool_class){pool_sizes[i], numbers[i]};
    pool->pools[i] = &pool->figures[i];
    pool->figures[i].block_size = pool_sizes[i];
    pool->figures[i].min_block_size = i == 0 ? 0 : pool_sizes[i - 1] + 1;
    pool->figures[i].block_nr = numbers[i];
    pool->figures[i].bits_size = mem_pool_get_bits_size(numbers[i]);
  }
  rf_pool_options const options = {.classes = classes, .class_count = TK_MEM_POOLS_NR};
  if (rf_pool_init(&pool->pool, rf_awtk_below(impl, &pool->below), &options) != RF_OK) {
    return NULL;
  }
  pool->impl = impl;
  (void)rf_awtk_view_init(self, &pool->view, &pool->pool.base, impl, pool_publish);
  pool->view.counters = &pool->pool.counters;
  rf_awtk_view *const below = rf_awtk_view_of(impl);
  if (below != NULL) {
    below->brief = below->counters != NULL;
  }
  return self;
}

/* ---- debug ---- */

static void list_leaks(mem_allocator_t *self) {
  if (MEM_ALLOCATOR_DEBUG(self)->ledger.counters.blocks != 0) {
    rf_sink_str(rf_awtk_sink(), "leaked: ");
    (void)mem_allocator_dump(self);
  }
}

mem_allocator_t *mem_allocator_debug_init(mem_allocator_debug_t *debug, mem_allocator_t *impl) {
  if (debug == NULL || impl == NULL) {
    return NULL;
  }
  mem_allocator_t *const self = start(debug, sizeof *debug);
  rf_awtk_sites_keep();
  rf_awtk_ledger_init(&debug->ledger, rf_awtk_allocator(impl), impl);
  debug->impl = impl;
  (void)rf_awtk_view_init(self, &debug->view, &debug->ledger.base, impl, NULL);
  debug->view.counters = &debug->ledger.counters;
  debug->view.at_end = list_leaks;
  return self;
}

/* ---- oom ---- */

static rf_mutex callback_lock; /* zeroed, which is initialised */
static tk_mem_on_out_of_memory_t callback;
static void *callback_context;

ret_t tk_mem_set_on_out_of_memory(tk_mem_on_out_of_memory_t on_out_of_memory, void *ctx) {
  rf_mutex_lock(&callback_lock);
  callback = on_out_of_memory;
  callback_context = ctx;
  rf_mutex_unlock(&callback_lock);
  return RET_OK;
}

static bool ask(void *context, unsigned attempt, size_t needed) {
  (void)context;
  rf_mutex_lock(&callback_lock);
  tk_mem_on_out_of_memory_t const fn = callback;
  void *const ctx = callback_context;
  rf_mutex_unlock(&callback_lock);
  uint32_t const size = needed < RF_SIZE_LIMIT && needed < UINT32_MAX ? (uint32_t)needed : UINT32_MAX;
  return fn != NULL && fn(ctx, attempt, size) == RET_OK;
}

mem_allocator_t *mem_allocator_oom_init(mem_allocator_oom_t *oom, mem_allocator_t *impl) {
  if (oom == NULL || impl == NULL) {
    return NULL;
  }
  mem_allocator_t *const self = start(oom, sizeof *oom);
  if (rf_oom_init(&oom->oom, rf_awtk_below(impl, &oom->below), TRY_MAX_TIMES) != RF_OK) {
    return NULL;
  }
  (void)rf_oom_add(&oom->oom, &oom->callback, ask, NULL); /* fails for NULL and what is there already only */
  oom->impl = impl;
  return rf_awtk_view_init(self, &oom->view, &oom->oom.base, impl, NULL);
}

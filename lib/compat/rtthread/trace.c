/* memcheck, memtrace and the lists: heaps printed on the console. */
#include "impl.h"

/* Visits the objects of a class, or the one that the command names; false where a visit returned that. */
static bool for_each(enum rt_object_class_type type, int argc, char **argv, bool (*visit)(struct rt_object *o)) {
  bool fine = true;
  rf_rt_lock();
  for (struct rt_object *o = rf_rt_object_next(type, NULL); o != NULL; o = rf_rt_object_next(type, o)) {
    if (argc < 2 || rf_rt_object_named(o, argv[1])) {
      fine = visit(o) && fine;
    }
  }
  rf_rt_unlock();
  return fine;
}

/* A block, for a heap (NULL: one without owners). */
static bool print_block(const rf_block *block, void *context) {
  rf_rt_smem *const m = (rf_rt_smem *)context;
  uintptr_t const owner = m != NULL && block->used ? rf_smallmem_owner(&m->heap, block->ptr) : 0;
  char name[sizeof owner + 1] = {0};
  memcpy(name, &owner, sizeof owner);
  rt_kprintf("  %p %8lu %s%s\n", block->ptr, (rt_size_t)block->size, block->used ? "used " : "free", name);
  return true;
}

static void print_blocks(rf_allocator *heap, rf_rt_smem *m) {
  if (rf_walk(heap, print_block, m) != RF_OK) {
    rt_kprintf("  *** damaged from here on\n");
  }
}

/* ---- Heaps ---- */

static rf_allocator *calls_of(const struct rt_object *o) {
  static const rf_rt_kind *const kinds[] = {&rf_rt_smem_kind, &rf_rt_slab_kind, &rf_rt_memheap_kind};
  size_t i = 0;
  while (i < sizeof kinds / sizeof kinds[0] - 1 && !rf_rt_heap_is(kinds[i], o)) {
    i++;
  }
  return rf_rt_calls(kinds[i], o);
}

static bool check(struct rt_object *o) {
  rf_fault where;
  if (rf_check(calls_of(o), &where) == RF_OK) {
    return true;
  }
  rt_kprintf("%s: %s at %p\n", o->name, where.what, where.ptr);
  return false;
}

int memcheck(int argc, char **argv) {
  return for_each(RT_Object_Class_Memory, argc, argv, check) ? 0 : -RT_ERROR;
}

int memheapcheck(int argc, char **argv) {
  return for_each(RT_Object_Class_MemHeap, argc, argv, check) ? 0 : -RT_ERROR;
}

static void trace_smem(rf_rt_smem *m) {
  rt_kprintf("  from %p to %p, lowest free %p\n", (void *)m->heap_ptr, m->heap_end, m->lfree);
  print_blocks(&m->heap.base, m);
}

static void trace_slab(rf_rt_slab *m) {
  rt_kprintf("  %lu pages of %lu bytes from %p\n", (rt_size_t)m->heap.count, (rt_size_t)rf_slab_page_size(&m->heap),
             (void *)m->heap.pages);
  print_blocks(&m->heap.base, NULL);
}

static bool trace_memory(struct rt_object *o) {
  const struct rt_memory *const m = (const struct rt_memory *)(const void *)o;
  rt_kprintf("%s: total %lu, used %lu, most used %lu\n", o->name, m->total, m->used, m->max);
  if (rf_rt_heap_is(&rf_rt_slab_kind, o)) {
    trace_slab((rf_rt_slab *)(void *)o);
  } else {
    trace_smem((rf_rt_smem *)(void *)o);
  }
  return true;
}

int memtrace(int argc, char **argv) {
  (void)for_each(RT_Object_Class_Memory, argc, argv, trace_memory);
  return 0;
}

static bool trace_memheap(struct rt_object *o) {
  struct rt_memheap *const h = (struct rt_memheap *)(void *)o;
  rt_kprintf("%s: total %lu, free %lu, most used %lu\n", o->name, h->pool_size, h->available_size, h->max_used_size);
  print_blocks(&h->heap.base, NULL);
  return true;
}

int memheaptrace(int argc, char **argv) {
  (void)for_each(RT_Object_Class_MemHeap, argc, argv, trace_memheap);
  return 0;
}

/* ---- Lists ---- */

void list_mem(void) {
  rt_size_t total;
  rt_size_t used;
  rt_size_t max;
  rt_memory_info(&total, &used, &max);
  rt_kprintf("total %lu, used %lu, most used %lu\n", total, used, max);
}

static bool list_one_memheap(struct rt_object *o) {
  const struct rt_memheap *const h = (const struct rt_memheap *)(const void *)o;
  rt_kprintf("%-*s %10lu %10lu %10lu\n", RT_NAME_MAX, o->name, h->pool_size, h->max_used_size, h->available_size);
  return true;
}

long list_memheap(void) {
  rt_kprintf("%-*s %10s %10s %10s\n", RT_NAME_MAX, "memheap", "total", "most used", "free");
  (void)for_each(RT_Object_Class_MemHeap, 0, NULL, list_one_memheap);
  return 0;
}

static bool list_one_pool(struct rt_object *o) {
  const struct rt_mempool *const mp = (const struct rt_mempool *)(const void *)o;
  rt_kprintf("%-*s %10lu %10lu %10lu\n", RT_NAME_MAX, o->name, mp->block_size, mp->block_total_count,
             mp->block_free_count);
  return true;
}

long list_mempool(void) {
  rt_kprintf("%-*s %10s %10s %10s\n", RT_NAME_MAX, "mempool", "block size", "blocks", "free");
  (void)for_each(RT_Object_Class_MemPool, 0, NULL, list_one_pool);
  return 0;
}

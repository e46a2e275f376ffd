/* memcheck, memtrace and the lists: heaps printed on the console. */
#include "impl.h"

/* Whether the arguments of a command ask for this object. */
static bool wanted(const struct rt_object *object, int argc, char **argv) {
  return argc < 2 || rf_rt_object_named(object, argv[1]);
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

static bool check(rf_allocator *heap, const char *name) {
  rf_fault where;
  if (rf_check(heap, &where) == RF_OK) {
    return true;
  }
  rt_kprintf("%s: %s at %p\n", name, where.what, where.ptr);
  return false;
}

/* ---- Small memory and slabs ---- */

/* What calls to a heap of the class Memory go to. */
static rf_allocator *calls_of(struct rt_object *o) {
  const struct rt_memory *const m = (const struct rt_memory *)(const void *)o;
  return m->algorithm == rf_rt_slabs ? ((rf_rt_slab *)(void *)o)->calls : ((rf_rt_smem *)(void *)o)->calls;
}

int memcheck(int argc, char **argv) {
  bool fine = true;
  rf_rt_lock();
  for (struct rt_object *o = rf_rt_object_next(RT_Object_Class_Memory, NULL); o != NULL;
       o = rf_rt_object_next(RT_Object_Class_Memory, o)) {
    fine = (!wanted(o, argc, argv) || check(calls_of(o), o->name)) && fine;
  }
  rf_rt_unlock();
  return fine ? 0 : -RT_ERROR;
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

static void trace_memory(struct rt_memory *m) {
  rt_kprintf("%s: total %lu, used %lu, most used %lu\n", m->parent.name, m->total, m->used, m->max);
  if (m->algorithm == rf_rt_slabs) {
    trace_slab((rf_rt_slab *)(void *)m);
  } else {
    trace_smem((rf_rt_smem *)(void *)m);
  }
}

int memtrace(int argc, char **argv) {
  rf_rt_lock();
  for (struct rt_object *o = rf_rt_object_next(RT_Object_Class_Memory, NULL); o != NULL;
       o = rf_rt_object_next(RT_Object_Class_Memory, o)) {
    if (wanted(o, argc, argv)) {
      trace_memory((struct rt_memory *)(void *)o);
    }
  }
  rf_rt_unlock();
  return 0;
}

void list_mem(void) {
  rt_size_t total;
  rt_size_t used;
  rt_size_t max;
  rt_memory_info(&total, &used, &max);
  rt_kprintf("total %lu, used %lu, most used %lu\n", total, used, max);
}

/* ---- memheap ---- */

int memheapcheck(int argc, char **argv) {
  bool fine = true;
  rf_rt_lock();
  for (struct rt_object *o = rf_rt_object_next(RT_Object_Class_MemHeap, NULL); o != NULL;
       o = rf_rt_object_next(RT_Object_Class_MemHeap, o)) {
    fine = (!wanted(o, argc, argv) || check(((struct rt_memheap *)(void *)o)->calls, o->name)) && fine;
  }
  rf_rt_unlock();
  return fine ? 0 : -RT_ERROR;
}

static void trace_memheap(struct rt_memheap *h) {
  rt_kprintf("%s: total %lu, free %lu, most used %lu\n", h->parent.name, h->pool_size, h->available_size,
             h->max_used_size);
  print_blocks(&h->heap.base, NULL);
}

int memheaptrace(int argc, char **argv) {
  rf_rt_lock();
  for (struct rt_object *o = rf_rt_object_next(RT_Object_Class_MemHeap, NULL); o != NULL;
       o = rf_rt_object_next(RT_Object_Class_MemHeap, o)) {
    if (wanted(o, argc, argv)) {
      trace_memheap((struct rt_memheap *)(void *)o);
    }
  }
  rf_rt_unlock();
  return 0;
}

long list_memheap(void) {
  rt_kprintf("%-*s %10s %10s %10s\n", RT_NAME_MAX, "memheap", "total", "most used", "free");
  rf_rt_lock();
  for (struct rt_object *o = rf_rt_object_next(RT_Object_Class_MemHeap, NULL); o != NULL;
       o = rf_rt_object_next(RT_Object_Class_MemHeap, o)) {
    const struct rt_memheap *const h = (const struct rt_memheap *)(const void *)o;
    rt_kprintf("%-*s %10lu %10lu %10lu\n", RT_NAME_MAX, o->name, h->pool_size, h->max_used_size, h->available_size);
  }
  rf_rt_unlock();
  return 0;
}

/* ---- Pools ---- */

long list_mempool(void) {
  rt_kprintf("%-*s %10s %10s %10s\n", RT_NAME_MAX, "mempool", "block size", "blocks", "free");
  rf_rt_lock();
  for (struct rt_object *o = rf_rt_object_next(RT_Object_Class_MemPool, NULL); o != NULL;
       o = rf_rt_object_next(RT_Object_Class_MemPool, o)) {
    const struct rt_mempool *const mp = (const struct rt_mempool *)(const void *)o;
    rt_kprintf("%-*s %10lu %10lu %10lu\n", RT_NAME_MAX, o->name, mp->block_size, mp->block_total_count,
               mp->block_free_count);
  }
  rf_rt_unlock();
  return 0;
}

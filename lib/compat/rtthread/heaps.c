/* The calls that small-memory heaps, slabs and memheaps have in common. */
#include "impl.h"

bool rf_rt_heap_is(const rf_rt_kind *kind, const struct rt_object *o) {
  return o->type == kind->type &&
         (kind->algorithm == NULL || ((const struct rt_memory *)(const void *)o)->algorithm == kind->algorithm);
}

struct rt_object *rf_rt_heap_next(const rf_rt_kind *kind, const struct rt_object *heap) {
  struct rt_object *o = rf_rt_object_next(kind->type, heap);
  while (o != NULL && !rf_rt_heap_is(kind, o)) {
    o = rf_rt_object_next(kind->type, o);
  }
  return o;
}

bool rf_rt_heap_exists(const rf_rt_kind *kind, const void *heap) {
  const struct rt_object *o = rf_rt_heap_next(kind, NULL);
  while (o != NULL && o != heap) {
    o = rf_rt_heap_next(kind, o);
  }
  return o != NULL;
}

static rt_size_t size_of(const struct rt_object *heap) {
  return heap->type == RT_Object_Class_Memory ? ((const struct rt_memory *)(const void *)heap)->total
                                              : ((const struct rt_memheap *)(const void *)heap)->pool_size;
}

struct rt_object *rf_rt_heap_of(const rf_rt_kind *kind, const void *ptr) {
  struct rt_object *found = NULL;
  for (struct rt_object *o = rf_rt_heap_next(kind, NULL); o != NULL; o = rf_rt_heap_next(kind, o)) {
    if (rf_owns(rf_rt_calls(kind, o), ptr) && (found == NULL || size_of(o) < size_of(found))) {
      found = o;
    }
  }
  return found;
}

void *rf_rt_heap_realloc(const rf_rt_kind *kind, void *heap, void *ptr, rt_size_t size, const rf_site *site) {
  void *p = NULL;
  rf_rt_lock();
  if (rf_rt_heap_exists(kind, heap)) {
    p = rf_realloc_at(rf_rt_calls(kind, heap), ptr, size, RF_ALIGN_DEFAULT, site);
    kind->publish(heap);
  }
  rf_rt_unlock();
  return p;
}

/* Inside the lock. */
static void free_in(const rf_rt_kind *kind, struct rt_object *heap, void *ptr, const rf_site *site) {
  if (heap != NULL) {
    (void)rf_free_at(rf_rt_calls(kind, heap), ptr, site);
    kind->publish(heap);
  } else if (ptr != NULL) {
    (void)rf_fault_refuse(NULL, RF_ERR_BAD_POINTER, kind->missing, ptr, site);
  }
}

void rf_rt_heap_free(const rf_rt_kind *kind, void *heap, void *ptr, const rf_site *site) {
  rf_rt_lock();
  free_in(kind, rf_rt_heap_exists(kind, heap) ? (struct rt_object *)heap : NULL, ptr, site);
  rf_rt_unlock();
}

void rf_rt_heap_free_owned(const rf_rt_kind *kind, void *ptr, const rf_site *site) {
  rf_rt_lock();
  struct rt_object *const owner = rf_rt_heap_of(kind, ptr);
  /* Without an owner the first heap refuses it: its checker, if it has one, makes a finding of it. */
  free_in(kind, owner != NULL ? owner : rf_rt_heap_next(kind, NULL), ptr, site);
  rf_rt_unlock();
}

rt_err_t rf_rt_heap_end(const rf_rt_kind *kind, void *heap) {
  rf_rt_lock();
  bool const known = rf_rt_heap_exists(kind, heap);
  rf_rt_unlock();
  if (!known || !rf_rt_object_remove((struct rt_object *)heap, kind->type)) {
    return -RT_EINVAL;
  }
  rf_deinit(rf_rt_calls(kind, heap));
  return RT_EOK;
}

/* Those that have had a heap, so that a program that uses one kind links no code of the other. */
static const rf_rt_kind *memory_kinds[2];

static void note_kind(const rf_rt_kind *kind) {
  rf_rt_lock();
  unsigned at = 0;
  while (memory_kinds[at] != NULL && memory_kinds[at] != kind) {
    at++;
  }
  memory_kinds[at] = kind;
  rf_rt_unlock();
}

void rf_rt_memory_end(void *heap) {
  for (unsigned i = 0; i < 2; i++) {
    rf_rt_lock();
    const rf_rt_kind *const kind = memory_kinds[i];
    rf_rt_unlock();
    if (kind != NULL) {
      (void)rf_rt_heap_end(kind, heap);
    }
  }
}

void rf_rt_memory_add(const rf_rt_kind *kind, struct rt_memory *m, const char *name, void *start, rt_size_t total) {
  note_kind(kind);
  m->algorithm = kind->algorithm;
  m->address = (rt_ubase_t)start;
  m->total = total;
  m->used = 0;
  m->max = 0;
  rf_rt_object_add(&m->parent, kind->type, name);
}

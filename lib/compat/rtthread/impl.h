/* Shared by the sources of the RT-Thread API; internal to lib/compat/rtthread. Layers, each using those before it only:
 * kprintf; service (lock, objects); heaps; smem, slab, memheap; heap (rt_malloc); mempool, trace. */
#ifndef RINGFENCE_RTTHREAD_IMPL_H
#define RINGFENCE_RTTHREAD_IMPL_H

#define RINGFENCE_RTTHREAD_IMPL /* functions, not the macros over them */

#include <ringfence/port.h>
#include <ringfence/rtthread.h>
#include <ringfence/slab.h>
#include <ringfence/smallmem.h>

/* ---- service.c ---- */

/* The one lock of all heaps and of the list of objects. Hooks, the wrap function and waits run outside it. */
void rf_rt_lock(void);
void rf_rt_unlock(void);

/* Names the object and puts it into the list of its class. */
void rf_rt_object_add(struct rt_object *object, enum rt_object_class_type type, const char *name);
/* Takes it out; false, with nothing changed, where it is not in the list. */
bool rf_rt_object_remove(struct rt_object *object, enum rt_object_class_type type);
bool rf_rt_object_named(const struct rt_object *object, const char *name);
/* The first of a class or the one after `object`, NULL at the end. Inside the lock. */
struct rt_object *rf_rt_object_next(enum rt_object_class_type type, const struct rt_object *object);

/* The heap that rt_malloc serves from; set by heap.c, and NULL again once that object is removed. Inside the lock. */
extern struct rt_object *rf_rt_system_heap;

/* The result of the program's wrap function for a new heap: the heap itself where there is none. */
rf_allocator *rf_rt_wrapped(rf_allocator *heap, const char *name);

/* The owner word of the calling thread, kept in each block of a small-memory heap. */
uintptr_t rf_rt_owner(const rf_site *site);

/* *out = value, or the largest rt_uint32_t where it does not fit; nothing for NULL. */
void rf_rt_narrow(rt_uint32_t *out, rt_size_t value);

/* ---- heaps.c: the calls that small-memory heaps, slabs and memheaps have in common ---- */

typedef struct rf_rt_kind {
  enum rt_object_class_type type;
  const char *algorithm;                   /* the very pointer in struct rt_memory; NULL: not of the class Memory */
  size_t calls_at;                         /* offset of the rf_allocator * that all calls go to */
  void (*publish)(struct rt_object *heap); /* brings the public figures up to date */
  const char *missing;                     /* text of the fault for a pointer while no such heap exists */
} rf_rt_kind;

static inline rf_allocator *rf_rt_calls(const rf_rt_kind *kind, const struct rt_object *heap) {
  return *(rf_allocator *const *)(const void *)((const char *)heap + kind->calls_at);
}

/* Inside the lock: whether `o` is of that kind; the first heap or the one after `heap`, NULL at the end; whether
 * `heap`, any pointer, is one; and the heap that owns `ptr`, the inner one where one heap lies in a block of another,
 * else NULL. */
bool rf_rt_heap_is(const rf_rt_kind *kind, const struct rt_object *o);
struct rt_object *rf_rt_heap_next(const rf_rt_kind *kind, const struct rt_object *heap);
bool rf_rt_heap_exists(const rf_rt_kind *kind, const void *heap);
struct rt_object *rf_rt_heap_of(const rf_rt_kind *kind, const void *ptr);

/* Outside the lock. `heap` may be any pointer: for one that is no heap of the kind the result is NULL or -RT_EINVAL,
 * and a free is reported. `ptr` NULL: an allocation. */
void *rf_rt_heap_realloc(const rf_rt_kind *kind, void *heap, void *ptr, rt_size_t size, const rf_site *site);
void rf_rt_heap_free(const rf_rt_kind *kind, void *heap, void *ptr, const rf_site *site);
/* The same in the heap that owns `ptr`. */
void rf_rt_heap_free_owned(const rf_rt_kind *kind, void *ptr, const rf_site *site);
rt_err_t rf_rt_heap_end(const rf_rt_kind *kind, void *heap);

/* Ends the heap of the class Memory that `heap`, any pointer, is: another one is made in its place. */
void rf_rt_memory_end(void *heap);

/* A heap of the class Memory becomes known: name, figures and address. */
void rf_rt_memory_add(const rf_rt_kind *kind, struct rt_memory *m, const char *name, void *start, rt_size_t total);

/* ---- smem.c ---- */

/* The beginning is RT-Thread's own, which its unit tests look into; offsets and headers are those of rf_smallmem. */
typedef struct rf_rt_smem {
  struct rt_memory parent;
  rt_uint8_t *heap_ptr;
  void *heap_end;
  void *lfree;
  rt_size_t mem_size_aligned;
  rf_smallmem heap;
  rf_allocator *calls;
} rf_rt_smem;

extern const rf_rt_kind rf_rt_smem_kind;

/* ---- slab.c ---- */

typedef struct rf_rt_slab {
  struct rt_memory parent;
  rf_slab heap;
  rf_allocator *calls;
} rf_rt_slab;

extern const rf_rt_kind rf_rt_slab_kind;

/* ---- memheap.c ---- */

extern const rf_rt_kind rf_rt_memheap_kind;

/* Total, used and peak of all memheaps together, inside the lock; the peak is counted anew after a reset. */
void rf_rt_memheap_totals(struct rt_memory *out);
void rf_rt_memheap_reset_peak(void);

#endif /* RINGFENCE_RTTHREAD_IMPL_H */

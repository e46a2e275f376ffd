/* What the parts of the RT-Thread API share. Internal to lib/compat/rtthread. */
#ifndef RINGFENCE_RTTHREAD_IMPL_H
#define RINGFENCE_RTTHREAD_IMPL_H

#define RINGFENCE_RTTHREAD_IMPL /* functions, not the macros over them */

#include <ringfence/port.h>
#include <ringfence/rtthread.h>
#include <ringfence/slab.h>
#include <ringfence/smallmem.h>

/* The one lock of all heaps and of the list of objects. Hooks, the wrap function and waiting never happen inside it. */
void rf_rt_lock(void);
void rf_rt_unlock(void);

/* ---- service.c ---- */

/* Names the object and puts it into the list of its class. */
void rf_rt_object_add(struct rt_object *object, enum rt_object_class_type type, const char *name);
/* Takes it out. False, nothing done, where it is not there. */
bool rf_rt_object_remove(struct rt_object *object, enum rt_object_class_type type);
/* Whether `object`, any pointer, is in the list of the class; inside the lock. */
bool rf_rt_object_exists(const void *object, enum rt_object_class_type type);
bool rf_rt_object_named(const struct rt_object *object, const char *name);
/* The first of a class or the one after `object`; inside the lock. NULL at the end. */
struct rt_object *rf_rt_object_next(enum rt_object_class_type type, const struct rt_object *object);

/* Two kinds of heap are of the class Memory: struct rt_memory's `algorithm` is one of these, the very pointers. */
extern const char rf_rt_small[];
extern const char rf_rt_slabs[];
/* The first of that class and kind, or the one after `m`; inside the lock. NULL at the end. */
struct rt_memory *rf_rt_memory_next(const char *algorithm, const struct rt_memory *m);
/* Whether `m`, any pointer, is in the list and of that kind; inside the lock. */
bool rf_rt_memory_exists(const void *m, const char *algorithm);
/* Makes it known: name, figures and address; then it counts. */
void rf_rt_memory_add(struct rt_memory *m, const char *algorithm, const char *name, void *start, rt_size_t total);

/* What the program's wrap function makes of a new heap. */
rf_allocator *rf_rt_wrapped(rf_allocator *heap, const char *name);

/* The owner word of the calling thread. */
uintptr_t rf_rt_owner(const rf_site *site);

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

/* The heap that holds `ptr`, the inner one where one lies in a block of the other; NULL: none. Inside the lock. */
rf_rt_smem *rf_rt_smem_of(const void *ptr);
/* Brings the public figures up to date; inside the lock. */
void rf_rt_smem_note(rf_rt_smem *m);

/* ---- slab.c ---- */

typedef struct rf_rt_slab {
  struct rt_memory parent;
  rf_slab heap;
  rf_allocator *calls;
} rf_rt_slab;

/* Brings the public figures up to date; inside the lock. */
void rf_rt_slab_note(rf_rt_slab *m);

/* ---- memheap.c ---- */

/* As those two. */
struct rt_memheap *rf_rt_memheap_of(const void *ptr);
void rf_rt_memheap_note(struct rt_memheap *heap);

/* ---- heap.c ---- */

/* Told that the figures of a memheap have changed; inside the lock. */
void rf_rt_heap_changed(void);
/* Told that a heap ends: the system heap is no more if it is that one. */
void rf_rt_heap_gone(const struct rt_object *object);

#endif /* RINGFENCE_RTTHREAD_IMPL_H */

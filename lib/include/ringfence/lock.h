/* lock: makes any allocator usable from several threads, by one mutex around every operation.
 *
 *     rf_lock lock;
 *     if (rf_lock_init(&lock, &heap.base) == RF_OK) {
 *       char *p = rf_alloc(&lock.base, 13);
 *
 * Source: AWTK's mem_allocator_lock. The lock offers and lacks the same as the inner allocator: where that has no
 * realloc, the copy is made under the lock, in one piece; where it has no walk, the answer is that there is none.
 *
 * Complexity: the inner allocator's, plus locking and unlocking once. Memory: none per block. Alignment, "returns NULL
 * iff": the inner allocator's, and RF_ERR_BUSY below.
 *
 * Threads: any, at any time, but for init and deinit. Interrupts: with port/bare.c, where a lock masks them; not on
 * hosted systems, nor from signal handlers.
 *
 * Callbacks run inside the lock: the fault handler, the visitor of a walk. They must not call this allocator. One that
 * does, or a signal handler that interrupted an operation in the same thread, at whatever point, is not left waiting
 * for itself for ever: its call is refused with RF_ERR_BUSY and reported. Nor may they leave by longjmp or an
 * exception: the lock would stay taken. Decorators whose callbacks use the heap belong outside: program -> oom -> lock
 * -> heap, where the callbacks of oom run with the lock free. Checkers belong inside: program -> lock -> guard -> heap.
 *
 * fork: a child must not use an allocator that another thread was inside of at that moment.
 */
#ifndef RINGFENCE_LOCK_H
#define RINGFENCE_LOCK_H

#include <ringfence/allocator.h>
#include <ringfence/port.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The caller's storage, its fields the lock's own. */
typedef struct rf_lock {
  rf_allocator base;
  rf_allocator *inner; /* NULL after deinit */
  rf_mutex mutex;
  uint32_t holder; /* the thread inside, 0: none; accessed atomically */
} rf_lock;

/* Wraps `inner`, which must outlive the lock and be used through it only. RF_OK: &lock->base is an allocator.
 * RF_ERR_INVALID for NULL arguments, RF_ERR_NO_MEMORY where the system refuses a mutex: `lock` is then no allocator,
 * and there is nothing to end. From one thread; rf_deinit, too, when no other thread is inside or on its way. */
rf_status rf_lock_init(rf_lock *lock, rf_allocator *inner);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_LOCK_H */

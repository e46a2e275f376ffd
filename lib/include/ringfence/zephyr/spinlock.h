/* Zephyr: the lock that code around a sys_heap, which has none, holds. A mutex here, which masks interrupts over the
 * bare port; not recursive, and not to be waited under. Part of <zephyr/kernel.h>. */
#ifndef RINGFENCE_ZEPHYR_SPINLOCK_H
#define RINGFENCE_ZEPHYR_SPINLOCK_H

#include <ringfence/port.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zeroed, it is ready. */
struct k_spinlock {
  rf_mutex mutex;
  uint32_t holder; /* thread; 0: none */
};

struct z_spinlock_key {
  int key;
};
typedef struct z_spinlock_key k_spinlock_key_t;

static inline k_spinlock_key_t k_spin_lock(struct k_spinlock *l) {
  k_spinlock_key_t const key = {0};
  rf_mutex_lock(&l->mutex);
  __atomic_store_n(&l->holder, rf_port_thread_id(), __ATOMIC_RELAXED);
  return key;
}

static inline void k_spin_unlock(struct k_spinlock *l, k_spinlock_key_t key) {
  (void)key;
  __atomic_store_n(&l->holder, 0, __ATOMIC_RELAXED);
  rf_mutex_unlock(&l->mutex);
}

/* Runs the statement after it with the lock held; K_SPINLOCK_BREAK leaves it, return and goto would keep the lock. */
#define K_SPINLOCK(lock) RF_ZEPHYR_HOLD_(lock, __LINE__)
#define K_SPINLOCK_BREAK continue

/* ---- Parts of the macros above ---- */

#define RF_ZEPHYR_HOLD_(lock, line) RF_ZEPHYR_HOLD_2_(lock, line)
#define RF_ZEPHYR_HOLD_2_(lock, line)                                                                                  \
  for (struct k_spinlock *rf_held_##line = rf_zephyr_hold(lock); rf_held_##line != NULL;                               \
       rf_held_##line = rf_zephyr_let_go(rf_held_##line))

static inline struct k_spinlock *rf_zephyr_hold(struct k_spinlock *l) {
  (void)k_spin_lock(l);
  return l;
}

static inline struct k_spinlock *rf_zephyr_let_go(struct k_spinlock *l) {
  k_spinlock_key_t const key = {0};
  k_spin_unlock(l, key);
  return NULL;
}

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* RINGFENCE_ZEPHYR_SPINLOCK_H */

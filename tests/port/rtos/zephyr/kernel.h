/* The part of Zephyr's published kernel interface that lib/port/zephyr.c uses, for a test on a host: declared as its
 * reference has it, and defined in ports_test.cc. */
#ifndef TESTS_PORT_RTOS_ZEPHYR_KERNEL_H
#define TESTS_PORT_RTOS_ZEPHYR_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
  int64_t ticks;
} k_timeout_t;

#define K_NO_WAIT ((k_timeout_t){0})
#define K_FOREVER ((k_timeout_t){-1})
#define K_MSEC(ms) ((k_timeout_t){(int64_t)(ms)})

struct k_spinlock {
  uintptr_t locked;
};

typedef struct z_spinlock_key {
  int key;
} k_spinlock_key_t;

struct k_sem {
  unsigned count;
  unsigned limit;
};

typedef struct k_thread *k_tid_t;

#ifdef __cplusplus
extern "C" {
#endif
k_spinlock_key_t k_spin_lock(struct k_spinlock *lock);
void k_spin_unlock(struct k_spinlock *lock, k_spinlock_key_t key);
int k_sem_init(struct k_sem *sem, unsigned initial_count, unsigned limit);
void k_sem_give(struct k_sem *sem);
int k_sem_take(struct k_sem *sem, k_timeout_t timeout);
bool k_is_in_isr(void);
int64_t k_uptime_ticks(void);
uint64_t k_ticks_to_ns_floor64(uint64_t ticks);
k_tid_t k_current_get(void);
void k_panic(void);
#ifdef __cplusplus
}
#endif

#endif /* TESTS_PORT_RTOS_ZEPHYR_KERNEL_H */

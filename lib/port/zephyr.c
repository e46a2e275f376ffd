/* The port for Zephyr, 3.2 and later. Compile it in place of bare.c, as a source of your application.
 *
 * Mutex: a spinlock, as Zephyr's own heaps have it: zeroed storage is ready, and interrupts may call a locked
 * allocator.
 * Event: a semaphore. Log: printk. */
#include <ringfence/port.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>

#include "atomic_calls.h"

/* ---- Mutex ---- */

typedef struct mutex {
  struct k_spinlock lock;
  k_spinlock_key_t key; /* of who holds it */
} mutex;

_Static_assert(sizeof(mutex) <= sizeof(rf_mutex), "fits");
_Static_assert(sizeof(struct k_sem) <= sizeof(rf_event), "fits");

rf_status rf_mutex_init(rf_mutex *m) {
  *(mutex *)(void *)m = (mutex){0};
  return RF_OK;
}

void rf_mutex_deinit(rf_mutex *m) {
  (void)m;
}

void rf_mutex_lock(rf_mutex *m) {
  mutex *const own = (mutex *)(void *)m;
  k_spinlock_key_t const key = k_spin_lock(&own->lock);
  own->key = key;
}

void rf_mutex_unlock(rf_mutex *m) {
  mutex *const own = (mutex *)(void *)m;
  k_spin_unlock(&own->lock, own->key);
}

/* ---- Event ---- */

static struct k_sem *semaphore_of(rf_event *event) {
  return (struct k_sem *)(void *)event;
}

rf_status rf_event_init(rf_event *event) {
  return k_sem_init(semaphore_of(event), 0, 1) == 0 ? RF_OK : RF_ERR_NO_MEMORY;
}

void rf_event_deinit(rf_event *event) {
  (void)event;
}

void rf_event_set(rf_event *event) {
  k_sem_give(semaphore_of(event));
}

rf_status rf_event_wait(rf_event *event, uint32_t timeout_ms) {
  k_timeout_t const wait = k_is_in_isr() ? K_NO_WAIT : timeout_ms == RF_WAIT_FOREVER ? K_FOREVER : K_MSEC(timeout_ms);
  return k_sem_take(semaphore_of(event), wait) == 0 ? RF_OK : RF_ERR_TIMEOUT;
}

/* ---- The rest ---- */

/* 0 would mean that there is no clock. */
uint64_t rf_port_now_ns(void) {
  return k_ticks_to_ns_floor64((uint64_t)k_uptime_ticks()) + 1;
}

uint32_t rf_port_thread_id(void) {
  uint32_t const thread = (uint32_t)(uintptr_t)k_current_get();
  return k_is_in_isr() ? UINT32_MAX : thread != 0 ? thread : 1;
}

bool rf_port_in_interrupt(void) {
  return k_is_in_isr();
}

void rf_port_log(const char *text, size_t len) {
  printk("%.*s", (int)len, text);
}

_Noreturn void rf_port_panic(void) {
  k_panic();
  for (;;) {
  }
}

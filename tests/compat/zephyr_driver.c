/* A driver with a heap of its own: made before main, locked by itself. */
#include "zephyr_manual.h"

#include <zephyr/init.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/sys_heap.h>

#define BYTES 2048

static uint8_t memory[BYTES] __noinit __aligned(8);
static struct sys_heap heap;
static struct k_spinlock lock;
static uint32_t turn;
static uint32_t first;
static uint32_t second;

/* Before Zephyr 3.3. */
static int late(const struct device *dev) {
  second = ++turn;
  return dev == NULL ? 0 : -EINVAL;
}
SYS_INIT(late, APPLICATION, 0);

static int early(void) {
  sys_heap_init(&heap, memory, sizeof(memory));
  first = ++turn;
  return 0;
}
SYS_INIT(early, PRE_KERNEL_1, 99);

void *driver_alloc(size_t size) {
  k_spinlock_key_t const key = k_spin_lock(&lock);
  void *const p = sys_heap_alloc(&heap, size);
  k_spin_unlock(&lock, key);
  return p;
}

void driver_free(void *p) {
  K_SPINLOCK(&lock) {
    if (p == NULL) {
      K_SPINLOCK_BREAK;
    }
    sys_heap_free(&heap, p);
  }
}

int driver_order(void) {
  return first == 1 && second == 2 ? 0 : -1;
}

/* Resizes in a kernel heap as code from before k_heap_realloc does. */
K_HEAP_DEFINE(driver_heap, 1024);

int driver_resize(void) {
  char *p = k_heap_alloc(&driver_heap, 100, K_NO_WAIT);
  if (p == NULL) {
    return -ENOMEM;
  }
  p[99] = 7;
  k_spinlock_key_t const key = k_spin_lock(&driver_heap.lock);
  p = sys_heap_realloc(&driver_heap.heap, p, 500);
  k_spin_unlock(&driver_heap.lock, key);
  int const status = p != NULL && p[99] == 7 ? 0 : -ENOMEM;
  k_heap_free(&driver_heap, p);
  return status;
}

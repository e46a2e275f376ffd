/* Functions that a compiler calls for atomic access where it has no instructions for that, and that C libraries of
 * boards lack: gcc on Cortex-M0 and RISC-V without A, and for bytes on RISC-V with it; clang for loads and stores on
 * Cortex-M0, too. One that the program has (pico-sdk's, libatomic's) comes before them.
 *
 * For one core, which loads and stores in one piece; what reads and writes holds a mutex of the port. Part of each port
 * but posix.c.
 */
#ifndef RINGFENCE_PORT_ATOMIC_CALLS_H
#define RINGFENCE_PORT_ATOMIC_CALLS_H

#include <ringfence/port.h>

/* `used`: link-time optimisation sees no call of it yet. */
#define RF_ATOMIC_CALL(name, size) __asm__("__atomic_" #name "_" #size) __attribute__((weak, used))

#define RF_ATOMIC_LOAD_AND_STORE(type, size)                                                                           \
  type rf_atomic_load_##size(const volatile void *p, int order) RF_ATOMIC_CALL(load, size);                            \
  void rf_atomic_store_##size(volatile void *p, type value, int order) RF_ATOMIC_CALL(store, size);                    \
                                                                                                                       \
  type rf_atomic_load_##size(const volatile void *p, int order) {                                                      \
    (void)order;                                                                                                       \
    type const value = *(const volatile type *)p;                                                                      \
    __asm__ volatile("" : : : "memory");                                                                               \
    return value;                                                                                                      \
  }                                                                                                                    \
  void rf_atomic_store_##size(volatile void *p, type value, int order) {                                               \
    (void)order;                                                                                                       \
    __asm__ volatile("" : : : "memory");                                                                               \
    *(volatile type *)p = value;                                                                                       \
  }

/* Writes `next`, an expression of `before` and `value`; gives `before`. */
#define RF_ATOMIC_UPDATE(type, size, name, next)                                                                       \
  type rf_atomic_##name##_##size(volatile void *p, type value, int order) RF_ATOMIC_CALL(name, size);                  \
                                                                                                                       \
  type rf_atomic_##name##_##size(volatile void *p, type value, int order) {                                            \
    (void)order;                                                                                                       \
    rf_mutex_lock(&rf_atomic_alone);                                                                                   \
    type const before = *(volatile type *)p;                                                                           \
    *(volatile type *)p = (next);                                                                                      \
    rf_mutex_unlock(&rf_atomic_alone);                                                                                 \
    return before;                                                                                                     \
  }

#ifndef __GCC_HAVE_SYNC_COMPARE_AND_SWAP_1
static rf_mutex rf_atomic_alone; /* zeroed, which is initialised */

RF_ATOMIC_LOAD_AND_STORE(uint8_t, 1)
RF_ATOMIC_UPDATE(uint8_t, 1, exchange, value)
#endif

#ifndef __GCC_HAVE_SYNC_COMPARE_AND_SWAP_4
RF_ATOMIC_LOAD_AND_STORE(uint32_t, 4)
RF_ATOMIC_UPDATE(uint32_t, 4, exchange, value)
RF_ATOMIC_UPDATE(uint32_t, 4, fetch_add, before + value)
RF_ATOMIC_UPDATE(uint32_t, 4, fetch_sub, before - value)

/* Calls pass both orders. gcc's declaration has one argument more before them, and link-time optimisation compares it
 * with this one. Neither is read. */
bool rf_atomic_compare_exchange_4(volatile void *p, void *expected, uint32_t value, bool weak, int success, int failure)
    RF_ATOMIC_CALL(compare_exchange, 4);

bool rf_atomic_compare_exchange_4(volatile void *p, void *expected, uint32_t value, bool weak, int success,
                                  int failure) {
  (void)weak;
  (void)success;
  (void)failure;
  rf_mutex_lock(&rf_atomic_alone);
  uint32_t const before = *(volatile uint32_t *)p;
  bool const same = before == *(uint32_t *)expected;
  *(volatile uint32_t *)p = same ? value : before;
  *(uint32_t *)expected = before;
  rf_mutex_unlock(&rf_atomic_alone);
  return same;
}
#endif

#endif /* RINGFENCE_PORT_ATOMIC_CALLS_H */

#include "threads.h"

#define NUMBERS 65536U
#define TRIES 64U

static uint32_t threads[NUMBERS]; /* accessed atomically; number 0 is none */

uint16_t rf_thread_number(uint32_t thread) {
  for (uint32_t i = 0; i < TRIES; i++) {
    uint32_t const number = (thread + i) % (NUMBERS - 1) + 1;
    uint32_t known = 0;
    if (__atomic_compare_exchange_n(&threads[number], &known, thread, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED) ||
        known == thread) {
      return (uint16_t)number;
    }
  }
  return 0;
}

uint32_t rf_thread_of_number(uint16_t number) {
  return number != 0 ? __atomic_load_n(&threads[number], __ATOMIC_RELAXED) : 0;
}

#include "threads.h"

#define TRIES 64U

uint32_t rf_thread_table[RF_THREAD_NUMBERS];

uint16_t rf_thread_number(uint32_t thread) {
  for (uint32_t i = 0; i < TRIES; i++) {
    uint32_t const number = (thread + i) % (RF_THREAD_NUMBERS - 1) + 1;
    uint32_t known = 0;
    if (__atomic_compare_exchange_n(&rf_thread_table[number], &known, thread, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED) ||
        known == thread) {
      return (uint16_t)number;
    }
  }
  return 0;
}

uint32_t rf_thread_of_number(uint16_t number) {
  return number != 0 ? __atomic_load_n(&rf_thread_table[number], __ATOMIC_RELAXED) : 0;
}

/* Numbers of threads in 16 bits, for slots: the same for the same kernel's number. Any thread; lock-free. */
#ifndef RINGFENCE_DROPIN_HEAP_THREADS_H
#define RINGFENCE_DROPIN_HEAP_THREADS_H

#include <stdint.h>

#define RF_THREAD_NUMBERS 65536U

/* The kernel's numbers by ours, 0 being none; accessed atomically. */
extern uint32_t rf_thread_table[RF_THREAD_NUMBERS] __attribute__((visibility("hidden")));

/* 0 where there were too many threads to tell them apart. */
uint16_t rf_thread_number(uint32_t thread);

/* The kernel's number; 0: not known. */
uint32_t rf_thread_of_number(uint16_t number);

#endif /* RINGFENCE_DROPIN_HEAP_THREADS_H */

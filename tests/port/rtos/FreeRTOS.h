/* The part of FreeRTOS's published interface that lib/port/freertos.c and lib/compat/system_malloc.c use, for a test on
 * a host: declared as its reference manual has it, and defined in ports_test.cc. */
#ifndef TESTS_PORT_RTOS_FREERTOS_H
#define TESTS_PORT_RTOS_FREERTOS_H

#include <stddef.h>
#include <stdint.h>

typedef long BaseType_t;
typedef unsigned long UBaseType_t;
typedef uint32_t TickType_t;

#define pdFALSE ((BaseType_t)0)
#define pdTRUE ((BaseType_t)1)
#define configTICK_RATE_HZ 1000U

#endif /* TESTS_PORT_RTOS_FREERTOS_H */

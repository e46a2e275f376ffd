/* See FreeRTOS.h beside this. */
#ifndef TESTS_PORT_RTOS_TASK_H
#define TESTS_PORT_RTOS_TASK_H

#include "FreeRTOS.h"

typedef struct tskTaskControlBlock *TaskHandle_t;

#define taskSCHEDULER_SUSPENDED ((BaseType_t)0)
#define taskSCHEDULER_NOT_STARTED ((BaseType_t)1)
#define taskSCHEDULER_RUNNING ((BaseType_t)2)

#ifdef __cplusplus
extern "C" {
#endif
void vTaskSuspendAll(void);
BaseType_t xTaskResumeAll(void);
void vTaskDelay(TickType_t ticks);
BaseType_t xTaskGetSchedulerState(void);
TickType_t xTaskGetTickCount(void);
TickType_t xTaskGetTickCountFromISR(void);
TaskHandle_t xTaskGetCurrentTaskHandle(void);
void test_enter_critical(void);
void test_exit_critical(void);
void test_disable_interrupts(void);
#ifdef __cplusplus
}
#endif

#define taskENTER_CRITICAL() test_enter_critical()
#define taskEXIT_CRITICAL() test_exit_critical()
#define taskENTER_CRITICAL_FROM_ISR() (test_enter_critical(), (UBaseType_t)7)
#define taskEXIT_CRITICAL_FROM_ISR(saved) ((void)(saved), test_exit_critical())
#define taskDISABLE_INTERRUPTS() test_disable_interrupts()

#endif /* TESTS_PORT_RTOS_TASK_H */

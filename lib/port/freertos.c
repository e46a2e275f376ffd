/* The port for FreeRTOS. Compile it in place of bare.c, with FreeRTOS's headers and your FreeRTOSConfig.h in the path.
 *
 * Mutex: the scheduler is suspended while one is held, as FreeRTOS's own heaps do it: zeroed storage is ready, sections
 * nest, nothing is allocated. Interrupts must not call a locked allocator.
 * Event: a flag that is looked at once a tick; may be set in an interrupt.
 * Interrupts: Cortex-M tells of them. On other cores define rf_bare_exception over what FreeRTOS's port has for it, or
 * have handlers call rf_bare_enter_interrupt (bare.h).
 * Needs of FreeRTOS: INCLUDE_xTaskGetSchedulerState or timers, INCLUDE_xTaskGetCurrentTaskHandle or mutexes.
 * Log: rf_bare_log (bare.h), which drops text unless the board defines it. */
#include <FreeRTOS.h>
#include <ringfence/bare.h>
#include <ringfence/port.h>
#include <task.h>

#include "atomic_calls.h"
#include "served_interrupt.h"

#define NS_PER_TICK (UINT64_C(1000000000) / configTICK_RATE_HZ)

__attribute__((weak)) void rf_bare_log(const char *text, size_t len) {
  (void)text;
  (void)len;
}

/* ---- Mutex ---- */

rf_status rf_mutex_init(rf_mutex *mutex) {
  mutex->opaque[0] = 0;
  return RF_OK;
}

void rf_mutex_deinit(rf_mutex *mutex) {
  (void)mutex;
}

void rf_mutex_lock(rf_mutex *mutex) {
  (void)mutex;
  vTaskSuspendAll();
}

void rf_mutex_unlock(rf_mutex *mutex) {
  (void)mutex;
  (void)xTaskResumeAll();
}

/* ---- Event ---- */

rf_status rf_event_init(rf_event *event) {
  event->opaque[0] = 0;
  return RF_OK;
}

void rf_event_deinit(rf_event *event) {
  (void)event;
}

static bool exchange(rf_event *event, uint64_t value) {
  bool before;
  if (rf_port_in_interrupt()) {
    UBaseType_t const saved = taskENTER_CRITICAL_FROM_ISR();
    before = event->opaque[0] != 0;
    event->opaque[0] = value;
    taskEXIT_CRITICAL_FROM_ISR(saved);
  } else {
    taskENTER_CRITICAL();
    before = event->opaque[0] != 0;
    event->opaque[0] = value;
    taskEXIT_CRITICAL();
  }
  return before;
}

void rf_event_set(rf_event *event) {
  (void)exchange(event, 1);
}

/* Nothing can be waited for in an interrupt, or before the scheduler runs. */
rf_status rf_event_wait(rf_event *event, uint32_t timeout_ms) {
  uint64_t const start = rf_port_now_ns();
  while (!exchange(event, 0)) {
    bool const can_wait = !rf_port_in_interrupt() && xTaskGetSchedulerState() == taskSCHEDULER_RUNNING;
    bool const late =
        timeout_ms != RF_WAIT_FOREVER && rf_port_now_ns() - start >= (uint64_t)timeout_ms * UINT64_C(1000000);
    if (!can_wait || late) {
      return RF_ERR_TIMEOUT;
    }
    vTaskDelay(1);
  }
  return RF_OK;
}

/* ---- The rest ---- */

/* Ticks beyond those that the counter holds. Asked at least once while it goes round, which takes 49 days at 1 kHz. */
static uint64_t ticks(TickType_t now) {
  static TickType_t last;
  static uint64_t before;
  if (now < last) {
    before += (uint64_t)((TickType_t)-1) + 1;
  }
  last = now;
  return before + now;
}

/* 0 would mean that there is no clock. */
uint64_t rf_port_now_ns(void) {
  uint64_t now;
  if (rf_port_in_interrupt()) {
    UBaseType_t const saved = taskENTER_CRITICAL_FROM_ISR();
    now = ticks(xTaskGetTickCountFromISR());
    taskEXIT_CRITICAL_FROM_ISR(saved);
  } else {
    taskENTER_CRITICAL();
    now = ticks(xTaskGetTickCount());
    taskEXIT_CRITICAL();
  }
  return now * NS_PER_TICK + 1;
}

/* 1 before the scheduler runs. */
uint32_t rf_port_thread_id(void) {
  uint32_t const task = (uint32_t)(uintptr_t)xTaskGetCurrentTaskHandle();
  return rf_port_in_interrupt() ? UINT32_MAX : task != 0 ? task : 1;
}

bool rf_port_in_interrupt(void) {
  return rf_bare_exception() != 0;
}

void rf_port_log(const char *text, size_t len) {
  rf_bare_log(text, len);
}

_Noreturn void rf_port_panic(void) {
  taskDISABLE_INTERRUPTS();
  for (;;) {
    __asm__ volatile("" : : : "memory");
  }
}

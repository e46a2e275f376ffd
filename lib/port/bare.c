/* The port for one core without an operating system. Uses no libc at all. */
#include <ringfence/bare.h>
#include <ringfence/port.h>

#include "atomic_calls.h"
#include "served_interrupt.h"

#if defined(__riscv) && !defined(__unix__)
#define BARE_RISCV 1
#else
#define BARE_RISCV 0
#endif

#define WEAK __attribute__((weak))

/* ---- Defaults of the hooks ---- */

#if RF_CORTEX_M

WEAK uintptr_t rf_bare_irq_save(void) {
  uint32_t primask;
  __asm__ volatile("mrs %0, primask\n\tcpsid i" : "=r"(primask) : : "memory");
  return primask;
}

WEAK void rf_bare_irq_restore(uintptr_t saved) {
  __asm__ volatile("msr primask, %0" : : "r"(saved) : "memory");
}

#else

#if BARE_RISCV

/* Instructions by number: whether an assembler takes their names depends on its version and on -march. */
WEAK uintptr_t rf_bare_irq_save(void) {
  uintptr_t mstatus;
  __asm__ volatile(".insn i 0x73, 7, %0, x8, 0x300" : "=r"(mstatus) : : "memory"); /* csrrci %0, mstatus, 8 */
  return mstatus & 8U;                                                             /* MIE */
}

WEAK void rf_bare_irq_restore(uintptr_t saved) {
  __asm__ volatile(".insn i 0x73, 2, x0, %0, 0x300" : : "r"(saved) : "memory"); /* csrs mstatus, %0 */
}

#else

WEAK uintptr_t rf_bare_irq_save(void) {
  return 0;
}

WEAK void rf_bare_irq_restore(uintptr_t saved) {
  (void)saved;
}

#endif

#endif

WEAK uint64_t rf_bare_now_ns(void) {
  return 0;
}

WEAK void rf_bare_idle(void) {}

WEAK void rf_bare_log(const char *text, size_t len) {
  (void)text;
  (void)len;
}

/* ---- Mutex: interrupts are masked while any is held ---- */

/* One depth for all mutexes, so that they may be released in any order: the last unlock restores the state from before
 * the first lock. Accessed with interrupts masked only. */
static unsigned held;
static uintptr_t state_before;

rf_status rf_mutex_init(rf_mutex *mutex) {
  mutex->opaque[0] = 0;
  return RF_OK;
}

void rf_mutex_deinit(rf_mutex *mutex) {
  (void)mutex;
}

void rf_mutex_lock(rf_mutex *mutex) {
  uintptr_t const saved = rf_bare_irq_save();
  (void)mutex;
  if (held++ == 0) {
    state_before = saved;
  }
}

void rf_mutex_unlock(rf_mutex *mutex) {
  (void)mutex;
  if (--held == 0) {
    rf_bare_irq_restore(state_before);
  }
}

/* ---- Event: a flag that is polled ---- */

rf_status rf_event_init(rf_event *event) {
  event->opaque[0] = 0;
  return RF_OK;
}

void rf_event_deinit(rf_event *event) {
  (void)event;
}

void rf_event_set(rf_event *event) {
  uintptr_t const saved = rf_bare_irq_save();
  *(volatile uint64_t *)&event->opaque[0] = 1;
  rf_bare_irq_restore(saved);
}

static bool event_take(rf_event *event) {
  uintptr_t const saved = rf_bare_irq_save();
  volatile uint64_t *const flag = &event->opaque[0];
  bool const was_set = *flag != 0;
  *flag = 0;
  rf_bare_irq_restore(saved);
  return was_set;
}

/* True where a longer wait is useless: in an interrupt, which keeps the code that sets the event from running; with a
 * bounded timeout but no clock. */
static bool out_of_time(uint64_t start, uint32_t timeout_ms) {
  if (rf_port_in_interrupt()) {
    return true;
  }
  if (timeout_ms == RF_WAIT_FOREVER) {
    return false;
  }
  return start == 0 || rf_bare_now_ns() - start >= (uint64_t)timeout_ms * 1000000U;
}

rf_status rf_event_wait(rf_event *event, uint32_t timeout_ms) {
  uint64_t const start = rf_bare_now_ns();
  while (!event_take(event)) {
    if (out_of_time(start, timeout_ms)) {
      return RF_ERR_TIMEOUT;
    }
    rf_bare_idle();
  }
  return RF_OK;
}

/* ---- The rest ---- */

uint64_t rf_port_now_ns(void) {
  return rf_bare_now_ns();
}

uint32_t rf_port_thread_id(void) {
  return rf_bare_exception() + 1U;
}

bool rf_port_in_interrupt(void) {
  return rf_bare_exception() != 0;
}

void rf_port_log(const char *text, size_t len) {
  rf_bare_log(text, len);
}

_Noreturn void rf_port_panic(void) {
  (void)rf_bare_irq_save();
  for (;;) {
    __asm__ volatile("" : : : "memory");
  }
}

/* Zephyr: how long to wait. A tick is a millisecond here; shorter times are rounded up. Part of <zephyr/kernel.h>. */
#ifndef RINGFENCE_ZEPHYR_TIMEOUT_H
#define RINGFENCE_ZEPHYR_TIMEOUT_H

#include <ringfence/port.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int64_t k_ticks_t;

/* Milliseconds; 0: not at all; -1: for ever. */
typedef struct {
  k_ticks_t ticks;
} k_timeout_t;

#define K_TICKS_FOREVER ((k_ticks_t)-1)
#define K_TICKS(t) (__extension__(k_timeout_t){(k_ticks_t)(t)})
/* A negative time is none. */
#define K_NSEC(ns) K_TICKS((RF_ZEPHYR_TIME_(ns) + 999999) / 1000000)
#define K_USEC(us) K_TICKS((RF_ZEPHYR_TIME_(us) + 999) / 1000)
#define K_MSEC(ms) K_TICKS(RF_ZEPHYR_TIME_(ms))
#define K_SECONDS(s) K_TICKS(RF_ZEPHYR_TIME_(s) * 1000)
#define K_MINUTES(m) K_SECONDS((k_ticks_t)(m)*60)
#define K_HOURS(h) K_MINUTES((k_ticks_t)(h)*60)
#define K_NO_WAIT K_TICKS(0)
#define K_FOREVER K_TICKS(K_TICKS_FOREVER)
#define K_TIMEOUT_EQ(a, b) ((a).ticks == (b).ticks)

#define Z_TIMEOUT_NO_WAIT K_NO_WAIT
#define Z_TIMEOUT_TICKS(t) K_TICKS(t)
#define Z_TIMEOUT_US(t) K_USEC(t)
#define Z_TIMEOUT_MS(t) K_MSEC(t)
#define Z_FOREVER K_FOREVER

/* A constant of a constant; the argument is evaluated once. */
#define RF_ZEPHYR_TIME_(t)                                                                                             \
  (__builtin_constant_p(t) ? (k_ticks_t)(t) > 0 ? (k_ticks_t)(t) : 0 : rf_zephyr_time((k_ticks_t)(t)))

static inline k_ticks_t rf_zephyr_time(k_ticks_t t) {
  return t > 0 ? t : 0;
}

/* Older code passes milliseconds as they are, -1 for ever. */
static inline k_timeout_t rf_zephyr_timeout(k_timeout_t timeout) {
  return timeout;
}

static inline k_timeout_t rf_zephyr_timeout_of_ms(int32_t ms) {
  return K_TICKS(ms);
}

#ifndef __cplusplus
#define RF_ZEPHYR_TIMEOUT_(timeout)                                                                                    \
  _Generic((timeout), k_timeout_t : rf_zephyr_timeout, default : rf_zephyr_timeout_of_ms)(timeout)
#endif

/* As the port counts. */
static inline uint32_t rf_zephyr_wait_ms(k_timeout_t timeout) {
  if (timeout.ticks < 0) {
    return RF_WAIT_FOREVER;
  }
  return timeout.ticks < (k_ticks_t)RF_WAIT_FOREVER ? (uint32_t)timeout.ticks : RF_WAIT_FOREVER - 1;
}

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_ZEPHYR_TIMEOUT_H */

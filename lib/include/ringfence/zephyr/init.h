/* Zephyr: what runs before main, as code that makes its heap there asks for. */
#ifndef RINGFENCE_ZEPHYR_INIT_H
#define RINGFENCE_ZEPHYR_INIT_H

#include <ringfence/zephyr/toolchain.h>
#include <stddef.h>

struct device;

/* Calls init_fn() before main, and what it returns does not matter: by level, in a level by `prio`, 0 to 99. It takes
 * nothing, or, as before Zephyr 3.3, a device, which is NULL. If programs are not ELF files the order is that of the
 * linker. */
#define SYS_INIT(init_fn, level, prio) SYS_INIT_NAMED(init_fn, init_fn, level, prio)
#define SYS_INIT_NAMED(name, init_fn, level, prio)                                                                     \
  __attribute__((constructor RF_ZEPHYR_ORDER_(RF_ZEPHYR_LEVEL_##level + (prio)))) static void rf_zephyr_init_##name(   \
      void) {                                                                                                          \
    (void)RF_ZEPHYR_RUN_(init_fn);                                                                                     \
  }                                                                                                                    \
  BUILD_ASSERT((prio) >= 0 && (prio) <= 99, "a priority of 0 to 99")

/* ---- Parts of the macros above ---- */

#define RF_ZEPHYR_LEVEL_EARLY 1000
#define RF_ZEPHYR_LEVEL_PRE_KERNEL_1 1100
#define RF_ZEPHYR_LEVEL_PRE_KERNEL_2 1200
#define RF_ZEPHYR_LEVEL_POST_KERNEL 1300
#define RF_ZEPHYR_LEVEL_APPLICATION 1400
#define RF_ZEPHYR_LEVEL_SMP 1500

#ifdef __ELF__
#define RF_ZEPHYR_ORDER_(order) (order)
#else
#define RF_ZEPHYR_ORDER_(order)
#endif

#ifdef __cplusplus

#define RF_ZEPHYR_RUN_(init_fn) rf_zephyr_run(init_fn)

static inline int rf_zephyr_run(int (*init_fn)(void)) {
  return init_fn();
}

static inline int rf_zephyr_run(int (*init_fn)(const struct device *)) {
  return init_fn(NULL);
}

#else

#define RF_ZEPHYR_RUN_(init_fn)                                                                                        \
  _Generic((init_fn), int (*)(void) : rf_zephyr_run, default : rf_zephyr_run_device)((void (*)(void))(init_fn))

static inline int rf_zephyr_run(void (*init_fn)(void)) {
  return ((int (*)(void))init_fn)();
}

static inline int rf_zephyr_run_device(void (*init_fn)(void)) {
  return ((int (*)(const struct device *))init_fn)(NULL);
}

#endif

#endif /* RINGFENCE_ZEPHYR_INIT_H */

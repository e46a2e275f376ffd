/* See zephyr_configured.c. */
#ifndef RINGFENCE_TESTS_COMPAT_ZEPHYR_CONFIGURED_H
#define RINGFENCE_TESTS_COMPAT_ZEPHYR_CONFIGURED_H

#ifdef __cplusplus
extern "C" {
#endif

/* 0 where the heap is as large as it says. */
int configured(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TESTS_COMPAT_ZEPHYR_CONFIGURED_H */

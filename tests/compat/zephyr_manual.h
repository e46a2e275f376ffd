/* The examples of Zephyr's manual as functions: each returns what the last call in it did. */
#ifndef RINGFENCE_TESTS_COMPAT_ZEPHYR_MANUAL_H
#define RINGFENCE_TESTS_COMPAT_ZEPHYR_MANUAL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

int manual_alloc(uintptr_t *first, uintptr_t *second);
int manual_free(uintptr_t first, uintptr_t second);
int manual_alloc_and_free(void);
int manual_static(void);
int manual_ext_buf(void);
int manual_group(void);
int manual_by_address(void);
int manual_slab(void);

/* The same with headers where they were before; 0. */
int old_paths(void);

/* A driver that has a heap; 0. */
void *driver_alloc(size_t size);
void driver_free(void *p);
int driver_order(void);
int driver_resize(void);

/* A component with lists, a slab, a heap and a log. 0. */
int component(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TESTS_COMPAT_ZEPHYR_MANUAL_H */

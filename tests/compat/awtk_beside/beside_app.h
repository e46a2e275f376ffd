/* A program that has the rest of AWTK, types included. */
#ifndef RINGFENCE_TESTS_COMPAT_BESIDE_APP_H
#define RINGFENCE_TESTS_COMPAT_BESIDE_APP_H

#ifdef __cplusplus
extern "C" {
#endif

/* 0 where the types are AWTK's and the memory is ours. */
int beside_types(void);

/* 0 where HAS_STD_MALLOC keeps the heap malloc's. */
int std_malloc_stays(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TESTS_COMPAT_BESIDE_APP_H */

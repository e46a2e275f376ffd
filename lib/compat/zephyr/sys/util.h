/* Zephyr: the small macros that code around its memory API uses. */
#ifndef RINGFENCE_ZEPHYR_SYS_UTIL_H
#define RINGFENCE_ZEPHYR_SYS_UTIL_H

#include <stddef.h>
#include <stdint.h>

#ifndef BIT
#define BIT(n) (1UL << (n))
#endif
#ifndef POINTER_TO_UINT
#define POINTER_TO_UINT(x) ((uintptr_t)(x))
#endif
#ifndef UINT_TO_POINTER
#define UINT_TO_POINTER(x) ((void *)(uintptr_t)(x))
#endif
#ifndef ARRAY_SIZE
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#endif
#ifndef ARG_UNUSED
#define ARG_UNUSED(x) (void)(x)
#endif
#ifndef ROUND_UP
#define ROUND_UP(x, align) ((((uintptr_t)(x) + (uintptr_t)(align)-1) / (uintptr_t)(align)) * (uintptr_t)(align))
#endif
#ifndef WB_UP
#define WB_UP(x) ROUND_UP(x, sizeof(void *))
#endif
#ifndef __aligned
#define __aligned(x) __attribute__((aligned(x)))
#endif

#endif /* RINGFENCE_ZEPHYR_SYS_UTIL_H */

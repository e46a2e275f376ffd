/* Zephyr: the small macros that code around its memory API uses. */
#ifndef RINGFENCE_ZEPHYR_SYS_UTIL_H
#define RINGFENCE_ZEPHYR_SYS_UTIL_H

#include <ringfence/zephyr/toolchain.h>
#include <stddef.h>
#include <stdint.h>

#ifndef BIT
#define BIT(n) (1UL << (n))
#endif
#ifndef BIT_MASK
#define BIT_MASK(n) (BIT(n) - 1UL)
#endif
#ifndef BIT64
#define BIT64(n) (1ULL << (n))
#endif
#ifndef KB
#define KB(x) ((x) << 10)
#endif
#ifndef MB
#define MB(x) (KB(x) << 10)
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
#ifndef ROUND_DOWN
#define ROUND_DOWN(x, align) (((uintptr_t)(x) / (uintptr_t)(align)) * (uintptr_t)(align))
#endif
#ifndef MIN
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#endif
#ifndef MAX
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#endif
#ifndef CLAMP
#define CLAMP(value, low, high) ((value) <= (low) ? (low) : MIN(value, high))
#endif
#ifndef DIV_ROUND_UP
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))
#endif
#ifndef IS_ALIGNED
#define IS_ALIGNED(ptr, align) ((uintptr_t)(ptr) % (align) == 0)
#endif
#ifndef IS_POWER_OF_TWO
#define IS_POWER_OF_TWO(x) ((x) != 0U && ((x) & ((x)-1U)) == 0U)
#endif
#ifndef CONTAINER_OF
#define CONTAINER_OF(ptr, type, field) ((type *)(void *)((char *)(ptr)-offsetof(type, field)))
#endif
/* 1 where `option` is defined as 1, else 0. */
#ifndef IS_ENABLED
#define IS_ENABLED(option) RF_ZEPHYR_IS_ENABLED_(option)
#define RF_ZEPHYR_IS_ENABLED_(value) RF_ZEPHYR_SECOND_OF_(RF_ZEPHYR_ENABLED_##value 1, 0)
#define RF_ZEPHYR_SECOND_OF_(...) RF_ZEPHYR_SECOND_(__VA_ARGS__, 0)
#define RF_ZEPHYR_SECOND_(first, second, ...) second
#define RF_ZEPHYR_ENABLED_1 0,
#endif
#ifndef POINTER_TO_INT
#define POINTER_TO_INT(x) ((intptr_t)(x))
#endif
#ifndef INT_TO_POINTER
#define INT_TO_POINTER(x) ((void *)(intptr_t)(x))
#endif
#ifndef WB_UP
#define WB_UP(x) ROUND_UP(x, sizeof(void *))
#endif
#ifndef WB_DN
#define WB_DN(x) ROUND_DOWN(x, sizeof(void *))
#endif
#ifndef IN_RANGE
#define IN_RANGE(value, low, high) ((value) >= (low) && (value) <= (high))
#endif
#ifndef PART_OF_ARRAY
#define PART_OF_ARRAY(array, ptr) ((uintptr_t)(ptr) - (uintptr_t)(array) < sizeof(array))
#endif
/* `index` from 0 on; a pointer `element` from the first on. */
#ifndef ARRAY_FOR_EACH
#define ARRAY_FOR_EACH(array, index) for (size_t index = 0; (index) < ARRAY_SIZE(array); (index)++)
#endif
/* NOLINTBEGIN(bugprone-macro-parentheses): a name that is declared has none */
#ifndef ARRAY_FOR_EACH_PTR
#define ARRAY_FOR_EACH_PTR(array, element)                                                                             \
  for (__typeof__(&(array)[0]) element = (array); (size_t)((element) - (array)) < ARRAY_SIZE(array); (element)++)
#endif
/* NOLINTEND(bugprone-macro-parentheses) */
/* The arguments are expanded first. */
#ifndef STRINGIFY
#define STRINGIFY(x) RF_ZEPHYR_STRINGIFY_(x)
#define RF_ZEPHYR_STRINGIFY_(x) #x
#endif
#ifndef CONCAT
#define CONCAT(x, y) RF_ZEPHYR_CONCAT_(x, y)
#define RF_ZEPHYR_CONCAT_(x, y) x##y
#endif
#endif /* RINGFENCE_ZEPHYR_SYS_UTIL_H */

/* Zephyr: the compiler's attributes by their names there. */
#ifndef RINGFENCE_ZEPHYR_TOOLCHAIN_H
#define RINGFENCE_ZEPHYR_TOOLCHAIN_H

#ifndef __aligned
#define __aligned(x) __attribute__((aligned(x)))
#endif
#ifndef __packed
#define __packed __attribute__((packed))
#endif
#ifndef __weak
#define __weak __attribute__((weak))
#endif
#ifndef __unused
#define __unused __attribute__((unused))
#endif
#ifndef __maybe_unused
#define __maybe_unused __attribute__((unused))
#endif
#ifndef ALWAYS_INLINE
#define ALWAYS_INLINE inline __attribute__((always_inline))
#endif
#ifndef likely
#define likely(x) (__builtin_expect(!!(x), 1) != 0)
#endif
#ifndef unlikely
#define unlikely(x) (__builtin_expect(!!(x), 0) != 0)
#endif
#ifndef BUILD_ASSERT
#ifdef __cplusplus
#define BUILD_ASSERT(condition, ...) static_assert(condition, "" __VA_ARGS__)
#else
#define BUILD_ASSERT(condition, ...) _Static_assert(condition, "" __VA_ARGS__)
#endif
#endif

#endif /* RINGFENCE_ZEPHYR_TOOLCHAIN_H */

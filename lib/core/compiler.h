/* Attributes and hints of gcc and clang, by one name each. Private to lib and checkers. */
#ifndef RINGFENCE_CORE_COMPILER_H
#define RINGFENCE_CORE_COMPILER_H

#include <ringfence/system.h>

#define RF_LIKELY(x) __builtin_expect(!!(x), 1)
#define RF_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* A step of a common path: part of the caller in every build. */
#define RF_INLINE static inline __attribute__((always_inline))

/* A slow path: never inlined, so that common paths need not save registers for it. */
#define RF_RARE __attribute__((noinline))

/* At the definition of a function that usual runs call never or seldom: for what is found, for what an option or the
 * program asks for, and for names of modules; and at wrappers of the C library's functions for files and streams, which
 * take far longer than the wrapper. Such functions, and static ones that they alone call, lie together, apart from the
 * others, so that the code of requests lies on fewer pages; and they are small rather than fast. */
#define RF_COLD __attribute__((cold))

/* A function that reads memory which may be no object, or no longer: sanitizers do not look at it. With RF_RARE where
 * gcc might inline it into a function at which they do. */
#ifdef RF_VIRTUAL_THREADS /* fuzz/threads.h: threads may switch here, too */
#define RF_NO_SANITIZE __attribute__((no_sanitize_address))
#elif defined(__GNUC__)
#define RF_NO_SANITIZE __attribute__((no_sanitize_address, no_sanitize_thread))
#else
#define RF_NO_SANITIZE
#endif

/* For a variable that each thread has for itself. Its first access in a thread calls nothing that might allocate, as an
 * allocator may be asking. Declaration and definition both need it: gcc goes by the latter. */
#if RF_HAS_SYSTEM && defined(__unix__) && __STDC_HOSTED__
#define RF_THREAD_LOCAL __thread __attribute__((tls_model("initial-exec")))
#elif RF_HAS_SYSTEM && defined(__APPLE__)
#define RF_THREAD_LOCAL __thread
#else /* one thread */
#define RF_THREAD_LOCAL
#endif

/* For what has 64 bits and is accessed atomically: on i386 it lies on a multiple of 4 else, and clang calls libatomic
 * for it. */
#define RF_ATOMIC_64 __attribute__((aligned(8)))

/* Make no code. The compiler forgets how `x` was computed, or what it read from `x`, and computes or reads it again
 * instead of holding on to a register. */
#define RF_FORGET(x) __asm__("" : "+r"(x))
#define RF_FORGET_MEMORY(x) __asm__("" : "+m"(x))

#define RF_CACHE_LINE 64 /* bytes of a line of memory; a wrong guess only makes fetching less useful */

/* Begins to fetch the line of memory that `p` points to, to be read here. Any address may be given. */
#define RF_FETCH_TO_READ(p) __builtin_prefetch(p)

/* Begins to fetch the line of memory that `p` points to from where it is, to be written here. Any address may be given.
 * Of compilers for x86-64 few make the instruction for it by themselves, which each such processor has. */
#if defined(__x86_64__)
#define RF_FETCH_TO_WRITE(p) __asm__ volatile("prefetchw %0" : : "m"(*(const char *)(p)))
#else
#define RF_FETCH_TO_WRITE(p) __builtin_prefetch(p, 1)
#endif

#endif /* RINGFENCE_CORE_COMPILER_H */

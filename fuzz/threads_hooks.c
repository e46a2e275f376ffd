/* The functions that -fsanitize=thread calls: each gives virtual threads (threads.h) a chance to switch before the
 * access, which is then made as it is. Linked in place of that sanitizer's library. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "threads_races.h"

extern int64_t rf_fuzz_points_left;
void rf_fuzz_switch(void);

static void point(void) {
  if (--rf_fuzz_points_left <= 0) {
    rf_fuzz_switch();
  }
}

/* The names are the compiler's. */
#define HOOK(name, ...)                                                                                                \
  void name(__VA_ARGS__);                                                                                              \
  void name(__VA_ARGS__)

#define ACCESSES(size)                                                                                                 \
  HOOK(__tsan_read##size, void *at) { /* NOLINT(bugprone-reserved-identifier) */                                       \
    point();                                                                                                           \
    rf_fuzz_read(at, size);                                                                                            \
  }                                                                                                                    \
  HOOK(__tsan_write##size, void *at) {                                                                                 \
    point();                                                                                                           \
    rf_fuzz_write(at, size);                                                                                           \
  }                                                                                                                    \
  HOOK(__tsan_read_write##size, void *at) {                                                                            \
    point();                                                                                                           \
    rf_fuzz_read(at, size);                                                                                            \
    rf_fuzz_write(at, size);                                                                                           \
  }                                                                                                                    \
  HOOK(__tsan_unaligned_read##size, void *at) {                                                                        \
    point();                                                                                                           \
    rf_fuzz_read(at, size);                                                                                            \
  }                                                                                                                    \
  HOOK(__tsan_unaligned_write##size, void *at) {                                                                       \
    point();                                                                                                           \
    rf_fuzz_write(at, size);                                                                                           \
  }

ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

HOOK(__tsan_init, void) {}
HOOK(__tsan_func_entry, void *caller) {
  (void)caller;
}
HOOK(__tsan_func_exit, void) {}
HOOK(__tsan_read_range, void *at, size_t size) {
  point();
  rf_fuzz_read(at, size);
}
HOOK(__tsan_write_range, void *at, size_t size) {
  point();
  rf_fuzz_write(at, size);
}

#define MEMORY(name, reads, call, ...)                                                                                 \
  void *name(__VA_ARGS__);                                                                                             \
  void *name(__VA_ARGS__) {                                                                                            \
    point();                                                                                                           \
    reads;                                                                                                             \
    rf_fuzz_write(to, size);                                                                                           \
    return call;                                                                                                       \
  }

MEMORY(__tsan_memcpy, rf_fuzz_read(from, size), memcpy(to, from, size), void *to, const void *from, size_t size)
MEMORY(__tsan_memmove, rf_fuzz_read(from, size), memmove(to, from, size), void *to, const void *from, size_t size)
MEMORY(__tsan_memset, (void)0, memset(to, value, size), void *to, int value, size_t size)

/* ---- Atomic operations: one thread runs at a time, so each sees the newest value ---- */

#define FETCH(bits, type, name)                                                                                        \
  type __tsan_atomic##bits##_fetch_##name(volatile type *at, type value, int order);                                   \
  type __tsan_atomic##bits##_fetch_##name(volatile type *at, type value, int order) {                                  \
    point();                                                                                                           \
    rf_fuzz_atomic_change(at, sizeof *at, order);                                                                      \
    return __atomic_fetch_##name(at, value, __ATOMIC_SEQ_CST);                                                         \
  }

#define SWAP_IF(bits, type, name)                                                                                      \
  int __tsan_atomic##bits##_compare_exchange_##name(volatile type *at, type *seen, type value, int order, int failed); \
  int __tsan_atomic##bits##_compare_exchange_##name(volatile type *at, type *seen, type value, int order,              \
                                                    int failed) {                                                      \
    point();                                                                                                           \
    int const done = __atomic_compare_exchange_n(at, seen, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);              \
    (done ? rf_fuzz_atomic_change : rf_fuzz_atomic_load)(at, sizeof *at, done ? order : failed);                       \
    return done;                                                                                                       \
  }

#define ATOMICS(bits, type)                                                                                            \
  type __tsan_atomic##bits##_load(const volatile type *at, int order);                                                 \
  type __tsan_atomic##bits##_load(const volatile type *at, int order) {                                                \
    point();                                                                                                           \
    rf_fuzz_atomic_load(at, sizeof *at, order);                                                                        \
    return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                                                      \
  }                                                                                                                    \
  HOOK(__tsan_atomic##bits##_store, volatile type *at, type value, int order) {                                        \
    point();                                                                                                           \
    rf_fuzz_atomic_store(at, sizeof *at, order);                                                                       \
    __atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                                                     \
  }                                                                                                                    \
  type __tsan_atomic##bits##_exchange(volatile type *at, type value, int order);                                       \
  type __tsan_atomic##bits##_exchange(volatile type *at, type value, int order) {                                      \
    point();                                                                                                           \
    rf_fuzz_atomic_change(at, sizeof *at, order);                                                                      \
    return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);                                                           \
  }                                                                                                                    \
  type __tsan_atomic##bits##_compare_exchange_val(volatile type *at, type seen, type value, int order, int failed);    \
  type __tsan_atomic##bits##_compare_exchange_val(volatile type *at, type seen, type value, int order, int failed) {   \
    point();                                                                                                           \
    int const done = __atomic_compare_exchange_n(at, &seen, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);             \
    (done ? rf_fuzz_atomic_change : rf_fuzz_atomic_load)(at, sizeof *at, done ? order : failed);                       \
    return seen;                                                                                                       \
  }                                                                                                                    \
  SWAP_IF(bits, type, strong)                                                                                          \
  SWAP_IF(bits, type, weak)                                                                                            \
  FETCH(bits, type, add)                                                                                               \
  FETCH(bits, type, sub)                                                                                               \
  FETCH(bits, type, and)                                                                                               \
  FETCH(bits, type, or)                                                                                                \
  FETCH(bits, type, xor)

ATOMICS(8, uint8_t)
ATOMICS(16, uint16_t)
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)

HOOK(__tsan_atomic_thread_fence, int order) {
  point();
  rf_fuzz_fence(order);
}
HOOK(__tsan_atomic_signal_fence, int order) {
  (void)order;
}

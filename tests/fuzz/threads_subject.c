#include "tests/fuzz/threads_subject.h"

#include <stdint.h>

/* The value is used, so that the compiler reads it. */
#define USE(value) __asm__ volatile("" : : "r"(value))

#define FETCH(bits, name)                                                                                              \
  static void fetch_##name##_##bits(void *at) {                                                                        \
    (void)__atomic_fetch_##name((uint##bits##_t *)at, 1, __ATOMIC_RELAXED);                                            \
  }

#define ALL_OF(bits)                                                                                                   \
  static void read_##bits(void *at) {                                                                                  \
    USE(*(const uint##bits##_t *)at);                                                                                  \
  }                                                                                                                    \
  static void write_##bits(void *at) {                                                                                 \
    *(uint##bits##_t *)at = 1;                                                                                         \
  }                                                                                                                    \
  static void load_##bits(void *at) {                                                                                  \
    USE(__atomic_load_n((const uint##bits##_t *)at, __ATOMIC_RELAXED));                                                \
  }                                                                                                                    \
  static void store_##bits(void *at) {                                                                                 \
    __atomic_store_n((uint##bits##_t *)at, 1, __ATOMIC_RELAXED);                                                       \
  }                                                                                                                    \
  static void exchange_##bits(void *at) {                                                                              \
    USE(__atomic_exchange_n((uint##bits##_t *)at, 1, __ATOMIC_RELAXED));                                               \
  }                                                                                                                    \
  static void swap_##bits(void *at) {                                                                                  \
    uint##bits##_t seen = 0;                                                                                           \
    USE(__atomic_compare_exchange_n((uint##bits##_t *)at, &seen, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));       \
  }                                                                                                                    \
  static void swap_in_vain_##bits(void *at) {                                                                          \
    uint##bits##_t seen = 99;                                                                                          \
    USE(__atomic_compare_exchange_n((uint##bits##_t *)at, &seen, 0, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));        \
  }                                                                                                                    \
  FETCH(bits, add)                                                                                                     \
  FETCH(bits, sub)                                                                                                     \
  FETCH(bits, and)                                                                                                     \
  FETCH(bits, or)                                                                                                      \
  FETCH(bits, xor)

ALL_OF(8)
ALL_OF(16)
ALL_OF(32)
ALL_OF(64)

typedef struct __attribute__((packed)) packed {
  uint8_t before;
  uint64_t word;
} packed;

static void read_unaligned(void *at) {
  USE(((const packed *)at)->word);
}

static void write_unaligned(void *at) {
  ((packed *)at)->word = 1;
}

#define ROWS(bits)                                                                                                     \
  {"read_" #bits, read_##bits, 0, bits / 8, false, false}, {"write_" #bits, write_##bits, 0, bits / 8, true, false},   \
      {"load_" #bits, load_##bits, 0, bits / 8, false, true}, {"store_" #bits, store_##bits, 0, bits / 8, true, true}, \
      {"exchange_" #bits, exchange_##bits, 0, bits / 8, true, true},                                                   \
      {"swap_" #bits, swap_##bits, 0, bits / 8, true, true},                                                           \
      {"swap_in_vain_" #bits, swap_in_vain_##bits, 0, bits / 8, false, true},                                          \
      {"fetch_add_" #bits, fetch_add_##bits, 0, bits / 8, true, true},                                                 \
      {"fetch_sub_" #bits, fetch_sub_##bits, 0, bits / 8, true, true},                                                 \
      {"fetch_and_" #bits, fetch_and_##bits, 0, bits / 8, true, true},                                                 \
      {"fetch_or_" #bits, fetch_or_##bits, 0, bits / 8, true, true}, {                                                 \
    "fetch_xor_" #bits, fetch_xor_##bits, 0, bits / 8, true, true                                                      \
  }

const threads_access threads_accesses[] = {
    ROWS(8),
    ROWS(16),
    ROWS(32),
    ROWS(64),
    {"read_unaligned", read_unaligned, 1, 8, false, false},
    {"write_unaligned", write_unaligned, 1, 8, true, false},
};

const size_t threads_access_count = sizeof threads_accesses / sizeof threads_accesses[0];

/* ---- Order ---- */

#define GIVE(name, statement)                                                                                          \
  static void give_##name(int *value, int *flag) {                                                                     \
    *value = 1;                                                                                                        \
    statement;                                                                                                         \
  }

#define TAKE(name, seen)                                                                                               \
  static void take_##name(int *value, int *flag) {                                                                     \
    if (seen) {                                                                                                        \
      *value = 2;                                                                                                      \
    }                                                                                                                  \
  }

static bool swap(int *flag, int from, int to, int order) {
  return order == __ATOMIC_RELAXED
             ? __atomic_compare_exchange_n(flag, &from, to, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
             : __atomic_compare_exchange_n(flag, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* The flag is 1 and not 5. */
static bool swap_in_vain(int *flag, int order) {
  int from = 5;
  bool const done = order == __ATOMIC_RELAXED
                        ? __atomic_compare_exchange_n(flag, &from, 6, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)
                        : __atomic_compare_exchange_n(flag, &from, 6, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
  return !done && from != 0;
}

GIVE(store, __atomic_store_n(flag, 1, __ATOMIC_RELEASE))
GIVE(store_relaxed, __atomic_store_n(flag, 1, __ATOMIC_RELAXED))
GIVE(exchange, (void)__atomic_exchange_n(flag, 1, __ATOMIC_RELEASE))
GIVE(exchange_relaxed, (void)__atomic_exchange_n(flag, 1, __ATOMIC_RELAXED))
GIVE(fetch, (void)__atomic_fetch_or(flag, 1, __ATOMIC_RELEASE))
GIVE(fetch_relaxed, (void)__atomic_fetch_or(flag, 1, __ATOMIC_RELAXED))
GIVE(swap, (void)swap(flag, 0, 1, __ATOMIC_ACQ_REL))
GIVE(swap_relaxed, (void)swap(flag, 0, 1, __ATOMIC_RELAXED))

TAKE(load, __atomic_load_n(flag, __ATOMIC_ACQUIRE) != 0)
TAKE(load_relaxed, __atomic_load_n(flag, __ATOMIC_RELAXED) != 0)
TAKE(exchange, __atomic_exchange_n(flag, 2, __ATOMIC_ACQUIRE) != 0)
TAKE(exchange_relaxed, __atomic_exchange_n(flag, 2, __ATOMIC_RELAXED) != 0)
TAKE(fetch, __atomic_fetch_add(flag, 1, __ATOMIC_ACQUIRE) != 0)
TAKE(fetch_relaxed, __atomic_fetch_add(flag, 1, __ATOMIC_RELAXED) != 0)
TAKE(swap, swap(flag, 1, 2, __ATOMIC_ACQ_REL))
TAKE(swap_relaxed, swap(flag, 1, 2, __ATOMIC_RELAXED))
TAKE(swap_in_vain, swap_in_vain(flag, __ATOMIC_ACQUIRE))
TAKE(swap_in_vain_relaxed, swap_in_vain(flag, __ATOMIC_RELAXED))

#define BOTH(verb, name)                                                                                               \
  {#verb "_" #name, verb##_##name, true}, {                                                                            \
#verb "_" #name "_relaxed", verb##_##name##_relaxed, false                                                         \
  }

const threads_order threads_gives[] = {BOTH(give, store), BOTH(give, exchange), BOTH(give, fetch), BOTH(give, swap)};
const size_t threads_give_count = sizeof threads_gives / sizeof threads_gives[0];

const threads_order threads_takes[] = {BOTH(take, load), BOTH(take, exchange), BOTH(take, fetch), BOTH(take, swap),
                                       BOTH(take, swap_in_vain)};
const size_t threads_take_count = sizeof threads_takes / sizeof threads_takes[0];

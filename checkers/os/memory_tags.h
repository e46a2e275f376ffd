/* Tags of memory: AArch64's Memory Tagging Extension. Each granule of 16 bytes has a tag of four bits where the memory
 * was mapped for it, and each pointer has one in its top byte; an access where the two differ is a fault. New memory
 * and new pointers have tag 0.
 *
 *     pointer = | 4 bits | tag (4 bits) | address (56 bits) |
 *
 * Elsewhere the questions are answered with false, at no cost, and everything else does nothing. Internal to checkers/.
 * Async-signal-safe.
 */
#ifndef RINGFENCE_MEMORY_TAGS_H
#define RINGFENCE_MEMORY_TAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__linux__) && defined(__aarch64__) && defined(__LP64__) && !defined(RF_PORT_BARE)
#define RF_MEMORY_TAGS 1
#else
#define RF_MEMORY_TAGS 0
#endif

#define RF_MEMORY_TAGS_NEED "it needs Linux on an AArch64 processor with the Memory Tagging Extension"

#define RF_TAG_GRANULE ((size_t)16)
#define RF_TAG_SHIFT 56U
#define RF_TAG_MOST 15U

/* ---- Pointers ---- */

static inline unsigned rf_tag_of(uintptr_t pointer) {
  return (unsigned)((uint64_t)pointer >> RF_TAG_SHIFT) & RF_TAG_MOST;
}

static inline uintptr_t rf_tag_add(uintptr_t address, unsigned tag) {
  return (uintptr_t)((uint64_t)address | (uint64_t)tag * ((uint64_t)1 << RF_TAG_SHIFT));
}

static inline uintptr_t rf_tag_remove(uintptr_t pointer) {
  return (uintptr_t)((uint64_t)pointer & (((uint64_t)1 << RF_TAG_SHIFT) - 1));
}

/* `n` rounded up to whole granules. */
static inline uintptr_t rf_tag_round(uintptr_t n) {
  return (n + RF_TAG_GRANULE - 1) & ~(uintptr_t)(RF_TAG_GRANULE - 1);
}

/* ---- The processor ---- */

/* NULL where processor and system have tags, else why not. */
const char *rf_memory_tags_why_not(void);

/* Has the accesses of this thread, and of all that it begins, checked from now on: at the instruction or, with `late`,
 * when the thread next enters the kernel, without the address. False where that cannot be. Once per process. */
bool rf_memory_tags_begin(bool late);

/* The same for a thread that may have begun before, as rf_memory_tags_begin was told. */
void rf_memory_tags_join(void);

/* Gives whole pages, which can be read and written, tags that can be set; all are 0. */
void rf_memory_tags_cover(uintptr_t start, size_t bytes);

/* By the si_code of a SIGSEGV: true where tags differ. */
bool rf_memory_tags_is_fault(int code);

/* The same where the address is not known, and what the program does next is not the access again. */
bool rf_memory_tags_is_late_fault(int code);

/* A flag for sigaction: the fault's address comes with the pointer's tag. 0 where there are none. */
int rf_memory_tags_signal_flag(void);

#if RF_MEMORY_TAGS

extern bool rf_memory_tags_state;

static inline bool rf_memory_tags_on(void) {
  return __builtin_expect(__atomic_load_n(&rf_memory_tags_state, __ATOMIC_RELAXED), 0);
}

#define RF_TAG_CHECK_OVERRIDE "S3_3_C4_C2_7"
#define RF_TAG_CHECK_OVERRIDDEN ((uint64_t)1 << 25) /* in that register, and in that of the processor's state */

/* Lets this thread access memory whatever the tags, until rf_memory_tags_resume is given the answer. Handlers of
 * signals are checked meanwhile. Only where tags are on. */
static inline uint64_t rf_memory_tags_pause(void) {
  uint64_t before;
  __asm__ volatile("mrs %0, " RF_TAG_CHECK_OVERRIDE "\n\tmsr " RF_TAG_CHECK_OVERRIDE ", %1"
                   : "=&r"(before)
                   : "r"(RF_TAG_CHECK_OVERRIDDEN)
                   : "memory");
  return before;
}

static inline void rf_memory_tags_resume(uint64_t before) {
  __asm__ volatile("msr " RF_TAG_CHECK_OVERRIDE ", %0" : : "r"(before) : "memory");
}

/* Instructions for tags stand as numbers: GNU as has names for them where it assembles for processors of version 8.5
 * and later alone, up to binutils 2.40 in spite of .arch_extension. */

/* The tag of the granule at `address`; 0 where the memory has none. Only where tags are on. */
static inline unsigned rf_memory_tags_at(uintptr_t address) {
  register uintptr_t pointer __asm__("x0") = address;
  __asm__ volatile(".inst 0xd9600000" : "+r"(pointer) : : "memory"); /* ldg x0, [x0] */
  return rf_tag_of(pointer);
}

/* Sets the tags from `start` to `end`, both multiples of a granule, in mapped memory. Only where tags are on. */
void rf_memory_tags_set(uintptr_t start, uintptr_t end, unsigned tag);

/* Sets those from `start` on to 0 that are as the first one is. Only where tags are on. */
void rf_memory_tags_clear(uintptr_t start);

#else

static inline bool rf_memory_tags_on(void) {
  return false;
}

static inline uint64_t rf_memory_tags_pause(void) {
  return 0;
}

static inline void rf_memory_tags_resume(uint64_t before) {
  (void)before;
}

static inline unsigned rf_memory_tags_at(uintptr_t address) {
  (void)address;
  return 0;
}

static inline void rf_memory_tags_set(uintptr_t start, uintptr_t end, unsigned tag) {
  (void)start;
  (void)end;
  (void)tag;
}

static inline void rf_memory_tags_clear(uintptr_t start) {
  (void)start;
}

#endif

#endif /* RINGFENCE_MEMORY_TAGS_H */

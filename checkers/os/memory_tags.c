#define _GNU_SOURCE
#include "memory_tags.h"

#if RF_MEMORY_TAGS

#include <errno.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>

/* Linux's, which older headers do not have. */
#define CAPABILITY_MTE (1UL << 18) /* in AT_HWCAP2 */
#define SET_TAGGED_ADDRESSES 55    /* PR_SET_TAGGED_ADDR_CTRL */
#define TAKES_TAGGED 1UL           /* the kernel takes pointers with tags */
#define CHECK_AT_ONCE 2UL
#define CHECK_LATE 4UL
#define TAGS_CHOSEN (0xFFFEUL << 3) /* by the processor, of which nobody asks it here */
#define PROTECTION_TAGS 0x20
#define FAULT_LATE 8
#define FAULT_AT_ONCE 9
#define EXPOSE_TAGS 0x800

bool rf_memory_tags_state;
static unsigned long control;

const char *rf_memory_tags_why_not(void) {
  return (getauxval(AT_HWCAP2) & CAPABILITY_MTE) != 0 ? NULL : RF_MEMORY_TAGS_NEED;
}

bool rf_memory_tags_begin(bool late) {
  if (rf_memory_tags_why_not() != NULL) {
    return false;
  }
  int const saved = errno;
  control = TAKES_TAGGED | (late ? CHECK_LATE : CHECK_AT_ONCE) | TAGS_CHOSEN;
  bool const done = prctl(SET_TAGGED_ADDRESSES, control, 0, 0, 0) == 0;
  errno = saved;
  __atomic_store_n(&rf_memory_tags_state, done, __ATOMIC_RELEASE);
  return done;
}

void rf_memory_tags_join(void) {
  if (rf_memory_tags_on()) {
    int const saved = errno;
    (void)prctl(SET_TAGGED_ADDRESSES, control, 0, 0, 0);
    errno = saved;
  }
}

void rf_memory_tags_cover(uintptr_t start, size_t bytes) {
  if (rf_memory_tags_on()) {
    int const saved = errno;
    (void)mprotect((void *)start, bytes, PROT_READ | PROT_WRITE | PROTECTION_TAGS);
    errno = saved;
  }
}

bool rf_memory_tags_is_fault(int code) {
  return rf_memory_tags_on() && (code == FAULT_AT_ONCE || code == FAULT_LATE);
}

bool rf_memory_tags_is_late_fault(int code) {
  return rf_memory_tags_on() && code == FAULT_LATE;
}

int rf_memory_tags_signal_flag(void) {
  return rf_memory_tags_on() ? EXPOSE_TAGS : 0;
}

void rf_memory_tags_set(uintptr_t start, uintptr_t end, unsigned tag) {
  uintptr_t const last = rf_tag_add(end, tag);
  register uintptr_t at __asm__("x0") = rf_tag_add(start, tag); /* last: no call may follow */
  if (((last - at) & RF_TAG_GRANULE) != 0) {
    __asm__ volatile(".inst 0xd9201400" : "+r"(at) : : "memory"); /* stg x0, [x0], #16 */
  }
  while (at != last) {
    __asm__ volatile(".inst 0xd9a02400" : "+r"(at) : : "memory"); /* st2g x0, [x0], #32 */
  }
}

void rf_memory_tags_clear(uintptr_t start) {
  unsigned const tag = rf_memory_tags_at(start);
  for (; tag != 0 && rf_memory_tags_at(start) == tag; start += RF_TAG_GRANULE) {
    rf_memory_tags_set(start, start + RF_TAG_GRANULE, 0);
  }
}

#else

const char *rf_memory_tags_why_not(void) {
  return RF_MEMORY_TAGS_NEED;
}

bool rf_memory_tags_begin(bool late) {
  (void)late;
  return false;
}

void rf_memory_tags_join(void) {}

void rf_memory_tags_cover(uintptr_t start, size_t bytes) {
  (void)start;
  (void)bytes;
}

bool rf_memory_tags_is_fault(int code) {
  (void)code;
  return false;
}

bool rf_memory_tags_is_late_fault(int code) {
  (void)code;
  return false;
}

int rf_memory_tags_signal_flag(void) {
  return 0;
}

#endif

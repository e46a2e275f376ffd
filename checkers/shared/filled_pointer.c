#include "filled_pointer.h"

#include <ringfence/block.h>
#include <stddef.h>
#include <stdint.h>

#include "checkers/os/host.h"
#include "lib/core/compiler.h"

#define REACH ((uintptr_t)4096) /* from a member to the beginning of what it is a member of, as in lists of nodes */

/* On 32 bit the system may have memory there. On a board there is none of an allocator's, or `ptr` were to a block. */
static bool is_near_word_of(unsigned char fill, const void *ptr) {
  uintptr_t const word = UINTPTR_MAX / 0xFF * fill;
  return (uintptr_t)ptr - word + REACH < 2 * REACH && !(RF_HOST_STACKS && rf_host_readable(ptr, 1));
}

RF_COLD bool rf_filled_pointer_is_stale(const void *ptr) {
  return is_near_word_of(RF_PATTERN_FREED, ptr);
}

RF_COLD const char *rf_filled_pointer_source(const void *ptr) {
  if (rf_filled_pointer_is_stale(ptr)) {
    return "the pointer was read from freed memory, whose bytes are 0xcc";
  }
  if (is_near_word_of(RF_PATTERN_NEW, ptr)) {
    return "the pointer was read from memory that was never written, whose bytes are 0xcd";
  }
  return is_near_word_of(RF_PATTERN_REDZONE, ptr)
             ? "the pointer was read from the guard bytes beside a block, which are 0xfd"
             : NULL;
}

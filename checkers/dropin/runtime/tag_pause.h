/* In mode mte: what is read and written between the two may have any tag. Nothing in other modes.
 *
 * A thread that went on after a finding is checked again from its next request on. May be nested. Any thread, signal
 * handlers.
 */
#ifndef RINGFENCE_DROPIN_TAG_PAUSE_H
#define RINGFENCE_DROPIN_TAG_PAUSE_H

#include "checkers/os/memory_tags.h"
#include "thread.h"

static inline uint64_t rf_tag_pause(void) {
  if (!rf_memory_tags_on()) {
    return 0;
  }
  uint64_t const before = rf_memory_tags_pause();
  bool const unchecked = rf_current_thread.unchecked;
  rf_current_thread.unchecked = false;
  return unchecked ? 0 : before;
}

/* With what rf_tag_pause returned. */
static inline void rf_tag_resume(uint64_t before) {
  if (rf_memory_tags_on()) {
    rf_memory_tags_resume(before);
  }
}

#endif /* RINGFENCE_DROPIN_TAG_PAUSE_H */

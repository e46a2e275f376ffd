/* The page store: the bytes of a block's pages beside it. */
#include "page_slack.h"

#include <string.h>

rf_pattern_area rf_page_slack_before(const rf_slot *s) {
  uintptr_t const start = rf_slot_open_start(s);
  return (rf_pattern_area){(unsigned char *)start, s->pages != 0 ? s->block - start : 0, RF_PATTERN_REDZONE};
}

rf_pattern_area rf_page_slack_after(const rf_slot *s) {
  uintptr_t const end = s->block + s->size;
  return (rf_pattern_area){(unsigned char *)end, s->pages != 0 ? rf_slot_open_end(s) - end : 0, RF_PATTERN_REDZONE};
}

void rf_page_fill_slack(const rf_slot *s) {
  rf_pattern_area const before = rf_page_slack_before(s);
  rf_pattern_area const after = rf_page_slack_after(s);
  memset(before.at, before.byte, before.size);
  memset(after.at, after.byte, after.size);
}

/* Before a block slack is on its first page, behind it on its last. */
static bool is_empty(const rf_pattern_area *slack, const void *page) {
  return slack->size != 0 && rf_pattern_holds(page, rf_page_size(), 0);
}

static const void *first_page(const rf_slot *s) {
  return (const void *)rf_slot_open_start(s);
}

static const void *last_page(const rf_slot *s) {
  return (const void *)(rf_slot_open_end(s) - rf_page_size());
}

bool rf_page_slack_is_empty(const rf_slot *s) {
  rf_pattern_area const before = rf_page_slack_before(s);
  rf_pattern_area const after = rf_page_slack_after(s);
  return is_empty(&before, first_page(s)) || is_empty(&after, last_page(s));
}

void rf_page_mend_empty_slack(const rf_slot *s) {
  if (rf_page_slack_is_empty(s)) {
    rf_page_fill_slack(s);
  }
}

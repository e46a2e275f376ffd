#include "border.h"

#include "cache.h"
#include "rights.h"

static bool is_hit(const rf_span *span, rf_pattern_area *damage) {
  rf_pattern_area const front = {(unsigned char *)rf_span_start(span), RF_SPAN_FRONT, RF_PATTERN_REDZONE};
  return !rf_span_is_restricted(span) && rf_pattern_damage(&front, damage) && damage->at == front.at;
}

rf_span *rf_border_below(const rf_span *span) {
  rf_pattern_area damage;
  return rf_stopped_by_me() && is_hit(span, &damage) ? rf_span_holding(rf_span_start(span) - 1) : NULL;
}

rf_span *rf_border_mend_above(const rf_span *span) {
  rf_pattern_area damage;
  rf_span *const above = rf_stopped_by_me() ? rf_span_holding(rf_span_start(span) + span->bytes) : NULL;
  if (above == NULL || !is_hit(above, &damage)) {
    return NULL;
  }
  rf_pattern_write(damage.at, damage.size, damage.byte);
  return damage.size == RF_SPAN_FRONT ? above : NULL;
}

rf_span *rf_border_hit_above(uintptr_t end) {
  rf_pattern_area damage;
  rf_span *const above = rf_stopped_by_me() ? rf_span_holding(end) : NULL;
  bool const touches = above != NULL && rf_span_start(above) == end;
  return touches && is_hit(above, &damage) && damage.size == RF_SPAN_FRONT ? above : NULL;
}

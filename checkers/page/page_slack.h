/* The bytes of a block's pages beside it. Internal to the page store. */
#ifndef RINGFENCE_PAGE_SLACK_H
#define RINGFENCE_PAGE_SLACK_H

#include "page_impl.h"

#include "checkers/shared/pattern.h"

rf_pattern_area rf_page_slack_before(const rf_slot *s);
rf_pattern_area rf_page_slack_after(const rf_slot *s);

/* True where slack lies on a page that is all zeros; and writes the pattern there. */
bool rf_page_slack_is_empty(const rf_slot *s);
void rf_page_mend_empty_slack(const rf_slot *s);

#endif /* RINGFENCE_PAGE_SLACK_H */

/* A finding that people have split by a rule: its events go to several findings, by one more property of theirs. */
#ifndef RINGFENCE_TOOLS_SERVICE_SPLIT_H
#define RINGFENCE_TOOLS_SERVICE_SPLIT_H

#include "tools/service/intake/batch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The numbers are in databases, as values of finding.split_by. */
typedef enum rf_split_rule {
  RF_SPLIT_NONE = 0,
  RF_SPLIT_ACCESS = 1, /* the key of a stack, as the next two */
  RF_SPLIT_ALLOCATION = 2,
  RF_SPLIT_FREE = 3,
  RF_SPLIT_PROGRAM = 4,
  RF_SPLIT_BUILD = 5,
  RF_SPLIT_ENVIRONMENT = 6,
  RF_SPLIT_MODE = 7,
  RF_SPLIT_RULES = 8
} rf_split_rule;

/* "access", "program" and so on; NULL for NONE and what is no rule. */
const char *rf_split_name(int64_t rule);

/* The rule with this name, NONE where there is none. */
rf_split_rule rf_split_named(const char *name);

/* The property of an event that the rule looks at. */
int64_t rf_split_value(int64_t rule, const rf_event_keys *keys, const rf_candidate *event);

/* The key of the events of group `group` whose property is `value`: never 0. */
int64_t rf_split_key(int64_t group, int64_t rule, int64_t value);

#ifdef __cplusplus
}
#endif

#endif

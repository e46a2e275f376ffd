#include "tools/service/intake/split.h"

#include "checkers/report/fnv.h"

#include <string.h>

static const char *const names[RF_SPLIT_RULES] = {NULL,      "access", "allocation",  "free",
                                                  "program", "build",  "environment", "mode"};

const char *rf_split_name(int64_t rule) {
  return rule < 0 || rule >= RF_SPLIT_RULES ? NULL : names[rule];
}

rf_split_rule rf_split_named(const char *name) {
  for (int i = 1; i < RF_SPLIT_RULES; i++) {
    if (strcmp(name, names[i]) == 0) {
      return (rf_split_rule)i;
    }
  }
  return RF_SPLIT_NONE;
}

int64_t rf_split_value(int64_t rule, const rf_event_keys *keys, const rf_candidate *event) {
  int64_t const values[RF_SPLIT_RULES] = {
      0, keys->access, keys->allocation, keys->release, event->program, event->build, event->environment, event->mode};
  return rule < 0 || rule >= RF_SPLIT_RULES ? 0 : values[rule];
}

int64_t rf_split_key(int64_t group, int64_t rule, int64_t value) {
  int64_t const parts[] = {group, rule, value};
  uint64_t const sum = rf_fnv_bytes(RF_FNV_START, parts, sizeof parts);
  return sum == 0 ? 1 : (int64_t)sum;
}

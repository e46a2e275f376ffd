#include "tools/service/http/arguments.h"

#include "tools/ringfence/base/words.h"
#include "tools/service/query/query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int64_t rf_argument_number(const char *text, int64_t fallback) {
  char *end = NULL;
  errno = 0;
  long long const value = text == NULL ? 0 : strtoll(text, &end, 10);
  return text == NULL || text[0] == '\0' || *end != '\0' || errno != 0 || value < 0 ? fallback : value;
}

const char *rf_argument_error(rf_request *r) {
  static const char *const numbers[] = {"limit", "offset", "event", "snapshot", "against", "after", "a", "b"};
  static const struct {
    const char *name;
    const char *values;
  } choices[] = {
      {"state", RF_FILTER_STATES},
      {"order", RF_FILTER_ORDERS},
      {"watched", RF_FILTER_WATCHED},
  };
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    const char *const value = rf_request_argument(r, numbers[i]);
    if (value != NULL && value[0] != '\0' && rf_argument_number(value, -1) < 0) {
      return rf_bump_arena_print(&r->arena, "%s=%s: use a number from 0 on", numbers[i], value);
    }
  }
  for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
    const char *const value = rf_request_argument(r, choices[i].name);
    if (value != NULL && value[0] != '\0' && !rf_is_word_of(value, choices[i].values)) {
      return rf_bump_arena_print(&r->arena, "%s=%s: use one of: %s", choices[i].name, value, choices[i].values);
    }
  }
  return NULL;
}

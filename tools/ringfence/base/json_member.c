#include "tools/ringfence/base/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const rf_json *rf_json_member(const rf_json *object, const char *name) {
  const rf_json *member = object != NULL && object->type == RF_JSON_OBJECT ? object->first : NULL;
  while (member != NULL && (member->name[0] != name[0] || strcmp(member->name, name) != 0)) {
    member = member->next;
  }
  return member;
}

const rf_json *rf_json_list(const rf_json *object, const char *name) {
  const rf_json *const list = rf_json_member(object, name);
  return list == NULL || list->type != RF_JSON_ARRAY ? NULL : list->first;
}

uint64_t rf_json_length(const rf_json *first) {
  uint64_t count = 0;
  for (; first != NULL; first = first->next) {
    count++;
  }
  return count;
}

const char *rf_json_text(const rf_json *object, const char *name, const char *fallback) {
  const rf_json *const member = rf_json_member(object, name);
  return member != NULL && member->type == RF_JSON_STRING ? member->text : fallback;
}

static const char *number_text(const rf_json *object, const char *name) {
  const rf_json *const member = rf_json_member(object, name);
  bool const holds_one = member != NULL && (member->type == RF_JSON_NUMBER || member->type == RF_JSON_STRING);
  return holds_one ? member->text : NULL;
}

uint64_t rf_json_unsigned(const rf_json *object, const char *name, uint64_t fallback) {
  const char *const text = number_text(object, name);
  if (text == NULL || text[0] == '\0' || text[0] == '-') {
    return fallback;
  }
  char *end = NULL;
  int const base = text[0] == '0' && text[1] == 'x' ? 16 : 10;
  errno = 0;
  uint64_t const value = strtoull(text, &end, base);
  return errno == 0 && *end == '\0' ? value : fallback;
}

int64_t rf_json_signed(const rf_json *object, const char *name, int64_t fallback) {
  const char *const text = number_text(object, name);
  if (text == NULL || text[0] == '\0') {
    return fallback;
  }
  char *end = NULL;
  errno = 0;
  int64_t const value = strtoll(text, &end, 10);
  return errno == 0 && *end == '\0' ? value : fallback;
}

bool rf_json_bool(const rf_json *object, const char *name, bool fallback) {
  const rf_json *const member = rf_json_member(object, name);
  return member != NULL && member->type == RF_JSON_BOOL ? member->truth : fallback;
}

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

/* The names that a path takes, with spaces between them; NULL: there is no such path. */
static const char *names_of(const char *what) {
  static const struct {
    const char *path; /* with a slash at its end: and a number */
    const char *names;
  } paths[] = {
      {"findings", "state build new_in environment search order limit offset"},
      {"findings/", "event limit"},
      {"processes", "program host environment limit offset"},
      {"processes/", "snapshot against"},
      {"builds", "limit offset"},
      {"coverage", "module limit offset"},
      {"coverage/", "watched limit offset"},
      {"steering", "limit"},
      {"symbols", ""},
      {"status", ""},
      {"activity", "after limit"},
      {"why", "a b"},
  };
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    size_t const length = strlen(paths[i].path);
    bool const numbered = paths[i].path[length - 1] == '/';
    if (numbered ? strncmp(what, paths[i].path, length) == 0 : strcmp(what, paths[i].path) == 0) {
      return paths[i].names;
    }
  }
  return NULL;
}

typedef struct name_search {
  const char *known;
  const char *unknown; /* the first; NULL: none */
} name_search;

static enum MHD_Result look_at_name(void *context, enum MHD_ValueKind kind, const char *name, const char *value) {
  name_search *const s = (name_search *)context;
  (void)kind;
  (void)value;
  s->unknown = s->unknown == NULL && !rf_is_word_of(name, s->known) ? name : s->unknown;
  return MHD_YES;
}

/* The context: the first name that holds a NUL, or whose value does, behind which all is lost; NULL: none. */
static enum MHD_Result look_for_nul(void *context, enum MHD_ValueKind kind, const char *name, size_t name_length,
                                    const char *value, size_t length) {
  const char **const cut = (const char **)context;
  (void)kind;
  bool const found = memchr(name, '\0', name_length) != NULL || (value != NULL && memchr(value, '\0', length) != NULL);
  *cut = *cut == NULL && found ? name : *cut;
  return MHD_YES;
}

static const char *cut_error(rf_request *r, const char *name) {
  return rf_bump_arena_print(&r->arena, "%.100s: a value cannot hold a NUL (%%00)", name);
}

/* A name that is misspelt would be a filter that nobody applied. */
static const char *name_error(rf_request *r, const char *what) {
  name_search s = {names_of(what), NULL};
  if (s.known != NULL) {
    (void)MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, look_at_name, &s);
  }
  return s.unknown == NULL    ? NULL
         : s.known[0] == '\0' ? rf_bump_arena_print(&r->arena, "%.100s: there are no parameters here", s.unknown)
                              : rf_bump_arena_print(&r->arena, "%.100s: use one of: %s", s.unknown, s.known);
}

const char *rf_argument_value_error(rf_request *r) {
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

const char *rf_argument_error(rf_request *r, const char *what) {
  const char *const wrong = rf_argument_value_error(r);
  if (wrong != NULL) {
    return wrong;
  }
  if (strcmp(what, "why") == 0 && (rf_argument_number(rf_request_argument(r, "a"), 0) == 0 ||
                                   rf_argument_number(rf_request_argument(r, "b"), 0) == 0)) {
    return "why takes two findings: a=ID&b=ID";
  }
  return name_error(r, what);
}

const char *rf_query_error(rf_request *r) {
  const char *cut = NULL;
  (void)MHD_get_connection_values_n(r->connection, MHD_GET_ARGUMENT_KIND, look_for_nul, &cut);
  return cut == NULL ? NULL : cut_error(r, cut);
}

/* Records and files of symbols are bodies of their own. */
static bool is_form(const rf_request *r) {
  return strcmp(r->path, "/api/v1/records") != 0 && strcmp(r->path, "/api/v1/symbols") != 0;
}

static enum MHD_Result take_name(void *context, enum MHD_ValueKind kind, const char *name, const char *value) {
  (void)kind;
  (void)value;
  *(const char **)context = name;
  return MHD_NO;
}

/* The fields that a form takes, as names_of. */
static const char *fields_of(const char *path) {
  static const char sign_in[] = "/sign-in";
  static const char steering[] = "/steering";
  size_t const length = strlen(path);
  size_t const end = strlen(steering);
  return strcmp(path, sign_in) == 0                                    ? "token back"
         : length >= end && strcmp(path + length - end, steering) == 0 ? "action rule program build environment "
                                                                         "options because"
                                                                       : "text other";
}

static size_t length_before(const char *text, size_t length, char end) {
  const char *const at = (const char *)memchr(text, end, length);
  return at == NULL ? length : (size_t)(at - text);
}

/* A decision whose text lies in JSON, in the query string or under a misspelt name would be another one. */
static const char *field_error(rf_request *r) {
  const char *const known = fields_of(r->path);
  const char *parameter = NULL;
  (void)MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, take_name, &parameter);
  if (parameter != NULL && strcmp(r->path, "/sign-in") != 0) {
    return rf_bump_arena_print(&r->arena, "%.100s: there are no parameters here: send a form", parameter);
  }
  for (size_t at = 0; r->body != NULL && at < r->length;) {
    const char *const field = r->body + at;
    size_t const length = length_before(field, r->length - at, '&');
    const char *const name = rf_bump_arena_text(&r->arena, field, length_before(field, length, '='));
    if (length != 0 && !rf_is_word_of(name, known)) {
      return rf_bump_arena_print(&r->arena, "%.100s: send a form with one of: %s", name, known);
    }
    at += length + 1;
  }
  return NULL;
}

const char *rf_form_error(rf_request *r) {
  static const char nul[] = "%00";
  const char *const wrong = rf_query_error(r);
  if (wrong != NULL || !is_form(r)) {
    return wrong;
  }
  bool const cut = r->body != NULL &&
                   (memchr(r->body, '\0', r->length) != NULL || memmem(r->body, r->length, nul, strlen(nul)) != NULL);
  return cut ? cut_error(r, "the form") : field_error(r);
}

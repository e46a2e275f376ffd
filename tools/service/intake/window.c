#include "tools/service/intake/window.h"

#include <string.h>

/* ---- Members of a line ----
 *
 * The text is JSON that was parsed before. It is looked at as text since what is hidden is overwritten in place. */

typedef struct span {
  size_t from;
  size_t to; /* behind it */
} span;

static bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Each returns the place behind it, `end` at most. */
static size_t skip_space(const char *text, size_t at, size_t end) {
  while (at < end && is_space(text[at])) {
    at++;
  }
  return at;
}

static size_t skip_string(const char *text, size_t at, size_t end) {
  for (at++; at < end && text[at] != '"'; at++) {
    at += text[at] == '\\' ? 1 : 0;
  }
  return at < end ? at + 1 : end;
}

static size_t skip_value(const char *text, size_t at, size_t end) {
  size_t depth = 0;
  while (at < end) {
    char const c = text[at];
    bool const closes = c == '}' || c == ']';
    if (depth == 0 && (closes || c == ',' || is_space(c))) {
      return at;
    }
    at = c == '"' ? skip_string(text, at, end) : at + 1;
    depth += c == '{' || c == '[' ? 1 : 0;
    depth -= closes ? 1 : 0;
    if (depth == 0 && (closes || c == '"')) {
      return at;
    }
  }
  return end;
}

/* The next member of an object; *at is behind its brace, or behind a member. */
static bool next_member(const char *text, size_t *at, size_t end, span *name, span *value) {
  while (*at < end && (is_space(text[*at]) || text[*at] == ',')) {
    (*at)++;
  }
  if (*at >= end || text[*at] != '"') {
    return false;
  }
  name->from = *at + 1;
  *at = skip_string(text, *at, end);
  name->to = *at - 1;
  *at = skip_space(text, *at, end);
  *at = skip_space(text, *at + (*at < end), end); /* a colon */
  value->from = *at;
  *at = value->to = skip_value(text, *at, end);
  return true;
}

/* A name with a backslash may be any name. */
static bool is_named(const char *text, span name, const char *wanted) {
  size_t const length = name.to - name.from;
  return memchr(text + name.from, '\\', length) != NULL ||
         (length == strlen(wanted) && memcmp(text + name.from, wanted, length) == 0);
}

/* ---- Privacy ---- */

static bool kept(char letter, rf_window_rule rule) {
  return rule == RF_WINDOW_WHOLE || (rule == RF_WINDOW_GUARDS && (letter == 'g' || letter == 'h' || letter == '!'));
}

enum { BYTES, EXPECTED, CLASSES, PARTS };

/* The strings of a window, without their quotes. False where one is missing, is there twice, or is no plain string. */
static bool find_parts(const char *line, span window, span parts[PARTS]) {
  static const char *const names[PARTS] = {"bytes", "expected", "classes"};
  size_t at = window.from + 1;
  span name;
  span value;
  while (next_member(line, &at, window.to, &name, &value)) {
    for (size_t i = 0; i < PARTS; i++) {
      if (is_named(line, name, names[i])) {
        size_t const length = value.to - value.from;
        if (parts[i].to != 0 || length < 2 || line[value.from] != '"' ||
            memchr(line + value.from, '\\', length) != NULL) {
          return false;
        }
        parts[i] = (span){value.from + 1, value.to - 1};
      }
    }
  }
  size_t const count = parts[CLASSES].to - parts[CLASSES].from;
  return parts[BYTES].to != 0 && parts[EXPECTED].to != 0 && parts[CLASSES].to != 0 &&
         parts[BYTES].to - parts[BYTES].from == count * 2 && parts[EXPECTED].to - parts[EXPECTED].from == count * 2;
}

static void hide_window(char *line, span window, rf_window_rule rule) {
  span parts[PARTS] = {{0, 0}};
  bool const is_object = line[window.from] == '{';
  if (!is_object || !find_parts(line, window, parts)) {
    /* Not a form that is understood: nothing of it may stay. */
    memset(line + window.from, ' ', window.to - window.from);
    memcpy(line + window.from, is_object ? "{}" : "0", is_object ? 2 : 1);
    return;
  }
  for (size_t i = 0; i < parts[CLASSES].to - parts[CLASSES].from; i++) {
    if (!kept(line[parts[CLASSES].from + i], rule)) {
      memset(line + parts[BYTES].from + i * 2, '0', 2);
      memset(line + parts[EXPECTED].from + i * 2, '0', 2);
      line[parts[CLASSES].from + i] = '?';
    }
  }
}

/* Calls itself for the objects on the way: `path` are names, from that of a member of this object on. */
static void hide_in(char *line, span object, const char *const *path, rf_window_rule rule) {
  size_t at = object.from + 1;
  span name;
  span value;
  while (next_member(line, &at, object.to, &name, &value)) {
    if (value.to == value.from || !is_named(line, name, path[0])) {
      continue;
    }
    if (path[1] == NULL) {
      hide_window(line, value, rule);
    } else if (line[value.from] == '{') {
      hide_in(line, value, path + 1, rule);
    }
  }
}

void rf_window_hide(char *line, size_t length, rf_window_rule rule) {
  static const char *const path[] = {"finding", "window", NULL};
  size_t const start = skip_space(line, 0, length);
  if (rule != RF_WINDOW_WHOLE && start < length && line[start] == '{') {
    hide_in(line, (span){start, length}, path, rule);
  }
}

/* ---- Written bytes ---- */

unsigned rf_window_written(const rf_finding *f, rf_written out[RF_WRITTEN_MOST]) {
  unsigned count = 0;
  for (unsigned i = 0; i < f->window_size && count < RF_WRITTEN_MOST; i++) {
    int64_t const offset = (int64_t)(f->window_address + i) - (int64_t)(f->block + f->size);
    if (f->window_class[i] == RF_BYTE_BAD && offset > -(1 << 30) && offset < 1 << 30) {
      out[count++] = (rf_written){(int32_t)offset, f->expected[i], f->window[i]};
    }
  }
  return count;
}

bool rf_window_one_bit(const rf_finding *f) {
  unsigned bits = 0;
  for (unsigned i = 0; i < f->window_size; i++) {
    if (f->window_class[i] == RF_BYTE_BAD) {
      bits += (unsigned)__builtin_popcount((unsigned)(f->window[i] ^ f->expected[i]));
    }
  }
  return bits == 1;
}

int64_t rf_written_pack(rf_written w) {
  return (int64_t)w.offset * 65536 + (int64_t)w.expected * 256 + w.value;
}

rf_written rf_written_unpack(int64_t packed) {
  int64_t const offset = packed >= 0 ? packed / 65536 : -((65535 - packed) / 65536);
  int64_t const rest = packed - offset * 65536;
  return (rf_written){(int32_t)offset, (unsigned char)(rest / 256), (unsigned char)(rest % 256)};
}

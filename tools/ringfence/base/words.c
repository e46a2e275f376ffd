#include "tools/ringfence/base/words.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

bool rf_is_word_of(const char *value, const char *words) {
  size_t const length = strlen(value);
  if (strchr(value, ' ') != NULL) {
    return false;
  }
  for (const char *at = words; at != NULL; at = strchr(at, ' ')) {
    at += *at == ' ' ? 1 : 0;
    if (strncmp(at, value, length) == 0 && (at[length] == ' ' || at[length] == '\0')) {
      return true;
    }
  }
  return false;
}

const char *rf_noun(rf_bump_arena *arena, uint64_t count, const char *noun) {
  size_t const length = strlen(noun);
  bool const hisses = length != 0 && noun[length - 1] == 's';
  return count == 1 ? noun : rf_bump_arena_print(arena, "%s%s", noun, hisses ? "es" : "s");
}

const char *rf_counted(rf_bump_arena *arena, uint64_t count, const char *noun) {
  return rf_bump_arena_print(arena, "%" PRIu64 " %s", count, rf_noun(arena, count, noun));
}

const char *rf_changed(rf_bump_arena *arena, int64_t change, const char *noun) {
  return rf_bump_arena_print(arena, "%+" PRId64 " %s", change,
                             rf_noun(arena, change == -1 ? 1 : (uint64_t)change, noun));
}

const char *rf_bytes_text(rf_bump_arena *arena, uint64_t bytes) {
  static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) {
    return rf_counted(arena, bytes, "byte");
  }
  double value = (double)bytes / 1024;
  size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < sizeof units / sizeof units[0]) {
    value /= 1024;
    unit++;
  }
  return rf_bump_arena_print(arena, "%.1f %s", value, units[unit]);
}

const char *rf_time_text(rf_bump_arena *arena, int64_t seconds, const char *format) {
  time_t const when = (time_t)seconds;
  struct tm parts;
  char text[64];
  bool const known = gmtime_r(&when, &parts) != NULL && strftime(text, sizeof text, format, &parts) != 0;
  return known ? rf_bump_arena_copy(arena, text) : NULL;
}

const char *rf_web_encoded(rf_bump_arena *arena, const char *text) {
  static const char digits[] = "0123456789ABCDEF";
  char *const out = (char *)rf_bump_arena_alloc(arena, strlen(text) * 3 + 1);
  size_t at = 0;
  for (; *text != '\0'; text++) {
    unsigned char const c = (unsigned char)*text;
    bool const plain = (c >= '0' && c <= '9') || ((c | 32U) >= 'a' && (c | 32U) <= 'z') || strchr("-._~", c) != NULL;
    if (plain) {
      out[at++] = (char)c;
    } else {
      out[at++] = '%';
      out[at++] = digits[c >> 4];
      out[at++] = digits[c & 15];
    }
  }
  out[at] = '\0';
  return out;
}

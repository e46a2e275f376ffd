/* strspn and strcspn for the few short texts that each process looks at. The C library's are in pages of their own,
 * 64 KiB at a time, which a process would hold for these texts alone. */
#ifndef RINGFENCE_OS_CHARS_H
#define RINGFENCE_OS_CHARS_H

#include <stdbool.h>
#include <stddef.h>

static inline bool rf_char_is_in(char c, const char *set) {
  while (*set != '\0' && *set != c) {
    set++;
  }
  return *set != '\0';
}

/* How many of the characters at the start of `text` are in `set`. */
static inline size_t rf_chars_in(const char *text, const char *set) {
  size_t n = 0;
  while (rf_char_is_in(text[n], set)) {
    n++;
  }
  return n;
}

/* The same of those that are not; all where none is. */
static inline size_t rf_chars_not_in(const char *text, const char *set) {
  size_t n = 0;
  while (text[n] != '\0' && !rf_char_is_in(text[n], set)) {
    n++;
  }
  return n;
}

#endif /* RINGFENCE_OS_CHARS_H */

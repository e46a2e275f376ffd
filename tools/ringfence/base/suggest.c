#include "tools/ringfence/base/suggest.h"

#include <limits.h>
#include <string.h>

enum { LETTERS = 63 };

static unsigned least(unsigned a, unsigned b) {
  return a < b ? a : b;
}

/* Levenshtein's table, with one more way to a cell: a swap of two neighbours. */
unsigned rf_edit_distance(const char *a, const char *b) {
  size_t const a_len = strnlen(a, LETTERS);
  size_t const b_len = strnlen(b, LETTERS);
  unsigned table[LETTERS + 1][LETTERS + 1];
  for (size_t i = 0; i <= a_len; i++) {
    table[i][0] = (unsigned)i;
  }
  for (size_t j = 0; j <= b_len; j++) {
    table[0][j] = (unsigned)j;
  }
  for (size_t i = 1; i <= a_len; i++) {
    for (size_t j = 1; j <= b_len; j++) {
      unsigned const replaced = table[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      unsigned best = least(replaced, least(table[i - 1][j], table[i][j - 1]) + 1);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        best = least(best, table[i - 2][j - 2] + 1);
      }
      table[i][j] = best;
    }
  }
  return table[a_len][b_len];
}

const char *rf_suggest(const char *word, const char *const *names, size_t count) {
  const char *nearest = NULL;
  unsigned distance = UINT_MAX;
  for (size_t i = 0; i < count; i++) {
    unsigned const d = rf_edit_distance(word, names[i]);
    if (d < distance) {
      distance = d;
      nearest = names[i];
    }
  }
  /* A third of the letters wrong is a slip; more is another word, and so is half of a short one. */
  size_t const letters = strlen(word);
  return nearest != NULL && distance <= (letters + 2) / 3 && (size_t)2 * distance < letters ? nearest : NULL;
}

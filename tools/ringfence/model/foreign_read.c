#include "tools/ringfence/model/foreign.h"

#include <string.h>

/* Errors of kinds that are not ours leave the list. */
static void drop_unknown(rf_foreign *out) {
  size_t kept = 0;
  for (size_t i = 0; i < out->count; i++) {
    if (out->findings[i].known) {
      out->findings[kept++] = out->findings[i];
    }
  }
  out->other += out->count - kept;
  out->count = kept;
}

static bool has(const char *text, size_t length, const char *words) {
  return memmem(text, length, words, strlen(words)) != NULL;
}

rf_foreign rf_foreign_read(rf_bump_arena *arena, const char *text, size_t length) {
  rf_foreign out = {0};
  if (has(text, length, "<valgrindoutput>")) {
    out.tool = "valgrind";
    rf_foreign_read_valgrind(&out, arena, text, length);
  } else if (has(text, length, "AddressSanitizer") || has(text, length, "LeakSanitizer")) {
    out.tool = "asan";
    rf_foreign_read_asan(&out, arena, text, length);
  }
  drop_unknown(&out);
  return out;
}

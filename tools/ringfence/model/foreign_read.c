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

enum { NEAR_MOST = 64 };

/* The stack of a leak may end before the code that starts the program: the finding before or behind it in `list` that
 * is of its process names it. Lines of some processes may be mixed. */
static void take_program(rf_foreign_finding *list, size_t count, size_t index, int step) {
  rf_foreign_finding *const to = &list[index];
  for (size_t i = 1; i < NEAR_MOST && to->program == NULL; i++) {
    size_t const near = step < 0 ? index - i : index + i; /* wraps to beyond the list */
    if (near >= count) {
      return;
    }
    if (list[near].process == to->process) {
      to->program = list[near].program;
      return;
    }
  }
}

static void set_programs(rf_foreign *out) {
  for (size_t i = 0; i < out->count; i++) {
    const char *const own = rf_foreign_program_of(&out->findings[i]);
    out->findings[i].program = own != NULL ? own : out->findings[i].program;
  }
  for (size_t i = 0; i < out->count; i++) {
    take_program(out->findings, out->count, i, -1);
  }
  for (size_t i = out->count; i-- != 0;) {
    take_program(out->findings, out->count, i, 1);
  }
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
  set_programs(&out);
  drop_unknown(&out);
  return out;
}

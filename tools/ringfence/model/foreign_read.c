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

/* The stack of a leak may end before the code that starts the program: findings beside it, of its process, name it. */
static void take_program(rf_foreign_finding *to, const rf_foreign_finding *from) {
  to->program = to->program == NULL && to->process == from->process ? from->program : to->program;
}

static void set_programs(rf_foreign *out) {
  for (size_t i = 0; i < out->count; i++) {
    const char *const own = rf_foreign_program_of(&out->findings[i]);
    out->findings[i].program = own != NULL ? own : out->findings[i].program;
  }
  for (size_t i = 1; i < out->count; i++) {
    take_program(&out->findings[i], &out->findings[i - 1]);
  }
  for (size_t i = out->count; i > 1; i--) {
    take_program(&out->findings[i - 2], &out->findings[i - 1]);
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

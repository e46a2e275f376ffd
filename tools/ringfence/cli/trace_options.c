#include "tools/ringfence/cli/trace_options.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/cli/common_options.h"

#include <errno.h>
#include <ringfence/layout.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S 86400

bool rf_trace_option_size(const char *name, const char *text, size_t *out) {
  char *end;
  errno = 0;
  unsigned long long const n = strtoull(text, &end, 10);
  unsigned const shift = *end == 'K' || *end == 'k'   ? 10
                         : *end == 'M' || *end == 'm' ? 20
                         : *end == 'G' || *end == 'g' ? 30
                                                      : 0;
  if (text[0] < '0' || text[0] > '9' || errno != 0 || end[shift != 0 ? 1 : 0] != '\0' || n == 0 ||
      n > RF_SIZE_LIMIT >> shift) {
    rf_diag("--%s %s: give a number above 0", name, text);
    return false;
  }
  *out = (size_t)n << shift;
  return true;
}

bool rf_trace_option_file(const char *name, const char *path, const char **out) {
  return rf_common_options_file(out, name, path, "standard output is /dev/stdout");
}

bool rf_trace_option_limit(const char *text, double *out) {
  char *end;
  *out = strtod(text, &end);
  if (end == text || *end != '\0' || !(*out >= 0 && *out <= DAY_S)) {
    rf_diag("--limit %s: give a number of seconds, at most %d; 0 for none", text, DAY_S);
    return false;
  }
  return true;
}

bool rf_trace_option_allocator(rf_subject_list *list, rf_bump_arena *memory, const char *text) {
  if (strcmp(text, "all") == 0) {
    for (size_t i = 0; i < subject_count; i++) {
      RF_APPENDED(memory, list->items, list->count) = &subjects[i];
    }
    return true;
  }
  subject_pools *const pools = rf_bump_arena_alloc(memory, sizeof *pools);
  const subject *const s = subject_parse(text, pools);
  if (s != NULL) {
    RF_APPENDED(memory, list->items, list->count) = s;
    return true;
  }
  char names[512] = "";
  for (size_t i = 0; i < subject_count; i++) {
    size_t const used = strlen(names);
    (void)snprintf(names + used, sizeof names - used, "%s%s", i == 0 ? "" : ", ", subjects[i].name);
  }
  rf_diag("--allocator %s: use one of %s, or pool:SIZExCOUNT,...+NAME", text, names);
  return false;
}

const char *rf_trace_bytes(rf_bump_arena *memory, size_t bytes) {
  return bytes < 10240              ? rf_counted(memory, bytes, "byte")
         : bytes < (size_t)10 << 20 ? rf_bump_arena_print(memory, "%.1f KiB", (double)bytes / 1024)
                                    : rf_bump_arena_print(memory, "%.1f MiB", (double)bytes / 1048576);
}

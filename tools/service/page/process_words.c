#include "tools/service/page/process_words.h"

#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/words.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *rf_call_name(const rf_process_view *v, const rf_json *call) {
  const char *const function = rf_json_text(call, "function", NULL);
  const char *const module = rf_json_text(call, "module", NULL);
  if (function != NULL && function[0] != '\0') {
    return function;
  }
  return module == NULL
             ? rf_json_text(call, "offset", "(not known)")
             : rf_bump_arena_print(v->page->arena, "%s+%s", rf_base_name(module), rf_json_text(call, "offset", "0"));
}

const char *rf_call_place(const rf_process_view *v, const rf_json *call) {
  const char *const file = rf_json_text(call, "file", NULL);
  uint64_t const line = rf_json_unsigned(call, "line", 0);
  return file == NULL ? NULL
         : line == 0  ? rf_base_name(file)
                      : rf_bump_arena_print(v->page->arena, "%s:%" PRIu64, rf_base_name(file), line);
}

const char *rf_page_duration(const rf_page *p, const rf_json *process) {
  const rf_json *const member = rf_json_member(process, "seconds");
  double const seconds = member == NULL ? 0 : strtod(member->text, NULL);
  double const minute = 60;
  double const hour = 3600;
  return seconds < 2 * minute ? rf_bump_arena_print(p->arena, seconds < 10 ? "%.1f s" : "%.0f s", seconds)
         : seconds < 2 * hour ? rf_bump_arena_print(p->arena, "%.0f min", seconds / minute)
                              : rf_bump_arena_print(p->arena, "%.1f h", seconds / hour);
}

const char *rf_signed_bytes(const rf_page *p, int64_t bytes) {
  uint64_t const size = bytes < 0 ? (uint64_t)-bytes : (uint64_t)bytes;
  return rf_bump_arena_print(p->arena, "%s%s", bytes < 0 ? "−" : bytes > 0 ? "+" : "", rf_bytes_text(p->arena, size));
}

const char *rf_signed_count(const rf_page *p, int64_t count) {
  uint64_t const size = count < 0 ? 0 - (uint64_t)count : (uint64_t)count;
  return rf_bump_arena_print(p->arena, "%s%s", count < 0 ? "−" : count > 0 ? "+" : "", rf_page_number(p, size));
}

const char *rf_svg_number(const rf_page *p, double value) {
  return rf_bump_arena_print(p->arena, "%.3f", isfinite(value) ? value : 0.0);
}

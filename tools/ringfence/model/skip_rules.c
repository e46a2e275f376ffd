#include "tools/ringfence/model/skip_rules.h"

#include "checkers/report/utf8.h"

#include <ringfence/suppress.h>
#include <string.h>

#define PATTERN(text)                                                                                                  \
  { text, sizeof(text) - 1 }

typedef struct built_in {
  const char *pattern;
  size_t length;
} built_in;

/* Beside the frames that rf_frame_is_runtime knows. */
static const built_in functions[] = {
    PATTERN("^std::"),
    PATTERN("^__gnu_cxx::"),
    PATTERN("^operator new"),
    PATTERN("^operator delete"),
    PATTERN("^__interceptor_"),
    PATTERN("^__asan_"),
    PATTERN("^__sanitizer_"),
    PATTERN("^__libc_"),
    PATTERN("^__GI_"),
    /* The functions of libc by which memory is touched, where a program is linked statically. */
    PATTERN("^memcpy$"),
    PATTERN("^memmove$"),
    PATTERN("^memset$"),
    PATTERN("^memcmp$"),
    PATTERN("^memchr$"),
    PATTERN("^strlen$"),
    PATTERN("^strcpy$"),
    PATTERN("^strncpy$"),
    PATTERN("^strcat$"),
    PATTERN("^strcmp$"),
    PATTERN("^__mem*_chk$"),
    PATTERN("^__str*_chk$"),
    PATTERN("^__mem*_avx"),
    PATTERN("^__mem*_sse"),
    PATTERN("^__mem*_evex"),
    PATTERN("^__str*_avx"),
    PATTERN("^__str*_sse"),
    PATTERN("^__str*_evex"),
    PATTERN("^__mem*_erms$"),
    PATTERN("^__aeabi_mem"),
    /* Ringfence's own interface, and wrappers of malloc that many programs have. */
    PATTERN("^rf_alloc"),
    PATTERN("^rf_calloc"),
    PATTERN("^rf_realloc"),
    PATTERN("^rf_free"),
    PATTERN("^rf_guard_"),
    PATTERN("^rf_page_"),
    PATTERN("^rf_sample_"),
    PATTERN("^xmalloc$"),
    PATTERN("^xcalloc$"),
    PATTERN("^xrealloc$"),
    PATTERN("^xstrdup$"),
    PATTERN("^g_malloc"),
    PATTERN("^g_realloc"),
    PATTERN("^g_free$"),
    PATTERN("^pvPortMalloc$"),
    PATTERN("^vPortFree$"),
    PATTERN("^k_malloc$"),
    PATTERN("^k_free$"),
    /* The code that starts programs and threads. */
    PATTERN("^_start$"),
    PATTERN("^start_thread$"),
    PATTERN("^clone3$"),
    PATTERN("^clone$"),
    PATTERN("^__clone"),
    PATTERN("^_dl_"),
    PATTERN("^Reset_Handler$"),
};

static const built_in modules[] = {
    PATTERN("^libc.so"),    PATTERN("^libc-2."),        PATTERN("^libm.so"),      PATTERN("^libstdc++.so"),
    PATTERN("^libc++.so"),  PATTERN("^libc++abi.so"),   PATTERN("^libpthread"),   PATTERN("^libgcc_s.so"),
    PATTERN("^ld-linux"),   PATTERN("^ld-2."),          PATTERN("^libringfence"), PATTERN("^libasan.so"),
    PATTERN("^vgpreload_"), PATTERN("^libjemalloc.so"), PATTERN("^libtcmalloc"),  PATTERN("^libmimalloc.so"),
};

enum { FUNCTIONS = sizeof functions / sizeof functions[0], MODULES = sizeof modules / sizeof modules[0] };

/* Reads the line at *at, which is moved behind it; false at the end. An empty rule is a line without one. */
static bool next(const char **at, const char *end, rf_skip_rule *rule, bool *wrong) {
  if (*at >= end) {
    return false;
  }
  const char *const feed = (const char *)memchr(*at, '\n', (size_t)(end - *at));
  const char *start = *at;
  const char *stop = feed == NULL ? end : feed;
  *at = feed == NULL ? end : feed + 1;
  while (stop > start && (stop[-1] == '\r' || stop[-1] == ' ' || stop[-1] == '\t')) {
    stop--;
  }
  const char *const colon = start == stop ? NULL : (const char *)memchr(start, ':', (size_t)(stop - start));
  size_t const kind = colon == NULL ? 0 : (size_t)(colon - start);
  *rule = (rf_skip_rule){.module = kind == 6 && memcmp(start, "module", 6) == 0};
  if (start == stop || *start == '#') {
    *wrong = false;
    return true;
  }
  *wrong = colon == NULL || colon + 1 == stop || (!rule->module && (kind != 8 || memcmp(start, "function", 8) != 0));
  if (!*wrong) {
    rule->pattern = colon + 1;
    rule->length = (size_t)(stop - rule->pattern);
  }
  return true;
}

unsigned rf_skip_rules_parse(rf_skip_rules *rules, rf_bump_arena *arena, const char *text, size_t length) {
  const char *at = rf_utf8_behind_mark(text, &length);
  const char *const end = at + length;
  rf_skip_rule rule;
  bool wrong = false;
  for (unsigned line = 1; next(&at, end, &rule, &wrong); line++) {
    if (wrong) {
      return line;
    }
    if (rule.length != 0) {
      RF_APPENDED(arena, rules->list, rules->count) = rule;
    }
  }
  return 0;
}

/* Each of the list begins with "^" and a letter, which tells most of them apart. */
static bool matches_any(const built_in *list, size_t count, const char *name) {
  for (size_t i = 0; i < count && name != NULL; i++) {
    if (list[i].pattern[1] == name[0] && rf_suppression_matches(list[i].pattern, list[i].length, name)) {
      return true;
    }
  }
  return false;
}

bool rf_skip_rules_match(const rf_skip_rules *rules, const char *function, const char *module) {
  if (matches_any(functions, FUNCTIONS, function) || matches_any(modules, MODULES, module)) {
    return true;
  }
  for (size_t i = 0; i < rules->count; i++) {
    const rf_skip_rule *const rule = &rules->list[i];
    if (rf_suppression_matches(rule->pattern, rule->length, rule->module ? module : function)) {
      return true;
    }
  }
  return false;
}

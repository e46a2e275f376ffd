#include <ringfence/suppress.h>

#include <string.h>

#include "lib/core/compiler.h"
#include "utf8.h"

/* ---- Lines ---- */

typedef struct text_line {
  const char *at;
  size_t length;
  unsigned number;
} text_line;

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

static void strip(text_line *line) {
  while (line->length != 0 && is_blank(line->at[0])) {
    line->at++;
    line->length--;
  }
  while (line->length != 0 && is_blank(line->at[line->length - 1])) {
    line->length--;
  }
}

/* Takes the next line that is neither empty nor a comment off the text; false at its end. */
static bool next_line(const char **at, const char *end, text_line *line) {
  while (*at < end) {
    const char *const feed = (const char *)memchr(*at, '\n', (size_t)(end - *at));
    const char *const stop = feed != NULL ? feed : end;
    line->at = *at;
    line->length = (size_t)(stop - *at);
    line->number++;
    *at = feed != NULL ? feed + 1 : end;
    if (line->number == 1) {
      line->at = rf_utf8_behind_mark(line->at, &line->length);
    }
    strip(line);
    if (line->length != 0 && line->at[0] != '#') {
      return true;
    }
  }
  return false;
}

RF_COLD size_t rf_suppressions_count(const char *text, size_t length) {
  const char *at = text;
  text_line line = {NULL, 0, 0};
  size_t count = 0;
  while (next_line(&at, text + length, &line)) {
    count++;
  }
  return count;
}

/* ---- Rules ---- */

static bool is_word(const text_line *line, size_t length, const char *word) {
  return length == strlen(word) && memcmp(line->at, word, length) == 0;
}

/* NULL, or the reason why the line is no rule. */
static const char *parse_rule(const text_line *line, rf_suppression *rule) {
  const char *const colon = (const char *)memchr(line->at, ':', line->length);
  size_t const kind = colon != NULL ? (size_t)(colon - line->at) : 0;
  memset(rule, 0, sizeof *rule);
  if (colon == NULL) {
    return "no colon; a rule is KIND:PATTERN";
  }
  rule->pattern = colon + 1;
  rule->length = (unsigned)(line->length - kind - 1);
  rule->line = line->number;
  if (rule->length == 0 || (rule->length == 2 && memcmp(rule->pattern, "^$", 2) == 0)) {
    return "no pattern after the colon; * matches everything";
  }
  rule->any = is_word(line, kind, "*");
  if (is_word(line, kind, "leak")) {
    rule->bug = RF_BUG_LEAK;
  } else if (!rule->any && !rf_bug_from_name(line->at, kind, &rule->bug)) {
    return "unknown kind of finding; use leak, heap-buffer-overflow, double-free and the like, or *";
  }
  return NULL;
}

static void warn(const rf_sink *warnings, const char *source, const text_line *line, const char *reason) {
  rf_sink_str(warnings, "ringfence: ");
  rf_sink_str(warnings, source);
  rf_sink_str(warnings, ":");
  rf_sink_uint(warnings, line->number);
  rf_sink_str(warnings, ": ");
  rf_sink_mem(warnings, line->at, line->length);
  rf_sink_str(warnings, ": ");
  rf_sink_str(warnings, reason);
  rf_sink_str(warnings, "\n");
}

RF_COLD unsigned rf_suppressions_parse(rf_suppressions *all, const char *text, size_t length, const char *source,
                                       const rf_sink *warnings) {
  const char *at = text;
  text_line line = {NULL, 0, 0};
  unsigned wrong = 0;
  while (next_line(&at, text + length, &line)) {
    rf_suppression rule;
    const char *reason = parse_rule(&line, &rule);
    if (reason == NULL && all->count == all->capacity) {
      warn(warnings, source, &line, "too many rules; this one and those after it are ignored");
      return wrong + 1;
    }
    if (reason == NULL) {
      all->rules[all->count++] = rule;
    } else {
      warn(warnings, source, &line, reason);
      wrong++;
    }
  }
  return wrong;
}

/* ---- Matching ---- */

/* A pattern that is compared with a whole name: a star stands before it unless it begins with "^", and one after it
 * unless it ends with "$". */
typedef struct shape {
  const char *at;
  size_t length; /* without these stars */
  bool before;
  bool behind;
} shape;

static shape shape_of(const char *pattern, size_t length) {
  bool const from_start = length != 0 && pattern[0] == '^';
  bool const to_end = length > (size_t)from_start && pattern[length - 1] == '$';
  return (shape){pattern + from_start, length - from_start - to_end, !from_start, !to_end};
}

static size_t shape_length(const shape *s) {
  return s->length + s->before + s->behind;
}

static char shape_at(const shape *s, size_t i) {
  size_t const at = i - s->before;
  if ((s->before && i == 0) || at >= s->length) {
    return '*';
  }
  return s->at[at];
}

/* Only the last star needs to be tried again: it can take any text that an earlier one could take. */
RF_COLD bool rf_suppression_matches(const char *pattern, size_t length, const char *name) {
  if (name == NULL) {
    return false;
  }
  shape const s = shape_of(pattern, length);
  size_t const end = shape_length(&s);
  size_t at = 0;
  size_t star = end; /* position of the last star; `end`: none yet */
  const char *again = name;
  while (*name != '\0') {
    if (at < end && shape_at(&s, at) == '*') {
      star = at++;
      again = name;
    } else if (at < end && shape_at(&s, at) == *name) {
      at++;
      name++;
    } else if (star != end) {
      at = star + 1;
      name = ++again;
    } else {
      return false;
    }
  }
  while (at < end && shape_at(&s, at) == '*') {
    at++;
  }
  return at == end;
}

static rf_suppression *find_for(const rf_suppressions *all, rf_bug bug, const char *const *names, size_t count,
                                rf_suppression *before) {
  for (size_t i = 0; i < all->count && &all->rules[i] != before; i++) {
    rf_suppression *const rule = &all->rules[i];
    for (size_t n = 0; n < count && (rule->any || rule->bug == bug); n++) {
      if (rf_suppression_matches(rule->pattern, rule->length, names[n])) {
        return rule;
      }
    }
  }
  return before;
}

RF_COLD rf_suppression *rf_suppressions_find(const rf_suppressions *all, rf_bug bug, const char *const *names,
                                             size_t count) {
  return find_for(all, bug, names, count, NULL);
}

/* ---- Findings ---- */

static rf_suppression *match_frame(const rf_suppressions *all, rf_bug bug, uintptr_t pc,
                                   const rf_symbolizer *symbolizer, rf_suppression *best) {
  rf_frame_name name = {0};
  for (unsigned inlined = 0; symbolizer->name(symbolizer->context, pc, inlined, &name); inlined++) {
    const char *const names[] = {name.function, name.module, name.file, name.symbol};
    best = find_for(all, bug, names, sizeof names / sizeof names[0], best);
  }
  return best;
}

static rf_suppression *match_trace(const rf_suppressions *all, rf_bug bug, const rf_trace *trace,
                                   const rf_symbolizer *symbolizer, rf_suppression *best) {
  if (trace->site != NULL) {
    const char *const names[] = {trace->site->function, trace->site->file};
    best = find_for(all, bug, names, sizeof names / sizeof names[0], best);
  }
  for (unsigned i = 0; symbolizer != NULL && i < trace->depth; i++) {
    best = match_frame(all, bug, trace->frames[i], symbolizer, best);
  }
  return best;
}

RF_COLD rf_suppression *rf_suppressions_match(const rf_suppressions *all, const rf_finding *f,
                                              const rf_symbolizer *symbolizer) {
  /* "*" matches a finding without names, too. */
  const char *const nothing[] = {""};
  rf_suppression *best = find_for(all, f->bug, nothing, 1, NULL);
  if (f->bug != RF_BUG_LEAK) {
    best = match_trace(all, f->bug, &f->found, symbolizer, best);
    best = match_trace(all, f->bug, &f->released, symbolizer, best);
  }
  return match_trace(all, f->bug, &f->allocated, symbolizer, best);
}

/* ---- The list ---- */

static void column(const rf_sink *sink, uint64_t value, unsigned width) {
  unsigned digits = 1;
  for (uint64_t rest = value; rest >= 10; rest /= 10) {
    digits++;
  }
  for (; digits < width; digits++) {
    rf_sink_char(sink, ' ');
  }
  rf_sink_uint(sink, value);
}

RF_COLD void rf_suppression_write(const rf_suppression *rule, const rf_sink *sink) {
  rf_sink_str(sink, rule->any ? "*" : rule->bug == RF_BUG_LEAK ? "leak" : rf_bug_name(rule->bug));
  rf_sink_char(sink, ':');
  rf_sink_mem(sink, rule->pattern, rule->length);
}

void rf_suppressions_report(const rf_suppressions *all, const rf_sink *sink) {
  bool any = false;
  for (size_t i = 0; i < all->count; i++) {
    const rf_suppression *const rule = &all->rules[i];
    if (rule->used == 0) {
      continue;
    }
    if (!any) {
      rf_sink_str(sink, "-----------------------------------------------------\n"
                        "Suppressions used:\n  count      bytes template\n");
    }
    any = true;
    column(sink, rule->used, 7);
    column(sink, rule->bytes, 11);
    rf_sink_char(sink, ' ');
    rf_suppression_write(rule, sink);
    rf_sink_char(sink, '\n');
  }
  if (any) {
    rf_sink_str(sink, "-----------------------------------------------------\n");
  }
}

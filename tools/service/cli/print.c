#include "tools/service/cli/print.h"

#include "tools/ringfence/base/words.h"
#include "tools/ringfence/model/record.h"
#include "tools/ringfence/render/document.h"
#include "tools/service/intake/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* On one line, whatever the text has. */
void rf_print_safe(const char *text) {
  rf_sink const out = rf_file_sink(stdout);
  rf_sink const clean = rf_clean_sink(&out);
  while (*text != '\0') {
    size_t const plain = strcspn(text, "\n\t");
    rf_sink_mem(&clean, text, plain);
    text += plain;
    if (*text != '\0') {
      (void)putchar('?');
      text++;
    }
  }
}

static void put_line(const char *name, const char *value) {
  if (value != NULL && value[0] != '\0') {
    (void)printf("  %-12s ", name);
    rf_print_safe(value);
    (void)putchar('\n');
  }
}

/* "2026-11-20 22:00" of "2026-11-20T22:00:00.123Z", in UTC. */
static const char *minute(rf_bump_arena *arena, const rf_json *object, const char *name) {
  const char *const time = rf_json_text(object, name, "");
  return strlen(time) < 16 ? "" : rf_bump_arena_print(arena, "%.10s %.5s", time, time + 11);
}

static void put_time(rf_bump_arena *arena, const rf_json *object, const char *name, const char *title) {
  const char *const time = minute(arena, object, name);
  put_line(title, time[0] == '\0' ? "not known" : rf_bump_arena_print(arena, "%s UTC", time));
}

static const char *state_text(const rf_json *f) {
  const char *const state = rf_json_text(f, "state", "");
  return rf_json_bool(f, "new", false) ? "new" : state;
}

void rf_print_findings(rf_cli *cli, const rf_json *root) {
  rf_bump_arena *const arena = &cli->arena;
  uint64_t shown = 0;
  for (const rf_json *f = rf_json_list(root, "findings"); f != NULL; f = f->next) {
    if (shown++ == 0) {
      (void)puts("    id  state     events  last seen (UTC)   kind and place");
    }
    (void)printf("%6" PRIu64 "  %-8s %7" PRIu64 "  %-16s  ", rf_json_unsigned(f, "id", 0), state_text(f),
                 rf_json_unsigned(f, "count", 0), minute(arena, f, "last_seen"));
    rf_print_safe(rf_json_text(f, "bug", ""));
    (void)fputs(": ", stdout);
    rf_print_safe(rf_json_text(f, "title", ""));
    (void)fputs("\n                                             ", stdout);
    rf_print_safe(rf_json_text(f, "place", ""));
    (void)putchar('\n');
  }
  uint64_t const total = rf_json_unsigned(root, "total", 0);
  if (total == 0) {
    (void)puts("no findings");
  } else if (total > shown) {
    (void)printf("%" PRIu64 " of %" PRIu64 " findings; --limit shows more\n", shown, total);
  }
}

void rf_print_part(const rf_json *list, uint64_t total, const char *noun) {
  uint64_t const shown = rf_json_length(list);
  if (shown < total) {
    (void)printf("%" PRIu64 " of %" PRIu64 " %s; --limit and --offset show others\n", shown, total, noun);
  }
}

static void print_names(const rf_json *root, const char *name, const char *title) {
  const rf_json *const list = rf_json_member(root, name);
  uint64_t const total = rf_json_unsigned(rf_json_member(root, "totals"), name, 0);
  uint64_t const shown = rf_json_length(rf_json_list(root, name));
  for (const rf_json *n = list == NULL ? NULL : list->first; n != NULL; n = n->next) {
    (void)printf("  %-12s %7" PRIu64 "  ", n == list->first ? title : "", rf_json_unsigned(n, "count", 0));
    rf_print_safe(rf_json_text(n, "name", ""));
    (void)putchar('\n');
  }
  if (shown < total) {
    (void)printf("  %-12s          and %" PRIu64 " more; --limit shows them\n", "", total - shown);
  }
}

static void print_fix(rf_bump_arena *arena, const rf_json *root) {
  const rf_json *const fix = rf_json_member(root, "since_fix");
  const rf_json *const expected = rf_json_member(fix, "expected");
  if (fix != NULL) {
    (void)printf("  %-12s %s in %s process-hours", "since fix",
                 rf_counted(arena, rf_json_unsigned(fix, "events_after", 0), "event"),
                 rf_json_member(fix, "hours_after")->text);
    if (expected != NULL && expected->type == RF_JSON_NUMBER) {
      (void)printf(", expected %s by the rate before", expected->text);
    }
    (void)putchar('\n');
  }
}

static void print_record(rf_bump_arena *arena, rf_store *store, const rf_json *root) {
  rf_record *const record = rf_record_read(arena, rf_json_member(rf_json_member(root, "record"), "finding"));
  rf_sink const out = rf_file_sink(stdout);
  rf_sink const clean = rf_clean_sink(&out);
  if (record != NULL) {
    rf_names_apply(store, arena, record);
    rf_record_trim(record, NULL, false);
    (void)putchar('\n');
    rf_record_text(arena, record, &clean);
  }
}

void rf_print_finding(rf_cli *cli, const rf_json *root) {
  rf_bump_arena *const arena = &cli->arena;
  uint64_t const id = rf_json_unsigned(root, "id", 0);
  uint64_t const whole = rf_json_unsigned(root, "merged_into", 0);
  if (whole != 0) {
    (void)printf("finding %" PRIu64 " is part of finding %" PRIu64 ", which is %s\n", id, whole, state_text(root));
  }
  (void)printf("finding %" PRIu64 ": ", id);
  rf_print_safe(rf_json_text(root, "bug", ""));
  (void)fputs(", ", stdout);
  rf_print_safe(rf_json_text(root, "title", ""));
  (void)putchar('\n');
  put_line("place", rf_json_text(root, "place", ""));
  put_line("state", state_text(root));
  put_line("fixed in", rf_json_text(root, "fixed_in", NULL));
  put_line("because", rf_json_text(root, "because", NULL));
  (void)printf("  %-12s %" PRIu64 "\n", "events", rf_json_unsigned(root, "count", 0));
  put_time(arena, root, "first_seen", "first seen");
  put_time(arena, root, "last_seen", "last seen");
  print_fix(arena, root);
  print_names(root, "builds", "builds");
  print_names(root, "programs", "programs");
  print_names(root, "environments", "environment");
  print_names(root, "hosts", "hosts");
  print_record(arena, &cli->store, root);
}

void rf_print_builds(rf_cli *cli, const rf_json *root) {
  (void)cli;
  const rf_json *const list = rf_json_list(root, "builds");
  uint64_t const total = rf_json_unsigned(root, "total", 0);
  (void)puts(total == 0 ? "no build is known yet" : "  findings   new   events   hours  order    build");
  for (const rf_json *b = list; b != NULL; b = b->next) {
    const char *const version = rf_json_text(b, "version", "");
    const char *const name = rf_json_text(b, "name", "");
    (void)printf("  %8" PRIu64 " %5" PRIu64 " %8" PRIu64 " %7s  %-7s  ", rf_json_unsigned(b, "findings", 0),
                 rf_json_unsigned(b, "new_findings", 0), rf_json_unsigned(b, "events", 0),
                 rf_json_member(b, "hours")->text, rf_json_bool(b, "order_guessed", false) ? "guessed" : "given");
    if (version[0] != '\0' && strcmp(version, name) != 0) {
      rf_print_safe(version);
      (void)putchar(' ');
    }
    rf_print_safe(name);
    (void)putchar('\n');
  }
  rf_print_part(list, total, "builds");
}

void rf_print_activity(rf_cli *cli, const rf_json *root) {
  (void)cli;
  for (const rf_json *a = rf_json_list(root, "activity"); a != NULL; a = a->next) {
    (void)printf("%.19sZ  %-10s #%-6" PRIu64 " ", rf_json_text(a, "time", ""), rf_json_text(a, "kind", ""),
                 rf_json_unsigned(a, "finding", 0));
    rf_print_safe(rf_json_text(a, "environment", ""));
    (void)fputs("  ", stdout);
    rf_print_safe(rf_json_text(a, "bug", ""));
    (void)fputs(" at ", stdout);
    rf_print_safe(rf_json_text(a, "place", ""));
    (void)putchar('\n');
  }
}

void rf_print_why(rf_cli *cli, const rf_json *root) {
  (void)cli;
  for (const char *line = rf_json_text(root, "why", ""); *line != '\0';) {
    size_t const length = strcspn(line, "\n");
    rf_print_clean("%.*s\n", (int)length, line);
    line += length + (line[length] == '\n');
  }
}

void rf_print_status(rf_cli *cli, const rf_json *root) {
  rf_bump_arena *const arena = &cli->arena;
  static const char *const counts[] = {"findings", "events", "events_kept", "builds", "processes", "crash_loops"};
  static const char *const sizes[] = {"database_bytes", "waiting_bytes", "free_bytes"};
  static const char *const titles[] = {"database", "waiting", "disk free"};
  static const char *const names[] = {"findings", "events", "kept whole", "builds", "processes", "crash loops"};
  put_line("folder", rf_json_text(root, "directory", ""));
  for (int i = 0; i < 3; i++) {
    put_line(titles[i], rf_bytes_text(arena, rf_json_unsigned(root, sizes[i], 0)));
  }
  for (int i = 0; i < 6; i++) {
    put_line(names[i], rf_bump_arena_print(arena, "%" PRIu64, rf_json_unsigned(root, counts[i], 0)));
  }
  uint64_t const outgoing = rf_json_unsigned(root, "forward_waiting", 0);
  if (outgoing != 0) {
    put_line("to send on", rf_counted(arena, outgoing, "record"));
  }
  uint64_t const repeats = rf_json_unsigned(root, "repeats_waiting", 0);
  if (repeats != 0) {
    put_line("early", rf_bump_arena_print(arena, "%s whose finding has not come", rf_counted(arena, repeats, "event")));
  }
  for (const rf_json *l = rf_json_list(root, "losses"); l != NULL; l = l->next) {
    put_line("lost",
             rf_bump_arena_print(arena, "%s: %" PRIu64, rf_json_text(l, "what", ""), rf_json_unsigned(l, "count", 0)));
  }
}

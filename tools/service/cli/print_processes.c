/* Processes and their memory as text for a terminal. */
#include "tools/service/cli/print.h"

#include "tools/ringfence/base/words.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SITES = 20 };

static const char *bytes_of(rf_bump_arena *arena, const rf_json *object, const char *name) {
  return rf_bytes_text(arena, rf_json_unsigned(object, name, 0));
}

void rf_print_processes(rf_cli *cli, const rf_json *root) {
  rf_bump_arena *const arena = &cli->arena;
  const rf_json *const list = rf_json_list(root, "processes");
  (void)puts(list == NULL ? "no process has sent a snapshot of its memory"
                          : "    id  snapshots        live        peak    hours  program");
  for (const rf_json *p = list; p != NULL; p = p->next) {
    (void)printf("%6" PRIu64 "  %9" PRIu64 "  %10s  %10s  %7s  ", rf_json_unsigned(p, "id", 0),
                 rf_json_unsigned(p, "snapshot_count", 0), bytes_of(arena, p, "bytes"), bytes_of(arena, p, "peak"),
                 rf_json_member(p, "hours")->text);
    rf_print_safe(rf_json_text(p, "program", ""));
    (void)printf(" %" PRIu64 " on ", rf_json_unsigned(p, "pid", 0));
    rf_print_safe(rf_json_text(p, "host", ""));
    (void)putchar('\n');
  }
}

static const rf_json *at(const rf_json *list, uint64_t index) {
  for (; list != NULL && index != 0; index--) {
    list = list->next;
  }
  return list;
}

static void print_call(const rf_json *call) {
  rf_print_safe(rf_json_text(call, "function", rf_json_text(call, "module", "(not known)")));
  const char *const file = rf_json_text(call, "file", NULL);
  if (file != NULL) {
    (void)putchar(' ');
    rf_print_safe(file);
    (void)printf(":%" PRIu64, rf_json_unsigned(call, "line", 0));
  }
}

/* The place of the site and the two calls that led to it. */
static void print_site(const rf_json *calls, const rf_json *site, bool difference) {
  int64_t const bytes = rf_json_signed(site, difference ? "more_bytes" : "bytes", 0);
  int64_t const blocks = rf_json_signed(site, difference ? "more_blocks" : "blocks", 0);
  const rf_json *index = at(rf_json_list(site, "stack"), rf_json_unsigned(site, "top", 0));
  (void)printf(difference ? "  %+11" PRId64 " %+9" PRId64 "  " : "  %11" PRId64 " %9" PRId64 "  ", bytes, blocks);
  for (int shown = 0; shown < 3 && index != NULL; shown++, index = index->next) {
    (void)fputs(shown == 0 ? "" : " < ", stdout);
    print_call(at(calls, strtoull(index->text, NULL, 10)));
  }
  (void)putchar('\n');
}

static void print_snapshots(rf_bump_arena *arena, const rf_json *root) {
  for (const rf_json *s = rf_json_list(root, "snapshots"); s != NULL; s = s->next) {
    (void)printf("  %6" PRIu64 "  %.19sZ  %10s in %-9" PRIu64 " ", rf_json_unsigned(s, "id", 0),
                 rf_json_text(s, "time", ""), bytes_of(arena, s, "bytes"), rf_json_unsigned(s, "blocks", 0));
    rf_print_safe(rf_json_text(s, "name", ""));
    (void)puts(rf_json_bool(s, "whole", false) ? "" : " (figures only)");
  }
}

void rf_print_process(rf_cli *cli, const rf_json *root) {
  rf_bump_arena *const arena = &cli->arena;
  const rf_json *const snapshot = rf_json_member(root, "snapshot");
  const rf_json *const against = rf_json_member(snapshot, "against");
  const rf_json *site = rf_json_list(snapshot, "sites");
  (void)printf("process %" PRIu64 ": ", rf_json_unsigned(root, "id", 0));
  rf_print_safe(rf_json_text(root, "program", ""));
  (void)printf(", peak %s\n", bytes_of(arena, root, "peak"));
  print_snapshots(arena, root);
  if (snapshot == NULL) {
    return;
  }
  (void)fputs(against == NULL ? "live in \"" : "grown from \"", stdout);
  if (against != NULL) {
    rf_print_safe(rf_json_text(against, "name", ""));
    (void)fputs("\" to \"", stdout);
  }
  rf_print_safe(rf_json_text(snapshot, "name", ""));
  (void)puts("\":\n        bytes    blocks  call site");
  for (int i = 0; site != NULL && i < SITES; site = site->next, i++) {
    print_site(rf_json_list(snapshot, "calls"), site, against != NULL);
  }
  if (site != NULL) {
    (void)puts("  and more; --json has all");
  }
}

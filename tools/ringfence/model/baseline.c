#include "tools/ringfence/model/baseline.h"

#include "checkers/report/utf8.h"
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/read_file.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/write_file.h"
#include "tools/ringfence/model/frame_view.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char first_line[] = "# Ringfence baseline, version ";
enum { VERSION = 5, BEFORE_IDENTITY = 2 };
enum { DIGITS_MOST = 18 };
#define MOST UINT64_C(999999999999999999) /* two of them do not wrap */

/* ---- Reading ---- */

static int by_fingerprint(const void *a, const void *b) {
  return strcmp(((const rf_baseline_entry *)a)->fingerprint, ((const rf_baseline_entry *)b)->fingerprint);
}

static uint64_t at_most(uint64_t value) {
  return value < MOST ? value : MOST;
}

/* A number above 0 at *at, which is moved behind it. */
static bool parse_number(const char **at, uint64_t *out) {
  size_t const length = strspn(*at, "0123456789");
  *out = length == 0 || length > DIGITS_MOST ? 0 : strtoull(*at, NULL, 10);
  *at += length;
  return *out != 0;
}

static bool parse_entry(rf_bump_arena *arena, const char *line, rf_baseline_entry *entry) {
  static const char digits[] = "0123456789abcdef";
  size_t const length = strspn(line, digits);
  if (length != 16 || line[length] != ' ') {
    return false;
  }
  entry->fingerprint = rf_bump_arena_text(arena, line, length);
  const char *at = line + length + 1;
  if (!parse_number(&at, &entry->count)) {
    return false;
  }
  if (*at == ':') {
    at++;
    if (!parse_number(&at, &entry->blocks)) {
      return false;
    }
  }
  return *at == '\0' || *at == ' ';
}

static bool parse_line(rf_baseline *out, rf_bump_arena *arena, char *line) {
  rf_baseline_entry entry = {0};
  line[strcspn(line, "\r")] = '\0';
  if (line[0] == '#' || line[0] == '\0') {
    return true;
  }
  if (!parse_entry(arena, line, &entry)) {
    return false;
  }
  RF_APPENDED(arena, out->entries, out->count) = entry;
  return true;
}

/* A merge of branches may leave several lines of one fingerprint: their counts add up. */
static void sort_entries(rf_baseline *out) {
  size_t kept = 0;
  if (out->count == 0) {
    return;
  }
  qsort(out->entries, out->count, sizeof *out->entries, by_fingerprint);
  for (size_t i = 1; i < out->count; i++) {
    if (by_fingerprint(&out->entries[kept], &out->entries[i]) == 0) {
      out->entries[kept].count = at_most(out->entries[kept].count + out->entries[i].count);
      out->entries[kept].blocks = at_most(out->entries[kept].blocks + out->entries[i].blocks);
    } else {
      out->entries[++kept] = out->entries[i];
    }
  }
  out->count = kept + 1;
}

/* The version that the first line names; 0 where there is none. */
static unsigned version_of(const char *text) {
  const char *const number = text + strlen(first_line);
  bool const there = strncmp(text, first_line, strlen(first_line)) == 0 && *number >= '1' && *number <= '9';
  unsigned long const version = there ? strtoul(number, NULL, 10) : 0;
  return version > UINT_MAX ? UINT_MAX : (unsigned)version;
}

const char *rf_baseline_parse(rf_baseline *out, rf_bump_arena *arena, const char *path, char *text, size_t length) {
  char *at = text;
  unsigned const version = version_of(text);
  *out = (rf_baseline){.version = version};
  if (version == 0) {
    return rf_bump_arena_print(arena, "%s is not a baseline: it does not begin with \"%s%d\"", path, first_line,
                               VERSION);
  }
  if (version > VERSION) {
    return rf_bump_arena_print(arena, "%s is a baseline of version %u; this program reads up to %d", path, version,
                               VERSION);
  }
  for (unsigned number = 1; at < text + length; number++) {
    char *const line = at;
    char *const feed = (char *)memchr(at, '\n', (size_t)(text + length - at));
    char *const end = feed == NULL ? text + length : feed;
    *end = '\0';
    at = end + 1;
    if (strlen(line) != (size_t)(end - line)) {
      return rf_bump_arena_print(arena, "%s:%u: contains a NUL byte", path, number);
    }
    if (!parse_line(out, arena, line)) {
      return rf_bump_arena_print(arena, "%s:%u: not a line of a baseline: %s", path, number, line);
    }
  }
  sort_entries(out);
  return NULL;
}

bool rf_baseline_read(rf_baseline *out, rf_bump_arena *arena, const char *path) {
  size_t length = 0;
  char *const text = rf_read_file(arena, path, &length);
  if (text == NULL) {
    rf_diag("cannot read the baseline %s: %s", path, strerror(errno));
    return false;
  }
  char *const behind = text + (rf_utf8_behind_mark(text, &length) - text);
  const char *const wrong = rf_baseline_parse(out, arena, path, behind, length);
  if (wrong != NULL) {
    rf_diag("%s", wrong);
  }
  return wrong == NULL;
}

/* ---- Comparing ---- */

static uint64_t blocks_of(const rf_record *record) {
  uint64_t const blocks = record->finding.blocks == 0 ? 1 : record->finding.blocks;
  return record->finding.bug == RF_BUG_LEAK ? at_most(blocks) : 0;
}

/* Whether the entry has as many blocks as the leak; where not, the leak keeps how many it has. */
static bool has_room(rf_baseline_entry *entry, rf_record *record) {
  uint64_t const left = entry->blocks - entry->blocks_met;
  if (entry->blocks == 0 || blocks_of(record) <= left) {
    entry->blocks_met += entry->blocks == 0 ? 0 : blocks_of(record);
    return true;
  }
  entry->blocks_met = entry->blocks;
  record->known_blocks = left;
  return false;
}

/* As files of this version name the bug. */
static const char *fingerprint_of(const rf_record *record, unsigned version) {
  unsigned const identity = version > BEFORE_IDENTITY ? version - BEFORE_IDENTITY : 0;
  return version == VERSION ? record->fingerprint : record->earlier[identity];
}

size_t rf_baseline_apply(rf_baseline *baseline, rf_record **records, size_t count) {
  size_t known = 0;
  for (size_t i = 0; i < count && baseline->count != 0; i++) {
    rf_baseline_entry const wanted = {.fingerprint = fingerprint_of(records[i], baseline->version)};
    rf_baseline_entry *const entry =
        (rf_baseline_entry *)bsearch(&wanted, baseline->entries, baseline->count, sizeof wanted, by_fingerprint);
    if (entry != NULL && entry->met < entry->count) {
      entry->met++;
      records[i]->known = has_room(entry, records[i]);
      known += records[i]->known;
    }
  }
  return known;
}

uint64_t rf_baseline_unmet(const rf_baseline *baseline) {
  uint64_t unmet = 0;
  for (size_t i = 0; i < baseline->count; i++) {
    unmet += baseline->entries[i].count - baseline->entries[i].met;
  }
  return unmet;
}

/* ---- Writing ---- */

/* Names may contain line feeds. */
static const char *one_line(rf_bump_arena *arena, const char *text) {
  char *const out = rf_bump_arena_copy(arena, text);
  for (char *c = out; *c != '\0'; c++) {
    if ((unsigned char)*c < 0x20) {
      *c = ' ';
    }
  }
  return out;
}

/* Without the line number, which would change the file whenever code moves. */
static const char *place_of(rf_bump_arena *arena, const rf_record *record) {
  rf_stack_view const view = rf_stack_view_of(arena, record, rf_stack_view_blamed(record));
  const rf_frame_view *const top = rf_stack_view_top(&view);
  if (top == NULL) {
    return "at an unknown place";
  }
  rf_frame_view without_line = *top;
  without_line.line = 0;
  return rf_frame_view_text(arena, &without_line, record->directory);
}

typedef struct written_line {
  const char *text;
  const char *fingerprint;
  uint64_t blocks;
} written_line;

static int by_text(const void *a, const void *b) {
  const written_line *const left = (const written_line *)a;
  const written_line *const right = (const written_line *)b;
  int const order = strcmp(left->fingerprint, right->fingerprint);
  return order != 0 ? order : strcmp(left->text, right->text);
}

/* Sorted, so that the same findings make the same file in any order. */
static void write_lines(rf_bump_arena *arena, written_line *lines, size_t count, const rf_sink *sink) {
  if (count != 0) {
    qsort(lines, count, sizeof *lines, by_text);
  }
  for (size_t start = 0, end = 0; start < count; start = end) {
    uint64_t blocks = 0;
    for (; end < count && strcmp(lines[end].fingerprint, lines[start].fingerprint) == 0; end++) {
      blocks = at_most(blocks + lines[end].blocks);
    }
    rf_sink_str(sink, rf_bump_arena_print(arena, "%s %zu", lines[start].fingerprint, end - start));
    rf_sink_str(sink, blocks == 0 ? "" : rf_bump_arena_print(arena, ":%" PRIu64, blocks));
    rf_sink_str(sink, rf_bump_arena_print(arena, " %s\n", lines[start].text));
  }
}

void rf_baseline_put(rf_bump_arena *arena, rf_record *const *records, size_t count, const rf_sink *sink) {
  written_line *const lines = (written_line *)rf_bump_arena_array(arena, count + 1, sizeof *lines);
  for (size_t i = 0; i < count; i++) {
    lines[i].fingerprint = records[i]->fingerprint;
    lines[i].blocks = blocks_of(records[i]);
    lines[i].text = one_line(
        arena, rf_bump_arena_print(arena, "%s %s", rf_bug_name(records[i]->finding.bug), place_of(arena, records[i])));
  }
  rf_sink_str(sink, first_line);
  rf_sink_uint(sink, VERSION);
  rf_sink_str(sink,
              ": known findings. `ringfence report --baseline` fails on others only;\n"
              "# `--write-baseline` writes this file. Each line: fingerprint, count[:leaked blocks], kind, place.\n");
  write_lines(arena, lines, count, sink);
}

bool rf_baseline_write(rf_bump_arena *arena, const char *path, rf_record *const *records, size_t count) {
  FILE *const file = rf_write_file(path);
  if (file == NULL) {
    rf_diag("cannot write to %s: %s", path, strerror(errno));
    return false;
  }
  rf_sink const sink = rf_file_sink(file);
  rf_baseline_put(arena, records, count, &sink);
  int const failed = rf_file_error(file);
  if (fclose(file) != 0 || failed != 0) {
    errno = failed != 0 ? failed : errno;
    rf_diag("cannot write all to %s: %s", path, strerror(errno));
    return false;
  }
  return true;
}

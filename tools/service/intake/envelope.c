#include "tools/service/intake/envelope.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PROCESS_MOST = 256 };

/* 2001: clocks that were never set start before it, in 1970, 1980 or 2000. */
#define CLOCK_IS_SET INT64_C(978307200000)

/* The number of `digits` digits at *at, with `after` behind it; moves *at past them. -1 where that is not there. */
static int read_part(const char **at, int digits, char after) {
  int value = 0;
  for (int i = 0; i < digits; i++, (*at)++) {
    if (**at < '0' || **at > '9') {
      return -1;
    }
    value = value * 10 + (**at - '0');
  }
  if (after != '\0' && *(*at)++ != after) {
    return -1;
  }
  return value;
}

/* Year, month, day, hour, minute, second: of the calendar, with a leap second. */
static bool is_time(const int parts[6]) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool const leap = parts[0] % 4 == 0 && (parts[0] % 100 != 0 || parts[0] % 400 == 0);
  return parts[0] >= 1970 && parts[1] >= 1 && parts[1] <= 12 && parts[2] >= 1 &&
         parts[2] <= days[parts[1] - 1] + (leap && parts[1] == 2) && parts[3] < 24 && parts[4] < 60 && parts[5] <= 60;
}

/* "Z", "+02:00" or "-0530": milliseconds that the clock there is ahead of UTC. False where `text` is none of these. */
static bool read_zone(const char *text, int64_t *ahead) {
  bool const west = *text == '-';
  *ahead = 0;
  if (*text != '+' && !west) {
    return strcmp(text, "Z") == 0;
  }
  text++;
  int const hours = read_part(&text, 2, '\0');
  text += hours >= 0 && *text == ':';
  int const minutes = hours < 0 ? -1 : read_part(&text, 2, '\0');
  *ahead = ((int64_t)hours * 60 + minutes) * (west ? -60000 : 60000);
  return hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60 && *text == '\0';
}

int64_t rf_time_read(const char *text) {
  static const char after[] = {'-', '-', 'T', ':', ':', '\0'};
  int parts[6];
  for (int i = 0; i < 6; i++) {
    parts[i] = read_part(&text, i == 0 ? 4 : 2, after[i]);
    if (parts[i] < 0) {
      return -1;
    }
  }
  struct tm t = {.tm_year = parts[0] - 1900,
                 .tm_mon = parts[1] - 1,
                 .tm_mday = parts[2],
                 .tm_hour = parts[3],
                 .tm_min = parts[4],
                 .tm_sec = parts[5]};
  int64_t ms = 0;
  if (*text == '.') {
    int64_t scale = 100;
    for (text++; *text >= '0' && *text <= '9'; text++, scale /= 10) {
      ms += (*text - '0') * scale;
    }
  }
  int64_t ahead = 0;
  return read_zone(text, &ahead) && is_time(parts) ? (int64_t)timegm(&t) * 1000 + ms - ahead : -1;
}

/* ".../bazel-out/k8-fastbuild/bin/a/b_test.runfiles/workspace/a/b_test" and ".../bin/a/b_test" are "a/b_test". */
static const char *program_name(rf_bump_arena *arena, const char *path) {
  const char *const runfiles = strstr(path, ".runfiles/");
  if (runfiles != NULL) {
    const char *const workspace = strchr(runfiles + strlen(".runfiles/"), '/');
    path = workspace != NULL ? workspace + 1 : path;
  }
  const char *const out = strstr(path, "/bazel-out/");
  const char *const bin = out == NULL ? NULL : strstr(out, "/bin/");
  path = bin != NULL ? bin + strlen("/bin/") : path;
  return path[0] == '\0' ? "(unknown)" : rf_bump_arena_copy(arena, path);
}

static rf_line_kind kind_of(const char *record, uint64_t version) {
  static const char *const known[] = {"finding", "summary", "repeat", "snapshot", "step"};
  for (unsigned i = 0; i < sizeof known / sizeof known[0] && version <= RF_FORMAT_VERSION; i++) {
    if (strcmp(record, known[i]) == 0) {
      return (rf_line_kind)i;
    }
  }
  return RF_LINE_OTHER;
}

static const char *not_empty(const char *text, const char *fallback) {
  return text[0] == '\0' ? fallback : text;
}

static int64_t bounded(uint64_t value, int64_t least, int64_t most) {
  return value > (uint64_t)most ? most : (int64_t)value < least ? least : (int64_t)value;
}

static int64_t number_of(const rf_json *root, const char *name) {
  return bounded(rf_json_unsigned(root, name, 0), 0, RF_NUMBER_MOST);
}

static int64_t count_of(const rf_json *root, const char *name, int64_t least) {
  return bounded(rf_json_unsigned(root, name, (uint64_t)least), least, RF_COUNT_MOST);
}

size_t rf_envelope_labels(rf_bump_arena *arena, const rf_json *labels, const char *out[RF_LABELS_MOST]) {
  size_t used = 0;
  bool const is_object = labels != NULL && labels->type == RF_JSON_OBJECT;
  for (const rf_json *l = is_object ? labels->first : NULL; l != NULL && used < RF_LABELS_MOST; l = l->next) {
    if (l->text != NULL && l->name != NULL) {
      out[used++] = rf_bump_arena_print(arena, "%s=%s", l->name, l->text);
    }
  }
  return used;
}

static void read_process(rf_bump_arena *arena, const rf_json *root, rf_envelope *e) {
  const rf_json *const build = rf_json_member(root, "build");
  const rf_json *const labels = rf_json_member(root, "labels");
  e->host = not_empty(rf_json_text(root, "host", ""), "(unknown)");
  e->program = program_name(arena, rf_json_text(root, "program", ""));
  e->pid = number_of(root, "pid");
  e->mode = not_empty(rf_json_text(root, "mode", ""), "(unknown)");
  e->environment = not_empty(rf_json_text(root, "environment", ""), "development");
  e->version = rf_json_text(build, "version", "");
  e->commit = rf_json_text(build, "commit", "");
  e->build_id = rf_json_text(build, "build_id", "");
  e->labels = labels != NULL && labels->type == RF_JSON_OBJECT ? labels : NULL;
}

/* "BOOT-PID-START-4" is of process "BOOT-PID-START". */
static const char *process_of(rf_bump_arena *arena, const rf_envelope *e) {
  const char *const last = strrchr(e->id, '-');
  size_t const length = last == NULL ? 0 : (size_t)(last - e->id);
  return length != 0 ? rf_bump_arena_text(arena, e->id, length < PROCESS_MOST ? length : PROCESS_MOST)
                     : rf_bump_arena_print(arena, "%.*s/%" PRId64, (int)PROCESS_MOST, e->host, e->pid);
}

static double seconds_of(const rf_json *root) {
  const rf_json *const member = rf_json_member(root, "seconds");
  double const seconds = member == NULL || member->type != RF_JSON_NUMBER ? 0 : strtod(member->text, NULL);
  return seconds > 0 && seconds < 1e10 ? seconds : 0;
}

static void read_summary(const rf_json *root, rf_envelope *e) {
  const char *const end = rf_json_text(root, "exit", "");
  e->seconds = seconds_of(root);
  e->allocations = number_of(root, "allocations");
  e->peak = number_of(root, "peak");
  e->findings = count_of(root, "findings", 0);
  const rf_json *const sites = rf_json_member(root, "sites");
  e->sites = sites != NULL && sites->type == RF_JSON_ARRAY ? sites : NULL;
  e->sites_dropped = count_of(root, "sites_dropped", 0);
  e->exit = end;
  e->running = strcmp(end, "running") == 0;
  e->continued = rf_json_bool(root, "continued", false);
  e->killed = strncmp(end, "signal", strlen("signal")) == 0 || strcmp(end, "unknown") == 0;
}

rf_envelope rf_envelope_read(rf_bump_arena *arena, const char *line, size_t length, int64_t now) {
  rf_envelope e = {.kind = RF_LINE_UNREADABLE, .record = "", .id = "", .of = "", .done = "", .count = 1, .time = now};
  const rf_json *const root = rf_json_parse(arena, line, length);
  if (root == NULL || root->type != RF_JSON_OBJECT) {
    return e;
  }
  e.record = rf_json_text(root, "record", "");
  e.kind = kind_of(e.record, rf_json_unsigned(root, "version", 1));
  e.id = rf_json_text(root, "id", "");
  e.of = rf_json_text(root, "of", "");
  int64_t const time = rf_time_read(rf_json_text(root, "time", ""));
  e.time = time < CLOCK_IS_SET || time > now ? now : time;
  e.count = count_of(root, "count", 1);
  e.dropped = count_of(root, "dropped", 0);
  read_process(arena, root, &e);
  read_summary(root, &e);
  e.process = process_of(arena, &e);
  e.rule = number_of(root, "rule");
  e.done = rf_json_text(root, "done", "");
  e.finding = rf_json_member(root, "finding");
  e.snapshot = rf_json_member(root, "snapshot");
  return e;
}

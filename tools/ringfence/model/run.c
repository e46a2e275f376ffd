#include "tools/ringfence/model/run.h"

#include "tools/ringfence/base/read_file.h"
#include "tools/ringfence/model/record_kept.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Processes of one number in two files are two: each container has a process 1. */
static rf_process *process_of(rf_run *run, rf_bump_arena *arena, uint32_t id) {
  char text[PATH_MAX + sizeof "4294967295 "];
  (void)snprintf(text, sizeof text, "%" PRIu32 " %s", id, run->input != NULL ? run->input : "");
  size_t const known = run->ids.count;
  size_t const index = rf_string_table_index(&run->ids, arena, text);
  if (index == known) {
    run->ids.strings[index] = rf_bump_arena_copy(arena, text);
    RF_APPENDED(arena, run->processes, run->process_count) = (rf_process){.id = id};
  }
  return &run->processes[index];
}

/* A process that fails to execute another program goes on, and its next summary has all that this one has. */
static void take_back(rf_process *process) {
  process->allocations -= process->last.allocations;
  process->bytes -= process->last.bytes;
  process->findings -= process->last.findings;
  process->unpaged -= process->last.unpaged;
}

static void add_summary(rf_process *process, const rf_json *line) {
  uint64_t const peak = rf_json_unsigned(line, "peak", 0);
  if (process->ended) {
    take_back(process);
  }
  process->ended = true;
  process->handed_on = rf_json_bool(line, "handed_on", false);
  process->last.allocations = rf_json_unsigned(line, "allocations", 0);
  process->last.bytes = rf_json_unsigned(line, "bytes", 0);
  process->last.findings = rf_json_unsigned(line, "findings", 0);
  process->last.unpaged = rf_json_unsigned(line, "unpaged_blocks", 0);
  process->unpaged += process->last.unpaged;
  process->allocations += process->last.allocations;
  process->bytes += process->last.bytes;
  process->findings += process->last.findings;
  process->peak = peak > process->peak ? peak : process->peak;
  process->unlisted = rf_json_unsigned(line, "unlisted_leaked_blocks", 0);
  process->called = rf_json_unsigned(line, "called_leaked_blocks", 0);
  process->leaks_unchecked = rf_json_text(line, "leaks_unchecked_because", NULL);
  process->blocks_unchecked = rf_json_text(line, "blocks_unchecked_because", NULL);
}

static rf_told *told_of(rf_run *run, rf_bump_arena *arena) {
  size_t const index = rf_string_table_index(&run->inputs, arena, run->input != NULL ? run->input : "");
  if (index == run->told_count) {
    RF_APPENDED(arena, run->told, run->told_count) = (rf_told){0, 0};
  }
  return &run->told[index];
}

void rf_run_add_record(rf_run *run, rf_bump_arena *arena, rf_record *record) {
  told_of(run, arena)->records += record->times;
  RF_APPENDED(arena, run->records, run->record_count) = record;
}

/* `line` lives in `scratch`, which is freed with it. */
static void add_finding(rf_run *run, rf_bump_arena *arena, rf_bump_arena *scratch, const rf_json *line) {
  const rf_process *const process = process_of(run, arena, (uint32_t)rf_json_unsigned(line, "pid", 0));
  const rf_record *const record = rf_record_read(scratch, line);
  if (record == NULL) {
    run->damaged++;
    run->unread++;
    return;
  }
  rf_record *const kept = rf_record_kept(arena, &run->texts, record);
  kept->program = process->program;
  kept->input = run->input;
  rf_run_add_record(run, arena, kept);
}

static void add_snapshot(rf_run *run, rf_bump_arena *arena, const rf_json *line) {
  rf_snapshot_table *const table = rf_snapshot_table_read(arena, line);
  table->input = run->input;
  RF_APPENDED(arena, run->snapshots, run->snapshot_count) = table;
}

void rf_run_add_rule(rf_run *run, rf_bump_arena *arena, const char *rule, uint64_t count, uint64_t bytes) {
  size_t const i = rf_string_table_index(&run->rule_names, arena, rule);
  if (i == run->rule_count) {
    RF_APPENDED(arena, run->rules, run->rule_count) = (rf_used_rule){rule, 0, 0};
  }
  run->rules[i].count += count;
  run->rules[i].bytes += bytes;
}

/* ---- Programs that are not checked ---- */

/* A process is counted once, with what was said last: one that became Valgrind, which is static, then runs under it. */
static void add_unchecked(rf_run *run, rf_bump_arena *arena, const rf_json *line, uint32_t id) {
  rf_unchecked const told = {id, rf_json_text(line, "program", "?"), rf_json_text(line, "because", "?"),
                             rf_json_unsigned(line, "time_ns", 0)};
  for (size_t i = 0; i < run->unchecked_count; i++) {
    rf_unchecked *const known = &run->unchecked[i];
    if (known->process == id) {
      *known = told.time_ns >= known->time_ns ? told : *known;
      return;
    }
  }
  RF_APPENDED(arena, run->unchecked, run->unchecked_count) = told;
}

static void take_back_unchecked(rf_run *run, uint32_t id) {
  for (size_t i = run->unchecked_count; i-- != 0;) {
    if (run->unchecked[i].process == id) {
      run->unchecked[i] = run->unchecked[--run->unchecked_count];
      return;
    }
  }
}

/* A process that said later that it began has the library after all: linked in, or from a loader of its own. */
static bool was_checked(const rf_run *run, const rf_unchecked *unchecked) {
  for (size_t i = 0; i < run->process_count; i++) {
    if (run->processes[i].id == unchecked->process) {
      return run->processes[i].started_ns >= unchecked->time_ns;
    }
  }
  return false;
}

static const char *count_reason(const rf_run *run, rf_bump_arena *arena, size_t first, const char *before) {
  const char *const because = run->unchecked[first].because;
  size_t count = 0;
  for (size_t i = 0; i < run->unchecked_count; i++) {
    bool const same = strcmp(run->unchecked[i].because, because) == 0;
    if (same && i < first) {
      return before; /* counted already */
    }
    count += same;
  }
  return rf_bump_arena_print(arena, "%s%s%zu %s", before, before[0] == '\0' ? "" : ", ", count, because);
}

static void settle_unchecked(rf_run *run, rf_bump_arena *arena) {
  size_t kept = 0;
  for (size_t i = 0; i < run->unchecked_count; i++) {
    if (!was_checked(run, &run->unchecked[i])) {
      run->unchecked[kept++] = run->unchecked[i];
    }
  }
  run->unchecked_count = kept;
  for (size_t i = 0; i < kept; i++) {
    run->unchecked_because = count_reason(run, arena, i, run->unchecked_because != NULL ? run->unchecked_because : "");
  }
}

/* ---- Lines ---- */

static void add_start(rf_process *process, rf_run *run, const rf_json *line) {
  process->started_ns = rf_json_unsigned(line, "time_ns", 0);
  process->program = rf_json_text(line, "program", process->program);
  run->mode = rf_json_text(line, "mode", run->mode);
  process->ended = false;
}

static void add_end(rf_process *process, rf_run *run, const rf_json *line) {
  process->program = rf_json_text(line, "program", process->program);
  run->mode = rf_json_text(line, "mode", run->mode);
  add_summary(process, line);
}

/* Adds what is no finding: `line` lives in `arena`. */
static void add_other(rf_run *run, rf_bump_arena *arena, const rf_json *line, const char *type) {
  if (strcmp(type, "run") == 0) {
    RF_APPENDED(arena, run->runs, run->run_count) = line;
    told_of(run, arena)->findings += rf_json_unsigned(line, "times", 0);
    return;
  }
  uint32_t const id = (uint32_t)rf_json_unsigned(line, "pid", 0);
  if (strcmp(type, "unchecked") == 0) {
    add_unchecked(run, arena, line, id);
    return;
  }
  if (strcmp(type, "resumed") == 0) {
    take_back_unchecked(run, id);
    return;
  }
  rf_process *const process = process_of(run, arena, id);
  if (strcmp(type, "summary") == 0) {
    add_end(process, run, line);
  } else if (strcmp(type, "start") == 0) {
    add_start(process, run, line);
  } else if (strcmp(type, "snapshot") == 0) {
    add_snapshot(run, arena, line);
  } else if (strcmp(type, "suppression") == 0) {
    rf_run_add_rule(run, arena, rf_json_text(line, "rule", "?"), rf_json_unsigned(line, "count", 0),
                    rf_json_unsigned(line, "bytes", 0));
  }
}

const char *rf_run_find_object(const char *text, size_t length) {
  static const char start[] = "{\"type\":\"";
  return (const char *)memmem(text, length, start, strlen(start));
}

/* False where there is no whole object at the start of the text. */
static bool add_object(rf_run *run, rf_bump_arena *arena, const char *text, size_t length) {
  rf_bump_arena scratch = {NULL};
  const rf_json *const read = rf_json_parse(&scratch, text, length);
  const char *const type = rf_json_text(read, "type", NULL);
  bool const is_object = type != NULL;
  if (is_object && strcmp(type, "finding") == 0) {
    add_finding(run, arena, &scratch, read);
  } else if (is_object) {
    const rf_json *const line = rf_json_parse(arena, text, length);
    add_other(run, arena, line, rf_json_text(line, "type", ""));
  }
  rf_bump_arena_free(&scratch);
  return is_object;
}

static void add_damaged(rf_run *run, const char *text, size_t length) {
  static const char finding[] = "{\"type\":\"finding\"";
  run->damaged++;
  run->unread += length >= strlen(finding) && memcmp(text, finding, strlen(finding)) == 0;
}

void rf_run_add_line(rf_run *run, rf_bump_arena *arena, const char *text, size_t length) {
  const char *const end = text + length;
  while (text != NULL && !add_object(run, arena, text, (size_t)(end - text))) {
    add_damaged(run, text, (size_t)(end - text));
    text = text == end ? NULL : rf_run_find_object(text + 1, (size_t)(end - text) - 1);
  }
}

/* A file without a line is of a process whose records nothing took: a full disk, or a low limit of file sizes. */
static void add_file(rf_run *run, rf_bump_arena *arena, const char *path, uint32_t id) {
  size_t length = 0;
  const char *at = rf_read_file(arena, path, &length);
  const char *const end = at + length;
  if (at != NULL && memchr(at, '\n', length) == NULL) {
    (void)process_of(run, arena, id);
  }
  while (at != NULL && at < end) {
    const char *const feed = (const char *)memchr(at, '\n', (size_t)(end - at));
    const char *const stop = feed == NULL ? end : feed;
    rf_run_add_line(run, arena, at, (size_t)(stop - at));
    at = stop + 1;
  }
}

/* ".lost" behind the number of a process tells that its file did not take a finding. */
static bool tells_of_loss(const char *name) {
  return strcmp(name + strspn(name, "0123456789"), ".lost") == 0;
}

static int by_time(const void *a, const void *b) {
  const rf_finding *const left = &(*(const rf_record *const *)a)->finding;
  const rf_finding *const right = &(*(const rf_record *const *)b)->finding;
  if (left->time_ns != right->time_ns) {
    return left->time_ns < right->time_ns ? -1 : 1;
  }
  return (left->sequence > right->sequence) - (left->sequence < right->sequence);
}

rf_run rf_run_read(rf_bump_arena *arena, const char *folder) {
  rf_run run = {0};
  DIR *const list = opendir(folder);
  if (list == NULL) {
    return run;
  }
  for (const struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
    if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') {
      add_file(&run, arena, rf_bump_arena_print(arena, "%s/%s", folder, entry->d_name),
               (uint32_t)strtoul(entry->d_name, NULL, 10));
      run.lost += tells_of_loss(entry->d_name);
    }
  }
  (void)closedir(list);
  settle_unchecked(&run, arena);
  if (run.record_count != 0) {
    qsort(run.records, run.record_count, sizeof(rf_record *), by_time);
  }
  return run;
}

#include "tools/ringfence/collect.h"

#include "tools/ringfence/read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static rf_process *process_of(rf_run *run, rf_stash *stash, uint32_t id) {
  /* All lines of a process are in one file. */
  if (run->process_count != 0 && run->processes[run->process_count - 1].id == id) {
    return &run->processes[run->process_count - 1];
  }
  run->processes = (rf_process *)rf_stash_grow(stash, run->processes, run->process_count, sizeof *run->processes);
  rf_process *const process = &run->processes[run->process_count++];
  *process = (rf_process){.id = id};
  return process;
}

/* A process that fails to execute another program goes on, and its next summary has all that this one has. */
static void take_back(rf_process *process) {
  process->allocations -= process->last.allocations;
  process->bytes -= process->last.bytes;
  process->findings -= process->last.findings;
}

static void add_summary(rf_process *process, const rf_json *line) {
  uint64_t const peak = rf_json_unsigned(line, "peak", 0);
  if (process->ended) {
    take_back(process);
  }
  process->ended = true;
  process->last.allocations = rf_json_unsigned(line, "allocations", 0);
  process->last.bytes = rf_json_unsigned(line, "bytes", 0);
  process->last.findings = rf_json_unsigned(line, "findings", 0);
  process->allocations += process->last.allocations;
  process->bytes += process->last.bytes;
  process->findings += process->last.findings;
  process->peak = peak > process->peak ? peak : process->peak;
  process->unlisted = rf_json_unsigned(line, "unlisted_leaked_blocks", 0);
  process->leaks_unchecked = rf_json_text(line, "leaks_unchecked_because", NULL);
}

static void add_record(rf_run *run, rf_stash *stash, const rf_json *line) {
  rf_record *const record = rf_record_read(stash, line);
  if (record == NULL) {
    run->damaged++;
    return;
  }
  run->records = (rf_record **)rf_stash_grow(stash, run->records, run->record_count, sizeof(rf_record *));
  run->records[run->record_count++] = record;
}

static void add_line(rf_run *run, rf_stash *stash, const char *text, size_t length) {
  const rf_json *const line = rf_json_parse(stash, text, length);
  const char *const type = rf_json_text(line, "type", NULL);
  if (type == NULL) {
    run->damaged++;
    return;
  }
  rf_process *const process = process_of(run, stash, (uint32_t)rf_json_unsigned(line, "pid", 0));
  if (strcmp(type, "finding") == 0) {
    add_record(run, stash, line);
    return;
  }
  process->program = rf_json_text(line, "program", process->program);
  run->mode = rf_json_text(line, "mode", run->mode);
  if (strcmp(type, "summary") == 0) {
    add_summary(process, line);
  } else {
    process->ended = false;
  }
}

static void add_file(rf_run *run, rf_stash *stash, const char *path) {
  size_t length = 0;
  const char *at = rf_read_file(stash, path, &length);
  const char *const end = at + length;
  while (at != NULL && at < end) {
    const char *const feed = (const char *)memchr(at, '\n', (size_t)(end - at));
    const char *const stop = feed == NULL ? end : feed;
    add_line(run, stash, at, (size_t)(stop - at));
    at = stop + 1;
  }
}

static int by_time(const void *a, const void *b) {
  const rf_finding *const left = &(*(const rf_record *const *)a)->finding;
  const rf_finding *const right = &(*(const rf_record *const *)b)->finding;
  if (left->time_ns != right->time_ns) {
    return left->time_ns < right->time_ns ? -1 : 1;
  }
  return (left->sequence > right->sequence) - (left->sequence < right->sequence);
}

rf_run rf_collect(rf_stash *stash, const char *folder) {
  rf_run run = {0};
  DIR *const list = opendir(folder);
  if (list == NULL) {
    return run;
  }
  for (const struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
    if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') {
      add_file(&run, stash, rf_stash_print(stash, "%s/%s", folder, entry->d_name));
    }
  }
  (void)closedir(list);
  if (run.record_count != 0) {
    qsort(run.records, run.record_count, sizeof(rf_record *), by_time);
  }
  return run;
}

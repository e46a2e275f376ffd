#include "tools/ringfence/report.h"

#include "tools/ringfence/document.h"

#include <inttypes.h>
#include <ringfence/report_json.h>
#include <ringfence/report_text.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

rf_totals rf_totals_of(const rf_run *run, const rf_document *document, uint64_t elapsed_ns, int wait_status) {
  rf_totals t = {
      .processes = run->process_count,
      .findings = document->count,
      .suppressed = document->hidden_times,
      .mode = run->mode,
      .elapsed_ns = elapsed_ns,
      .wait_status = wait_status,
      .damaged = run->damaged,
  };
  uint64_t counted = 0;
  for (size_t i = 0; i < run->process_count; i++) {
    const rf_process *const p = &run->processes[i];
    t.allocations += p->allocations;
    t.bytes += p->bytes;
    t.peak = p->peak > t.peak ? p->peak : t.peak;
    t.killed += !p->ended && !p->living;
    t.leaks_unchecked += p->leaks_unchecked != NULL;
    t.unlisted += p->unlisted;
    t.because = t.because == NULL ? p->leaks_unchecked : t.because;
    counted += p->findings;
  }
  /* Processes stop describing findings at max_findings; those that were killed have not counted. They do count what
   * only the command hides. */
  uint64_t hidden = 0;
  for (size_t i = 0; i < document->hidden_count; i++) {
    hidden += document->hidden[i]->times;
  }
  counted = counted > hidden ? counted - hidden : 0;
  t.times = counted > document->times ? counted : document->times;
  t.uncounted = t.times - document->times;
  t.compared = document->baseline != NULL;
  t.known = document->known;
  t.gone = t.compared ? rf_baseline_gone(document->baseline) : 0;
  return t;
}

/* ---- Findings ---- */

void rf_report_record_text(rf_record *record, const rf_sink *sink) {
  rf_symbolizer const symbolizer = rf_record_symbolizer(record);
  rf_report_text(&record->finding, &symbolizer, sink);
  if (record->times > 1) {
    rf_sink_str(sink, "  found ");
    rf_sink_uint(sink, record->times);
    rf_sink_str(sink, " times, in ");
    rf_sink_uint(sink, record->processes);
    rf_sink_str(sink, record->processes == 1 ? " process\n" : " processes\n");
  }
  rf_sink_str(sink, record->known ? "  known: the baseline has it\n" : "");
}

static void put_field(const rf_sink *sink, const char *name, uint64_t value) {
  rf_sink_str(sink, ",\"");
  rf_sink_str(sink, name);
  rf_sink_str(sink, "\":");
  rf_sink_uint(sink, value);
}

static void put_file(void *context, const char *text, size_t length) {
  (void)fwrite(text, 1, length, (FILE *)context);
}

void rf_report_record_json(rf_record *record, const rf_sink *sink) {
  static const char end[] = "}\n";
  rf_symbolizer const symbolizer = rf_record_symbolizer(record);
  char *text = NULL;
  size_t length = 0;
  FILE *const memory = open_memstream(&text, &length);
  if (memory == NULL) {
    return;
  }
  rf_sink const into = {put_file, memory};
  rf_report_json(&record->finding, &symbolizer, &into);
  (void)fclose(memory);
  if (length > strlen(end)) {
    rf_sink_mem(sink, text, length - strlen(end));
    if (record->fingerprint != NULL) {
      rf_sink_str(sink, ",\"fingerprint\":");
      rf_json_string(record->fingerprint, sink);
    }
    rf_sink_str(sink, record->known ? ",\"known\":true" : "");
    put_field(sink, "times", record->times);
    put_field(sink, "processes", record->processes);
    rf_sink_str(sink, end);
  }
  free(text);
}

/* ---- Totals ---- */

static const char *plural(uint64_t count, const char *one, const char *many) {
  return count == 1 ? one : many;
}

const char *rf_bytes_text(rf_stash *stash, uint64_t bytes) {
  static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) {
    return rf_stash_print(stash, "%" PRIu64 " %s", bytes, plural(bytes, "byte", "bytes"));
  }
  double value = (double)bytes / 1024;
  size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < sizeof units / sizeof units[0]) {
    value /= 1024;
    unit++;
  }
  return rf_stash_print(stash, "%.1f %s", value, units[unit]);
}

static const char *found_text(rf_stash *stash, const rf_totals *t) {
  if (t->times == 0) {
    return t->unrecorded ? "findings that could not be recorded" : "nothing found";
  }
  if (t->findings == 0) {
    return rf_stash_print(stash, "%" PRIu64 " findings, of which no record is left,", t->times);
  }
  const char *const count = rf_stash_print(stash, "%zu %s", t->findings, plural(t->findings, "finding", "findings"));
  return t->times == t->findings ? count : rf_stash_print(stash, "%s, %" PRIu64 " times in all,", count, t->times);
}

static void put_remarks(rf_stash *stash, const rf_totals *t, const rf_sink *sink) {
  if (t->compared && t->times != 0) {
    rf_sink_str(sink, rf_stash_print(stash, "; %zu new, %zu in the baseline", t->findings - t->known, t->known));
  }
  if (t->gone != 0) {
    rf_sink_str(sink, rf_stash_print(stash, "; %" PRIu64 " of the baseline not met", t->gone));
  }
  if (WIFSIGNALED(t->wait_status)) {
    int const number = WTERMSIG(t->wait_status);
    rf_sink_str(sink, rf_stash_print(stash, "; ended by signal %d (%s)", number, strsignal(number)));
  }
  if (t->killed != 0) {
    rf_sink_str(
        sink, rf_stash_print(stash, "; %zu %s killed", t->killed, plural(t->killed, "process was", "processes were")));
  }
  if (t->end_lost && !t->unrecorded) {
    rf_sink_str(sink, "; the program's end could not be recorded");
  }
  if (t->living != 0) {
    rf_sink_str(sink, rf_stash_print(stash, "; %zu still running, %s in %s", t->living,
                                     plural(t->living, "its records are", "their records are"), t->folder));
  }
  if (t->suppressed != 0) {
    rf_sink_str(sink, rf_stash_print(stash, "; %" PRIu64 " suppressed", t->suppressed));
  }
  if (t->unlisted != 0) {
    rf_sink_str(sink, rf_stash_print(stash, "; %" PRIu64 " lost by code without names (--leaks=all lists %s)",
                                     t->unlisted, plural(t->unlisted, "it", "them")));
  }
  if (t->leaks_unchecked != 0) {
    rf_sink_str(sink, rf_stash_print(stash, "; leaks not looked for in %zu %s (%s)", t->leaks_unchecked,
                                     plural(t->leaks_unchecked, "process", "processes"), t->because));
  }
  if (t->damaged != 0) {
    rf_sink_str(sink, rf_stash_print(stash, "; %zu %s of the processes could not be read (is the disk full?)",
                                     t->damaged, plural(t->damaged, "record", "records")));
  }
}

void rf_report_totals_text(rf_stash *stash, const rf_totals *t, const rf_sink *sink) {
  double const seconds = (double)t->elapsed_ns / 1e9;
  rf_sink_str(sink, "ringfence: ");
  rf_sink_str(sink, found_text(stash, t));
  rf_sink_str(sink, rf_stash_print(stash, " in %zu %s: %" PRIu64 " %s of %s in all, peak %s, mode %s, %.2f s",
                                   t->processes, plural(t->processes, "process", "processes"), t->allocations,
                                   plural(t->allocations, "allocation", "allocations"), rf_bytes_text(stash, t->bytes),
                                   rf_bytes_text(stash, t->peak), t->mode == NULL ? "unknown" : t->mode, seconds));
  put_remarks(stash, t, sink);
  rf_sink_str(sink, "\n");
}

void rf_report_totals_json(const rf_totals *t, const rf_sink *sink) {
  rf_sink_str(sink, "{\"type\":\"run\"");
  put_field(sink, "version", RF_JSON_VERSION);
  put_field(sink, "processes", t->processes);
  put_field(sink, "killed", t->killed);
  put_field(sink, "running", t->living);
  put_field(sink, "unreadable", t->damaged);
  put_field(sink, "leaks_unchecked", t->leaks_unchecked);
  put_field(sink, "allocations", t->allocations);
  put_field(sink, "bytes", t->bytes);
  put_field(sink, "peak", t->peak);
  put_field(sink, "unlisted_leaked_blocks", t->unlisted);
  put_field(sink, "findings", t->findings);
  put_field(sink, "times", t->times);
  if (t->compared) {
    put_field(sink, "known", t->known);
    put_field(sink, "not_met", t->gone);
  }
  put_field(sink, "suppressed", t->suppressed);
  rf_sink_str(sink, t->unrecorded ? ",\"unrecorded\":true" : "");
  rf_sink_str(sink, ",\"mode\":");
  rf_json_string(t->mode, sink);
  put_field(sink, "duration_ns", t->elapsed_ns);
  bool const signaled = WIFSIGNALED(t->wait_status);
  put_field(sink, signaled ? "signal" : "status",
            (uint64_t)(signaled ? WTERMSIG(t->wait_status) : WEXITSTATUS(t->wait_status)));
  rf_sink_str(sink, "}\n");
}

static const char *process_text(rf_stash *stash, const rf_process *p) {
  if (!p->ended) {
    return p->living ? "still running" : "killed";
  }
  const char *const unlisted =
      p->unlisted == 0
          ? ""
          : rf_stash_print(stash, ", %" PRIu64 " lost by code without names (--leaks=all lists them)", p->unlisted);
  return rf_stash_print(stash, "%" PRIu64 " %s of %s in all, peak %s%s", p->allocations,
                        plural(p->allocations, "allocation", "allocations"), rf_bytes_text(stash, p->bytes),
                        rf_bytes_text(stash, p->peak), unlisted);
}

void rf_report_processes(rf_stash *stash, const rf_run *run, const rf_sink *sink) {
  for (size_t i = 0; i < run->process_count; i++) {
    const rf_process *const p = &run->processes[i];
    rf_sink_str(sink, rf_stash_print(stash, "ringfence: process %" PRIu32 ", %s: %s\n", p->id,
                                     p->program == NULL ? "unknown program" : p->program, process_text(stash, p)));
  }
}

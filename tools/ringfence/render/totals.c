#include "tools/ringfence/render/totals.h"

#include "checkers/report/json_writer.h"
#include "tools/ringfence/base/clean_sink.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/render/document.h"

#include <inttypes.h>
#include <ringfence/report_json.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>

/* The figures that the document alone tells; `counted` is how often processes say that they found something. */
static void add_document(rf_totals *t, const rf_document *document, uint64_t counted) {
  t->findings = document->count;
  t->suppressed = document->hidden_times;
  t->times = counted > document->times ? counted : document->times;
  t->uncounted = t->times - document->times;
  t->compared = document->baseline != NULL;
  t->known = document->known;
  t->unmet = t->compared ? rf_baseline_unmet(document->baseline) : 0;
}

static uint64_t hidden_records(const rf_document *document) {
  uint64_t times = 0;
  for (size_t i = 0; i < document->hidden_count; i++) {
    times += document->hidden[i]->times;
  }
  return times;
}

static void add_run(rf_totals *t, const rf_json *line) {
  uint64_t const peak = rf_json_unsigned(line, "peak", 0);
  int const signal = (int)rf_json_unsigned(line, "signal", 0);
  t->processes += (size_t)rf_json_unsigned(line, "processes", 0);
  t->killed += (size_t)rf_json_unsigned(line, "killed", 0);
  t->running += (size_t)rf_json_unsigned(line, "running", 0);
  t->damaged += (size_t)rf_json_unsigned(line, "unreadable", 0);
  t->leaks_unchecked += (size_t)rf_json_unsigned(line, "leaks_unchecked", 0);
  t->allocations += rf_json_unsigned(line, "allocations", 0);
  t->bytes += rf_json_unsigned(line, "bytes", 0);
  t->unchecked += (size_t)rf_json_unsigned(line, "unchecked", 0);
  t->unchecked_because = rf_json_text(line, "unchecked_because", t->unchecked_because);
  t->unlisted += rf_json_unsigned(line, "unlisted_leaked_blocks", 0);
  t->called += rf_json_unsigned(line, "called_leaked_blocks", 0);
  t->unpaged += rf_json_unsigned(line, "unpaged_blocks", 0);
  t->elapsed_ns += rf_json_unsigned(line, "duration_ns", 0);
  t->unrecorded = t->unrecorded || rf_json_bool(line, "unrecorded", false);
  t->peak = peak > t->peak ? peak : t->peak;
  t->pools = rf_json_text(line, "unchecked_pools", t->pools);
  t->mode = rf_json_text(line, "mode", t->mode);
  t->wait_status = signal != 0 ? signal & 0x7F : (int)(rf_json_unsigned(line, "status", 0) & 0xFF) << 8;
}

/* Of each input by itself: what one counts and has no record of is not among the records of another. */
static uint64_t without_record(const rf_run *run) {
  uint64_t count = 0;
  for (size_t i = 0; i < run->told_count; i++) {
    const rf_told *const told = &run->told[i];
    count += told->findings > told->records ? told->findings - told->records : 0;
  }
  return count;
}

rf_totals rf_totals_read(const rf_run *run, const rf_document *document) {
  rf_totals t = {0};
  for (size_t i = 0; i < run->run_count; i++) {
    add_run(&t, run->runs[i]);
  }
  add_document(&t, document, document->times + without_record(run));
  return t;
}

rf_totals rf_totals_of(const rf_run *run, const rf_document *document, uint64_t elapsed_ns, int wait_status) {
  rf_totals t = {
      .processes = run->process_count,
      .mode = run->mode,
      .elapsed_ns = elapsed_ns,
      .wait_status = wait_status,
      .damaged = run->damaged,
      .unrecorded = run->lost != 0,
      .unchecked = run->unchecked_count,
      .unchecked_because = run->unchecked_because,
  };
  uint64_t counted = 0;
  for (size_t i = 0; i < run->process_count; i++) {
    const rf_process *const p = &run->processes[i];
    t.allocations += p->allocations;
    t.bytes += p->bytes;
    t.peak = p->peak > t.peak ? p->peak : t.peak;
    t.killed += !p->ended && !p->running;
    t.unsummed += !p->ended;
    t.handed_on = t.handed_on || p->handed_on;
    t.blocks_unchecked += p->blocks_unchecked != NULL;
    t.blocks_because = t.blocks_because == NULL ? p->blocks_unchecked : t.blocks_because;
    t.leaks_unchecked += p->leaks_unchecked != NULL;
    t.unlisted += p->unlisted;
    t.called += p->called;
    t.unpaged += p->unpaged;
    t.because = t.because == NULL ? p->leaks_unchecked : t.because;
    counted += p->findings;
  }
  /* Processes only count findings after max_findings; killed ones have not counted. Their counts include findings that
   * only the command suppresses. */
  uint64_t const hidden = hidden_records(document);
  add_document(&t, document, counted > hidden ? counted - hidden : 0);
  return t;
}

const char *rf_totals_lost(rf_bump_arena *arena, const rf_totals *t) {
  if (t == NULL) {
    return NULL;
  }
  uint64_t const count = t->findings == 0 ? t->times : t->uncounted;
  if (count != 0) {
    return rf_bump_arena_print(arena, "%s without a record", rf_counted(arena, count, "finding"));
  }
  return !t->unrecorded     ? NULL
         : t->findings == 0 ? "findings that could not be recorded"
                            : "further findings that could not be recorded";
}

static const char *found_text(rf_bump_arena *arena, const rf_totals *t) {
  const char *const lost = t->findings == 0 ? rf_totals_lost(arena, t) : NULL;
  if (lost != NULL) {
    return t->times == 0 ? lost : rf_bump_arena_print(arena, "%s,", lost);
  }
  if (t->times == 0) {
    return "nothing found";
  }
  const char *const count = rf_counted(arena, t->findings, "finding");
  return t->times == t->findings ? count : rf_bump_arena_print(arena, "%s, %" PRIu64 " times in all,", count, t->times);
}

__attribute__((format(printf, 3, 4))) static void put(rf_bump_arena *arena, const rf_sink *sink, const char *format,
                                                      ...) {
  va_list arguments;
  va_start(arguments, format);
  rf_sink_str(sink, rf_bump_arena_vprint(arena, format, arguments));
  va_end(arguments);
}

static void put_findings(rf_bump_arena *arena, const rf_totals *t, const rf_sink *sink) {
  if (t->uncounted != 0 && t->findings != 0) {
    put(arena, sink, "; %" PRIu64 " only counted, after max_findings", t->uncounted);
  }
  if (t->unrecorded && t->findings != 0) {
    put(arena, sink, "; further findings that could not be recorded");
  }
  if (t->compared && t->times != 0) {
    put(arena, sink, "; %zu new, %zu in the baseline", t->findings - t->known, t->known);
  }
  if (t->unmet != 0) {
    put(arena, sink, "; %" PRIu64 " of the baseline not found", t->unmet);
  }
  if (t->suppressed != 0) {
    put(arena, sink, "; %" PRIu64 " suppressed", t->suppressed);
  }
}

static void put_ends(rf_bump_arena *arena, const rf_totals *t, const rf_sink *sink) {
  if (WIFSIGNALED(t->wait_status)) {
    int const number = WTERMSIG(t->wait_status);
    put(arena, sink, "; ended by signal %d (%s)", number, strsignal(number));
  }
  if (t->killed != 0) {
    put(arena, sink, "; %s %s killed or ended unseen", rf_counted(arena, t->killed, "process"),
        t->killed == 1 ? "was" : "were");
  }
  if (t->end_lost && !t->unrecorded) {
    put(arena, sink, "; the program's end was not seen (daemon() and Go's runtime hide it) or could not be recorded");
  }
  if (t->running != 0) {
    put(arena, sink, "; %zu still running, %s in %s", t->running,
        t->running == 1 ? "its records are" : "their records are", t->folder);
  }
}

static void put_gaps(rf_bump_arena *arena, const rf_totals *t, const rf_sink *sink) {
  if (t->unchecked != 0) {
    put(arena, sink, "; %s not checked (%s)", rf_counted(arena, t->unchecked, "program"), t->unchecked_because);
  }
  if (t->unlisted != 0 && t->verbose) {
    put(arena, sink, "; %" PRIu64 " lost by code of the system or without names (--leaks=all lists %s)", t->unlisted,
        t->unlisted == 1 ? "it" : "them");
  } else if (t->called != 0) {
    put(arena, sink, "; %" PRIu64 " lost in libraries of the system that the program called (--leaks=all lists %s)",
        t->called, t->called == 1 ? "it" : "them");
  }
  if (t->unpaged != 0) {
    put(arena, sink, "; %s got no pages and %s checked as in mode guard", rf_counted(arena, t->unpaged, "block"),
        t->unpaged == 1 ? "was" : "were");
  }
  if (t->blocks_unchecked != 0) {
    put(arena, sink, "; not all blocks checked at the end of %s (%s)",
        rf_counted(arena, t->blocks_unchecked, "process"), t->blocks_because);
  }
  if (t->pools != NULL) {
    put(arena, sink, "; small blocks from %s's own pools not checked (--no-pools has it use malloc)", t->pools);
  }
  if (t->leaks_unchecked != 0) {
    put(arena, sink, "; leaks not looked for in %s (%s)", rf_counted(arena, t->leaks_unchecked, "process"), t->because);
  }
  if (t->damaged != 0) {
    put(arena, sink, "; %s of the processes could not be read (is the disk full?)",
        rf_counted(arena, t->damaged, "record"));
  }
}

/* Blocks of the malloc behind, in modes off and sample, are not counted, but for what the loader asks for before the
 * mode is known (LD_AUDIT). */
static const char *allocations_text(rf_bump_arena *arena, uint64_t count, uint64_t bytes, uint64_t peak, bool sampled,
                                    const char *mode) {
  if (sampled && mode != NULL && strcmp(mode, "off") == 0) {
    return "allocations not counted";
  }
  if (sampled && count == 0) {
    return "no allocation sampled";
  }
  return rf_bump_arena_print(arena, "%s of %s %s, peak %s", rf_counted(arena, count, "allocation"),
                             rf_bytes_text(arena, bytes), sampled ? "sampled" : "in all", rf_bytes_text(arena, peak));
}

/* A process writes its figures when it ends: one that was killed has none, nor has one that ended by a system call of
 * its own, as programs in Go do. */
static const char *figures_text(rf_bump_arena *arena, const rf_totals *t) {
  if (t->processes != 0 && t->unsummed == t->processes && t->allocations == 0) {
    return "allocations not known";
  }
  return allocations_text(arena, t->allocations, t->bytes, t->peak, t->handed_on, t->mode);
}

void rf_totals_text(rf_bump_arena *arena, const rf_totals *t, const rf_sink *to) {
  rf_sink const clean = rf_clean_sink(to);
  const rf_sink *const sink = &clean;
  put(arena, sink, "ringfence: %s in %s: %s, mode %s, %.2f s", found_text(arena, t),
      rf_counted(arena, t->processes, "process"), figures_text(arena, t), t->mode == NULL ? "unknown" : t->mode,
      (double)t->elapsed_ns / 1e9);
  put_findings(arena, t, sink);
  put_ends(arena, t, sink);
  put_gaps(arena, t, sink);
  rf_sink_str(sink, "\n");
}

void rf_totals_json(const rf_totals *t, const rf_sink *sink) {
  rf_json_writer w = {.sink = sink};
  bool const signaled = WIFSIGNALED(t->wait_status);
  rf_json_open(&w, NULL, "{");
  rf_json_put_text(&w, "type", "run");
  rf_json_put_number(&w, "version", RF_JSON_VERSION);
  rf_json_put_unsigned(&w, "processes", t->processes);
  rf_json_put_unsigned(&w, "killed", t->killed);
  rf_json_put_unsigned(&w, "running", t->running);
  rf_json_put_unsigned(&w, "unreadable", t->damaged);
  rf_json_put_unsigned(&w, "leaks_unchecked", t->leaks_unchecked);
  rf_json_put_unsigned(&w, "allocations", t->allocations);
  rf_json_put_unsigned(&w, "bytes", t->bytes);
  rf_json_put_unsigned(&w, "peak", t->peak);
  rf_json_put_unsigned(&w, "unlisted_leaked_blocks", t->unlisted);
  if (t->called != 0) {
    rf_json_put_unsigned(&w, "called_leaked_blocks", t->called);
  }
  if (t->unpaged != 0) {
    rf_json_put_unsigned(&w, "unpaged_blocks", t->unpaged);
  }
  if (t->unchecked != 0) {
    rf_json_put_unsigned(&w, "unchecked", t->unchecked);
    rf_json_put_text(&w, "unchecked_because", t->unchecked_because);
  }
  if (t->pools != NULL) {
    rf_json_put_text(&w, "unchecked_pools", t->pools);
  }
  rf_json_put_unsigned(&w, "findings", t->findings);
  rf_json_put_unsigned(&w, "times", t->times);
  if (t->compared) {
    rf_json_put_unsigned(&w, "known", t->known);
    rf_json_put_unsigned(&w, "not_met", t->unmet);
  }
  rf_json_put_unsigned(&w, "suppressed", t->suppressed);
  if (t->unrecorded) {
    rf_json_put_bool(&w, "unrecorded", true);
  }
  rf_json_put_text_or_null(&w, "mode", t->mode);
  rf_json_put_unsigned(&w, "duration_ns", t->elapsed_ns);
  rf_json_put_number(&w, signaled ? "signal" : "status",
                     signaled ? WTERMSIG(t->wait_status) : WEXITSTATUS(t->wait_status));
  rf_json_close(&w, "}");
  rf_sink_char(sink, '\n');
}

static const char *process_text(rf_bump_arena *arena, const rf_process *p, const char *mode) {
  if (!p->ended) {
    return p->running ? "still running" : "killed";
  }
  const char *const unlisted =
      p->unlisted == 0
          ? ""
          : rf_bump_arena_print(arena,
                                ", %" PRIu64 " lost by code of the system or without names (--leaks=all lists them)",
                                p->unlisted);
  const char *const figures = allocations_text(arena, p->allocations, p->bytes, p->peak, p->handed_on, mode);
  return rf_bump_arena_print(arena, "%s%s", figures, unlisted);
}

void rf_processes_text(rf_bump_arena *arena, const rf_run *run, const rf_sink *to) {
  rf_sink const clean = rf_clean_sink(to);
  const rf_sink *const sink = &clean;
  for (size_t i = 0; i < run->process_count; i++) {
    const rf_process *const p = &run->processes[i];
    put(arena, sink, "ringfence: process %" PRIu32 ", %s: %s\n", p->id,
        p->program == NULL ? "unknown program" : p->program, process_text(arena, p, run->mode));
  }
  for (size_t i = 0; i < run->unchecked_count; i++) {
    const rf_unchecked *const u = &run->unchecked[i];
    put(arena, sink, "ringfence: process %" PRIu32 ", %s: not checked: %s\n", u->process, u->program, u->because);
  }
}

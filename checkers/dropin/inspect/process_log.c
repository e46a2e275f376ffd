#define _GNU_SOURCE
#include "process_log.h"

#include "checkers/dropin/malloc/forward.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/runtime/output.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/steering.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/host.h"
#include "checkers/os/modules.h"
#include "checkers/os/uncancelled.h"
#include "checkers/report/collector.h"
#include "lib/core/compiler.h"

#include <errno.h>
#include <ringfence/report_json.h>
#include <ringfence/reporter.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 8192 /* a path, each byte of it escaped, and numbers */
#define PATH_BYTES 1024
#define TELLING_PATIENCE_MS 200U /* another thread may wait in rf_collector_end */

typedef struct totals {
  uint64_t allocations;
  uint64_t bytes;
  uint64_t peak;
  uint64_t live_blocks;
  uint64_t live_bytes;
  uint64_t unpaged; /* blocks that got no pages of their own, in mode page */
} totals;

static totals inherited; /* what the parent did before the fork */

/* A process that goes on, as after an exec that failed, tells of the rest: runs add up. */
static struct {
  bool busy;
  pid_t process;
  uint64_t until_ns;
  totals at;
  uint64_t findings;
} told;

/* Caches may be in use by other threads: each figure is read once, none waits. */
static totals count(void) {
  rf_cache_figures figures;
  rf_cache_figures_of_all(&figures);
  totals sum = {
      .allocations = figures.counters.allocations,
      .bytes = figures.requested,
      .peak = figures.counters.peak,
      .live_blocks = figures.counters.blocks,
      .live_bytes = figures.counters.used,
  };
  rf_page_figures paged;
  rf_guarded_blocks_figures_unlocked(&paged);
  sum.unpaged = rf_guarded_blocks_unpaged(&paged, &figures.counters);
  sum.allocations += paged.counters.allocations;
  sum.bytes += paged.bytes;
  sum.live_blocks += paged.counters.blocks;
  sum.live_bytes += paged.counters.used;
  sum.peak += paged.counters.peak;
  return sum;
}

void rf_process_log_forked(void) {
  told.busy = false;
  inherited = count();
  for (size_t i = 0; i < rf_process.log.suppressions.count; i++) {
    rf_process.log.suppressions.rules[i].used = 0;
    rf_process.log.suppressions.rules[i].bytes = 0;
  }
}

RF_COLD uint64_t rf_process_log_allocations(void) {
  return count().allocations - inherited.allocations;
}

RF_COLD uint64_t rf_process_log_peak(void) {
  return count().peak;
}

/* ---- A line ---- */

static void number(const rf_sink *sink, const char *name, uint64_t value) {
  rf_sink_str(sink, ",\"");
  rf_sink_str(sink, name);
  rf_sink_str(sink, "\":");
  rf_sink_uint(sink, value);
}

static void program(const rf_sink *sink) {
  char path[PATH_BYTES];
  bool const known = rf_modules_program_path(path, sizeof path);
  rf_sink_str(sink, ",\"program\":");
  rf_json_string(known ? path : NULL, sink);
}

static void begin_line(rf_sink_buffer *line, char *text, const char *type, pid_t process) {
  rf_sink_buffer_init(line, text, LINE_BYTES);
  rf_sink_str(&line->sink, "{\"type\":\"");
  rf_sink_str(&line->sink, type);
  rf_sink_str(&line->sink, "\"");
  number(&line->sink, "version", RF_JSON_VERSION);
  number(&line->sink, "pid", (uint64_t)process);
}

static void open_line(rf_sink_buffer *line, char *text, const char *type) {
  begin_line(line, text, type, rf_process_now());
  program(&line->sink);
  rf_sink_str(&line->sink, ",\"mode\":\"");
  rf_sink_str(&line->sink, rf_mode_name(rf_process.options.mode));
  rf_sink_str(&line->sink, "\"");
}

static void close_line(rf_sink_buffer *line) {
  rf_sink_str(&line->sink, "}\n");
  rf_output_write(line->data, line->length);
}

/* ---- The same for people, with verbosity=1: on standard error ---- */

#define SAYING_BYTES 512

static void open_saying(rf_sink_buffer *saying, char *text) {
  rf_sink_buffer_init(saying, text, SAYING_BYTES);
  rf_sink_str(&saying->sink, "ringfence: process ");
  rf_sink_uint(&saying->sink, (uint64_t)rf_process_now());
}

static void say(const rf_sink *sink, const char *before, uint64_t value) {
  rf_sink_str(sink, before);
  rf_sink_uint(sink, value);
}

static void close_saying(rf_sink_buffer *saying) {
  rf_sink_str(&saying->sink, "\n");
  rf_output_say(saying->data, saying->length);
}

static void say_begin(void) {
  char text[SAYING_BYTES];
  rf_sink_buffer saying;
  const rf_options *const o = &rf_process.options;
  open_saying(&saying, text);
  rf_sink_str(&saying.sink, " begins: mode ");
  rf_sink_str(&saying.sink, rf_mode_name(o->mode));
  if (o->mode == RF_MODE_SAMPLE) {
    say(&saying.sink, ", sample_rate ", o->sample_rate);
    say(&saying.sink, ", sample_slots ", o->sample_slots);
  }
  if (rf_steering_now.rules[0] != '\0') {
    rf_sink_str(&saying.sink, ", policy rules ");
    rf_sink_str(&saying.sink, rf_steering_now.rules);
  }
  if (o->mode == RF_MODE_PAGE) {
    say(&saying.sink, ", closed ", o->closed);
  }
  if (rf_process.checked) {
    say(&saying.sink, ", quarantine ", o->quarantine);
    say(&saying.sink, ", fill ", o->fill);
    say(&saying.sink, ", stack_depth ", o->stack_depth);
  }
  close_saying(&saying);
}

static void say_end(const totals *now, uint64_t findings, const rf_leak_summary *leaks) {
  char text[SAYING_BYTES];
  rf_sink_buffer saying;
  open_saying(&saying, text);
  say(&saying.sink, " ends: allocations ", now->allocations - inherited.allocations);
  say(&saying.sink, ", bytes ", now->bytes - inherited.bytes);
  say(&saying.sink, ", peak ", now->peak);
  say(&saying.sink, ", findings ", findings);
  if (now->unpaged != inherited.unpaged) {
    say(&saying.sink, ", blocks without pages ", now->unpaged - inherited.unpaged);
  }
  if (leaks != NULL && leaks->checked) {
    say(&saying.sink, ", leaked blocks not listed ", leaks->unlisted_blocks);
  }
  close_saying(&saying);
}

/* Told unasked: nothing was found because nothing was looked for. */
static void say_unchecked(const char *why) {
  char text[SAYING_BYTES];
  rf_sink_buffer saying;
  open_saying(&saying, text);
  rf_sink_str(&saying.sink, ": leaks were not looked for: ");
  rf_sink_str(&saying.sink, why);
  close_saying(&saying);
}

/* ---- Lines ---- */

void rf_process_log_begin(void) {
  char text[LINE_BYTES];
  rf_sink_buffer line;
  if (rf_process.options.verbosity != 0) {
    say_begin();
  }
  if (rf_process.options.summary) {
    open_line(&line, text, "start");
    number(&line.sink, "time_ns", rf_host_now_ns());
    close_line(&line);
  }
}

static void leaks_fields(const rf_sink *sink, const rf_leak_summary *leaks) {
  rf_sink_str(sink, leaks->checked ? ",\"leaks_checked\":true" : ",\"leaks_checked\":false");
  if (leaks->why != NULL) {
    rf_sink_str(sink, ",\"leaks_unchecked_because\":");
    rf_json_string(leaks->why, sink);
  }
  number(sink, "leaked_blocks", leaks->blocks);
  number(sink, "leaked_bytes", leaks->bytes);
  number(sink, "unlisted_leaked_blocks", leaks->unlisted_blocks);
  number(sink, "unlisted_leaked_bytes", leaks->unlisted_bytes);
  number(sink, "called_leaked_blocks", leaks->called_blocks);
}

/* Suppressed findings: as LeakSanitizer lists them, or for the command. */
static void suppressions_text(void) {
  char text[LINE_BYTES];
  rf_sink_buffer list;
  rf_sink_buffer_init(&list, text, sizeof text);
  rf_suppressions_report(&rf_process.log.suppressions, &list.sink);
  if (list.length != 0) {
    rf_output_write(list.data, list.length);
  }
}

static void suppression_line(const rf_suppression *rule) {
  char text[LINE_BYTES];
  char name[LINE_BYTES / 8];
  rf_sink_buffer line;
  rf_sink_buffer rule_text;
  rf_sink_buffer_init(&rule_text, name, sizeof name);
  rf_suppression_write(rule, &rule_text.sink);
  rf_sink_buffer_init(&line, text, sizeof text);
  rf_sink_str(&line.sink, "{\"type\":\"suppression\"");
  number(&line.sink, "version", RF_JSON_VERSION);
  number(&line.sink, "pid", (uint64_t)rf_process_now());
  rf_sink_str(&line.sink, ",\"rule\":");
  rf_json_string(name, &line.sink);
  number(&line.sink, "count", rule->used);
  number(&line.sink, "bytes", rule->bytes);
  close_line(&line);
}

static void suppressions(void) {
  const rf_suppressions *const all = &rf_process.log.suppressions;
  if (rf_process.options.format == RF_FORMAT_TEXT) {
    suppressions_text();
    return;
  }
  for (size_t i = 0; i < all->count; i++) {
    if (all->rules[i].used != 0) {
      suppression_line(&all->rules[i]);
    }
  }
}

static void tell_collector(const totals *now, uint64_t findings, const rf_leak_summary *leaks, const char *unchecked,
                           const rf_process_exit *exit) {
  uint64_t const time = rf_host_now_ns();
  bool const continued = told.process == rf_process_now();
  if (exit->kind == NULL) {
    return;
  }
  if (!continued) {
    told.until_ns = rf_process.start_ns;
    told.at = inherited;
    told.findings = 0;
  }
  rf_collector_run const run = {
      .duration_ns = time - told.until_ns,
      .allocations = now->allocations - told.at.allocations,
      .bytes = now->bytes - told.at.bytes,
      .peak = now->peak,
      .findings = findings - told.findings,
      .leaks_unchecked = leaks != NULL ? leaks->why : NULL,
      .blocks_unchecked = unchecked,
      .exit = exit->kind,
      .number = exit->number,
      .continued = continued,
  };
  if (rf_collector_end(&run)) {
    told.process = rf_process_now();
    told.until_ns = time;
    told.at = *now;
    told.findings = findings;
  }
}

static void end_telling(void) {
  __atomic_store_n(&told.busy, false, __ATOMIC_RELEASE);
}

RF_COLD void rf_process_log_running(void) {
  rf_process_exit const none = {"running", 0};
  int const saved = errno;
  int const cancellation = rf_uncancelled_begin();
  if (rf_collector_is_named() && rf_host_claim(&told.busy, 0)) {
    totals const now = count();
    tell_collector(&now, rf_process.findings, NULL, NULL, &none);
    end_telling();
  }
  rf_uncancelled_end(cancellation);
  errno = saved;
}

void rf_process_log_end(uint64_t findings, const rf_leak_summary *leaks, const char *unchecked,
                        const rf_process_exit *exit) {
  char text[LINE_BYTES];
  rf_sink_buffer line;
  suppressions();
  totals const now = count();
  if (rf_host_claim(&told.busy, TELLING_PATIENCE_MS)) {
    tell_collector(&now, findings, leaks, unchecked, exit);
    end_telling();
  }
  if (rf_process.options.verbosity != 0) {
    say_end(&now, findings, leaks);
  }
  if (leaks != NULL && leaks->why != NULL && rf_process.options.format == RF_FORMAT_TEXT) {
    say_unchecked(leaks->why);
  }
  if (!rf_process.options.summary || rf_is_forbidden(RF_CALL_OPEN)) {
    return;
  }
  uint64_t const time = rf_host_now_ns();
  open_line(&line, text, "summary");
  number(&line.sink, "time_ns", time);
  number(&line.sink, "duration_ns", time - rf_process.start_ns);
  number(&line.sink, "allocations", now.allocations - inherited.allocations);
  number(&line.sink, "bytes", now.bytes - inherited.bytes);
  number(&line.sink, "peak", now.peak);
  number(&line.sink, "live_blocks", now.live_blocks);
  number(&line.sink, "live_bytes", now.live_bytes);
  if (rf_forward.now == RF_FORWARD_ON) {
    rf_sink_str(&line.sink, ",\"handed_on\":true");
  }
  number(&line.sink, "findings", findings);
  if (now.unpaged != inherited.unpaged) {
    number(&line.sink, "unpaged_blocks", now.unpaged - inherited.unpaged);
  }
  if (leaks != NULL) {
    leaks_fields(&line.sink, leaks);
  }
  if (unchecked != NULL) {
    rf_sink_str(&line.sink, ",\"blocks_unchecked_because\":");
    rf_json_string(unchecked, &line.sink);
  }
  close_line(&line);
}

static void open_short_line(rf_sink_buffer *line, char *text, const char *type, pid_t process, uint64_t time_ns) {
  begin_line(line, text, type, process);
  number(&line->sink, "time_ns", time_ns);
}

RF_COLD void rf_process_log_unchecked(pid_t process, const char *other, const char *why, uint64_t time_ns) {
  char text[LINE_BYTES];
  rf_sink_buffer line;
  if (rf_process.options.summary) {
    open_short_line(&line, text, "unchecked", process, time_ns);
    if (other != NULL) {
      rf_sink_str(&line.sink, ",\"program\":");
      rf_json_string(other, &line.sink);
    } else {
      program(&line.sink);
    }
    rf_sink_str(&line.sink, ",\"because\":");
    rf_json_string(why, &line.sink);
    close_line(&line);
  }
}

RF_COLD void rf_process_log_resumed(void) {
  char text[LINE_BYTES];
  rf_sink_buffer line;
  if (rf_process.options.summary) {
    open_short_line(&line, text, "resumed", rf_process_now(), rf_host_now_ns());
    close_line(&line);
  }
}

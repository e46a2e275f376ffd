#define _GNU_SOURCE
#include "collector.h"

#include <errno.h>
#include <ringfence/report_json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkers/os/forbidden_calls.h"
#include "checkers/os/host.h"
#include "checkers/os/spool_file.h"
#include "collector_identity.h"
#include "json_writer.h"
#include "lib/core/compiler.h"
#include "log_lines.h"
#include "site_record.h"
#include "web_address.h"

#define RECORD_VERSION 1U
#define LINE_BYTES ((size_t)128 * 1024) /* a collector takes twice that */
#define LINE_ROOM ((size_t)24 * 1024)   /* of a record without a finding */
#define KEYS 256U
#define REPEAT_NS 1000000000U
#define END_PATIENCE_MS 100U /* many times what a record takes */
#define RECORDS_MOST 10000U  /* findings in full of one process, whatever their keys */

/* How often a bug came. */
typedef struct key_count {
  uint64_t key;
  uint64_t first;   /* sequence of its first record */
  uint64_t times;   /* in this process */
  uint64_t untold;  /* of these, in no record yet */
  uint64_t told_ns; /* when the last record of it was written */
} key_count;

static struct {
  bool begun;
  bool named; /* a collector was */
  bool busy;  /* a record is being made; accessed atomically */
  rf_collector_windows windows;
  unsigned first;
  uint64_t sequence;
  uint64_t records; /* with findings */
  uint64_t findings;
  uint64_t dropped RF_ATOMIC_64; /* that no record has named; accessed atomically */
  uint64_t telling;              /* of these, what the record names that is being made */
  uint64_t begun_ns;
  rf_collector_identity id;
  rf_spool_file spool;
  key_count keys[KEYS];
  rf_finding shown;          /* the finding without what is not to be told */
  char line[1 + LINE_BYTES]; /* the spool takes the byte before */
} state;

/* ---- Beginning ---- */

static bool is_none(rf_collector_text text) {
  return text.length == 0 || (text.length == 4 && memcmp(text.at, "none", 4) == 0);
}

/* Says so where a folder is expected, and the address of a web server is there: a folder `http:` would be made. Of an
 * address without quotes among options, which a colon separates, `text` is the scheme; the rest is behind it. */
RF_RARE static bool is_address(rf_collector_text text) {
  rf_log_lines lines;
  if (rf_web_scheme(text.at) == 0) {
    return false;
  }
  const rf_sink *const out = rf_log_lines_init(&lines);
  rf_sink_str(out, "ringfence: a collector is named by its folder, not by the address ");
  rf_sink_mem(out, text.at, text.length);
  rf_sink_str(out, ": findings are not collected (`ringfence forward --to ADDRESS` sends on what lies in folders)\n");
  return true;
}

static rf_collector_windows windows_of(rf_collector_windows asked, const char *mode) {
  if (asked != RF_COLLECTOR_AUTO) {
    return asked;
  }
  return state.id.development && strcmp(mode, "sample") != 0 ? RF_COLLECTOR_WHOLE : RF_COLLECTOR_GUARDS;
}

/* False also in a sandbox that forbids a call that records take: they are lost. */
static bool may_tell(void) {
  return state.named && !rf_is_forbidden(RF_CALL_OPEN | RF_CALL_SPOOL | RF_CALL_SIGNAL_MASK | RF_CALL_PENDING |
                                         RF_CALL_GETPID | RF_CALL_CLOCK);
}

bool rf_collector_begin(const rf_collector_options *options) {
  rf_collector_text folder = options->folder;
  if (state.begun) {
    return false;
  }
  state.begun = true;
  if (folder.at == NULL) {
    folder.at = secure_getenv("RINGFENCE_COLLECTOR");
    folder.length = folder.at == NULL ? 0 : strlen(folder.at);
  }
  if (is_none(folder) || is_address(folder)) {
    return false;
  }
  rf_spool_file_init(&state.spool, folder.at, folder.length);
  rf_collector_identity_init(&state.id, options);
  state.windows = windows_of(options->windows, options->mode);
  state.first = options->first;
  state.begun_ns = rf_host_now_ns();
  state.named = true;
  return true;
}

void rf_collector_forked(void) {
  if (state.named) {
    rf_spool_file_forked(&state.spool);
    rf_collector_identity_renew(&state.id);
    rf_site_record_forked();
    state.sequence = 0;
    state.dropped = 0;
    state.busy = false;
    state.begun_ns = rf_host_now_ns();
    if (state.findings != 0) { /* else the pages stay the parent's */
      memset(state.keys, 0, sizeof state.keys);
    }
    state.records = 0;
    state.findings = 0;
  }
}

/* ---- Records ---- */

/* The sender: this process, or a child of vfork, or of a fork that nobody told of, which has the parent's memory or
 * a copy of it. Such a child has an id of its own for each record, and no counts. */
typedef struct teller {
  bool other;
  rf_collector_identity id;
} teller;

RF_COLD static const rf_collector_identity *identity(teller *t) {
  t->other = rf_host_process() != state.id.process;
  if (!t->other) {
    return &state.id;
  }
  memcpy(t->id.boot, state.id.boot, sizeof t->id.boot);
  rf_collector_identity_renew(&t->id);
  return &t->id;
}

static void write_id(rf_json_writer *w, const char *name, const rf_collector_identity *id, uint64_t sequence) {
  char text[128];
  rf_sink_buffer buffer;
  rf_sink_buffer_init(&buffer, text, sizeof text);
  rf_collector_put_id(id, sequence, &buffer.sink);
  rf_json_put_text(w, name, text);
}

RF_COLD static void begin_record(rf_json_writer *w, const char *kind, const rf_collector_identity *id) {
  char text[64];
  rf_sink_buffer time;
  rf_sink_buffer_init(&time, text, sizeof text);
  rf_collector_put_time(&time.sink);
  rf_json_open(w, NULL, "{");
  rf_json_put_text(w, "record", kind);
  rf_json_put_unsigned(w, "version", RECORD_VERSION);
  write_id(w, "id", id, ++state.sequence);
  rf_json_put_text(w, "time", text);
  rf_json_put_unsigned(w, "pid", id->process);
  rf_sink_str(w->sink, state.id.fields);
}

RF_COLD static void end_record(rf_json_writer *w) {
  rf_json_close(w, "}");
  rf_sink_char(w->sink, '\n');
  w->more = false;
}

static void write_dropped(rf_json_writer *w) {
  state.telling = __atomic_load_n(&state.dropped, __ATOMIC_RELAXED);
  rf_json_put_unsigned(w, "dropped", state.telling);
}

/* Losses that a record names which arrived need not be named again. */
static bool send(const rf_sink_buffer *line, bool ring) {
  uint64_t const told = state.telling;
  state.telling = 0;
  if (!rf_spool_file_append(&state.spool, line->data, line->length, ring)) {
    return false;
  }
  __atomic_fetch_sub(&state.dropped, told, __ATOMIC_RELAXED);
  return true;
}

static void drop(uint64_t count) {
  __atomic_fetch_add(&state.dropped, count, __ATOMIC_RELAXED);
}

static bool enter(void) {
  return rf_host_claim(&state.busy, 0);
}

static void leave(void) {
  __atomic_store_n(&state.busy, false, __ATOMIC_RELEASE);
}

/* ---- Keys ---- */

/* NULL where the table is full of others. */
static key_count *count_of(uint64_t key) {
  for (unsigned i = 0; i < KEYS; i++) {
    key_count *const at = &state.keys[(key + i) % KEYS];
    if (at->times == 0 || at->key == key) {
      return at;
    }
  }
  return NULL;
}

static bool tells_in_full(const key_count *k) {
  return state.records < RECORDS_MOST && (k == NULL || k->times < state.first || state.first == 0);
}

RF_COLD bool rf_collector_wants_names(const rf_finding *f) {
  return may_tell() && tells_in_full(count_of(rf_finding_key(f)));
}

/* ---- Findings ---- */

/* Bytes that are nobody's secret: guards, and what was written over them. */
static void hide_window(rf_finding *f) {
  if (state.windows == RF_COLLECTOR_NONE) {
    f->window_size = 0;
  }
  for (unsigned i = 0; i < f->window_size && state.windows == RF_COLLECTOR_GUARDS; i++) {
    if (f->window_class[i] != RF_BYTE_GUARD && f->window_class[i] != RF_BYTE_BAD) {
      f->window[i] = 0;
      f->expected[i] = 0;
      f->window_class[i] = RF_BYTE_LEFT_OUT;
    }
  }
}

static bool make_finding(rf_sink_buffer *line, const rf_collector_identity *id, const rf_symbolizer *symbolizer) {
  static const char *const names[] = {"auto", "whole", "guards", "none"};
  rf_sink_buffer_init(line, state.line + 1, LINE_BYTES);
  rf_json_writer w = {.sink = &line->sink};
  begin_record(&w, "finding", id);
  rf_json_put_unsigned(&w, "count", 1);
  write_dropped(&w);
  rf_json_put_text(&w, "windows", names[state.windows]);
  rf_sink_str(&line->sink, ",\"finding\":");
  rf_report_json(&state.shown, symbolizer, &line->sink);
  line->length--; /* its line feed */
  end_record(&w);
  return line->length + 1 < line->capacity;
}

static bool tell_finding(const rf_finding *f, const rf_collector_identity *id, const rf_symbolizer *symbolizer) {
  rf_sink_buffer line;
  state.shown = *f;
  hide_window(&state.shown);
  if (!make_finding(&line, id, symbolizer) && !make_finding(&line, id, NULL)) {
    state.telling = 0;
    return false;
  }
  return send(&line, true);
}

/* ---- Counts ---- */

RF_COLD static void make_repeat(rf_json_writer *w, const key_count *k) {
  begin_record(w, "repeat", &state.id);
  write_id(w, "of", &state.id, k->first);
  rf_json_put_unsigned(w, "count", k->untold);
  end_record(w);
}

static void tell_repeat(key_count *k) {
  rf_sink_buffer line;
  rf_sink_buffer_init(&line, state.line + 1, LINE_BYTES);
  rf_json_writer w = {.sink = &line.sink};
  make_repeat(&w, k);
  if (rf_spool_file_append(&state.spool, line.data, line.length, true)) {
    k->untold = 0;
    k->told_ns = rf_host_now_ns();
  }
}

/* SIGKILL takes what is untold: less than half of a bug's findings, and none but those of the second after its last
 * record. */
static bool is_repeat_due(const key_count *k) {
  bool const power_of_two = (k->times & (k->times - 1)) == 0;
  return power_of_two || rf_host_now_ns() - k->told_ns >= REPEAT_NS;
}

/* A bug whose first finding could not be told has no record to count for. */
static void put_known(const rf_finding *f, const rf_symbolizer *symbolizer) {
  key_count *const k = count_of(rf_finding_key(f));
  if (tells_in_full(k)) {
    if (!tell_finding(f, &state.id, symbolizer)) {
      drop(1);
      return;
    }
    state.records++;
    if (k != NULL) {
      k->key = rf_finding_key(f);
      k->first = k->times == 0 ? state.sequence : k->first;
      k->times++;
      k->told_ns = rf_host_now_ns();
    }
  } else if (k == NULL || k->times == 0) {
    drop(1);
  } else {
    k->times++;
    k->untold++;
    if (is_repeat_due(k)) {
      tell_repeat(k);
    }
  }
}

RF_COLD void rf_collector_put(const rf_finding *f, const rf_symbolizer *symbolizer) {
  teller t;
  if (!may_tell()) {
    return;
  }
  if (!enter()) {
    drop(1);
    return;
  }
  const rf_collector_identity *const id = identity(&t);
  state.findings++;
  if (t.other) {
    (void)tell_finding(f, id, symbolizer);
  } else {
    put_known(f, symbolizer);
  }
  leave();
}

/* ---- Other records ---- */

RF_COLD void rf_collector_step(uint32_t rule, const char *done) {
  rf_sink_buffer line;
  if (!may_tell() || rf_host_process() != state.id.process || !enter()) {
    return;
  }
  rf_sink_buffer_init(&line, state.line + 1, LINE_BYTES);
  rf_json_writer w = {.sink = &line.sink};
  begin_record(&w, "step", &state.id);
  rf_json_put_unsigned(&w, "rule", rule);
  rf_json_put_text(&w, "done", done);
  end_record(&w);
  (void)rf_spool_file_append(&state.spool, line.data, line.length, true);
  leave();
}

/* Seconds with six digits behind the point. */
RF_COLD static void write_seconds(rf_json_writer *w, uint64_t ns) {
  char digits[] = ".000000";
  uint64_t rest = ns / 1000 % 1000000;
  for (size_t i = sizeof digits - 2; i != 0; i--) {
    digits[i] = (char)('0' + rest % 10);
    rest /= 10;
  }
  rf_json_put_unsigned(w, "seconds", ns / 1000000000U);
  rf_sink_str(w->sink, digits);
}

bool rf_collector_is_named(void) {
  return may_tell();
}

static bool make_record(rf_sink_buffer *line, const rf_collector_identity *id, const char *kind,
                        const rf_symbolizer *symbolizer, rf_collector_writer write, void *context) {
  rf_sink_buffer_init(line, state.line + 1, LINE_BYTES);
  rf_json_writer w = {.sink = &line->sink};
  begin_record(&w, kind, id);
  write_seconds(&w, rf_host_now_ns() - state.begun_ns);
  rf_sink_str(&line->sink, ",\"");
  rf_sink_str(&line->sink, kind);
  rf_sink_str(&line->sink, "\":");
  if (!write(line, symbolizer, context)) {
    return false;
  }
  end_record(&w);
  return line->length + 1 < line->capacity;
}

RF_COLD bool rf_collector_record(const char *kind, const rf_symbolizer *symbolizer, rf_collector_writer write,
                                 void *context) {
  teller t;
  rf_sink_buffer line;
  if (!may_tell() || !enter()) {
    return false;
  }
  const rf_collector_identity *const id = identity(&t);
  bool const told = make_record(&line, id, kind, symbolizer, write, context) &&
                    rf_spool_file_append(&state.spool, line.data, line.length, true);
  leave();
  return told;
}

/* ---- The end ---- */

static void write_exit(rf_json_writer *w, const rf_collector_run *run) {
  char text[64];
  rf_sink_buffer exit;
  rf_sink_buffer_init(&exit, text, sizeof text);
  rf_sink_str(&exit.sink, run->exit);
  if (run->exit[0] == 's') {
    rf_sink_char(&exit.sink, ' ');
    rf_sink_int(&exit.sink, run->number);
  }
  rf_json_put_text(w, "exit", text);
  if (run->continued) {
    rf_json_put_bool(w, "continued", true);
  }
}

static void make_summary(rf_json_writer *w, const rf_collector_identity *id, const rf_collector_run *run) {
  begin_record(w, "summary", id);
  write_seconds(w, run->duration_ns);
  rf_json_put_unsigned(w, "allocations", run->allocations);
  rf_json_put_unsigned(w, "bytes", run->bytes);
  rf_json_put_unsigned(w, "peak", run->peak);
  rf_json_put_unsigned(w, "findings", run->findings);
  write_dropped(w);
  rf_json_put_text(w, "leaks_unchecked_because", run->leaks_unchecked);
  rf_json_put_text(w, "blocks_unchecked_because", run->blocks_unchecked);
  rf_sink_str(w->sink, rf_site_record());
  write_exit(w, run);
  end_record(w);
}

/* The counts of keys from `begin` to before `end` are the first lines of what was appended last: those that arrived are
 * told. The others wait for the next record, if the process goes on. */
RF_COLD static void settle_repeats(const rf_sink_buffer *line, unsigned begin, unsigned end) {
  const char *at = line->data;
  const char *const stop = at + state.spool.arrived;
  for (unsigned i = begin; i < end; i++) {
    if (state.keys[i].untold != 0) {
      const char *const feed = (const char *)memchr(at, '\n', (size_t)(stop - at));
      if (feed == NULL) {
        return;
      }
      state.keys[i].untold = 0;
      at = feed + 1;
    }
  }
}

/* As many keys as fit into one write; then the next. Returns the first key of those that are in `line`. */
static unsigned make_repeats(rf_sink_buffer *line, rf_json_writer *w) {
  unsigned begin = 0;
  for (unsigned i = 0; i < KEYS; i++) {
    if (line->capacity - line->length < 2 * LINE_ROOM) {
      (void)rf_spool_file_append(&state.spool, line->data, line->length, false);
      settle_repeats(line, begin, i);
      line->length = 0;
      begin = i;
    }
    if (state.keys[i].untold != 0) {
      make_repeat(w, &state.keys[i]);
    }
  }
  return begin;
}

bool rf_collector_end(const rf_collector_run *run) {
  rf_collector_run const own = {
      .duration_ns = rf_host_now_ns() - state.begun_ns, .findings = state.findings, .exit = "unknown"};
  teller t;
  if (!may_tell() || !rf_host_claim(&state.busy, END_PATIENCE_MS)) {
    return false;
  }
  const rf_collector_identity *const id = identity(&t);
  rf_sink_buffer line;
  rf_sink_buffer_init(&line, state.line + 1, LINE_BYTES);
  rf_json_writer w = {.sink = &line.sink};
  bool const repeats = !t.other && state.findings > state.records;
  unsigned const begin = repeats ? make_repeats(&line, &w) : KEYS;
  if (run == NULL || run->exit != NULL) {
    make_summary(&w, id, run != NULL ? run : &own);
  }
  bool const told = line.length == 0 || send(&line, state.findings != 0);
  if (line.length != 0) {
    settle_repeats(&line, begin, KEYS);
  }
  if (told) {
    rf_site_record_told();
  }
  leave();
  return told;
}

#include <ringfence/reporter.h>

#include <ringfence/port.h>
#include <ringfence/report_json.h>
#include <ringfence/report_serial.h>
#include <ringfence/report_text.h>
#include <ringfence/system.h>
#include <string.h>

#include "checkers/os/host.h"
#include "checkers/os/modules.h"
#include "checkers/os/pid_path.h"
#include "collector.h"
#include "lib/core/compiler.h"
#include "log_lines.h"

#define PATH_BYTES 512

/* ---- The file ---- */

/* "ringfence: cannot ACT PATH; CONSEQUENCE". */
RF_RARE static void warn_cannot(const char *act, const char *path, const char *consequence) {
  rf_log_lines lines;
  const rf_sink *const out = rf_log_lines_init(&lines);
  rf_sink_str(out, "ringfence: cannot ");
  rf_sink_str(out, act);
  rf_sink_str(out, path);
  rf_sink_str(out, consequence);
}

/* False where the program has closed the log; its number may be another file's. */
static bool is_its_own(const rf_log_reporter *r) {
  return r->file == 0 || rf_host_file(r->fd) == r->file;
}

static bool is_open(const rf_log_reporter *r) {
  uint32_t const process = rf_host_process();
  return r->opened_by == process && process != 0 && (r->fd < 0 || is_its_own(r));
}

static void let_go(rf_log_reporter *r) {
  if (r->fd >= 0 && is_its_own(r)) {
    rf_host_close(r->fd);
  }
  r->fd = -1;
}

/* A path with %p names another file in a child. Other paths are opened anew as well, which does no harm. One that could
 * not be opened is not tried again. */
RF_COLD static void open_log(rf_log_reporter *r) {
  char path[PATH_BYTES];
  rf_sink_buffer expanded;
  if (r->options.log == NULL || is_open(r)) {
    return;
  }
  let_go(r);
  r->opened_by = rf_host_process();
  rf_sink_buffer_init(&expanded, path, sizeof path);
  r->fd = rf_pid_path(r->options.log, r->options.log_length, &expanded) ? rf_host_open(path) : -1;
  r->file = r->fd >= 0 ? rf_host_file(r->fd) : 0;
  if (r->fd < 0) {
    warn_cannot("append to ", path, "; findings go to standard error\n");
  }
}

/* The next text opens it anew. */
RF_COLD static void close_log(rf_log_reporter *r) {
  if (r->fd >= 0 && r->opened_by == rf_host_process()) {
    let_go(r);
    r->opened_by = 0;
  }
}

/* False where a file takes no more, as on a full disk. */
static bool write_log(rf_log_reporter *r, const char *text, size_t size) {
  open_log(r);
  if (rf_host_write(r->fd, text, size)) {
    if (r->closed) {
      close_log(r);
    }
    return true;
  }
  let_go(r);
  return false;
}

RF_COLD void rf_log_reporter_close(rf_log_reporter *r) {
  bool const locked = rf_host_report_lock();
  r->closed = true;
  close_log(r);
  if (locked) {
    rf_host_report_unlock();
  }
}

RF_COLD void rf_log_reporter_write(rf_log_reporter *r, const char *text, size_t size) {
  if (!write_log(r, text, size)) {
    rf_port_log(text, size); /* standard error may still take it */
  }
}

/* ---- Collecting a rendering into one write ---- */

#if RF_HAS_SYSTEM
#define WHOLE_BYTES ((size_t)64 * 1024)
#else
#define WHOLE_BYTES ((size_t)256)
#endif
/* A buffer on the stack, for a finding within a finding. */
#define PART_BYTES ((size_t)256)

typedef struct collector {
  rf_log_reporter *reporter;
  char *data;
  size_t room;
  size_t length;
  bool lost; /* a record for programs to read, which its file did not take: standard error gets a text instead */
} collector;

static bool takes_records(rf_log_reporter *r) {
  open_log(r);
  return r->fd >= 0;
}

RF_COLD static void flush(collector *c) {
  rf_log_reporter *const r = c->reporter;
  if (c->length != 0 && r->options.log != NULL && r->options.format == RF_FORMAT_JSON) {
    c->lost = c->lost || !takes_records(r) || !write_log(r, c->data, c->length);
  } else if (c->length != 0) {
    rf_log_reporter_write(r, c->data, c->length);
  }
  c->length = 0;
}

RF_COLD static void collect(void *context, const char *text, size_t size) {
  collector *const c = (collector *)context;
  while (size != 0) {
    size_t const room = c->room - c->length;
    size_t const part = size < room ? size : room;
    memcpy(c->data + c->length, text, part);
    c->length += part;
    text += part;
    size -= part;
    if (c->length == c->room) {
      flush(c);
    }
  }
}

/* False where the log did not take the finding. */
static bool render(rf_log_reporter *r, const rf_finding *f, const rf_symbolizer *symbolizer, char *data, size_t room) {
  collector c = {.reporter = r, .room = room};
  c.data = data;
  rf_sink const sink = {collect, &c};
  switch (r->options.format) {
  case RF_FORMAT_JSON:
    rf_report_json(f, symbolizer, &sink);
    break;
  case RF_FORMAT_SERIAL:
    rf_report_serial(f, symbolizer, &sink);
    break;
  case RF_FORMAT_TEXT:
    rf_report_text(f, symbolizer, &sink);
    break;
  }
  flush(&c);
  return !c.lost;
}

/* ---- Artifacts of a test ---- */

static int open_artifact(void) {
  const char *const folder = rf_host_artifacts();
  char path[PATH_BYTES];
  rf_sink_buffer name;
  if (folder == NULL) {
    return -1;
  }
  rf_sink_buffer_init(&name, path, sizeof path);
  rf_sink_str(&name.sink, folder);
  rf_sink_str(&name.sink, "/ringfence-");
  rf_sink_uint(&name.sink, rf_host_process());
  rf_sink_str(&name.sink, ".jsonl");
  return name.length + 1 < sizeof path ? rf_host_open(path) : -1;
}

/* ---- Reporting ---- */

/* One report at a time uses these, since rf_report locks. A finding within a finding sees `busy`. */
static bool busy;
static char whole[WHOLE_BYTES];
static rf_modules modules;

static void load_modules(const rf_finding *f) {
  const rf_trace *const traces[] = {&f->found, &f->allocated, &f->released};
  rf_modules_load(&modules, traces, sizeof traces / sizeof traces[0]);
}

static void write_artifact(const rf_log_reporter *r, const rf_finding *f) {
  int const fd = r->options.log == NULL ? open_artifact() : -1;
  if (fd < 0) {
    return;
  }
  rf_sink_buffer line;
  rf_symbolizer const symbolizer = rf_modules_symbolizer(&modules, true);
  rf_sink_buffer_init(&line, whole, sizeof whole);
  rf_report_json(f, &symbolizer, &line.sink);
  (void)rf_host_write(fd, line.data, line.length);
  rf_host_close(fd);
}

/* In one write, on standard error. */
static void print_text(const rf_finding *f) {
  rf_sink_buffer text;
  rf_symbolizer const symbolizer = rf_modules_symbolizer(&modules, true);
  rf_sink_buffer_init(&text, whole, sizeof whole);
  rf_report_text(f, &symbolizer, &text.sink);
  rf_port_log(text.data, text.length);
}

/* A line at a time, on standard error. */
RF_RARE static void print_lines(const rf_finding *f) {
  rf_log_lines lines;
  rf_report_text(f, NULL, rf_log_lines_init(&lines));
}

static void print_finding(rf_log_reporter *r, const rf_finding *f) {
  if (busy) {
    char part[PART_BYTES];
    if (!render(r, f, NULL, part, sizeof part)) {
      r->lost = true;
      print_lines(f);
    }
    return;
  }
  busy = true;
  load_modules(f);
  rf_symbolizer const symbolizer = rf_modules_symbolizer(&modules, r->options.format == RF_FORMAT_TEXT);
  if (!render(r, f, &symbolizer, whole, sizeof whole)) {
    r->lost = true;
    print_text(f);
  }
  write_artifact(r, f);
  busy = false;
}

static void print_limit(rf_log_reporter *r) {
  static const char text[] = "ringfence: max_findings reached; further findings are counted only\n";
  if (r->options.format == RF_FORMAT_TEXT) {
    rf_log_reporter_write(r, text, sizeof text - 1);
  } else {
    rf_port_log(text, sizeof text - 1);
  }
}

/* ---- Suppressions ---- */

RF_RARE static void parse(rf_log_reporter *r, const char *text, size_t length, const char *path) {
  rf_log_lines lines;
  (void)rf_suppressions_parse(&r->suppressions, text, length, path, rf_log_lines_init(&lines));
}

void rf_log_reporter_read_suppressions(rf_log_reporter *r) {
  char path[PATH_BYTES];
  rf_sink_buffer name;
  size_t length = 0;
  if (r->suppressions_read || r->options.suppressions == NULL) {
    return;
  }
  r->suppressions_read = true;
  rf_sink_buffer_init(&name, path, sizeof path);
  rf_sink_mem(&name.sink, r->options.suppressions, r->options.suppressions_length);
  const char *const text = rf_host_read_file(path, &length);
  if (text == NULL) {
    warn_cannot("read the suppressions ", path, "; nothing is suppressed\n");
    return;
  }
  size_t const rules = rf_suppressions_count(text, length);
  r->suppressions.rules = rules == 0 ? NULL : (rf_suppression *)rf_host_map(rules * sizeof(rf_suppression));
  r->suppressions.capacity = r->suppressions.rules == NULL ? 0 : rules;
  parse(r, text, length, path);
}

RF_COLD bool rf_log_reporter_suppresses(rf_log_reporter *r, const rf_finding *f) {
  rf_suppression *rule = NULL;
  rf_log_reporter_read_suppressions(r);
  if (r->suppressions.count == 0) {
    return false;
  }
  if (busy) { /* a finding within a finding: `modules` is in use */
    rule = rf_suppressions_match(&r->suppressions, f, NULL);
  } else {
    busy = true;
    load_modules(f);
    rf_symbolizer const symbolizer = rf_modules_symbolizer(&modules, true);
    rule = rf_suppressions_match(&r->suppressions, f, &symbolizer);
    busy = false;
  }
  if (rule != NULL) {
    rule->used++;
    rule->bytes += f->bug == RF_BUG_LEAK ? f->size : 0;
  }
  return rule != NULL;
}

/* ---- The collector ---- */

RF_COLD void rf_log_reporter_collect(const rf_finding *f) {
#if RF_HAS_SYSTEM
  if (busy || !rf_collector_wants_names(f)) {
    rf_collector_put(f, NULL);
    return;
  }
  busy = true;
  load_modules(f);
  rf_symbolizer const symbolizer = rf_modules_symbolizer(&modules, true);
  rf_collector_put(f, &symbolizer);
  busy = false;
#else
  (void)f;
#endif
}

/* A process that is halted runs no exit handlers. */
static void end_collecting(const rf_log_reporter *r) {
#if RF_HAS_SYSTEM
  bool const aborts = r->base.exitcode == RF_EXITCODE_ABORT;
  rf_collector_run const run = {.findings = r->base.sequence,
                                .exit = aborts ? "signal" : "status",
                                .number = aborts ? RF_HOST_SIGABRT : r->base.exitcode};
  (void)rf_collector_end(&run);
#else
  (void)r;
#endif
}

static rf_action report(rf_reporter *self, const rf_finding *f) {
  rf_log_reporter *const r = (rf_log_reporter *)self;
  if (rf_log_reporter_suppresses(r, f)) {
    self->sequence--;
    return RF_ACTION_CONTINUE;
  }
  rf_action const action = rf_log_reporter_put(r, f);
  if (action == RF_ACTION_HALT) {
    end_collecting(r);
  }
  return action;
}

RF_COLD rf_action rf_log_reporter_put(rf_log_reporter *r, const rf_finding *f) {
  unsigned const most = r->options.max_findings;
  if (most == 0 || f->sequence <= most) {
    print_finding(r, f);
  }
  rf_log_reporter_collect(f);
  if (most != 0 && f->sequence == most && !r->options.halt) {
    print_limit(r);
  }
  return r->options.halt ? RF_ACTION_HALT : RF_ACTION_CONTINUE;
}

void rf_report_options_default(rf_report_options *out) {
  *out = (rf_report_options){
      .halt = true,
      .exitcode = RF_EXITCODE_DEFAULT,
      .format = RF_FORMAT_TEXT,
      .max_findings = 1000,
  };
}

void rf_log_reporter_init(rf_log_reporter *reporter, const rf_report_options *options) {
  memset(reporter, 0, sizeof *reporter);
  reporter->base.report = report;
  reporter->base.exitcode = options->abort ? RF_EXITCODE_ABORT : (int)options->exitcode;
  reporter->options = *options;
  reporter->fd = -1;
}

RF_COLD size_t rf_reporter_text(const rf_finding *f, char *out, size_t room) {
  rf_sink_buffer text;
  rf_sink_buffer_init(&text, out, room);
  if (busy) {
    rf_report_text(f, NULL, &text.sink);
    return text.length;
  }
  busy = true;
  load_modules(f);
  rf_symbolizer const symbolizer = rf_modules_symbolizer(&modules, true);
  rf_report_text(f, &symbolizer, &text.sink);
  busy = false;
  return text.length;
}

/* ---- Other texts ---- */

/* Adds the module of `pc`. An address in each module known so far keeps that one loaded. */
static void load_module(uintptr_t pc) {
  static rf_trace asked;
  const rf_trace *const traces[] = {&asked};
  asked.depth = 0;
  for (unsigned i = 0; i < modules.count && modules.count < RF_MODULES && i + 1 < RF_TRACE_DEPTH; i++) {
    asked.frames[asked.depth++] = modules.modules[i].start + 1;
  }
  asked.frames[asked.depth++] = pc;
  rf_modules_load(&modules, traces, 1);
}

RF_COLD static bool name_any(void *context, uintptr_t pc, unsigned inlined, rf_frame_name *out) {
  const rf_symbolizer *const symbolizer = (const rf_symbolizer *)context;
  if (symbolizer->name(symbolizer->context, pc, inlined, out)) {
    return true;
  }
  if (inlined != 0) {
    return false;
  }
  load_module(pc);
  return symbolizer->name(symbolizer->context, pc, inlined, out);
}

RF_COLD bool rf_log_reporter_collect_record(const char *kind, rf_collector_writer write, void *context) {
  bool const locked = rf_host_report_lock();
  bool done = false;
  if (!busy) {
    rf_symbolizer known = rf_modules_symbolizer(&modules, false);
    rf_symbolizer const symbolizer = {name_any, &known};
    busy = true;
    modules.count = 0;
    done = rf_collector_record(kind, &symbolizer, write, context);
    busy = false;
  }
  if (locked) {
    rf_host_report_unlock();
  }
  return done;
}

RF_COLD bool rf_log_reporter_render(rf_log_reporter *r, rf_log_writer write, void *context) {
  bool const locked = rf_host_report_lock();
  bool const free = !busy;
  if (free) {
    collector c = {.reporter = r, .data = whole, .room = sizeof whole};
    rf_sink const sink = {collect, &c};
    rf_symbolizer known = rf_modules_symbolizer(&modules, r->options.format == RF_FORMAT_TEXT);
    rf_symbolizer const symbolizer = {name_any, &known};
    busy = true;
    modules.count = 0;
    write(context, &symbolizer, &sink);
    flush(&c);
    busy = false;
  }
  if (locked) {
    rf_host_report_unlock();
  }
  return free;
}

#if RF_HAS_SYSTEM

/* The page stays the parent's where no other thread was reporting. */
void rf_log_reporter_forked(void) {
  if (busy) {
    busy = false;
  }
}

#endif

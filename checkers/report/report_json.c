#include <ringfence/report_json.h>

#include "json_writer.h"
#include "lib/core/compiler.h"

/* ---- Traces ---- */

static void write_site(rf_json_writer *w, const rf_site *s) {
  rf_json_open(w, "site", "{");
  rf_json_put_text(w, "file", s->file);
  rf_json_put_unsigned(w, "line", s->line);
  rf_json_put_text(w, "function", s->function);
  rf_json_close(w, "}");
}

static void write_place(rf_json_writer *w, const rf_frame_name *name) {
  rf_json_put_text(w, "file", name->file);
  if (name->line != 0) {
    rf_json_put_unsigned(w, "line", name->line);
  }
}

/* The functions that the code of the call was inlined into, innermost first. */
static void write_inlined_into(rf_json_writer *w, uintptr_t pc, const rf_symbolizer *symbolizer) {
  rf_frame_name name = {0};
  unsigned depth = 1;
  for (; symbolizer->name(symbolizer->context, pc, depth, &name); depth++) {
    if (depth == 1) {
      rf_json_open(w, "inlined_into", "[");
    }
    rf_json_open(w, NULL, "{");
    rf_json_put_text(w, "function", name.function);
    write_place(w, &name);
    rf_json_close(w, "}");
  }
  if (depth != 1) {
    rf_json_close(w, "]");
  }
}

static void write_frame(rf_json_writer *w, uintptr_t pc, const rf_symbolizer *symbolizer) {
  rf_frame_name name = {0};
  rf_json_open(w, NULL, "{");
  rf_json_put_address(w, "pc", pc);
  if (symbolizer != NULL && symbolizer->name(symbolizer->context, pc, 0, &name)) {
    if (name.module != NULL) {
      rf_json_put_text(w, "module", name.module);
      rf_json_put_text(w, "build_id", name.build_id);
      rf_json_put_address(w, "offset", name.offset);
    }
    rf_json_put_text(w, "function", name.function);
    write_place(w, &name);
    write_inlined_into(w, pc, symbolizer);
  }
  rf_json_close(w, "}");
}

static void write_trace(rf_json_writer *w, const char *name, const rf_trace *t, const rf_symbolizer *symbolizer) {
  rf_json_open(w, name, "{");
  rf_json_put_unsigned(w, "thread", t->thread);
  if (t->site != NULL) {
    write_site(w, t->site);
  }
  rf_json_open(w, "frames", "[");
  for (unsigned i = 0; i < t->depth; i++) {
    write_frame(w, t->frames[i], symbolizer);
  }
  rf_json_close(w, "]");
  rf_json_close(w, "}");
}

static void write_known_trace(rf_json_writer *w, const char *name, const rf_trace *t, const rf_symbolizer *symbolizer) {
  if (t->site != NULL || t->depth != 0) {
    write_trace(w, name, t, symbolizer);
  }
}

RF_COLD void rf_report_json_trace(const char *name, const rf_trace *t, const rf_symbolizer *symbolizer,
                                  const rf_sink *sink) {
  rf_json_writer w = {.sink = sink, .more = true};
  write_trace(&w, name, t, symbolizer);
}

/* ---- The object ---- */

static const char *access_name(rf_access access) {
  static const char *const names[] = {
      [RF_ACCESS_READ] = "read", [RF_ACCESS_WRITE] = "write", [RF_ACCESS_FREE] = "free"};
  return (unsigned)access < sizeof names / sizeof names[0] ? names[access] : NULL;
}

static void write_access(rf_json_writer *w, const rf_finding *f) {
  rf_json_put_text(w, "access", access_name(f->access));
  rf_json_put_unsigned(w, "access_size", f->access_size);
  rf_json_put_bool(w, "at_access", f->at_access);
  rf_json_put_address(w, "address", f->address);
}

static void write_block(rf_json_writer *w, const rf_finding *f) {
  size_t distance;
  if (f->block == 0) {
    rf_json_put_unsigned(w, "size", f->size);
    return;
  }
  const char *const relation = rf_finding_relation(f, &distance);
  rf_json_put_address(w, "block", f->block);
  rf_json_put_unsigned(w, "size", f->size);
  rf_json_put_unsigned(w, "blocks", f->blocks);
  rf_json_put_bool(w, "freed", f->freed);
  rf_json_put_number(w, "offset", f->offset);
  rf_json_put_text(w, "relation", relation);
  rf_json_put_unsigned(w, "distance", distance);
}

static void write_call(rf_json_writer *w, const rf_finding *f) {
  if (f->argument != 0) {
    rf_json_put_unsigned(w, "argument", f->argument);
  }
  rf_json_put_text(w, "allocation", f->allocation);
  rf_json_put_text(w, "deallocation", f->deallocation);
}

static void write_window(rf_json_writer *w, const rf_finding *f) {
  char classes[RF_WINDOW + 1] = "";
  if (f->window_size == 0) {
    return;
  }
  for (unsigned i = 0; i < f->window_size; i++) {
    classes[i] = rf_byte_letter(f->window_class[i]);
  }
  rf_json_open(w, "window", "{");
  rf_json_put_address(w, "address", f->window_address);
  rf_json_put_bytes(w, "bytes", f->window, f->window_size);
  rf_json_put_bytes(w, "expected", f->expected, f->window_size);
  rf_json_put_text(w, "classes", classes);
  rf_json_close(w, "}");
}

RF_COLD void rf_report_json(const rf_finding *f, const rf_symbolizer *symbolizer, const rf_sink *sink) {
  rf_json_writer w = {.sink = sink};
  rf_json_open(&w, NULL, "{");
  rf_json_put_text(&w, "type", "finding");
  rf_json_put_unsigned(&w, "version", RF_JSON_VERSION);
  rf_json_put_unsigned(&w, "pid", f->process);
  rf_json_put_unsigned(&w, "sequence", f->sequence);
  rf_json_put_unsigned(&w, "time_ns", f->time_ns);
  rf_json_put_text(&w, "bug", rf_bug_name(f->bug));
  rf_json_put_unsigned(&w, "cwe", f->cwe);
  write_access(&w, f);
  write_block(&w, f);
  write_call(&w, f);
  rf_json_put_text(&w, "allocator", f->allocator);
  rf_json_put_text(&w, "mode", f->mode);
  rf_json_put_text(&w, "detail", f->detail);
  write_trace(&w, "found", &f->found, symbolizer);
  write_known_trace(&w, "allocated", &f->allocated, symbolizer);
  write_known_trace(&w, "released", &f->released, symbolizer);
  write_window(&w, f);
  rf_json_close(&w, "}");
  rf_sink_char(sink, '\n');
}

#include <ringfence/report_json.h>

#include "checkers/report/utf8.h"
#include <string.h>

typedef struct writer {
  const rf_finding *f;
  const rf_namer *namer;
  const rf_sink *sink;
} writer;

/* ---- Strings ---- */

static void escaped(unsigned char c, const rf_sink *sink) {
  char text[7] = "\\u0000";
  text[4] = "0123456789abcdef"[c >> 4];
  text[5] = "0123456789abcdef"[c & 15];
  rf_sink_str(sink, text);
}

void rf_json_string(const char *text, const rf_sink *sink) {
  if (text == NULL) {
    rf_sink_str(sink, "null");
    return;
  }
  rf_sink_char(sink, '"');
  for (const unsigned char *s = (const unsigned char *)text; *s != 0;) {
    unsigned const length = rf_utf8_length(s);
    if (length == 0) {
      rf_sink_str(sink, "\\ufffd");
      s++;
      continue;
    }
    if (*s == '"' || *s == '\\') {
      rf_sink_char(sink, '\\');
    }
    if (*s < 0x20 || *s == 0x7F) {
      escaped(*s, sink);
    } else {
      rf_sink_mem(sink, (const char *)s, length);
    }
    s += length;
  }
  rf_sink_char(sink, '"');
}

/* ---- Fields: all but the first of an object begin with a comma ---- */

static void str(const writer *w, const char *text) {
  rf_sink_str(w->sink, text);
}

static void name_field(const writer *w, const char *name) {
  str(w, ",\"");
  str(w, name);
  str(w, "\":");
}

static void number(const writer *w, const char *name, uint64_t value) {
  name_field(w, name);
  rf_sink_uint(w->sink, value);
}

static void text(const writer *w, const char *name, const char *value) {
  if (value != NULL) {
    name_field(w, name);
    rf_json_string(value, w->sink);
  }
}

static void boolean(const writer *w, const char *name, bool value) {
  name_field(w, name);
  str(w, value ? "true" : "false");
}

static void hex(const writer *w, uint64_t value) {
  str(w, "\"");
  rf_sink_hex(w->sink, value, 1);
  str(w, "\"");
}

/* Addresses are strings: a JSON number cannot hold 64 bits everywhere. */
static void address(const writer *w, const char *name, uint64_t value) {
  name_field(w, name);
  hex(w, value);
}

static void bytes(const writer *w, const char *name, const unsigned char *data, unsigned size) {
  name_field(w, name);
  str(w, "\"");
  for (unsigned i = 0; i < size; i++) {
    rf_sink_char(w->sink, "0123456789abcdef"[data[i] >> 4]);
    rf_sink_char(w->sink, "0123456789abcdef"[data[i] & 15]);
  }
  str(w, "\"");
}

/* ---- Traces ---- */

static void site(const writer *w, const rf_site *s) {
  name_field(w, "site");
  str(w, "{\"file\":");
  rf_json_string(s->file, w->sink);
  number(w, "line", s->line);
  text(w, "function", s->function);
  str(w, "}");
}

static void names(const writer *w, const rf_frame_name *name) {
  if (name->module != NULL) {
    text(w, "module", name->module);
    text(w, "build_id", name->build_id);
    address(w, "offset", name->offset);
  }
  text(w, "function", name->function);
  text(w, "file", name->file);
  if (name->line != 0) {
    number(w, "line", name->line);
  }
}

/* The functions that the code of the call was inlined into, innermost first. */
static void inlined_into(const writer *w, uintptr_t pc) {
  rf_frame_name name = {NULL, NULL, 0, 0, NULL, NULL, 0};
  unsigned depth = 1;
  for (; w->namer->name(w->namer->context, pc, depth, &name); depth++) {
    str(w, depth == 1 ? ",\"inlined_into\":[{\"function\":" : ",{\"function\":");
    rf_json_string(name.function, w->sink);
    text(w, "file", name.file);
    if (name.line != 0) {
      number(w, "line", name.line);
    }
    str(w, "}");
  }
  str(w, depth == 1 ? "" : "]");
}

static void frame(const writer *w, uintptr_t pc) {
  rf_frame_name name = {NULL, NULL, 0, 0, NULL, NULL, 0};
  str(w, "{\"pc\":");
  hex(w, pc);
  if (w->namer != NULL && w->namer->name(w->namer->context, pc, 0, &name)) {
    names(w, &name);
    inlined_into(w, pc);
  }
  str(w, "}");
}

static void frames(const writer *w, const rf_trace *t) {
  name_field(w, "frames");
  str(w, "[");
  for (unsigned i = 0; i < t->depth; i++) {
    if (i != 0) {
      str(w, ",");
    }
    frame(w, t->frames[i]);
  }
  str(w, "]");
}

static void trace(const writer *w, const char *name, const rf_trace *t) {
  name_field(w, name);
  str(w, "{\"thread\":");
  rf_sink_uint(w->sink, t->thread);
  if (t->site != NULL) {
    site(w, t->site);
  }
  frames(w, t);
  str(w, "}");
}

static void trace_if_known(const writer *w, const char *name, const rf_trace *t) {
  if (t->site != NULL || t->depth != 0) {
    trace(w, name, t);
  }
}

void rf_report_json_trace(const char *name, const rf_trace *t, const rf_namer *namer, const rf_sink *sink) {
  writer const w = {NULL, namer, sink};
  trace(&w, name, t);
}

/* ---- The object ---- */

static const char *access_name(rf_access access) {
  switch (access) {
  case RF_ACCESS_READ:
    return "read";
  case RF_ACCESS_WRITE:
    return "write";
  case RF_ACCESS_FREE:
    return "free";
  case RF_ACCESS_UNKNOWN:
    break;
  }
  return NULL;
}

static void call(const writer *w) {
  const rf_finding *const f = w->f;
  if (f->argument != 0) {
    number(w, "argument", f->argument);
  }
  text(w, "allocation", f->allocation);
  text(w, "deallocation", f->deallocation);
}

static void block(const writer *w) {
  const rf_finding *const f = w->f;
  size_t distance;
  if (f->block == 0) {
    number(w, "size", f->size);
    return;
  }
  const char *const relation = rf_finding_relation(f, &distance);
  address(w, "block", f->block);
  number(w, "size", f->size);
  number(w, "blocks", f->blocks);
  boolean(w, "freed", f->freed);
  name_field(w, "offset");
  rf_sink_int(w->sink, f->offset);
  text(w, "relation", relation);
  number(w, "distance", distance);
}

static void window(const writer *w) {
  const rf_finding *const f = w->f;
  if (f->window_size == 0) {
    return;
  }
  name_field(w, "window");
  str(w, "{\"address\":");
  hex(w, f->window_address);
  bytes(w, "bytes", f->window, f->window_size);
  bytes(w, "expected", f->expected, f->window_size);
  name_field(w, "classes");
  str(w, "\"");
  for (unsigned i = 0; i < f->window_size; i++) {
    rf_sink_char(w->sink, rf_byte_letter(f->window_class[i]));
  }
  str(w, "\"}");
}

void rf_report_json(const rf_finding *f, const rf_namer *namer, const rf_sink *sink) {
  writer const w = {f, namer, sink};
  str(&w, "{\"type\":\"finding\"");
  number(&w, "version", RF_JSON_VERSION);
  number(&w, "pid", f->process);
  number(&w, "sequence", f->sequence);
  number(&w, "time_ns", f->time_ns);
  text(&w, "bug", rf_bug_name(f->bug));
  number(&w, "cwe", f->cwe);
  text(&w, "access", access_name(f->access));
  number(&w, "access_size", f->access_size);
  boolean(&w, "at_access", f->at_access);
  address(&w, "address", f->address);
  block(&w);
  call(&w);
  text(&w, "allocator", f->allocator);
  text(&w, "mode", f->mode);
  text(&w, "detail", f->detail);
  trace(&w, "found", &f->found);
  trace_if_known(&w, "allocated", &f->allocated);
  trace_if_known(&w, "released", &f->released);
  window(&w);
  str(&w, "}\n");
}

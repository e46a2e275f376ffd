#include "tools/ringfence/model/foreign.h"

#include "tools/ringfence/base/paths.h"

#include <ringfence/report_json.h>
#include <string.h>

rf_foreign_finding *rf_foreign_add(rf_foreign *out, rf_bump_arena *arena) {
  rf_foreign_finding *const f = &RF_APPENDED(arena, out->findings, out->count);
  *f = (rf_foreign_finding){.blocks = 1};
  return f;
}

void rf_foreign_add_frame(rf_foreign_stack *stack, rf_bump_arena *arena, const rf_foreign_frame *frame) {
  if (stack->count < RF_TRACE_DEPTH) {
    RF_APPENDED(arena, stack->frames, stack->count) = *frame;
  }
}

/* ---- The program ---- */

static bool is_function(const rf_foreign_frame *frame, const char *name) {
  return frame->function != NULL && strcmp(frame->function, name) == 0;
}

const char *rf_foreign_program(const rf_foreign_finding *f) {
  const char *program = NULL;
  for (size_t kind = 0; kind < 3; kind++) {
    for (size_t i = 0; i < f->stacks[kind].count; i++) {
      const rf_foreign_frame *const frame = &f->stacks[kind].frames[i];
      if (frame->module != NULL && (is_function(frame, "main") || is_function(frame, "_start"))) {
        return frame->module;
      }
      bool const library = frame->module == NULL || strstr(rf_base_name(frame->module), ".so") != NULL;
      program = program == NULL && !library ? frame->module : program;
    }
  }
  return program;
}

/* ---- JSON ---- */

static void put_name(const rf_sink *sink, const char *name) {
  rf_sink_str(sink, ",\"");
  rf_sink_str(sink, name);
  rf_sink_str(sink, "\":");
}

static void put_text(const rf_sink *sink, const char *name, const char *text) {
  if (text != NULL) {
    put_name(sink, name);
    rf_json_string(text, sink);
  }
}

static void put_number(const rf_sink *sink, const char *name, uint64_t value) {
  put_name(sink, name);
  rf_sink_uint(sink, value);
}

static void put_address(const rf_sink *sink, const char *name, uint64_t value) {
  put_name(sink, name);
  rf_sink_char(sink, '"');
  rf_sink_hex(sink, value, 1);
  rf_sink_char(sink, '"');
}

/* AddressSanitizer's text has no module where it has a line; a main alone counts with its program. */
static void put_frame(const rf_foreign_frame *frame, const char *program, const rf_sink *sink) {
  rf_sink_str(sink, "{\"pc\":\"");
  rf_sink_hex(sink, frame->pc, 1);
  rf_sink_char(sink, '"');
  if (frame->module == NULL && is_function(frame, "main")) {
    put_text(sink, "module", program);
  } else if (frame->module != NULL) {
    put_text(sink, "module", frame->module);
    put_text(sink, "build_id", frame->build_id);
    put_address(sink, "offset", frame->offset);
  }
  put_text(sink, "function", frame->function);
  put_text(sink, "file", frame->file);
  if (frame->line != 0) {
    put_number(sink, "line", frame->line);
  }
  rf_sink_char(sink, '}');
}

static void put_stack(const rf_foreign_stack *stack, const char *program, const char *name, const rf_sink *sink) {
  put_name(sink, name);
  rf_sink_str(sink, "{\"frames\":[");
  for (size_t i = 0; i < stack->count; i++) {
    rf_sink_str(sink, i == 0 ? "" : ",");
    put_frame(&stack->frames[i], program, sink);
  }
  rf_sink_str(sink, "]}");
}

void rf_foreign_put(const rf_foreign_finding *f, const char *tool, const rf_sink *sink) {
  static const char *const accesses[] = {NULL, "read", "write", "free"};
  rf_sink_str(sink, "{\"type\":\"finding\"");
  put_number(sink, "version", RF_JSON_VERSION);
  put_number(sink, "pid", f->process);
  put_text(sink, "bug", rf_bug_name(f->bug));
  put_number(sink, "cwe", rf_bug_cwe(f->bug, f->access));
  put_text(sink, "access", accesses[f->access]);
  put_number(sink, "access_size", f->access_size);
  rf_sink_str(sink, f->access == RF_ACCESS_READ || f->access == RF_ACCESS_WRITE ? ",\"at_access\":true" : "");
  put_address(sink, "address", f->address);
  if (f->block != 0) {
    put_address(sink, "block", f->block);
    put_name(sink, "offset");
    rf_sink_int(sink, (int64_t)(f->address - f->block));
  }
  put_number(sink, "size", f->size);
  put_number(sink, "blocks", f->blocks);
  rf_sink_str(sink, f->stacks[2].count != 0 ? ",\"freed\":true" : "");
  put_number(sink, "argument", f->argument);
  put_text(sink, "allocation", f->allocation);
  put_text(sink, "deallocation", f->deallocation);
  put_text(sink, "allocator", "malloc");
  put_text(sink, "mode", tool);
  put_text(sink, "detail", f->detail);
  const char *const program = rf_foreign_program(f);
  put_stack(&f->stacks[0], program, "found", sink);
  put_stack(&f->stacks[1], program, "allocated", sink);
  put_stack(&f->stacks[2], program, "released", sink);
  rf_sink_char(sink, '}');
}

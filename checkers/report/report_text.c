#include <ringfence/report_text.h>

#include <ringfence/layout.h>
#include <string.h>

#include "lib/core/compiler.h"

typedef struct writer {
  const rf_finding *f;
  const rf_symbolizer *symbolizer;
  const rf_sink *sink;
} writer;

static void str(const writer *w, const char *text) {
  rf_sink_str(w->sink, text);
}

static void number(const writer *w, uint64_t value) {
  rf_sink_uint(w->sink, value);
}

static void address(const writer *w, uint64_t value) {
  rf_sink_hex(w->sink, value, 1);
}

/* ---- Places ---- */

static void file_and_line(const writer *w, const char *file, unsigned line, unsigned column) {
  str(w, file);
  if (line != 0) {
    str(w, ":");
    number(w, line);
  }
  if (line != 0 && column != 0) {
    str(w, ":");
    number(w, column);
  }
}

static void module_and_offset(const writer *w, const rf_frame_name *name) {
  str(w, "(");
  str(w, name->module);
  str(w, "+");
  address(w, name->offset);
  str(w, ")");
  if (name->build_id != NULL) {
    str(w, " (BuildId: ");
    str(w, name->build_id);
    str(w, ")");
  }
}

/* " in FUNCTION FILE:LINE", the known part of it. */
static void function_and_place(const writer *w, const rf_frame_name *name) {
  if (name->function != NULL) {
    str(w, " in ");
    str(w, name->function);
  }
  if (name->file != NULL) {
    str(w, " ");
    file_and_line(w, name->file, name->line, name->column);
  } else if (name->module != NULL) {
    str(w, " ");
    module_and_offset(w, name);
  }
  str(w, "\n");
}

static void frame(const writer *w, unsigned index, uintptr_t pc, const rf_frame_name *name) {
  str(w, "    #");
  number(w, index);
  str(w, " ");
  address(w, pc);
  function_and_place(w, name);
}

static bool name_of(const writer *w, uintptr_t pc, unsigned inlined, rf_frame_name *name) {
  return w->symbolizer != NULL && w->symbolizer->name(w->symbolizer->context, pc, inlined, name);
}

static unsigned frames_of(const writer *w, unsigned index, uintptr_t pc) {
  rf_frame_name name = {0};
  if (!name_of(w, pc, 0, &name)) {
    frame(w, index, pc, &name);
    return index + 1;
  }
  for (unsigned inlined = 1;; inlined++) {
    frame(w, index++, pc, &name);
    if (!name_of(w, pc, inlined, &name)) {
      return index;
    }
  }
}

/* A call site alone is the innermost frame, without an address: none is recorded with it. */
static void site_frame(const writer *w, const rf_site *site) {
  rf_frame_name const name = {.function = site->function, .file = site->file, .line = site->line};
  str(w, "    #0");
  function_and_place(w, &name);
}

static void site_line(const writer *w, const rf_site *site) {
  str(w, "    called in ");
  str(w, site->function);
  str(w, " ");
  file_and_line(w, site->file, site->line, 0);
  str(w, "\n");
}

static void trace(const writer *w, const rf_trace *t) {
  unsigned index = 0;
  if (t->site != NULL && t->depth != 0) {
    site_line(w, t->site);
  } else if (t->site != NULL) {
    site_frame(w, t->site);
  } else if (t->depth == 0) {
    str(w, "    (not known)\n");
  }
  for (unsigned i = 0; i < t->depth; i++) {
    index = frames_of(w, index, t->frames[i]);
  }
}

static bool is_known(const rf_trace *t) {
  return t->site != NULL || t->depth != 0;
}

static bool is_library_code(const rf_frame_name *name) {
  return rf_frame_is_runtime(name->module, name->function) ||
         (name->file != NULL && strstr(name->file, "/include/c++/") != NULL);
}

/* The first named frame of the program itself, not of a runtime or of inlined code of the C++ library. */
static bool program_frame(const writer *w, const rf_trace *t, rf_frame_name *out) {
  for (unsigned i = 0; i < t->depth; i++) {
    for (unsigned inlined = 0; name_of(w, t->frames[i], inlined, out); inlined++) {
      if (!is_library_code(out)) {
        return true;
      }
    }
  }
  return false;
}

/* True where no call came upon it, or every frame has a name, none is the program's, and none frees: the C library ran
 * exit handlers. */
static bool is_exit(const writer *w, const rf_trace *t) {
  rf_frame_name name;
  for (unsigned i = 0; i < t->depth; i++) {
    if (!name_of(w, t->frames[i], 0, &name) || (name.function != NULL && strncmp(name.function, "operator ", 9) == 0)) {
      return false;
    }
  }
  return t->site == NULL && !program_frame(w, t, &name);
}

static void thread(const writer *w, const rf_trace *t) {
  if (t->thread != 0) {
    str(w, " by thread T");
    number(w, t->thread == w->f->process ? 0 : t->thread);
  }
}

/* ---- Head ---- */

static void mismatch(const writer *w) {
  if (w->f->allocation != NULL && w->f->deallocation != NULL) {
    str(w, " (");
    str(w, w->f->allocation);
    str(w, " vs ");
    str(w, w->f->deallocation);
    str(w, ")");
  }
}

static void request(const writer *w) {
  switch (w->f->bug) {
  case RF_BUG_CALLOC_OVERFLOW:
    str(w, ": ");
    number(w, w->f->argument);
    str(w, " * ");
    number(w, w->f->size);
    str(w, " does not fit a size");
    break;
  case RF_BUG_SIZE_TOO_BIG:
    str(w, ": requested ");
    address(w, w->f->size);
    str(w, " bytes");
    break;
  case RF_BUG_BAD_ALIGNMENT:
    str(w, ": ");
    number(w, w->f->argument);
    str(w, rf_is_pow2(w->f->argument) ? " is no multiple of a pointer's size" : " is no power of two");
    break;
  case RF_BUG_STALE_HANDLE:
  case RF_BUG_BAD_HANDLE:
  case RF_BUG_USE_AFTER_MOVE:
  case RF_BUG_UNLOCK:
  case RF_BUG_FREE_LOCKED:
    str(w, ": handle ");
    address(w, w->f->argument);
    break;
  default:
    break;
  }
}

static void head(const writer *w) {
  const rf_finding *const f = w->f;
  str(w, "=================================================================\n==");
  number(w, f->process);
  str(w, "==ERROR: Ringfence: ");
  str(w, rf_bug_name(f->bug));
  mismatch(w);
  if (f->bug == RF_BUG_LEAK) {
    str(w, " of ");
    number(w, f->size);
    str(w, " byte(s) in ");
    number(w, f->blocks);
    str(w, " object(s)");
  } else if (f->address != 0) {
    str(w, " on address ");
    address(w, f->address);
  }
  request(w);
  str(w, "\n");
}

static void access_line(const writer *w) {
  const rf_finding *const f = w->f;
  bool const is_write = f->access == RF_ACCESS_WRITE;
  if (f->access == RF_ACCESS_READ || is_write) {
    str(w, is_write ? "WRITE" : "READ");
    if (f->access_size != 0) {
      str(w, " of size ");
      number(w, f->access_size);
    }
    str(w, " at ");
    address(w, f->address);
    str(w, f->at_access ? "" : ", found");
  } else if (f->access == RF_ACCESS_FREE) {
    str(w, "FREE of ");
    address(w, f->address);
  } else {
    str(w, "found");
  }
  if (is_write && !f->at_access && is_exit(w, &f->found)) {
    str(w, " in a check of all blocks\n");
    return;
  }
  thread(w, &f->found);
  str(w, " here:\n");
  trace(w, &f->found);
}

static void detail(const writer *w) {
  const rf_finding *const f = w->f;
  if (f->detail != NULL) {
    str(w, "  ");
    str(w, f->detail);
    str(w, "\n");
  }
  if (f->allocator != NULL) {
    str(w, "  allocator ");
    str(w, f->allocator);
    str(w, ", mode ");
    str(w, f->mode);
    str(w, "\n");
  }
  if (f->bug == RF_BUG_SIZE_MISMATCH) {
    str(w, "  size of the allocated object: ");
    number(w, f->size);
    str(w, " bytes; size given to the deallocation: ");
    number(w, f->argument);
    str(w, " bytes\n");
  }
}

/* ---- Block ---- */

static void location(const writer *w) {
  const rf_finding *const f = w->f;
  size_t distance;
  const char *const relation = rf_finding_relation(f, &distance);
  address(w, f->address);
  str(w, " is located ");
  number(w, distance);
  str(w, " bytes ");
  str(w, relation);
  str(w, f->offset >= 0 && (size_t)f->offset < f->size ? " of " : " ");
  number(w, f->size);
  str(w, "-byte region [");
  address(w, f->block);
  str(w, ",");
  address(w, f->block + f->size);
  str(w, ")\n");
}

static void block(const writer *w) {
  const rf_finding *const f = w->f;
  if (f->block != 0 && f->bug != RF_BUG_LEAK) {
    location(w);
  }
  bool const moved = f->bug == RF_BUG_USE_AFTER_MOVE;
  if ((f->freed || moved) && is_known(&f->released)) {
    str(w, moved ? "its address was asked for" : "freed");
    thread(w, &f->released);
    str(w, " here:\n");
    trace(w, &f->released);
  }
  if (is_known(&f->allocated)) {
    str(w, f->freed ? "previously allocated" : "allocated");
    thread(w, &f->allocated);
    str(w, " here:\n");
    trace(w, &f->allocated);
  }
}

/* ---- Window ---- */

#define ROW 16U

static void hex_byte(const writer *w, unsigned char byte) {
  rf_sink_char(w->sink, "0123456789abcdef"[byte >> 4]);
  rf_sink_char(w->sink, "0123456789abcdef"[byte & 15]);
}

static bool is_bad(const rf_finding *f, unsigned i) {
  return i < f->window_size && f->window_class[i] == RF_BYTE_BAD;
}

static bool is_left_out(const rf_finding *f, unsigned i) {
  return f->window_class[i] == RF_BYTE_LEFT_OUT;
}

/* One row: `first` is the index of its first byte in the window, `skipped` how many columns stay empty before it. */
static void row_bytes(const writer *w, unsigned first, unsigned count, unsigned skipped) {
  const rf_finding *const f = w->f;
  bool open = false;
  bool any = false;
  for (unsigned i = 0; i < count; i++) {
    any = any || is_bad(f, first + i);
  }
  str(w, any ? "=>" : "  ");
  rf_sink_hex(w->sink, f->window_address + first - skipped, 12);
  str(w, ":");
  for (unsigned i = 0; i < skipped; i++) {
    str(w, "   ");
  }
  for (unsigned i = 0; i < count; i++) {
    bool const bad = is_bad(f, first + i);
    str(w, bad && !open ? "[" : !bad && open ? "]" : " ");
    if (is_left_out(f, first + i)) {
      str(w, "--");
    } else {
      hex_byte(w, f->window[first + i]);
    }
    open = bad;
  }
  str(w, open ? "]\n" : "\n");
}

static void row_classes(const writer *w, unsigned first, unsigned count, unsigned skipped) {
  str(w, "                 ");
  for (unsigned i = 0; i < skipped; i++) {
    str(w, "   ");
  }
  for (unsigned i = 0; i < count; i++) {
    str(w, "  ");
    rf_sink_char(w->sink, rf_byte_letter(w->f->window_class[first + i]));
  }
  str(w, "\n");
}

static void expected(const writer *w) {
  const rf_finding *const f = w->f;
  for (unsigned i = 0; i < f->window_size; i++) {
    if (is_bad(f, i)) {
      str(w, "  expected 0x");
      hex_byte(w, f->expected[i]);
      str(w, " where !");
      str(w, "\n");
      return;
    }
  }
}

static void window(const writer *w) {
  const rf_finding *const f = w->f;
  unsigned left_out = 0;
  for (unsigned i = 0; i < f->window_size; i++) {
    left_out += is_left_out(f, i) ? 1 : 0;
  }
  if (left_out == f->window_size) {
    return;
  }
  str(w, "Bytes as found (u block, f freed block, g guard, h header, ! overwritten");
  str(w, left_out != 0 ? ", ? left out):\n" : "):\n");
  for (unsigned first = 0; first < f->window_size;) {
    unsigned const skipped = (unsigned)((f->window_address + first) % ROW);
    unsigned const left = f->window_size - first;
    unsigned const count = left < ROW - skipped ? left : ROW - skipped;
    row_bytes(w, first, count, skipped);
    row_classes(w, first, count, skipped);
    first += count;
  }
  expected(w);
}

/* ---- Summary ---- */

static void named_place(const writer *w, const rf_frame_name *name) {
  if (name->file != NULL) {
    str(w, " ");
    file_and_line(w, name->file, name->line, name->column);
  } else if (name->module != NULL) {
    str(w, " ");
    module_and_offset(w, name);
  }
  if (name->function != NULL) {
    str(w, " in ");
    str(w, name->function);
  }
}

static void summary(const writer *w) {
  const rf_finding *const f = w->f;
  const rf_trace *const place = rf_finding_place(f);
  rf_frame_name name = {0};
  str(w, "SUMMARY: Ringfence: ");
  str(w, rf_bug_name(f->bug));
  if (place->site != NULL) {
    name.function = place->site->function;
    name.file = place->site->file;
    name.line = place->site->line;
    named_place(w, &name);
  } else if (program_frame(w, place, &name) || (place->depth != 0 && name_of(w, place->frames[0], 0, &name))) {
    named_place(w, &name);
  } else if (place->depth != 0) {
    str(w, " ");
    address(w, place->frames[0]);
  }
  str(w, "\n");
}

RF_COLD void rf_report_text(const rf_finding *f, const rf_symbolizer *symbolizer, const rf_sink *sink) {
  writer const w = {f, symbolizer, sink};
  head(&w);
  if (f->bug != RF_BUG_LEAK) {
    access_line(&w); /* the place where leaks were counted is no help */
  }
  detail(&w);
  block(&w);
  window(&w);
  summary(&w);
}

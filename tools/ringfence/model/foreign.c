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

const char *rf_foreign_program_of(const rf_foreign_finding *f) {
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

const char *rf_foreign_program(const rf_foreign *read, const rf_foreign_finding *f) {
  return f->program == NULL ? read->program : f->program;
}

/* ---- The program's own frames ---- */

/* The program of a finding: `own` as the frames have it, NULL where they do not; `name` as its frames are written. */
typedef struct program_names {
  const char *own;
  const char *name;
} program_names;

/* A folder does not count for a bug, so that frames keep theirs, in which symbols may be. */
static program_names names_of(const rf_foreign_finding *f, const char *program) {
  const char *const own = rf_foreign_program_of(f);
  bool const same = own != NULL && (program == NULL || strcmp(rf_base_name(own), rf_base_name(program)) == 0);
  return (program_names){own, same ? own : program};
}

static const rf_foreign_frame *main_of(const rf_foreign_stack *stack) {
  for (size_t i = 0; i < stack->count; i++) {
    if (is_function(&stack->frames[i], "main")) {
      return &stack->frames[i];
    }
  }
  return NULL;
}

/* AddressSanitizer's text has no module where it has a line. The code of one module is within 2 GiB, as calls need it,
 * and libraries lie further from the program. */
static bool is_beside(const rf_foreign_frame *frame, const rf_foreign_frame *main) {
  uint64_t const most = UINT64_C(1) << 31;
  return frame->pc - main->pc < most || main->pc - frame->pc < most;
}

/* True for frames that are written as the program's: those of its code that name no module, and where it is given
 * another name than theirs, those whose function is known, for their offset is one in another file. */
static bool takes_name(const rf_foreign_frame *frame, const rf_foreign_frame *main, const program_names *program) {
  if (program->name == NULL) {
    return false;
  }
  if (frame->module == NULL) {
    return main != NULL && is_beside(frame, main);
  }
  return program->own != program->name && program->own != NULL && frame->function != NULL &&
         strcmp(frame->module, program->own) == 0;
}

/* ---- Frames of libraries ---- */

/* Distributions build glibc in its own folder: "../sysdeps/x86_64/start.S", "./stdlib/./stdlib/qsort.c". */
static bool is_source_of_libc(const char *file) {
  static const char *const folders[] = {"csu/",    "dirent/",  "elf/",     "io/",    "libio/",        "malloc/",
                                        "misc/",   "nptl/",    "nss/",     "posix/", "stdio-common/", "stdlib/",
                                        "string/", "support/", "sysdeps/", "time/",  "wcsmbs/"};
  while (file != NULL && (strncmp(file, "./", 2) == 0 || strncmp(file, "../", 3) == 0)) {
    file = strchr(file, '/') + 1;
  }
  for (size_t i = 0; file != NULL && i < sizeof folders / sizeof folders[0]; i++) {
    if (strncmp(file, folders[i], strlen(folders[i])) == 0) {
      return true;
    }
  }
  return false;
}

/* clang links the sanitizer into the program, and names some of its interceptors as the functions of libc that they
 * call. These call the program, or allocate for it. */
static bool is_linked_interceptor(const rf_foreign_frame *frame, const program_names *program) {
  static const char *const names[] = {"asprintf", "bsearch",  "getdelim", "getline",   "glob",   "qsort",
                                      "qsort_r",  "realpath", "scandir",  "vasprintf", "wcsdup", "asan_thread_start"};
  bool const linked = frame->file == NULL && program->own != NULL && strcmp(frame->module, program->own) == 0;
  for (size_t i = 0; linked && i < sizeof names / sizeof names[0]; i++) {
    if (is_function(frame, names[i])) {
      return true;
    }
  }
  return false;
}

/* The library of a frame that does not name it; NULL where it is none of these. Its functions are passed over, as in a
 * checked process, which knows the module. */
static const char *library_of(const rf_foreign_frame *frame, const rf_foreign_frame *main,
                              const program_names *program) {
  static const char sanitizer[] = "libasan.so";
  if (frame->module != NULL) {
    return is_linked_interceptor(frame, program) ? sanitizer : NULL;
  }
  bool const outside = main != NULL && !is_beside(frame, main);
  return rf_foreign_is_source_of_sanitizer(frame->file) ? sanitizer
         : outside && is_source_of_libc(frame->file)    ? "libc.so.6"
                                                        : NULL;
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

static void put_frame(const rf_foreign_frame *frame, const rf_foreign_frame *main, const program_names *program,
                      const rf_sink *sink) {
  rf_sink_str(sink, "{\"pc\":\"");
  rf_sink_hex(sink, frame->pc, 1);
  rf_sink_char(sink, '"');
  const char *const library = library_of(frame, main, program);
  if (library != NULL) {
    put_text(sink, "module", library);
  } else if (takes_name(frame, main, program)) {
    put_text(sink, "module", program->name);
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

static void put_stack(const rf_foreign_stack *stack, const program_names *program, const char *name,
                      const rf_sink *sink) {
  const rf_foreign_frame *const main = main_of(stack);
  put_name(sink, name);
  rf_sink_str(sink, "{\"frames\":[");
  for (size_t i = 0; i < stack->count; i++) {
    rf_sink_str(sink, i == 0 ? "" : ",");
    put_frame(&stack->frames[i], main, program, sink);
  }
  rf_sink_str(sink, "]}");
}

void rf_foreign_put(const rf_foreign_finding *f, const char *tool, const char *program, const rf_sink *sink) {
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
  program_names const names = names_of(f, program);
  put_stack(&f->stacks[0], &names, "found", sink);
  put_stack(&f->stacks[1], &names, "allocated", sink);
  put_stack(&f->stacks[2], &names, "released", sink);
  rf_sink_char(sink, '}');
}

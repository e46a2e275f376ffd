#include "tools/ringfence/model/record.h"

#include "tools/ringfence/base/paths.h"

#include <stdlib.h>
#include <string.h>

unsigned char rf_byte_class_of(char letter) {
  unsigned c = 0;
  while (c <= RF_BYTE_LEFT_OUT && rf_byte_letter(c) != letter) {
    c++;
  }
  return (unsigned char)(c <= RF_BYTE_LEFT_OUT ? c : RF_BYTE_OTHER);
}

/* ---- Reading ---- */

/* NULL also for null, as other writers say that there is none. */
static const rf_site *read_site(rf_bump_arena *arena, const rf_json *object) {
  if (object == NULL || object->type != RF_JSON_OBJECT) {
    return NULL;
  }
  rf_site *const site = (rf_site *)rf_bump_arena_alloc(arena, sizeof *site);
  *site = (rf_site){
      .file = rf_json_text(object, "file", "?"),
      .function = rf_json_text(object, "function", "?"),
      .line = (unsigned)rf_json_unsigned(object, "line", 0),
  };
  return site;
}

static rf_source read_source(const rf_json *object) {
  return (rf_source){
      .function = rf_json_text(object, "function", NULL),
      .file = rf_json_text(object, "file", NULL),
      .line = (unsigned)rf_json_unsigned(object, "line", 0),
  };
}

/* Names that the line itself has. */
static void read_sources(rf_bump_arena *arena, const rf_json *object, rf_frame *frame) {
  const rf_json *const inlined = rf_json_list(object, "inlined_into");
  rf_source const innermost = read_source(object);
  if (innermost.file == NULL && inlined == NULL) {
    return;
  }
  RF_APPENDED(arena, frame->sources, frame->source_count) = innermost;
  for (const rf_json *at = inlined; at != NULL; at = at->next) {
    RF_APPENDED(arena, frame->sources, frame->source_count) = read_source(at);
  }
}

/* Linux adds a word to the path of a file that was removed or replaced. Whether the one that is there now is the same,
 * its build-id says, if there is one. */
static const char *read_module(rf_bump_arena *arena, const rf_json *object) {
  static const char removed[] = " (deleted)";
  const char *const path = rf_json_text(object, "module", NULL);
  size_t const length = path == NULL ? 0 : strlen(path);
  bool const ends = length > strlen(removed) && strcmp(path + length - strlen(removed), removed) == 0;
  return ends && rf_json_text(object, "build_id", NULL) != NULL
             ? rf_bump_arena_text(arena, path, length - strlen(removed))
             : path;
}

static rf_frame read_frame(rf_bump_arena *arena, const rf_json *object) {
  rf_frame frame = {
      .address = rf_json_unsigned(object, "pc", 0),
      .module = read_module(arena, object),
      .build_id = rf_json_text(object, "build_id", NULL),
      .offset = rf_json_unsigned(object, "offset", 0),
      .function = rf_json_text(object, "function", NULL),
  };
  read_sources(arena, object, &frame);
  return frame;
}

static void read_trace(rf_bump_arena *arena, const rf_json *object, rf_trace *trace, rf_stack *stack) {
  trace->thread = (uint32_t)rf_json_unsigned(object, "thread", 0);
  trace->site = read_site(arena, rf_json_member(object, "site"));
  for (const rf_json *f = rf_json_list(object, "frames"); f != NULL && stack->count < RF_TRACE_DEPTH; f = f->next) {
    RF_APPENDED(arena, stack->frames, stack->count) = read_frame(arena, f);
  }
}

static rf_access access_of(const char *name) {
  if (strcmp(name, "read") == 0) {
    return RF_ACCESS_READ;
  }
  if (strcmp(name, "write") == 0) {
    return RF_ACCESS_WRITE;
  }
  return strcmp(name, "free") == 0 ? RF_ACCESS_FREE : RF_ACCESS_UNKNOWN;
}

static unsigned nibble(char c) {
  return (unsigned)(c >= 'a' ? c - 'a' + 10 : c - '0') & 0xF;
}

/* Two digits for each byte. Returns how many bytes there are. */
static unsigned read_bytes(const char *digits, unsigned char out[RF_WINDOW]) {
  unsigned count = 0;
  while (count < RF_WINDOW && digits[0] != '\0' && digits[1] != '\0') {
    out[count++] = (unsigned char)(nibble(digits[0]) << 4 | nibble(digits[1]));
    digits += 2;
  }
  return count;
}

static void read_window(const rf_json *object, rf_finding *f) {
  const char *const classes = rf_json_text(object, "classes", "");
  unsigned const bytes = read_bytes(rf_json_text(object, "bytes", ""), f->window);
  unsigned const expected = read_bytes(rf_json_text(object, "expected", ""), f->expected);
  if (bytes != expected || bytes != strlen(classes)) {
    return;
  }
  f->window_address = (uintptr_t)rf_json_unsigned(object, "address", 0);
  f->window_size = bytes;
  for (unsigned i = 0; i < bytes; i++) {
    f->window_class[i] = rf_byte_class_of(classes[i]);
  }
}

static void read_finding(const rf_json *line, rf_finding *f) {
  f->process = (uint32_t)rf_json_unsigned(line, "pid", 0);
  f->sequence = rf_json_unsigned(line, "sequence", 0);
  f->time_ns = rf_json_unsigned(line, "time_ns", 0);
  f->cwe = (unsigned)rf_json_unsigned(line, "cwe", 0);
  f->access = access_of(rf_json_text(line, "access", ""));
  f->access_size = (size_t)rf_json_unsigned(line, "access_size", 0);
  f->at_access = rf_json_bool(line, "at_access", false);
  f->address = (uintptr_t)rf_json_unsigned(line, "address", 0);
  f->block = (uintptr_t)rf_json_unsigned(line, "block", 0);
  f->size = (size_t)rf_json_unsigned(line, "size", 0);
  f->blocks = (size_t)rf_json_unsigned(line, "blocks", 0);
  f->freed = rf_json_bool(line, "freed", false);
  f->offset = (ptrdiff_t)rf_json_signed(line, "offset", 0);
  f->argument = (size_t)rf_json_unsigned(line, "argument", 0);
  f->allocation = rf_json_text(line, "allocation", NULL);
  f->deallocation = rf_json_text(line, "deallocation", NULL);
  f->allocator = rf_json_text(line, "allocator", NULL);
  f->mode = rf_json_text(line, "mode", NULL);
  f->detail = rf_json_text(line, "detail", NULL);
}

static unsigned at_least_one(uint64_t count) {
  return count == 0 ? 1 : count > UINT32_MAX ? UINT32_MAX : (unsigned)count;
}

rf_record *rf_record_read(rf_bump_arena *arena, const rf_json *line) {
  const char *const name = rf_json_text(line, "bug", "");
  rf_bug bug;
  if (strcmp(rf_json_text(line, "type", ""), "finding") != 0 || !rf_bug_from_name(name, strlen(name), &bug)) {
    return NULL;
  }
  rf_record *const record = (rf_record *)rf_bump_arena_alloc(arena, sizeof *record);
  record->times = at_least_one(rf_json_unsigned(line, "times", 1));
  record->processes = at_least_one(rf_json_unsigned(line, "processes", 1));
  record->finding.bug = bug;
  read_finding(line, &record->finding);
  read_window(rf_json_member(line, "window"), &record->finding);
  read_trace(arena, rf_json_member(line, "found"), &record->finding.found, &record->found);
  read_trace(arena, rf_json_member(line, "allocated"), &record->finding.allocated, &record->allocated);
  read_trace(arena, rf_json_member(line, "released"), &record->finding.released, &record->released);
  return record;
}

rf_record *rf_record_origin(rf_bump_arena *arena, const rf_json *object) {
  rf_record *const record = (rf_record *)rf_bump_arena_alloc(arena, sizeof *record);
  record->finding.bug = RF_BUG_LEAK;
  read_trace(arena, object, &record->finding.allocated, &record->allocated);
  return record;
}

/* ---- Trimming ---- */

/* The function that the code was compiled from, or into which it was inlined. */
static const char *function_of(const rf_frame *frame) {
  return frame->source_count == 0 ? frame->function : frame->sources[frame->source_count - 1].function;
}

/* By name one of the functions that call main or a thread's function. */
static bool is_named_as_start(const rf_frame *frame) {
  static const char *const names[] = {"__libc_start_call_main",
                                      "__libc_start_main",
                                      "__libc_start_main_impl",
                                      "_start",
                                      "start_thread",
                                      "clone",
                                      "clone3"};
  const char *const name = function_of(frame);
  size_t const length = name == NULL ? 0 : strcspn(name, "@"); /* "__libc_start_main@@GLIBC_2.34" */
  for (size_t i = 0; name != NULL && i < sizeof names / sizeof names[0]; i++) {
    if (length == strlen(names[i]) && memcmp(name, names[i], length) == 0) {
      return true;
    }
  }
  return false;
}

/* A line of source code in a module is the program's own. */
static bool may_be_linked_in(const rf_frame *frame) {
  bool const has_file = frame->source_count != 0 && frame->sources[frame->source_count - 1].file != NULL;
  return is_named_as_start(frame) && (frame->module == NULL || !has_file);
}

/* Programs have functions of their own that are called clone or start_thread: the C library's lies in that or, where it
 * is linked in or no module is known, has others of its kind around it alone. */
static bool is_start(const rf_stack *stack, unsigned i) {
  if (i == 0 || !is_named_as_start(&stack->frames[i])) {
    return false;
  }
  if (rf_frame_is_runtime(stack->frames[i].module, NULL)) {
    return true;
  }
  while (i < stack->count && may_be_linked_in(&stack->frames[i])) {
    i++;
  }
  return i == stack->count;
}

static bool is_main(const rf_frame *frame) {
  const char *const name = function_of(frame);
  return name != NULL && strcmp(name, "main") == 0;
}

static bool is_of(const rf_frame *frame, const char *library) {
  static const char name[] = "libringfence.so"; /* installed with a number behind it */
  return frame->module != NULL && ((library != NULL && strcmp(frame->module, library) == 0) ||
                                   strncmp(rf_base_name(frame->module), name, sizeof name - 1) == 0);
}

/* The number of frames up to main, or to the function that a thread starts with. */
static unsigned count_from_start(const rf_stack *stack, const char *library) {
  unsigned count = stack->count;
  for (unsigned i = 0; i < count; i++) {
    if (is_main(&stack->frames[i])) {
      return i + 1;
    }
    if (is_start(stack, i)) {
      count = i;
    }
  }
  /* In a stripped program main has no name, but its caller may be the library. */
  while (count > 1 && is_of(&stack->frames[count - 1], library)) {
    count--;
  }
  return count;
}

static void trim(rf_stack *stack, const char *library, bool whole) {
  unsigned own = 0;
  while (own < stack->count && is_of(&stack->frames[own], library)) {
    own++;
  }
  if (own != 0) {
    stack->frames += own;
    stack->count -= own;
  }
  if (!whole) {
    stack->count = count_from_start(stack, library);
  }
}

static void copy_addresses(const rf_stack *stack, rf_trace *trace) {
  trace->depth = stack->count;
  for (unsigned i = 0; i < stack->count; i++) {
    trace->frames[i] = (uintptr_t)stack->frames[i].address;
  }
}

void rf_record_trim(rf_record *record, const char *library, bool whole) {
  trim(&record->found, library, whole);
  trim(&record->allocated, library, whole);
  trim(&record->released, library, whole);
  copy_addresses(&record->found, &record->finding.found);
  copy_addresses(&record->allocated, &record->finding.allocated);
  copy_addresses(&record->released, &record->finding.released);
}

/* ---- Naming ---- */

rf_frame *rf_record_frame(const rf_record *record, unsigned number) {
  const rf_stack *const stacks[] = {&record->found, &record->allocated, &record->released};
  for (size_t i = 0; i < sizeof stacks / sizeof stacks[0]; i++) {
    if (number < stacks[i]->count) {
      return &stacks[i]->frames[number];
    }
    number -= stacks[i]->count;
  }
  return NULL;
}

const char *rf_path_seen_from(const char *directory, const char *path) {
  /* Bazel compiles with this name for the root of the repository. */
  static const char bazel[] = "/proc/self/cwd/";
  if (path != NULL && strncmp(path, bazel, strlen(bazel)) == 0) {
    return path + strlen(bazel);
  }
  bool const is_folder = directory != NULL && strlen(directory) > 1;
  const char *const inside = path != NULL && is_folder ? rf_path_behind(path, directory) : NULL;
  return inside != NULL ? inside + 1 : path;
}

static bool name(void *context, uintptr_t pc, unsigned inlined, rf_frame_name *out) {
  const rf_record *const record = (const rf_record *)context;
  unsigned number = 0;
  const rf_frame *frame = rf_record_frame(record, number);
  while (frame != NULL && (uintptr_t)frame->address != pc) {
    frame = rf_record_frame(record, ++number);
  }
  *out = (rf_frame_name){0};
  if (frame == NULL || (inlined != 0 && inlined >= frame->source_count)) {
    return false;
  }
  out->module = frame->module;
  out->build_id = frame->build_id;
  out->offset = frame->offset;
  out->function = frame->function;
  if (inlined < frame->source_count) {
    out->function = frame->sources[inlined].function != NULL ? frame->sources[inlined].function : out->function;
    out->file = rf_path_seen_from(record->directory, frame->sources[inlined].file);
    out->line = frame->sources[inlined].line;
  }
  return frame->module != NULL || out->function != NULL;
}

rf_symbolizer rf_record_symbolizer(rf_record *record) {
  return (rf_symbolizer){name, record};
}

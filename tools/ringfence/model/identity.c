#include "tools/ringfence/model/identity.h"

#include "checkers/report/fnv.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/model/function_name.h"
#include "tools/ringfence/model/library_code.h"

#include <inttypes.h>

/* ---- The calls that count ---- */

static const char *module_name(const rf_frame_view *call) {
  return call->module == NULL ? NULL : rf_base_name(call->module);
}

static bool is_skipped(rf_bump_arena *arena, const rf_frame_view *call, const rf_skip_rules *rules) {
  const char *const function = call->function == NULL ? NULL : rf_function_name(arena, call->function);
  return call->runtime || rf_is_library_code(call->file, call->function) ||
         rf_skip_rules_match(rules, function, module_name(call));
}

static bool is_main(const rf_frame_view *call) {
  return call->function != NULL && strcmp(call->function, "main") == 0;
}

/* An address in no module and without a name is code made at run time, or a word that code without frame pointers
 * left: another one in each process. */
static bool is_stray(const rf_frame_view *call) {
  return call->function == NULL && call->module == NULL && call->file == NULL;
}

/* The text by which a call counts. */
static const char *frame_text(rf_bump_arena *arena, const rf_frame_view *call) {
  if (call->function != NULL) {
    return rf_function_name(arena, call->function);
  }
  if (call->module != NULL) {
    return rf_bump_arena_print(arena, "%s+%" PRIx64, module_name(call), call->offset);
  }
  return rf_base_name(call->file);
}

/* A recursion is as deep as its data. */
static bool is_repeated(const rf_identity_stack *stack, const char *text) {
  for (size_t i = 0; i < stack->count; i++) {
    if (strcmp(stack->frames[i], text) == 0) {
      return true;
    }
  }
  return false;
}

/* Adds the calls of a stack that count, innermost first: their texts to the empty `stack`, themselves to `calls`. If
 * all are runtime frames they count themselves. */
static void add_calls(rf_bump_arena *arena, const rf_record *record, rf_stack_kind kind, const rf_skip_rules *rules,
                      unsigned version, rf_identity_stack *stack, const rf_frame_view *calls[RF_IDENTITY_FRAMES]) {
  static const rf_skip_rules only_built_in = {NULL, 0};
  rf_stack_view const view = rf_stack_view_of(arena, record, kind);
  rules = rules == NULL ? &only_built_in : rules;
  for (int all = 0; all < 2 && stack->count == 0; all++) {
    for (size_t i = 0; i < view.count && stack->count < RF_IDENTITY_FRAMES; i++) {
      const rf_frame_view *const call = &view.list[i];
      if (!is_stray(call) && (all || !is_skipped(arena, call, rules))) {
        const char *const text = frame_text(arena, call);
        calls[stack->count] = call;
        stack->frames[stack->count] = text;
        stack->count += version < 3 || !is_repeated(stack, text);
      }
      if (is_main(call)) {
        break;
      }
    }
  }
}

/* ---- Keys ---- */

/* The name of a program without what builds add to it: a suffix ("app.debug", "app.exe"), libtool's "lt-", and the
 * checksum that cargo gives its tests ("app-0123456789abcdef"). */
static const char *program_name(rf_bump_arena *arena, const char *module) {
  enum { CHECKSUM = 16 };
  const char *const file = rf_base_name(module);
  const char *const name = strncmp(file, "lt-", 3) == 0 && file[3] != '\0' ? file + 3 : file;
  size_t length = name[0] == '\0' ? 0 : 1 + strcspn(name + 1, ".");
  if (length > CHECKSUM + 1 && name[length - CHECKSUM - 1] == '-' &&
      strspn(name + length - CHECKSUM, "0123456789abcdef") >= CHECKSUM) {
    length -= CHECKSUM + 1;
  }
  return rf_bump_arena_text(arena, name, length);
}

/* Each program has a main, and many have an init or a parse that it calls: where all calls that count are the program's
 * own, up to main, it counts with the program's name. Before version 3 it did where it was alone. */
static bool names_program(const rf_frame_view *const *calls, size_t count, unsigned version) {
  const rf_frame_view *const last = count != 0 ? calls[count - 1] : NULL;
  bool own = last != NULL && is_main(last) && version > 1 && (count == 1 || (version > 2 && last->module != NULL));
  for (size_t i = 0; own && i + 1 < count; i++) {
    own = calls[i]->module != NULL && strcmp(calls[i]->module, last->module) == 0;
  }
  return own;
}

static const char *program_text(rf_bump_arena *arena, const rf_frame_view *call, unsigned version) {
  if (call->module == NULL) {
    return frame_text(arena, call);
  }
  const char *const name = version > 2 ? program_name(arena, call->module) : module_name(call);
  return rf_bump_arena_print(arena, "main of %s", name);
}

/* Never 0, which says that there is no key. */
static uint64_t some(uint64_t key) {
  return key == 0 ? 1 : key;
}

static rf_identity_stack stack_of(rf_bump_arena *arena, const rf_record *record, rf_stack_kind kind,
                                  const rf_skip_rules *rules, unsigned version) {
  const rf_frame_view *calls[RF_IDENTITY_FRAMES];
  rf_identity_stack stack = {.count = 0};
  uint64_t key = RF_FNV_START;
  add_calls(arena, record, kind, rules, version, &stack, calls);
  if (names_program(calls, stack.count, version)) {
    stack.frames[stack.count - 1] = program_text(arena, calls[stack.count - 1], version);
  }
  for (size_t i = 0; i < stack.count; i++) {
    key = rf_fnv_text(key, stack.frames[i]);
  }
  stack.key = stack.count == 0 ? 0 : some(key);
  return stack;
}

static unsigned parts_of_kind(rf_bug bug) {
  switch (bug) {
  case RF_BUG_BUFFER_OVERFLOW:
  case RF_BUG_BUFFER_UNDERFLOW:
  case RF_BUG_METADATA:
  case RF_BUG_LEAK:
    return RF_IDENTITY_ALLOCATION;
  case RF_BUG_USE_AFTER_FREE:
  case RF_BUG_DOUBLE_FREE:
  case RF_BUG_STALE_HANDLE:
  case RF_BUG_USE_AFTER_MOVE:
    return RF_IDENTITY_ALLOCATION | RF_IDENTITY_RELEASE;
  case RF_BUG_DEALLOC_MISMATCH:
  case RF_BUG_SIZE_MISMATCH:
    return RF_IDENTITY_ALLOCATION | RF_IDENTITY_ACCESS;
  default:
    return RF_IDENTITY_ACCESS;
  }
}

static bool has(const rf_stack *stack, const rf_trace *trace) {
  return stack->count != 0 || trace->site != NULL;
}

unsigned rf_identity_parts(const rf_record *record) {
  const rf_finding *const f = &record->finding;
  unsigned const there = (has(&record->found, &f->found) ? RF_IDENTITY_ACCESS : 0U) |
                         (has(&record->allocated, &f->allocated) ? RF_IDENTITY_ALLOCATION : 0U) |
                         (has(&record->released, &f->released) ? RF_IDENTITY_RELEASE : 0U);
  unsigned const parts = parts_of_kind(f->bug) & there;
  return parts != 0 ? parts : RF_IDENTITY_ACCESS;
}

rf_identity rf_identity_of_version(rf_bump_arena *arena, const rf_record *record, const rf_skip_rules *rules,
                                   unsigned version) {
  static const char *const names[] = {"access", "allocation", "free"};
  rf_identity out = {.version = version, .bug = record->finding.bug, .parts = rf_identity_parts(record)};
  uint64_t group = rf_fnv_text(RF_FNV_START, rf_bug_name(out.bug));
  bool any = false;
  for (unsigned kind = 0; kind < 3; kind++) {
    out.stacks[kind] = stack_of(arena, record, (rf_stack_kind)kind, rules, version);
    if ((out.parts >> kind & 1U) != 0 && out.stacks[kind].key != 0) {
      group = rf_fnv_text(group, names[kind]);
      for (size_t i = 0; i < out.stacks[kind].count; i++) {
        group = rf_fnv_text(group, out.stacks[kind].frames[i]);
      }
      any = true;
    }
  }
  if (!any) {
    group = rf_fnv_text(group, record->finding.allocator);
  }
  out.group = some(group);
  return out;
}

rf_identity rf_identity_of(rf_bump_arena *arena, const rf_record *record, const rf_skip_rules *rules) {
  return rf_identity_of_version(arena, record, rules, RF_IDENTITY_VERSION);
}

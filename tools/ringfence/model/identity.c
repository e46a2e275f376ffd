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

/* `name`: that of its function, as function_name.h has it, or NULL. */
static bool is_skipped(const rf_frame_view *call, const char *name, const rf_skip_rules *rules) {
  return call->runtime || rf_is_library_code(call->file, call->function) ||
         rf_skip_rules_match(rules, name, module_name(call));
}

static bool is_main(const rf_frame_view *call) {
  return call->function != NULL && strcmp(call->function, "main") == 0;
}

/* An address in no module and without a name is code made at run time, or a word that code without frame pointers
 * left: another one in each process. */
static bool is_stray(const rf_frame_view *call) {
  return call->function == NULL && call->module == NULL && call->file == NULL;
}

/* The text by which a call counts that has the name `name`. */
static const char *call_text(rf_bump_arena *arena, const rf_frame_view *call, const char *name) {
  if (name != NULL) {
    return name;
  }
  if (call->module != NULL) {
    return rf_bump_arena_print(arena, "%s+%" PRIx64, module_name(call), call->offset);
  }
  return rf_base_name(call->file);
}

/* Calls that count, innermost first. */
typedef struct counted {
  const rf_frame_view *calls[RF_IDENTITY_FRAMES];
  const char *texts[RF_IDENTITY_FRAMES];
  size_t count;
} counted;

/* Those of one stack: before version 3 a recursion counted as often as it is deep, which its data say. */
typedef struct reduced_stack {
  counted each, once;
} reduced_stack;

static void add_call(counted *to, const rf_frame_view *call, const char *text) {
  if (to->count < RF_IDENTITY_FRAMES) {
    to->calls[to->count] = call;
    to->texts[to->count++] = text;
  }
}

static bool has_text(const counted *calls, const char *text) {
  for (size_t i = 0; i < calls->count; i++) {
    if (strcmp(calls->texts[i], text) == 0) {
      return true;
    }
  }
  return false;
}

/* If all calls are runtime frames they count themselves. */
static reduced_stack reduced(rf_bump_arena *arena, const rf_record *record, rf_stack_kind kind,
                             const rf_skip_rules *rules) {
  static const rf_skip_rules only_built_in = {NULL, 0};
  rf_stack_view const view = rf_stack_view_of(arena, record, kind);
  reduced_stack out = {{.count = 0}, {.count = 0}};
  rules = rules == NULL ? &only_built_in : rules;
  for (int all = 0; all < 2 && out.each.count == 0; all++) {
    for (size_t i = 0; i < view.count && out.once.count < RF_IDENTITY_FRAMES; i++) {
      const rf_frame_view *const call = &view.list[i];
      const char *const name = call->function == NULL ? NULL : rf_function_name(arena, call->function);
      if (!is_stray(call) && (all || !is_skipped(call, name, rules))) {
        const char *const text = call_text(arena, call, name);
        add_call(&out.each, call, text);
        if (!has_text(&out.once, text)) {
          add_call(&out.once, call, text);
        }
      }
      if (is_main(call)) {
        break;
      }
    }
  }
  return out;
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
static bool names_program(const counted *calls, unsigned version) {
  size_t const count = calls->count;
  const rf_frame_view *const last = count != 0 ? calls->calls[count - 1] : NULL;
  bool own = last != NULL && is_main(last) && version > 1 && (count == 1 || (version > 2 && last->module != NULL));
  for (size_t i = 0; own && i + 1 < count; i++) {
    own = calls->calls[i]->module != NULL && strcmp(calls->calls[i]->module, last->module) == 0;
  }
  return own;
}

/* That of a main, `text` where its program is not known. */
static const char *program_text(rf_bump_arena *arena, const rf_frame_view *call, const char *text, unsigned version) {
  if (call->module == NULL) {
    return text;
  }
  const char *const name = version > 2 ? program_name(arena, call->module) : module_name(call);
  return rf_bump_arena_print(arena, "main of %s", name);
}

/* Never 0, which says that there is no key. */
static uint64_t some(uint64_t key) {
  return key == 0 ? 1 : key;
}

static rf_identity_stack stack_of(rf_bump_arena *arena, const reduced_stack *from, unsigned version) {
  const counted *const calls = version < 3 ? &from->each : &from->once;
  rf_identity_stack stack = {.count = calls->count};
  uint64_t key = RF_FNV_START;
  memcpy(stack.frames, calls->texts, sizeof stack.frames);
  if (names_program(calls, version)) {
    size_t const last = stack.count - 1;
    stack.frames[last] = program_text(arena, calls->calls[last], stack.frames[last], version);
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

enum { STACKS = RF_STACK_RELEASED + 1 };

static rf_identity identity_from(rf_bump_arena *arena, const rf_record *record, const reduced_stack from[STACKS],
                                 unsigned version) {
  static const char *const names[STACKS] = {"access", "allocation", "free"};
  rf_identity out = {.version = version, .bug = record->finding.bug, .parts = rf_identity_parts(record)};
  uint64_t group = rf_fnv_text(RF_FNV_START, rf_bug_name(out.bug));
  bool any = false;
  for (unsigned kind = 0; kind < STACKS; kind++) {
    out.stacks[kind] = stack_of(arena, &from[kind], version);
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

static void reduce(rf_bump_arena *arena, const rf_record *record, const rf_skip_rules *rules,
                   reduced_stack out[STACKS]) {
  for (unsigned kind = 0; kind < STACKS; kind++) {
    out[kind] = reduced(arena, record, (rf_stack_kind)kind, rules);
  }
}

rf_identity rf_identity_of(rf_bump_arena *arena, const rf_record *record, const rf_skip_rules *rules) {
  reduced_stack stacks[STACKS];
  reduce(arena, record, rules, stacks);
  return identity_from(arena, record, stacks, RF_IDENTITY_VERSION);
}

void rf_identity_of_versions(rf_bump_arena *arena, const rf_record *record, const rf_skip_rules *rules,
                             rf_identity out[RF_IDENTITY_VERSION]) {
  reduced_stack stacks[STACKS];
  reduce(arena, record, rules, stacks);
  for (unsigned version = 1; version <= RF_IDENTITY_VERSION; version++) {
    out[version - 1] = identity_from(arena, record, stacks, version);
  }
}

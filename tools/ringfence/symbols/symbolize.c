#include "tools/ringfence/symbols/symbolize.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/elf.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/subprocess.h"
#include "tools/ringfence/symbols/garbled_path.h"
#include "tools/ringfence/symbols/symbol_table.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS = 8 };

/* The options that ask each for addresses, inlined functions and demangled names; the module's path follows. */
typedef struct symbolizer {
  const char *name;
  const char *arguments[ARGUMENTS];
} symbolizer;

static const symbolizer symbolizers[] = {
    {"addr2line", {"-a", "-i", "-C", "-f", "-e"}},
    {"eu-addr2line", {"-a", "-i", "-C", "-f", "-e"}},
    {"llvm-symbolizer", {"--output-style=GNU", "-a", "-i", "-C", "-f", "--obj"}},
};

/* The frames of one module, at most one of each offset asked for. */
typedef struct batch {
  rf_bump_arena *arena;
  const char *file;
  rf_frame **frames;
  size_t count;
  uint64_t mode_bit; /* of return addresses, no part of the address */
} batch;

static int compare_text(const char *a, const char *b) {
  return strcmp(a != NULL ? a : "", b != NULL ? b : "");
}

static int by_module(const void *a, const void *b) {
  const rf_frame *const left = *(const rf_frame *const *)a;
  const rf_frame *const right = *(const rf_frame *const *)b;
  int order = compare_text(left->module, right->module);
  order = order != 0 ? order : compare_text(left->build_id, right->build_id);
  order = order != 0 ? order : (left->offset > right->offset) - (left->offset < right->offset);
  return order != 0 ? order : left->exact - right->exact;
}

/* A return address is that of the next instruction, which may belong to the next line or function: the call is before
 * it. */
static uint64_t looked_up(const batch *b, const rf_frame *frame) {
  uint64_t const offset = frame->offset & ~b->mode_bit;
  return frame->exact ? offset : offset - 1;
}

/* The first one that is installed, behind `before` where that is not NULL. */
static const symbolizer *find_symbolizer(rf_bump_arena *arena, const symbolizer *before, const char **path) {
  size_t const begin = before == NULL ? 0 : (size_t)(before - symbolizers) + 1;
  for (size_t i = begin; i < sizeof symbolizers / sizeof symbolizers[0]; i++) {
    *path = rf_paths_in_path(arena, symbolizers[i].name);
    if (*path != NULL) {
      return &symbolizers[i];
    }
  }
  return NULL;
}

static char *question(const batch *b) {
  size_t const line = sizeof "0x0123456789abcdef\n";
  char *const text = (char *)rf_bump_arena_array(b->arena, b->count + 1, line);
  size_t at = 0;
  for (size_t i = 0; i < b->count; i++) {
    at += (size_t)snprintf(text + at, line, "0x%" PRIx64 "\n", looked_up(b, b->frames[i]));
  }
  return text;
}

/* Answers for the frames of a batch, each from the innermost function outward. */
typedef struct answers {
  rf_source **sources;
  size_t *counts; /* 0: not known */
} answers;

/* No answer where the tool fails. */
static answers ask(const batch *b, const symbolizer *tool, const char *path) {
  answers a = {(rf_source **)rf_bump_arena_array(b->arena, b->count, sizeof(rf_source *)),
               (size_t *)rf_bump_arena_array(b->arena, b->count, sizeof(size_t))};
  const char *argv[ARGUMENTS + 3] = {tool->name};
  size_t count = 1;
  for (size_t i = 0; i < ARGUMENTS && tool->arguments[i] != NULL; i++) {
    argv[count++] = tool->arguments[i];
  }
  argv[count] = b->file;
  const char *const answer = rf_subprocess_output(b->arena, path, argv, question(b));
  if (answer != NULL) {
    rf_symbolize_parse(b->arena, answer, b->count, a.sources, a.counts);
  }
  return a;
}

static void take(const batch *b, answers a) {
  for (size_t i = 0; i < b->count; i++) {
    if (a.counts[i] != 0) { /* else the record itself may know more */
      b->frames[i]->sources = a.sources[i];
      b->frames[i]->source_count = a.counts[i];
    }
  }
}

/* gcc's name for what it compiles when it links (-flto), which binutils give for each file of it. */
static bool has_made_up_file(const batch *b) {
  for (size_t i = 0; i < b->count; i++) {
    for (size_t k = 0; k < b->frames[i]->source_count; k++) {
      const char *const file = b->frames[i]->sources[k].file;
      if (file != NULL && rf_ends_with(file, "<artificial>")) {
        return true;
      }
    }
  }
  return false;
}

static bool is_any_line_known(const rf_source *sources, size_t count) {
  for (size_t k = 0; k < count; k++) {
    if (sources[k].line != 0) {
      return true;
    }
  }
  return false;
}

static bool has_line(const batch *b) {
  for (size_t i = 0; i < b->count; i++) {
    if (is_any_line_known(b->frames[i]->sources, b->frames[i]->source_count)) {
      return true;
    }
  }
  return false;
}

/* ---- Lines that the first tool does not read ----
 *
 * Binutils know no lines of a program compiled with -gsplit-dwarf: functions are described in files beside it.
 * Nor do binutils 2.40 of one with DWARF of 64 bits. Symbols tell where there are functions, since a symbolizer may
 * have an answer for any address. */

typedef struct module_facts {
  rf_symbol_table symbols;
  bool has_lines; /* in it, or in files beside it */
} module_facts;

static bool is_in_function(const batch *b, const module_facts *m, size_t i) {
  return rf_symbol_table_find(&m->symbols, looked_up(b, b->frames[i])) != NULL;
}

static bool has_unread_lines(const batch *b, const module_facts *m) {
  bool function = false;
  for (size_t i = 0; i < b->count && m->has_lines && !function; i++) {
    function = is_in_function(b, m, i);
  }
  return function && !has_line(b);
}

static void take_lines(const batch *b, const module_facts *m, answers a) {
  for (size_t i = 0; i < b->count; i++) {
    if (!is_in_function(b, m, i)) {
      a.counts[i] = 0;
    }
  }
  take(b, a);
}

/* ---- A second opinion ----
 *
 * binutils 2.40 gives the file of the unit for file 1 of a DWARF 5 line table, which gcc and clang use for the header
 * whose code comes first. Lines and functions are right. And it gives the function around code alone that was inlined
 * there, where functions are described in files of their own or in units of types; or no line of it, where such a unit
 * has code in several sections, as those in C++ do. elfutils 0.188 know nothing of what was inlined by gcc's -flto. */

static bool is_same_code(const rf_source *a, const rf_source *b, size_t count) {
  for (size_t k = 0; k < count; k++) {
    if (a[k].line != b[k].line) {
      return false;
    }
  }
  return true;
}

static const char *last_part(const char *path) {
  const char *const slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

/* The same line of the same function, with the calls between that were inlined. */
static bool knows_inlined(const rf_frame *first, const rf_source *second, size_t count) {
  return first->source_count == 1 && count > 1 && first->sources[0].line != 0 &&
         first->sources[0].line == second[0].line && first->sources[0].function != NULL &&
         second[count - 1].function != NULL && strcmp(first->sources[0].function, second[count - 1].function) == 0;
}

/* The first tool reads the lines of some units, as of those in C, and not of others in the same program. */
static bool is_only_known_to(const rf_source *second, size_t count, const rf_frame *first) {
  return !is_any_line_known(first->sources, first->source_count) && is_any_line_known(second, count);
}

static size_t up_to_clone(const char *function) {
  const char *const clone = strstr(function, " [clone ");
  return clone != NULL ? (size_t)(clone - function) : strlen(function);
}

/* Whether they name one function, of which a symbol may be a part or a copy: "f(int) [clone .cold]". */
static bool is_same_function(const char *symbol, const char *function) {
  size_t const length = up_to_clone(symbol);
  return function != NULL && up_to_clone(function) == length && strncmp(symbol, function, length) == 0;
}

/* The innermost of several calls was inlined: binutils 2.40 gives it the name of the symbol at the address where its
 * own name has no mangled form, as in C++ gcc's static functions have none, and clang's with -gline-tables-only. */
static void correct_innermost(rf_source *first, const rf_source *second, size_t count) {
  const char *const symbol = count < 2 ? NULL : first[0].function;
  bool const outermost = symbol != NULL && (is_same_function(symbol, first[count - 1].function) ||
                                            is_same_function(symbol, second[count - 1].function));
  if (outermost && second[0].function != NULL) {
    first[0].function = second[0].function;
  }
}

/* The second is believed if both see the same lines in files of different names, or if it sees more calls or lines. */
static void correct(const batch *b, const module_facts *m, answers second) {
  for (size_t i = 0; i < b->count; i++) {
    rf_frame *const frame = b->frames[i];
    size_t const count = second.counts[i];
    if (knows_inlined(frame, second.sources[i], count) ||
        (is_only_known_to(second.sources[i], count, frame) && is_in_function(b, m, i))) {
      frame->sources = second.sources[i];
      frame->source_count = second.counts[i];
      continue;
    }
    if (count != frame->source_count || !is_same_code(frame->sources, second.sources[i], count)) {
      continue;
    }
    correct_innermost(frame->sources, second.sources[i], count);
    for (size_t k = 0; k < count; k++) {
      rf_source *const first = &frame->sources[k];
      const char *const other = second.sources[i][k].file;
      if (first->file != NULL && other != NULL && strcmp(last_part(first->file), last_part(other)) != 0) {
        first->file = other;
      }
    }
  }
}

/* The last one that is installed, since elfutils know no lines of what clang made; NULL where that is the first. */
static const symbolizer *find_other(rf_bump_arena *arena, const char **path) {
  for (size_t i = sizeof symbolizers / sizeof symbolizers[0] - 1; i != 0; i--) {
    *path = rf_paths_in_path(arena, symbolizers[i].name);
    if (*path != NULL) {
      return &symbolizers[i];
    }
  }
  return NULL;
}

static void ask_until_known(const batch *b, const module_facts *m, const symbolizer *tool, const char *path) {
  take(b, ask(b, tool, path));
  while (has_made_up_file(b) && (tool = find_symbolizer(b->arena, tool, &path)) != NULL) {
    take(b, ask(b, tool, path));
  }
  while (tool != NULL && has_unread_lines(b, m) && (tool = find_symbolizer(b->arena, tool, &path)) != NULL) {
    take_lines(b, m, ask(b, tool, path));
  }
  const symbolizer *const other = tool != NULL && has_line(b) ? find_other(b->arena, &path) : NULL;
  if (other != NULL && other != tool) {
    correct(b, m, ask(b, other, path));
  }
}

/* Without a file, a symbolizer's answer is the nearest symbol before the address, which is wrong where functions have
 * no symbols: the symbol tables tell whether the address lies in it. */
static void complete(const batch *b, const rf_symbol_table *symbols) {
  for (size_t i = 0; i < b->count; i++) {
    rf_frame *const frame = b->frames[i];
    rf_source *const outer = frame->source_count == 0 ? NULL : &frame->sources[frame->source_count - 1];
    if (outer != NULL && outer->function != NULL && outer->file != NULL) {
      continue;
    }
    const char *const name = rf_symbol_table_find(symbols, looked_up(b, frame));
    if (outer == NULL && name != NULL) {
      frame->sources = (rf_source *)rf_bump_arena_alloc(b->arena, sizeof *frame->sources);
      frame->sources->function = name;
      frame->source_count = 1;
    } else if (outer != NULL && name == NULL && outer->file == NULL) {
      frame->source_count = 0;
    } else if (outer != NULL && outer->function == NULL) {
      outer->function = name;
    }
  }
}

/* Leaves the first frame of each offset in the batch. */
static batch distinct(rf_bump_arena *arena, const char *file, rf_frame **frames, size_t count, uint64_t mode_bit) {
  batch b = {arena, file, (rf_frame **)rf_bump_arena_array(arena, count, sizeof(rf_frame *)), 0, mode_bit};
  for (size_t i = 0; i < count; i++) {
    if (b.count == 0 || by_module(&frames[i], &b.frames[b.count - 1]) != 0) {
      b.frames[b.count++] = frames[i];
    }
  }
  return b;
}

static void copy_to_equals(rf_frame **frames, size_t count) {
  for (size_t i = 1; i < count; i++) {
    if (by_module(&frames[i], &frames[i - 1]) == 0) {
      frames[i]->sources = frames[i - 1]->sources;
      frames[i]->source_count = frames[i - 1]->source_count;
    }
  }
}

/* A process records of its modules' paths what it reads at once: some 950 bytes. */
static void say_where_cut(const char *module) {
  enum { CUT_FROM = 900, SHOWN = 40 };
  size_t const length = strlen(module);
  if (length >= CUT_FROM) {
    rf_diag("the path of a module is too long to be recorded whole, so its frames have no functions and lines: ...%s",
            module + length - SHOWN);
  }
}

static void symbolize_module(rf_bump_arena *arena, rf_frame **frames, size_t count, const symbolizer *tool,
                             const char *path) {
  rf_elf elf;
  const char *const file = frames[0]->module == NULL ? NULL : rf_garbled_path_find(arena, frames[0]->module);
  if (file == NULL) {
    return;
  }
  if (rf_elf_open(&elf, file, arena) != RF_ELF_OK) {
    say_where_cut(file);
    return;
  }
  const char *const ran = frames[0]->build_id;
  const char *const there = rf_elf_build_id(&elf);
  if (ran == NULL || ran[0] == '\0' || (there != NULL && strcmp(ran, there) == 0)) {
    batch const b = distinct(arena, file, frames, count, rf_elf_mode_bit(&elf));
    module_facts const facts = {rf_symbol_table_read(&elf),
                                rf_elf_has_section(&elf, ".debug_addr") || rf_elf_has_section(&elf, ".debug_info")};
    if (tool != NULL) {
      ask_until_known(&b, &facts, tool, path);
    }
    complete(&b, &facts.symbols);
    copy_to_equals(frames, count);
  }
  rf_elf_close(&elf);
}

void rf_symbolize(rf_bump_arena *arena, rf_frame **frames, size_t count) {
  if (count == 0) {
    return;
  }
  const char *path = NULL;
  const symbolizer *const tool = find_symbolizer(arena, NULL, &path);
  if (tool == NULL) {
    rf_diag("no symbolizer found, so stacks show no files and lines: install binutils, elfutils or llvm");
  }
  qsort(frames, count, sizeof(rf_frame *), by_module);
  size_t start = 0;
  for (size_t i = 1; i <= count; i++) {
    bool const same = i < count && compare_text(frames[i]->module, frames[start]->module) == 0 &&
                      compare_text(frames[i]->build_id, frames[start]->build_id) == 0;
    if (!same) {
      symbolize_module(arena, frames + start, i - start, tool, path);
      start = i;
    }
  }
}

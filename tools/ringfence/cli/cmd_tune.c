/* `ringfence tune`: the allocator, the arena and the pools that a use needs, from traces, as a C header. */
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/option_table.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/cli/command.h"
#include "tools/ringfence/cli/trace_options.h"
#include "tools/ringfence/cli/tune_header.h"
#include "tools/ringfence/render/output.h"
#include "tools/trace/read.h"
#include "tools/trace/tune.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PERCENT 99.0
#define PREFIX "tuned"

typedef struct options {
  rf_bump_arena *memory;
  rf_subject_list on;
  double percent;
  double limit; /* seconds; 0: none */
  size_t pools;
  size_t now; /* bytes; 0: not told */
  const char *prefix;
  const char *output;
  bool help;
} options;

typedef enum row_id { ALLOCATOR, PERCENTAGE, POOLS, LIMIT, NOW, PREFIX_ROW, OUTPUT, HELP, ROWS } row_id;

static const rf_option rows[ROWS] = {
    [ALLOCATOR] = {"allocator", 'a', "NAME", "heap to try, such as tlsf; may be given more than once (default: all)",
                   NULL},
    [PERCENTAGE] = {"percent", '\0', "P", "part of the traces that must have no failure (default 99)", NULL},
    [POOLS] = {"pools", '\0', "N", "most classes of pools in front of the heap, 0 to 8 (default 8)", NULL},
    [LIMIT] = {RF_TRACE_LIMIT_ROW},
    [NOW] = {"now", '\0', "BYTES", "memory of today's heap, to tell the saving; K, M or G after it", NULL},
    [PREFIX_ROW] = {"prefix", '\0', "WORD", "of the names in the header (default " PREFIX ")", NULL},
    [OUTPUT] = {"output", 'o', "FILE", "write the header to FILE; without it, only the table is printed", NULL},
    [HELP] = {"help", 'h', NULL, "print this and exit", NULL},
};

RF_OPTION_TABLE(table, "tune", rows, false);

static void help(void) {
  (void)puts("Usage: ringfence tune [OPTIONS] FILE...\n"
             "\n"
             "Chooses a heap, the size of its arena and pools of small blocks by replaying traces, one for each device "
             "or run\n"
             "that `ringfence check --trace` or a tracer recorded. Prints the memory that each choice needs, and "
             "writes the best\n"
             "as a C header with its predicted figures.\n");
  rf_option_table_help(&table);
  (void)puts("\n"
             "Exit status: 0; 1 if no heap serves enough of the traces; 2 if a FILE is no trace or the command line is "
             "wrong.\n"
             "\n"
             "Example:\n"
             "  ringfence check --trace run.rft -- ./program\n"
             "  ringfence tune --now 64K --output tuned_heap.h run.rft");
}

/* ---- Options ---- */

static bool is_heap(const subject *s) {
  return s->init != NULL;
}

static bool refuse_heap(options *o, const char *name) {
  const char *names = "";
  for (size_t i = 0; i < subject_count; i++) {
    if (is_heap(&subjects[i])) {
      names = rf_bump_arena_print(o->memory, "%s%s%s", names, *names == '\0' ? "" : ", ", subjects[i].name);
    }
  }
  rf_diag("--allocator %s: use one of %s", name, names);
  return false;
}

static bool add_heap(options *o, const char *name) {
  size_t const before = o->on.count;
  if (!rf_trace_option_allocator(&o->on, o->memory, name)) {
    return false;
  }
  bool const good = o->on.count == before + 1 && is_heap(o->on.items[before]);
  return good || refuse_heap(o, name);
}

static bool read_percent(const char *text, double *out) {
  char *end;
  *out = strtod(text, &end);
  if (end == text || *end != '\0' || !(*out > 0 && *out <= 100)) {
    rf_diag("--percent %s: give a number above 0, at most 100", text);
    return false;
  }
  return true;
}

static bool read_pools(const char *text, size_t *out) {
  if (text[0] < '0' || text[0] > '0' + RF_POOL_CLASSES_MAX || text[1] != '\0') {
    rf_diag("--pools %s: give a number from 0 to %d", text, RF_POOL_CLASSES_MAX);
    return false;
  }
  *out = (size_t)(text[0] - '0');
  return true;
}

static bool read_prefix(const char *text, const char **out) {
  bool good = isalpha((unsigned char)text[0]) || text[0] == '_';
  for (const char *c = text; good && *c != '\0'; c++) {
    good = isalnum((unsigned char)*c) || *c == '_';
  }
  if (!good) {
    rf_diag("--prefix %s: give a C identifier", text);
  }
  *out = text;
  return good;
}

static bool apply(void *context, size_t row, const char *argument) {
  options *const o = (options *)context;
  switch ((row_id)row) {
  case ALLOCATOR:
    return add_heap(o, argument);
  case PERCENTAGE:
    return read_percent(argument, &o->percent);
  case POOLS:
    return read_pools(argument, &o->pools);
  case LIMIT:
    return rf_trace_option_limit(argument, &o->limit);
  case NOW:
    return rf_trace_option_size(rows[NOW].name, argument, &o->now);
  case PREFIX_ROW:
    return read_prefix(argument, &o->prefix);
  case OUTPUT:
    return rf_trace_option_file(rows[OUTPUT].name, argument, &o->output);
  default:
    o->help = true;
    return true;
  }
}

static bool parse(options *o, int argc, char **argv, int *first) {
  *first = rf_option_table_read(&table, argc, argv, apply, o);
  if (*first < 0 || o->help) {
    return *first >= 0;
  }
  if (*first == argc) {
    rf_diag("no trace given; try `ringfence tune FILE`");
    return false;
  }
  bool const all = o->on.count == 0;
  for (size_t i = 0; all && i < subject_count; i++) {
    if (is_heap(&subjects[i])) {
      RF_APPENDED(o->memory, o->on.items, o->on.count) = &subjects[i];
    }
  }
  return true;
}

/* ---- Search ---- */

static void print_result(const tune_set *set, tune_result *r, rf_bump_arena *memory) {
  const char *const name = rf_tune_name(r, memory);
  if (r->slow) {
    (void)printf("%12s %12s %10s %10.1f  %s: too slow\n", "-", "-", "-", r->mean_ns, name);
    (void)fflush(stdout);
    return;
  }
  if (r->arena == 0) {
    (void)printf("%12s %12s %10s %10s  %s\n", "-", "-", "-", "-", name);
    return;
  }
  tune_measure(set, r);
  (void)printf("%12zu %12zu %10zu %10.1f  %s\n", r->total, r->arena, r->failed_requests, r->mean_ns, name);
  (void)fflush(stdout);
}

static void consider(const tune_set *set, tune_result *r, tune_result *best, rf_bump_arena *memory) {
  print_result(set, r, memory);
  if (r->arena != 0 && (best->arena == 0 || r->total < best->total)) {
    *best = *r;
  }
  best->slow = best->arena == 0 && (best->slow || r->slow);
}

/* On a terminal: a choice may take minutes. The last call, of none, wipes it out. */
static void show_progress(unsigned number, unsigned all) {
  (void)(all == 0 ? fprintf(stderr, "\r%32s\r", "") : fprintf(stderr, "\rpools: choice %u of %u", number, all));
}

/* Each heap alone, then with pools; the classes are looked for in front of the heap that needs least, and tried in
 * front of the others. *bare is the best without pools. */
static tune_result search(const options *o, const tune_set *set, tune_result *bare) {
  tune_result best = {0};
  (void)printf("%12s %12s %10s %10s  %s\n", "memory", "arena", "failures", "ns/request", "allocator");
  for (size_t i = 0; i < o->on.count; i++) {
    tune_result r = tune_bare(set, o->on.items[i]);
    consider(set, &r, &best, o->memory);
  }
  *bare = best;
  if (best.arena == 0 || o->pools == 0) {
    return best;
  }
  tune_result pools = tune_pools(set, &best, (unsigned)o->pools);
  if (set->progress != NULL) {
    set->progress(0, 0);
  }
  for (size_t i = 0; i < o->on.count && pools.class_count != 0; i++) {
    tune_result r = o->on.items[i] == pools.heap ? pools : tune_heap(set, &pools, o->on.items[i]);
    consider(set, &r, &best, o->memory);
  }
  return best;
}

static int save(const options *o, const rf_tune_header *header) {
  FILE *const file = rf_output_open(o->output);
  if (file == NULL) {
    return RF_EXIT_USAGE;
  }
  rf_sink const sink = rf_file_sink(file);
  rf_tune_header_write(header, &sink, o->memory);
  return rf_output_close(file, o->output) ? 0 : RF_EXIT_USAGE;
}

static int tune(const options *o, const tune_set *set) {
  tune_result bare;
  tune_result const best = search(o, set, &bare);
  if (best.arena == 0) {
    rf_diag("no heap serves %zu of %s%s", set->enough, rf_counted(o->memory, set->count, "trace"),
            best.slow ? " within --limit" : "");
    return 1;
  }
  rf_tune_header const header = {
      .set = set,
      .result = &best,
      .prefix = o->prefix,
      .compared = o->now != 0 ? o->now : bare.total,
      .against = o->now != 0 ? "today's heap" : rf_bump_arena_print(o->memory, "%s alone", bare.heap->name),
  };
  (void)printf("best: %s in an arena of %zu bytes, %zu bytes in all; %s: %zu\n", rf_tune_name(&best, o->memory),
               best.arena, best.total, header.against, header.compared);
  return o->output != NULL ? save(o, &header) : 0;
}

/* ---- Traces ---- */

static bool read_all(char **paths, size_t count, trace *traces) {
  for (size_t i = 0; i < count; i++) {
    char problem[TRACE_PROBLEM_BYTES];
    if (!trace_read(&traces[i], strcmp(paths[i], "-") == 0 ? "/dev/stdin" : paths[i], problem)) {
      rf_diag("%s: %s", paths[i], problem);
      return false;
    }
    if (traces[i].count == 0) {
      rf_diag("%s: the trace has no requests", paths[i]);
      return false;
    }
    if (traces[i].peak > RF_SIZE_LIMIT / ((size_t)2 * REPLAY_PEAKS_MOST)) {
      rf_diag("%s: its blocks do not fit into the address space", paths[i]);
      return false;
    }
  }
  return true;
}

static int run(int argc, char **argv) {
  rf_bump_arena memory = {NULL};
  options o = {
      .memory = &memory, .percent = PERCENT, .limit = RF_TRACE_LIMIT, .pools = RF_POOL_CLASSES_MAX, .prefix = PREFIX};
  int first;
  int status = RF_EXIT_USAGE;
  if (parse(&o, argc, argv, &first)) {
    status = 0;
    if (o.help) {
      help();
    } else {
      size_t const count = (size_t)(argc - first);
      trace *const traces = rf_bump_arena_array(&memory, count, sizeof *traces);
      size_t const least = (size_t)((double)count * o.percent / 100);
      bool const whole = (double)least * 100 >= (double)count * o.percent;
      tune_set const set = {traces, count, whole ? least : least + 1, o.limit,
                            isatty(STDERR_FILENO) == 1 ? show_progress : NULL};
      status = read_all(argv + first, count, traces) ? tune(&o, &set) : RF_EXIT_USAGE;
      for (size_t i = 0; i < count; i++) {
        trace_free(&traces[i]);
      }
    }
  }
  rf_bump_arena_free(&memory);
  return status;
}

const rf_command rf_command_tune = {"tune", "choose an allocator and pools for the use that traces recorded", run,
                                    help};

/* `ringfence replay`: replays a recorded trace on any allocator and prints figures. */
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/option_table.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/cli/command.h"
#include "tools/ringfence/cli/replay_compare.h"
#include "tools/ringfence/cli/trace_leaks.h"
#include "tools/ringfence/cli/trace_options.h"
#include "tools/ringfence/render/output.h"
#include "tools/trace/c_test.h"
#include "tools/trace/fuzz_seed.h"
#include "tools/trace/read.h"
#include "tools/trace/write.h"

#include <ringfence/pool.h>
#include <ringfence/tlsf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS_MOST 1000U

typedef struct options {
  const char *path;
  rf_bump_arena *memory;
  rf_subject_list on;
  size_t arena; /* 0: twice the peak */
  size_t runs;  /* 0: up to 7 */
  double limit; /* seconds; 0: none */
  size_t top;
  size_t events; /* 0: all */
  size_t last;   /* 0: all */
  const char *c_test;
  const char *fuzz_seed;
  const char *save;
  const char *pprof;
  const char *svg;
  bool advise;
  bool partial;
  bool help;
} options;

typedef enum row_id {
  ALLOCATOR,
  ARENA,
  RUN_COUNT,
  LIMIT,
  TOP,
  ADVISE,
  EVENTS,
  LAST,
  PARTIAL,
  SAVE,
  C_TEST,
  FUZZ_SEED,
  SVG,
  PPROF,
  HELP,
  ROWS
} row_id;

static const rf_option rows[ROWS] = {
    [ALLOCATOR] =
        {"allocator", 'a', "NAME",
         "allocator to replay on: tlsf (the default), another (a wrong name lists them),\nwith pools in front "
         "pool:SIZExCOUNT,SIZExCOUNT...+NAME, or \"all\"; given more\nthan once, one line of figures for each",
         NULL},
    [ARENA] = {"arena", '\0', "BYTES", "its memory (default: twice the trace's peak); K, M or G after it", NULL},
    [RUN_COUNT] = {"runs", '\0', "N", "runs to measure times in (default 7, fewer where they would pass --limit)",
                   NULL},
    [LIMIT] = {RF_TRACE_LIMIT_ROW},
    [TOP] = {"top", '\0', "N", "call sites to list (default 10)", NULL},
    [ADVISE] = {"advise-pool", '\0', NULL, "print how many small blocks of each size the trace needs, for rf_pool",
                NULL},
    [EVENTS] = {"events", '\0', "N", "replay only the first N requests", NULL},
    [LAST] = {"last", '\0', "N",
              "replay only the last N requests: before a finding, those that led to it; blocks\nthat were live before "
              "them are made first",
              NULL},
    [PARTIAL] = {"partial", '\0', NULL, "of a damaged or cut off file, replay the part before the damage", NULL},
    [SAVE] = {"save", '\0', "FILE",
              "write the requests to FILE, without call sites, threads and times; replay\nnothing", NULL},
    [PPROF] = {"pprof", '\0', "FILE",
               "write requests and live blocks by call site to FILE, for `go tool pprof` and\nothers; replay nothing",
               NULL},
    [C_TEST] = {"c-test", '\0', "FILE", "write the requests as a test in C to FILE; replay nothing", NULL},
    [FUZZ_SEED] = {"fuzz-seed", '\0', "FILE",
                   "write the requests as an input of the allocator's fuzzer to FILE, a line of a seed\nfile; replay "
                   "nothing",
                   NULL},
    [SVG] = {"svg", '\0', "FILE", "of several allocators, draw the memory that each occupies over the trace", NULL},
    [HELP] = {"help", 'h', NULL, "print this and exit", NULL},
};

RF_OPTION_TABLE(table, "replay", rows, false);

static void help(void) {
  (void)puts("Usage: ringfence replay [OPTIONS] FILE\n"
             "\n"
             "Replays a trace that `ringfence check --trace FILE -- program` recorded on one of Ringfence's "
             "allocators. Prints\n"
             "how long requests take, how much memory they need, how it fragments, and what is live at the end by call "
             "site.\n");
  rf_option_table_help(&table);
  (void)puts(
      "\n"
      "Exit status: 0; 1 if requests failed in the arena, or an allocator was too slow; 2 if FILE is no trace or the\n"
      "command line is wrong.\n"
      "\n"
      "Example:\n"
      "  ringfence check --trace run.rft -- ./program\n"
      "  ringfence replay --allocator smallmem run.rft\n"
      "  ringfence replay -a tlsf -a pool:16x200,32x100+tlsf --svg memory.svg run.rft\n"
      "  zcat run.rft.gz | ringfence replay -");
}

static bool apply(void *context, size_t row, const char *argument) {
  options *const o = (options *)context;
  switch ((row_id)row) {
  case ALLOCATOR:
    return rf_trace_option_allocator(&o->on, o->memory, argument);
  case ARENA:
    return rf_trace_option_size(rows[ARENA].name, argument, &o->arena);
  case RUN_COUNT:
    return rf_trace_option_size(rows[RUN_COUNT].name, argument, &o->runs);
  case LIMIT:
    return rf_trace_option_limit(argument, &o->limit);
  case TOP:
    return rf_trace_option_size(rows[TOP].name, argument, &o->top);
  case EVENTS:
    return rf_trace_option_size(rows[EVENTS].name, argument, &o->events);
  case LAST:
    return rf_trace_option_size(rows[LAST].name, argument, &o->last);
  case ADVISE:
    o->advise = true;
    return true;
  case PARTIAL:
    o->partial = true;
    return true;
  case SAVE:
    return rf_trace_option_file(rows[row].name, argument, &o->save);
  case PPROF:
    return rf_trace_option_file(rows[row].name, argument, &o->pprof);
  case C_TEST:
    return rf_trace_option_file(rows[row].name, argument, &o->c_test);
  case FUZZ_SEED:
    return rf_trace_option_file(rows[row].name, argument, &o->fuzz_seed);
  case SVG:
    return rf_trace_option_file(rows[row].name, argument, &o->svg);
  default:
    o->help = true;
    return true;
  }
}

static bool parse(options *o, rf_bump_arena *memory, int argc, char **argv) {
  *o = (options){.memory = memory, .limit = RF_TRACE_LIMIT, .top = 10};
  int const first = rf_option_table_read(&table, argc, argv, apply, o);
  if (first < 0 || o->help) {
    return first >= 0;
  }
  if (first + 1 != argc) {
    rf_diag(first == argc ? "no trace given; try `ringfence replay FILE`" : "replay takes one trace at a time");
    return false;
  }
  if (o->on.count == 0 && !rf_trace_option_allocator(&o->on, memory, "tlsf")) {
    return false;
  }
  if (o->svg != NULL && o->on.count == 1) {
    rf_diag("--svg compares allocators: give --allocator more than once");
    return false;
  }
  o->path = strcmp(argv[first], "-") == 0 ? "/dev/stdin" : argv[first];
  return true;
}

/* ---- Printing ---- */

static void print_size(rf_bump_arena *memory, size_t bytes) {
  (void)fputs(rf_trace_bytes(memory, bytes), stdout);
}

static void print_trace(const options *o, const trace *t) {
  size_t kinds[3] = {0};
  for (size_t i = 0; i < t->count; i++) {
    kinds[t->ops[i].kind]++;
  }
  rf_print_clean("%s: %s (%zu alloc, %zu free, %zu realloc)", o->path, rf_counted(o->memory, t->count, "request"),
                 kinds[TRACE_ALLOC], kinds[TRACE_FREE], kinds[TRACE_REALLOC]);
  if (t->process != 0) {
    (void)printf(" of process %lu", (unsigned long)t->process);
  }
  if (!t->part) {
    (void)printf(" in %.3f s", (double)t->duration_us / 1e6);
  }
  (void)printf("\n  peak ");
  print_size(o->memory, t->peak);
  (void)printf(" in %s", rf_counted(o->memory, t->peak_blocks, "block"));
  if (!t->part) {
    (void)printf("; %s had failed, %llu %s not recorded", rf_counted(o->memory, t->failures, "request"),
                 (unsigned long long)t->lost, t->lost == 1 ? "was" : "were");
  }
  (void)printf("\n");
  if (!t->complete) {
    (void)printf("  the trace has no end: its process was killed, or still runs\n");
  }
}

static double over(size_t bytes, size_t peak) {
  return peak == 0 ? 0 : (double)bytes / (double)peak;
}

static void print_footprint(const options *o, const subject *s, const trace *t, size_t footprint) {
  (void)printf("  footprint      ");
  if (footprint == 0) {
    (void)printf("above %u times the peak\n", REPLAY_PEAKS_MOST);
    return;
  }
  print_size(o->memory, footprint);
  (void)printf(", %.3f times the peak (%s)\n", over(footprint, t->peak),
               s->arena ? "the smallest arena that suffices" : "taken from the system");
}

static void print_fragmentation(const options *o, const replay_fragmentation *f) {
  if (f->known) {
    (void)printf(
        "  fragmentation  %.1f %% at the end, %.1f %% at most (of the free bytes, what is not in the largest free "
        "block)\n",
        100 * f->at_end, 100 * f->most);
    (void)printf("  at the end     %s used, %zu free, largest free %zu, overhead %zu\n",
                 rf_counted(o->memory, f->end.used, "byte"), f->end.free_bytes, f->end.largest_free, f->end.overhead);
  }
}

/* ---- Replaying ---- */

static size_t arena_for(const options *o, const trace *t) {
  if (o->arena != 0) {
    return o->arena;
  }
  size_t twice;
  return rf_mul(t->peak, 2, &twice) && twice > REPLAY_ARENA_LEAST ? twice : REPLAY_ARENA_LEAST;
}

static void print_failures(const options *o, const trace *t, const replay_figures *f) {
  (void)printf("  failures       %zu", f->failed);
  if (f->failed != 0) {
    (void)printf("; the first is request %zu, of %s", f->first_failed,
                 rf_counted(o->memory, t->ops[f->first_failed].size, "byte"));
  }
  (void)printf("\n");
}

/* One allocator, in sentences. Returns the exit status. */
static int replay_one(const options *o, const trace *t, const rf_replay_compare_options *how) {
  const subject *const s = how->on->items[0];
  replay_memory m = replay_memory_make(t, how->most);
  replay_figures const f = rf_replay_figures(how, s, t, &m);
  replay_memory_free(t, &m);
  if (!f.usable) {
    rf_diag("%s cannot use an arena of %s", s->name, rf_counted(o->memory, how->arena, "byte"));
    return 1;
  }
  (void)printf("%s", s->name);
  if (s->arena) {
    (void)printf(", in an arena of ");
    print_size(o->memory, how->arena);
  }
  if (f.replayed < t->count) {
    (void)printf(
        "\n  time           %.1f ns a request\n  too slow       %.1f %% of the requests in %g s; --limit 0 waits\n",
        f.times.mean_ns, 100 * (double)f.replayed / (double)t->count, how->limit);
    return 1;
  }
  (void)printf("\n  time           %.1f ns a request, the slowest %.0f ns (each at its best of %u runs)\n",
               f.times.mean_ns, f.times.worst_ns, f.runs);
  print_failures(o, t, &f);
  print_footprint(o, s, t, f.footprint);
  print_fragmentation(o, &f.fragmentation);
  return f.failed == 0 ? 0 : 1;
}

static int replay(const options *o, const trace *t) {
  size_t const arena = arena_for(o, t);
  unsigned const runs = (unsigned)(o->runs < RUNS_MOST ? o->runs : RUNS_MOST);
  size_t most;
  if (!rf_mul(t->peak, REPLAY_PEAKS_MOST, &most)) {
    rf_diag("%s: its blocks do not fit into the address space", o->path);
    return RF_EXIT_USAGE;
  }
  most = most > arena ? most : arena;
  rf_replay_compare_options const how = {&o->on, arena, most, runs, o->limit, o->svg};
  int const status = o->on.count == 1 ? replay_one(o, t, &how) : rf_replay_compare(&how, t, o->memory);
  rf_trace_leaks_print(o->memory, t, o->top);
  return status;
}

/* Counts the demand in pools without blocks. */
static int advise(const trace *t) {
  static const rf_pool_class classes[] = {{8, 0}, {16, 0}, {32, 0}, {48, 0}, {64, 0}};
  rf_pool_options const wanted = {classes, sizeof classes / sizeof classes[0], NULL, 0};
  rf_sink const out = rf_file_sink(stdout);
  static rf_tlsf heap;
  rf_pool pool;
  size_t size;
  if (!rf_mul(t->peak, REPLAY_PEAKS_MOST, &size) || !rf_add(size, REPLAY_ARENA_LEAST, &size)) {
    rf_diag("the blocks of this trace do not fit into the address space");
    return RF_EXIT_USAGE;
  }
  replay_memory m = replay_memory_make(t, size);
  int status = 0;
  if (rf_tlsf_init(&heap, m.arena, size) != RF_OK || rf_pool_init(&pool, &heap.base, &wanted) != RF_OK) {
    rf_diag("no heap can be made for this trace");
    status = 1;
  } else {
    for (size_t i = 0; i < t->count; i++) {
      (void)replay_op(&pool.base, &t->ops[i], m.blocks);
    }
    rf_pool_advise(&pool, &out);
  }
  replay_memory_free(t, &m);
  return status;
}

static bool save_trace(const options *o, const trace *t) {
  FILE *const file = rf_output_open(o->save);
  if (file == NULL) {
    return false;
  }
  rf_sink const sink = rf_file_sink(file);
  trace_write(t, &sink);
  return rf_output_close(file, o->save);
}

static bool save_c_test(const options *o, const trace *t) {
  FILE *const file = rf_output_open(o->c_test);
  if (file == NULL) {
    return false;
  }
  rf_sink const sink = rf_file_sink(file);
  trace_write_c_test(t, arena_for(o, t), &sink);
  return rf_output_close(file, o->c_test);
}

/* The file is made where the input can be: an empty one is no seed file. */
static bool save_fuzz_seed(const options *o, const trace *t) {
  char problem[TRACE_SEED_PROBLEM];
  rf_text_sink line;
  size_t const arena = arena_for(o, t);
  bool const shrinks = o->arena == 0 && arena > TRACE_SEED_ARENA && t->peak <= TRACE_SEED_ARENA / 4 * 3;
  rf_text_sink_init(&line, o->memory);
  if (!trace_write_fuzz_seed(t, o->on.items[0]->name, shrinks ? TRACE_SEED_ARENA : arena, &line.sink, problem)) {
    rf_diag("%s: not an input of a fuzzer: %s", o->path, problem);
    return false;
  }
  FILE *const file = rf_output_open(o->fuzz_seed);
  if (file == NULL) {
    return false;
  }
  rf_file_put(file, line.text, line.length);
  return rf_output_close(file, o->fuzz_seed);
}

/* The files instead of a replay. */
static int save(const options *o, const trace *t) {
  if (o->save != NULL && !save_trace(o, t)) {
    return RF_EXIT_USAGE;
  }
  if (o->fuzz_seed != NULL && !save_fuzz_seed(o, t)) {
    return RF_EXIT_USAGE;
  }
  if (o->pprof != NULL && !rf_trace_profile_write(o->memory, t, o->pprof)) {
    return RF_EXIT_USAGE;
  }
  return o->c_test == NULL || save_c_test(o, t) ? 0 : RF_EXIT_USAGE;
}

static int work(const options *o) {
  char problem[TRACE_PROBLEM_BYTES];
  trace t;
  int status = RF_EXIT_USAGE;
  bool const good = trace_read(&t, o->path, problem);
  if (!good) {
    rf_diag("%s: %s", o->path, problem);
  }
  if (good || (o->partial && t.count != 0)) {
    if (o->events != 0) {
      trace_cut(&t, o->events);
    }
    if (o->last != 0) {
      trace_keep_last(&t, o->last);
    }
    if (o->save != NULL || o->c_test != NULL || o->fuzz_seed != NULL || o->pprof != NULL) {
      status = save(o, &t);
    } else {
      print_trace(o, &t);
      status = o->advise ? advise(&t) : replay(o, &t);
    }
  }
  trace_free(&t);
  return status;
}

static int run(int argc, char **argv) {
  options o;
  rf_bump_arena memory = {NULL};
  int status = RF_EXIT_USAGE;
  if (parse(&o, &memory, argc, argv)) {
    status = 0;
    if (o.help) {
      help();
    } else {
      status = work(&o);
    }
  }
  rf_bump_arena_free(&memory);
  return status;
}

const rf_command rf_command_replay = {"replay", "replay a recorded trace of requests on an allocator", run, help};

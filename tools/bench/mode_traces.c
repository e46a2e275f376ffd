/* The cost of each mode per request: the same traces on tlsf under a lock, bare and with a checker in between.
 *
 *     ./bazelw run //tools/bench:modes          (modes.sh, which runs this)
 *     mode_traces TRACE.rft… [--runs N]
 *
 *     off            lock -> tlsf
 *     sample         lock -> sample -> tlsf, one allocation in 5000
 *     guard, bare    lock -> guard -> tlsf, without stacks
 *     guard          the same with stacks of up to 12 return addresses
 *     page           lock -> page -> tlsf, with stacks
 *
 * Nanoseconds per request: each trace is replayed in all modes in turn, again and again, and the fastest replay of each
 * counts. Instructions per request: of the last requests of one replay, stepped one by one (x86-64 Linux; system calls
 * count as one). Bytes per block: what the process's resident memory grows by for blocks of 32 bytes. At the end a
 * million blocks are live at once in mode page. Prints Markdown.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#include "load.h"
#include "steps.h"

#include "tools/trace/synthetic.h"

#include <math.h>
#include <ringfence/checked.h>
#include <ringfence/lock.h>
#include <ringfence/port.h>
#include <ringfence/tlsf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEPTH = 12, STEPPED = 60, STACK_SETS = 3, TRACES_MOST = 24, REQUESTS_MOST = 5000, PAGE_REQUESTS = 1000 };
enum { OFF, SAMPLE, GUARD_BARE, GUARD, PAGE, MODES };

#define ARENA_BYTES ((size_t)256 << 20)
#define PAGE_EVERY 20U /* its system calls vary little, and take long: fewer replays of the beginning */

typedef struct mode {
  const char *name;
  rf_mode mode;
  unsigned stack_depth;
} mode;

static const mode modes[MODES] = {
    [OFF] = {"off", RF_MODE_OFF, 0},
    [SAMPLE] = {"sample", RF_MODE_SAMPLE, DEPTH},
    [GUARD_BARE] = {"guard without stacks", RF_MODE_GUARD, 0},
    [GUARD] = {"guard", RF_MODE_GUARD, DEPTH},
    [PAGE] = {"page", RF_MODE_PAGE, DEPTH},
};

typedef struct subject {
  rf_tlsf heap;
  rf_checked checked;
  rf_lock lock;
  void *arena;
} subject;

static void die(const char *what) {
  (void)fprintf(stderr, "mode_traces: %s\n", what);
  exit(1);
}

static void *must_map(size_t size) {
  void *const p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    die("out of memory");
  }
  return p;
}

/* The allocator that the trace goes to. */
static rf_allocator *begin(subject *s, unsigned which) {
  rf_checked_options options = {.reporter = NULL};
  rf_options_default(&options.settings);
  options.settings.mode = modes[which].mode;
  options.settings.stack_depth = modes[which].stack_depth;
  options.settings.leaks = RF_LEAKS_NONE;
  s->arena = must_map(ARENA_BYTES);
  rf_status status = rf_tlsf_init(&s->heap, s->arena, ARENA_BYTES);
  rf_allocator *const inner = rf_checked_init(&s->checked, &s->heap.base, &options);
  status = status == RF_OK ? s->checked.status : status;
  if (status != RF_OK || s->checked.mode != modes[which].mode || rf_lock_init(&s->lock, inner) != RF_OK) {
    die("an allocator cannot be made");
  }
  return &s->lock.base;
}

static void end(subject *s) {
  rf_checked_deinit(&s->checked);
  (void)munmap(s->arena, ARENA_BYTES);
}

/* ---- The program ---- */

typedef void *(*act)(rf_allocator *a, void *block, const trace_op *op);

static __attribute__((noinline)) void *request(rf_allocator *a, void *block, const trace_op *op) {
  switch (op->kind) {
  case TRACE_ALLOC:
    return rf_aligned_alloc(a, op->align != 0 ? op->align : RF_ALIGN_DEFAULT, op->size);
  case TRACE_FREE:
    (void)rf_free(a, block);
    return NULL;
  case TRACE_REALLOC:
    return rf_realloc(a, block, op->size != 0 ? op->size : 1); /* to none would free */
  }
  return NULL;
}

/* Requests come from some way down, by three paths, so that there are stacks to take. Not tail calls. */
#define NEST(name, next)                                                                                               \
  static __attribute__((noinline)) void *name(rf_allocator *a, void *block, const trace_op *op) {                      \
    void *volatile result = next(a, block, op);                                                                        \
    return result;                                                                                                     \
  }
NEST(nest_1, request)
NEST(nest_2, nest_1)
NEST(nest_3, nest_2)
NEST(nest_4, nest_3)
NEST(nest_5, nest_4)
NEST(nest_6, nest_5)
NEST(nest_7, nest_6)
NEST(nest_8, nest_7)

static const act paths[STACK_SETS] = {nest_4, nest_6, nest_8};

static void play(rf_allocator *a, const trace *t, void **blocks, size_t from, size_t to) {
  for (size_t i = from; i < to; i++) {
    const trace_op *const op = &t->ops[i];
    blocks[op->id] = paths[op->id % STACK_SETS](a, blocks[op->id], op);
  }
}

static void free_all(rf_allocator *a, const trace *t, void **blocks) {
  for (size_t id = 0; id < t->ids; id++) {
    (void)rf_free(a, blocks[id]);
    blocks[id] = NULL;
  }
}

/* ---- Measures ---- */

static double time_replay(rf_allocator *a, const trace *t, size_t count, void **blocks) {
  uint64_t const before = rf_port_now_ns();
  play(a, t, blocks, 0, count);
  double const ns = (double)(rf_port_now_ns() - before) / (double)count;
  free_all(a, t, blocks);
  return ns;
}

/* Counts only `request`: the path to it is the program's. */
static double count_instructions(rf_allocator *a, const trace *t, size_t count, void **blocks) {
  size_t const first = count > STEPPED ? count - STEPPED : 0;
  size_t total = 0;
  play(a, t, blocks, 0, first);
  for (size_t i = first; i < count; i++) {
    const trace_op *const op = &t->ops[i];
    steps_begin((uintptr_t)request);
    blocks[op->id] = paths[op->id % STACK_SETS](a, blocks[op->id], op);
    total += steps_end();
  }
  free_all(a, t, blocks);
  return (double)total / (double)(count - first);
}

typedef struct figures {
  double ns[MODES];
  double instructions[MODES];
} figures;

static size_t requests_for(const trace *t, unsigned which) {
  return which == PAGE && t->count > PAGE_REQUESTS ? PAGE_REQUESTS : t->count;
}

static void measure_modes(const trace *t, unsigned from, unsigned to, unsigned runs, bool steps, figures *f) {
  static subject subjects[MODES];
  rf_allocator *allocators[MODES];
  void **const blocks = (void **)calloc(t->ids, sizeof *blocks);
  if (blocks == NULL) {
    die("out of memory");
  }
  for (unsigned m = from; m < to; m++) {
    allocators[m] = begin(&subjects[m], m);
    f->ns[m] = INFINITY;
    f->instructions[m] = NAN;
  }
  for (unsigned run = 0; run < runs; run++) {
    for (unsigned m = from; m < to; m++) {
      f->ns[m] = fmin(f->ns[m], time_replay(allocators[m], t, requests_for(t, m), blocks));
    }
  }
  for (unsigned m = from; m < to; m++) {
    if (steps) {
      f->instructions[m] = count_instructions(allocators[m], t, requests_for(t, m), blocks);
    }
    end(&subjects[m]);
  }
  free((void *)blocks);
}

/* Measurements run in processes of their own, so that nothing is left over from what ran before. */
static pid_t fork_flushed(void) {
  (void)fflush(stdout);
  return fork();
}

static void wait_for(pid_t child) {
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
    die("a child process failed");
  }
}

/* In a process for each trace, so that none leaves memory or address space behind for the next. */
static figures measure(const trace *t, unsigned runs, bool steps) {
  figures *const shared =
      (figures *)mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) {
    die("out of memory");
  }
  pid_t const child = fork_flushed();
  if (child == 0) {
    measure_modes(t, OFF, PAGE, runs, steps, shared);
    measure_modes(t, PAGE, MODES, 1 + runs / PAGE_EVERY, steps, shared);
    _exit(0);
  }
  wait_for(child);
  figures const f = *shared;
  (void)munmap(shared, sizeof *shared);
  return f;
}

/* ---- Tables ---- */

static void print_row(const char *name, const double *v) {
  printf("| %s | %.0f |", name, v[OFF]);
  for (unsigned m = OFF + 1; m < MODES; m++) {
    printf(" %.0f (%.2f) |", v[m], v[m] / v[OFF]);
  }
  printf("\n");
}

static void print_table(const char *unit, const trace *traces, double (*rows)[MODES], size_t count) {
  double means[MODES] = {0};
  printf("\n| %s per request |", unit);
  for (unsigned m = 0; m < MODES; m++) {
    printf(" %s |", modes[m].name);
  }
  printf("\n|---|---|---|---|---|---|\n");
  for (size_t i = 0; i < count; i++) {
    print_row(traces[i].name, rows[i]);
    for (unsigned m = 0; m < MODES; m++) {
      means[m] += log(rows[i][m]) / (double)count;
    }
  }
  for (unsigned m = 0; m < MODES; m++) {
    means[m] = exp(means[m]);
  }
  print_row("geometric mean", means);
  (void)fflush(stdout);
}

/* ---- Memory ---- */

static size_t resident_bytes(void) {
  char line[128];
  FILE *const f = fopen("/proc/self/statm", "re");
  if (f == NULL || fgets(line, sizeof line, f) == NULL) {
    die("/proc/self/statm cannot be read");
  }
  (void)fclose(f);
  char *end = line;
  (void)strtoul(line, &end, 10); /* the whole size; what is resident is next */
  return strtoul(end, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

static void print_apart(void (*print)(unsigned), unsigned which) {
  pid_t const child = fork_flushed();
  if (child == 0) {
    print(which);
    (void)fflush(stdout);
    _exit(0);
  }
  wait_for(child);
}

static void print_bytes_of(unsigned which) {
  enum { BLOCKS = 10000, BYTES = 32 };
  static subject s;
  rf_allocator *const a = begin(&s, which);
  size_t const before = resident_bytes();
  for (size_t i = 0; i < BLOCKS; i++) {
    unsigned char *const p = (unsigned char *)rf_alloc(a, BYTES);
    if (p == NULL) {
      die("out of memory");
    }
    memset(p, 1, BYTES);
  }
  printf(" %.0f |", (double)(resident_bytes() - before) / (double)BLOCKS - (double)BYTES);
}

static void print_bytes(void) {
  printf("\n| resident bytes per block, beyond its 32 |");
  for (unsigned m = 0; m < MODES; m++) {
    printf(" %s |", modes[m].name);
  }
  printf("\n|---|---|---|---|---|---|\n| |");
  for (unsigned m = 0; m < MODES; m++) {
    print_apart(print_bytes_of, m);
  }
  printf("\n");
}

/* Nanoseconds for a page of fresh memory that is touched and given back, of so many at once. */
static double touch_ns(size_t pages) {
  size_t const page = (size_t)sysconf(_SC_PAGESIZE);
  uint64_t const before = rf_port_now_ns();
  unsigned char *const p = (unsigned char *)must_map(pages * page);
  (void)madvise(p, pages * page, MADV_NOHUGEPAGE);
  for (size_t i = 0; i < pages; i++) {
    p[i * page] = 1;
  }
  (void)munmap(p, pages * page);
  return (double)(rf_port_now_ns() - before) / (double)pages;
}

/* On a virtual machine the host has to find memory that was never touched: a plain program that touches as many pages,
 * twice, shows that. */
static void print_million(unsigned which) {
  enum { BLOCKS = 1000 * 1000, BYTES = 16 };
  double const first = touch_ns(BLOCKS);
  double const again = touch_ns(BLOCKS);
  static subject s;
  rf_allocator *const a = begin(&s, which);
  unsigned char **const blocks = (unsigned char **)must_map(BLOCKS * sizeof *blocks);
  bool sound = true;
  uint64_t const before = rf_port_now_ns();
  for (size_t i = 0; i < BLOCKS; i++) {
    blocks[i] = (unsigned char *)rf_alloc(a, BYTES);
    if (blocks[i] == NULL) {
      die("mode page did not serve a million blocks");
    }
    memset(blocks[i], (int)(i % 251), BYTES);
  }
  for (size_t i = 0; i < BLOCKS; i++) {
    sound = sound && blocks[i][0] == i % 251 && blocks[i][BYTES - 1] == i % 251;
    sound = rf_free(a, blocks[i]) == RF_OK && sound;
  }
  if (!sound) {
    die("mode page lost a block of a million");
  }
  printf("\nA million blocks of %d bytes live at once in mode %s: all served, whole and freed, %.0f ns for both.\n"
         "As many pages touched and given back without a checker: %.0f ns a page the first time, %.0f the second.\n",
         BYTES, modes[which].name, (double)(rf_port_now_ns() - before) / (double)BLOCKS, first, again);
}

/* ---- Traces ---- */

static unsigned parse_runs(const char *text) {
  char *rest = NULL;
  unsigned long const n = strtoul(text, &rest, 10);
  if (n == 0 || n >= 1000000 || *rest != '\0') {
    die("usage: mode_traces TRACE.rft... [--runs N]");
  }
  return (unsigned)n;
}

int main(int argc, char **argv) {
  static trace traces[TRACES_MOST];
  static double ns[TRACES_MOST][MODES];
  static double instructions[TRACES_MOST][MODES];
  bool const steps = steps_init();
  size_t count = 0;
  unsigned runs = 100;
  for (int i = 1; i < argc; i++) {
    size_t const length = strlen(argv[i]);
    if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc) {
      runs = parse_runs(argv[++i]);
    } else if (length > 4 && strcmp(argv[i] + length - 4, ".rft") == 0 && count < TRACES_MOST) {
      traces[count++] = load_trace(argv[i], REQUESTS_MOST);
    } else {
      die("usage: mode_traces TRACE.rft... [--runs N]");
    }
  }
  for (size_t kind = 0; kind < trace_kinds() && count < TRACES_MOST; kind++) {
    traces[count] = trace_make(kind, 1);
    trace_cut(&traces[count++], REQUESTS_MOST);
  }
  for (size_t i = 0; i < count; i++) {
    (void)fprintf(stderr, "%s\n", traces[i].name);
    figures const f = measure(&traces[i], runs, steps);
    memcpy(ns[i], f.ns, sizeof f.ns);
    memcpy(instructions[i], f.instructions, sizeof f.instructions);
  }
  print_table("nanoseconds", traces, ns, count);
  if (steps) {
    print_table("instructions", traces, instructions, count);
  }
  print_bytes();
  print_apart(print_million, PAGE);
  for (size_t i = 0; i < count; i++) {
    trace_free(&traces[i]);
  }
  return 0;
}

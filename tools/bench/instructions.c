/* Exact instructions per call of rf_alloc and rf_free, as a program calls them: mean and worst, over traces and
 * arenas.
 *
 *     ./bazelw run //tools/bench:instructions [-- ALLOCATOR...]      tlsf unless told otherwise
 *
 * A step costs some 10 microseconds, so of the mixed traces the first 150 operations and the last 500 are counted.
 * Their arenas are a quarter larger than the trace's peak: little memory is left, and some requests fail.
 */
#define _GNU_SOURCE
#include "steps.h"

#include "tools/trace/subjects.h"
#include "tools/trace/synthetic.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { FIRST = 150, LAST = 500 };

typedef struct tally {
  size_t calls;
  size_t steps;
  size_t worst;
} tally;

typedef struct figures {
  tally alloc;
  tally free;
  size_t failed;
} figures;

static void add_call(tally *t, size_t steps) {
  t->calls++;
  t->steps += steps;
  t->worst = steps > t->worst ? steps : t->worst;
}

static void *count_alloc(tally *t, rf_allocator *a, size_t size) {
  void *p;
  add_call(t, steps_of_alloc(a, size, &p));
  return p;
}

static figures replay(rf_allocator *a, const trace *t) {
  figures out = {0};
  void **const blocks = (void **)calloc(t->ids, sizeof *blocks);
  for (size_t i = 0; blocks != NULL && i < t->count; i++) {
    const trace_op *const op = &t->ops[i];
    void **const block = &blocks[op->id];
    bool const counted = i < FIRST || i + LAST >= t->count;
    if (op->kind == TRACE_ALLOC) {
      *block = counted ? count_alloc(&out.alloc, a, op->size) : rf_alloc(a, op->size);
      out.failed += *block == NULL ? 1 : 0;
    } else if (op->kind == TRACE_FREE && *block != NULL) {
      if (counted) {
        add_call(&out.free, steps_of_free(a, *block));
      } else {
        (void)rf_free(a, *block);
      }
      *block = NULL;
    } else if (op->kind == TRACE_REALLOC) {
      void *const p = rf_realloc(a, *block, op->size);
      *block = p != NULL ? p : *block;
    }
  }
  free(blocks);
  return out;
}

static void add_tally(tally *sum, const tally *t) {
  sum->calls += t->calls;
  sum->steps += t->steps;
  sum->worst = t->worst > sum->worst ? t->worst : sum->worst;
}

static double mean(const tally *t) {
  return t->calls == 0 ? 0 : (double)t->steps / (double)t->calls;
}

static void print_row(const char *name, const char *arena, const figures *f) {
  printf("| %s | %s | %zu | %.1f | %zu | %zu | %.1f | %zu | %zu |\n", name, arena, f->alloc.calls, mean(&f->alloc),
         f->alloc.worst, f->free.calls, mean(&f->free), f->free.worst, f->failed);
  (void)fflush(stdout);
}

static void measure(const subject *s, const char *size_name, size_t size, trace t, figures *sum) {
  void *const arena = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  rf_allocator *const a = arena != MAP_FAILED ? subject_make(s, arena, size, &t) : NULL;
  if (a == NULL) {
    (void)fprintf(stderr, "%s cannot use an arena of %s\n", s->name, size_name);
    exit(1);
  }
  figures const f = replay(a, &t);
  print_row(t.name, size_name, &f);
  add_tally(&sum->alloc, &f.alloc);
  add_tally(&sum->free, &f.free);
  sum->failed += f.failed;
  rf_deinit(a);
  (void)munmap(arena, size);
  trace_free(&t);
}

static void measure_all(const subject *s) {
  static const struct {
    const char *name;
    size_t size;
  } arenas[] = {{"4 KiB", (size_t)4 << 10},
                {"64 KiB", (size_t)64 << 10},
                {"1 MiB", (size_t)1 << 20},
                {"32 MiB", (size_t)32 << 20},
                {"1 GiB", (size_t)1 << 30}};
  figures sum = {0};
  printf("%s: instructions per call, compiled by %s\n\n", s->name, __VERSION__);
  printf("| trace | arena | allocs | mean | worst | frees | mean | worst | failed |\n");
  printf("|---|---|---|---|---|---|---|---|---|\n");
  for (size_t kind = 0; kind < trace_kinds(); kind++) {
    trace t = trace_make(kind, 1);
    size_t const size = t.peak + t.peak / 4;
    measure(s, "1.25 peaks", size, t, &sum);
  }
  for (size_t i = 0; i < sizeof arenas / sizeof arenas[0]; i++) {
    size_t const largest = arenas[i].size / 16;
    measure(s, arenas[i].name, arenas[i].size, trace_make_random(7, FIRST + LAST, 64, largest), &sum);
    measure(s, arenas[i].name, arenas[i].size, trace_make_comb(11, 100, largest / 8), &sum);
  }
  print_row("all", "", &sum);
  printf("\nworst / mean: alloc %.2f, free %.2f\n", (double)sum.alloc.worst / mean(&sum.alloc),
         (double)sum.free.worst / mean(&sum.free));
}

int main(int argc, char **argv) {
  if (!steps_init()) {
    (void)fprintf(stderr, "instructions are counted on x86-64 Linux only\n");
    return 1;
  }
  for (int i = 1; i < argc; i++) {
    measure_all(subject_named(argv[i]));
  }
  if (argc == 1) {
    measure_all(subject_named("tlsf"));
  }
  return 0;
}

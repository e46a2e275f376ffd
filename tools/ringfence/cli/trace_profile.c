#include "tools/ringfence/cli/trace_leaks.h"

#include "tools/ringfence/render/output.h"
#include "tools/ringfence/render/pprof.h"

enum { ALLOC_OBJECTS, ALLOC_SPACE, INUSE_OBJECTS, INUSE_SPACE, VALUES };

typedef struct counts {
  int64_t values[VALUES];
} counts;

/* By site: what was asked for, and what is live at the end. */
static counts *count(rf_bump_arena *arena, const trace *t) {
  counts *const all = (counts *)rf_bump_arena_array(arena, t->site_count, sizeof *all);
  const trace_op **const last = (const trace_op **)rf_bump_arena_array(arena, t->ids + 1, sizeof(const trace_op *));
  for (size_t i = 0; i < t->count; i++) {
    const trace_op *const op = &t->ops[i];
    last[op->id] = op->kind == TRACE_FREE ? NULL : op;
    if (op->kind != TRACE_FREE) {
      all[op->site].values[ALLOC_OBJECTS]++;
      all[op->site].values[ALLOC_SPACE] += (int64_t)op->size;
    }
  }
  for (size_t id = 0; id < t->ids; id++) {
    if (last[id] != NULL) {
      all[last[id]->site].values[INUSE_OBJECTS]++;
      all[last[id]->site].values[INUSE_SPACE] += (int64_t)last[id]->size;
    }
  }
  return all;
}

bool rf_trace_profile_write(rf_bump_arena *arena, const trace *t, const char *path) {
  static const rf_pprof_type types[VALUES] = {
      {"alloc_objects", "count"}, {"alloc_space", "bytes"}, {"inuse_objects", "count"}, {"inuse_space", "bytes"}};
  const counts *const all = count(arena, t);
  bool *const wanted = (bool *)rf_bump_arena_array(arena, t->site_count, sizeof *wanted);
  rf_pprof p;
  for (size_t i = 0; i < t->site_count; i++) {
    wanted[i] = all[i].values[ALLOC_OBJECTS] != 0;
  }
  const rf_record *const records = rf_trace_origins(arena, t, wanted);
  rf_pprof_init(&p, arena, types, VALUES);
  for (size_t i = 0; i < t->site_count; i++) {
    if (wanted[i]) {
      rf_pprof_add(&p, &records[i], all[i].values);
    }
  }
  FILE *const file = rf_output_open(path);
  if (file == NULL) {
    return false;
  }
  rf_sink const sink = rf_file_sink(file);
  rf_pprof_put(&p, 0, &sink);
  return rf_output_close(file, path);
}

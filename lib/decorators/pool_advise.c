/* The pool's figures for people: hit rates, and the counts that the use so far calls for. */
#include "pool_impl.h"

static void put_column(const rf_sink *sink, size_t value) {
  size_t width = 1;
  for (size_t v = value; v >= 10; v /= 10) {
    width++;
  }
  for (size_t i = width; i < 10; i++) {
    rf_sink_char(sink, ' ');
  }
  rf_sink_uint(sink, value);
}

/* Whole per cent, 100 where nothing was asked for. */
static size_t hit_rate(const rf_pool_class_stats *s) {
  if (s->requests == 0) {
    return 100;
  }
  return (size_t)((uint64_t)s->hits * 100 / s->requests);
}

static void put_row(const rf_sink *sink, const rf_pool_class_stats *s) {
  put_column(sink, s->size);
  put_column(sink, s->count);
  put_column(sink, s->peak);
  put_column(sink, s->requests);
  put_column(sink, s->spills);
  put_column(sink, hit_rate(s));
  put_column(sink, s->peak_demand);
  rf_sink_char(sink, '\n');
}

void rf_pool_advise(const rf_pool *pool, const rf_sink *sink) {
  if (!rf_pool_is_intact(pool)) {
    rf_sink_str(sink, "record of the pool was overwritten\n");
    return;
  }
  rf_sink_str(sink, "     bytes    blocks      peak  requests    spills     hit %   call for\n");
  for (unsigned i = 0; i < pool->class_count; i++) {
    put_row(sink, &pool->slots[i].stats);
  }
  rf_sink_str(sink, "static const rf_pool_class classes[] = {");
  for (unsigned i = 0; i < pool->class_count; i++) {
    rf_sink_str(sink, i == 0 ? "{" : ", {");
    rf_sink_uint(sink, pool->slots[i].stats.size);
    rf_sink_str(sink, ", ");
    rf_sink_uint(sink, pool->slots[i].stats.peak_demand);
    rf_sink_char(sink, '}');
  }
  rf_sink_str(sink, "};\n");
}

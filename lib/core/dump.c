#include <ringfence/dump.h>

#include <ringfence/bits.h>
#include <string.h>

/* ---- Text ---- */

static unsigned digits_of(size_t value) {
  unsigned digits = 1;
  while (value >= 10) {
    value /= 10;
    digits++;
  }
  return digits;
}

static void put_repeated(const rf_sink *sink, char c, size_t count) {
  while (count-- != 0) {
    rf_sink_char(sink, c);
  }
}

/* Right-aligned in `width` characters, or more where it needs them. */
static void put_number(const rf_sink *sink, size_t value, unsigned width) {
  unsigned const digits = digits_of(value);
  put_repeated(sink, ' ', digits < width ? width - digits : 0);
  rf_sink_uint(sink, value);
}

/* "5 blocks", "1 block" */
static void put_count(const rf_sink *sink, size_t count, const char *what) {
  rf_sink_uint(sink, count);
  rf_sink_char(sink, ' ');
  rf_sink_str(sink, what);
  if (count != 1) {
    rf_sink_char(sink, 's');
  }
}

/* ---- Statistics ---- */

/* "lock > tlsf": the allocator and what it wraps. */
static void put_names(const rf_sink *sink, rf_allocator *allocator) {
  rf_sink_str(sink, allocator->ops->name);
  while ((allocator = rf_inner(allocator)) != NULL) {
    rf_sink_str(sink, " > ");
    rf_sink_str(sink, allocator->ops->name);
  }
}

static void put_stats(const rf_sink *sink, rf_allocator *allocator) {
  rf_stats s;
  rf_stats_get(allocator, &s);
  put_names(sink, allocator);
  rf_sink_str(sink, ": ");
  put_count(sink, s.blocks, "block");
  rf_sink_str(sink, ", ");
  rf_sink_uint(sink, s.used);
  if (s.capacity != 0) {
    rf_sink_str(sink, " of ");
    rf_sink_uint(sink, s.capacity);
    rf_sink_str(sink, " bytes used, ");
    rf_sink_uint(sink, s.free_bytes);
    rf_sink_str(sink, " free\n  largest free ");
    rf_sink_uint(sink, s.largest_free);
    rf_sink_str(sink, ", overhead ");
    rf_sink_uint(sink, s.overhead);
    rf_sink_str(sink, ", peak ");
  } else {
    rf_sink_str(sink, " bytes used\n  peak ");
  }
  rf_sink_uint(sink, s.peak);
  rf_sink_str(sink, " bytes in ");
  put_count(sink, s.peak_blocks, "block");
  rf_sink_str(sink, "\n  ");
  put_count(sink, s.allocations, "allocation");
  rf_sink_str(sink, ", ");
  put_count(sink, s.failures, "failure");
  rf_sink_char(sink, '\n');
}

/* ---- Histogram ---- */

/* Row 0 counts blocks of no bytes, row i those of 2^(i-1) … 2^i - 1. */
#define ROWS (RF_SIZE_BITS + 1)

typedef struct census {
  size_t used[sizeof(size_t) * 8 + 1];
  size_t free[sizeof(size_t) * 8 + 1];
  size_t most; /* the largest number in `used` */
  size_t bytes;
  size_t live;
} census;

static bool count_block(const rf_block *block, void *context) {
  census *const c = (census *)context;
  unsigned const row = block->size == 0 ? 0 : rf_log2(block->size) + 1;
  c->bytes += block->size + block->overhead;
  if (!block->used) {
    c->free[row]++;
    return true;
  }
  c->live++;
  c->used[row]++;
  c->most = c->most < c->used[row] ? c->used[row] : c->most;
  return true;
}

/* The smallest size of a row, in four characters: " 512", "  1K". */
static void put_size_class(const rf_sink *sink, unsigned row) {
  unsigned const log = row == 0 ? 0 : row - 1;
  put_number(sink, row == 0 ? 0 : (size_t)1 << log % 10, log < 10 ? 4 : 3);
  if (log >= 10) {
    rf_sink_char(sink, " KMGTPE"[log / 10]);
  }
}

static void put_row(const rf_sink *sink, const census *c, unsigned row, unsigned width) {
  size_t const room = width - 24;
  size_t const bar = c->most == 0 ? 0 : (size_t)((uint64_t)c->used[row] * room / c->most);
  rf_sink_str(sink, "  ");
  put_size_class(sink, row);
  rf_sink_char(sink, ' ');
  put_number(sink, c->used[row], 7);
  rf_sink_char(sink, ' ');
  put_number(sink, c->free[row], 7);
  if (c->used[row] != 0) {
    rf_sink_str(sink, "  ");
    put_repeated(sink, '#', bar == 0 ? 1 : bar);
  }
  rf_sink_char(sink, '\n');
}

static void put_histogram(const rf_sink *sink, const census *c, unsigned width) {
  rf_sink_str(sink, "  size    used    free\n");
  for (unsigned row = 0; row < ROWS; row++) {
    if (c->used[row] != 0 || c->free[row] != 0) {
      put_row(sink, c, row, width);
    }
  }
}

/* ---- Map ---- */

enum { KIND_USED, KIND_FREE, KIND_OVERHEAD, KINDS };

/* The blocks arrive in order, so that the character being filled is all there is to remember. */
typedef struct map {
  const rf_sink *sink;
  size_t share;   /* bytes per character, */
  size_t longer;  /* but one more in so many of the first ones */
  size_t left;    /* characters to write, this one included */
  size_t missing; /* bytes until this one is full */
  size_t seen[KINDS];
} map;

static void map_next(map *m) {
  m->missing = m->share;
  if (m->longer != 0) {
    m->longer--;
    m->missing++;
  }
  memset(m->seen, 0, sizeof m->seen);
}

/* Shows what most of its bytes are. */
static void map_put(map *m) {
  unsigned most = KIND_USED;
  for (unsigned kind = KIND_FREE; kind < KINDS; kind++) {
    most = m->seen[kind] > m->seen[most] ? kind : most;
  }
  rf_sink_char(m->sink, "#.-"[most]);
  m->left--;
  map_next(m);
}

static void map_add(map *m, unsigned kind, size_t bytes) {
  while (m->left != 0 && bytes >= m->missing) {
    bytes -= m->missing;
    m->seen[kind] += m->missing;
    map_put(m);
  }
  m->seen[kind] += bytes;
  m->missing -= m->left != 0 ? bytes : 0;
}

static bool map_block(const rf_block *block, void *context) {
  map *const m = (map *)context;
  map_add(m, KIND_OVERHEAD, block->overhead);
  map_add(m, block->used ? KIND_USED : KIND_FREE, block->size);
  return m->left != 0;
}

static void put_map(const rf_sink *sink, rf_allocator *allocator, size_t bytes, unsigned width) {
  size_t const room = width - 4;
  size_t const characters = bytes < room ? bytes : room;
  if (characters == 0) {
    return;
  }
  map m = {sink, bytes / characters, bytes % characters, characters, 0, {0}};
  rf_sink_str(sink, "  map of ");
  rf_sink_uint(sink, bytes);
  rf_sink_str(sink, " bytes, ");
  rf_sink_uint(sink, m.share);
  rf_sink_str(sink, " each: # used  . free  - overhead\n  [");
  map_next(&m);
  (void)rf_walk(allocator, map_block, &m);
  put_repeated(sink, ' ', m.left); /* of blocks that another thread merged since they were counted */
  rf_sink_str(sink, "]\n");
}

/* ---- Live blocks ---- */

typedef struct listing {
  const rf_sink *sink;
  size_t left;
} listing;

static bool list_block(const rf_block *block, void *context) {
  listing *const list = (listing *)context;
  if (!block->used) {
    return true;
  }
  rf_sink_str(list->sink, "    ");
  rf_sink_ptr(list->sink, block->ptr);
  rf_sink_char(list->sink, ' ');
  put_number(list->sink, block->size, 6);
  if (block->site != NULL) {
    rf_sink_str(list->sink, "  ");
    rf_sink_str(list->sink, block->site->file);
    rf_sink_char(list->sink, ':');
    rf_sink_uint(list->sink, block->site->line);
    rf_sink_str(list->sink, " in ");
    rf_sink_str(list->sink, block->site->function);
  }
  rf_sink_char(list->sink, '\n');
  return --list->left != 0;
}

static void put_live_blocks(const rf_sink *sink, rf_allocator *allocator, size_t live, size_t limit) {
  listing list = {sink, limit};
  rf_sink_str(sink, "  live blocks\n");
  (void)rf_walk(allocator, list_block, &list);
  if (live > limit) {
    rf_sink_str(sink, "    and ");
    rf_sink_uint(sink, live - limit);
    rf_sink_str(sink, " more\n");
  }
}

/* ---- All of it ---- */

static unsigned clip_width(unsigned width) {
  return width < 40 ? 40 : width > 200 ? 200 : width;
}

rf_status rf_dump(rf_allocator *allocator, const rf_sink *sink, const rf_dump_options *options) {
  static const rf_dump_options DEFAULTS = {true, true, 0, 80};
  const rf_dump_options *const o = options != NULL ? options : &DEFAULTS;
  census c;
  memset(&c, 0, sizeof c);
  put_stats(sink, allocator);
  rf_status const status = rf_walk(allocator, count_block, &c);
  if (status == RF_ERR_UNSUPPORTED) {
    return status;
  }
  if (o->histogram) {
    put_histogram(sink, &c, clip_width(o->width));
  }
  if (o->map) {
    put_map(sink, allocator, c.bytes, clip_width(o->width));
  }
  if (o->live_blocks != 0 && c.live != 0) {
    put_live_blocks(sink, allocator, c.live, o->live_blocks);
  }
  return status;
}

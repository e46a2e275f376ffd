#include "tools/trace/read.h"

#include "checkers/report/crc32.h"

#include "checkers/trace/trace_format.h"
#include <errno.h>
#include <inttypes.h>
#include <ringfence/layout.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOT_LIVE SIZE_MAX
#define LOG2_MOST (sizeof(size_t) * 8 - 1) /* of an alignment */

typedef struct reader {
  trace *out;
  char *problem;
  const unsigned char *data; /* of the file */
  size_t size;
  size_t at;        /* what is read next */
  size_t end;       /* of the chunk */
  uint32_t chunks;  /* read so far */
  size_t *ids;      /* of the block with that name; NOT_LIVE */
  size_t names;     /* given so far */
  size_t *free_ids; /* a stack */
  size_t free_count;
  size_t *sizes;  /* by id */
  size_t room[4]; /* of ids, free_ids and sizes, of sites, of modules: in elements */
  size_t live;    /* bytes */
  size_t live_blocks;
  uint64_t requests; /* of the file, failed ones included */
  uint32_t site;
  uint32_t thread;
} reader;

/* ---- Help ---- */

/* Says what is wrong; always false. */
__attribute__((format(printf, 2, 3))) static bool fail(reader *r, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(r->problem, TRACE_PROBLEM_BYTES, format, arguments);
  va_end(arguments);
  return false;
}

/* `array` with room for one more than `count` elements. */
static void *with_room(void *array, size_t *room, size_t count, size_t size) {
  if (count < *room) {
    return array;
  }
  *room = *room == 0 ? 64 : 2 * *room;
  return trace_must(realloc(array, *room * size));
}

static uint32_t u32_at(const unsigned char *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* ---- Fields ---- */

static bool take_varint(reader *r, uint64_t *out) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (r->at == r->end) {
      return fail(r, "an event goes beyond its chunk, at byte %zu", r->at);
    }
    unsigned const byte = r->data[r->at++];
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) {
      *out = value;
      return shift < 63 || byte <= 1 || fail(r, "a number is too large, at byte %zu", r->at);
    }
  }
  return fail(r, "a number is too large, at byte %zu", r->at);
}

/* A number of at most `most`. */
static bool take_number(reader *r, uint64_t most, uint64_t *out) {
  return take_varint(r, out) && (*out <= most || fail(r, "a number is too large, at byte %zu", r->at));
}

static bool take_text(reader *r, char **out) {
  uint64_t length;
  if (!take_number(r, RF_TRACE_TEXT_MOST, &length)) {
    return false;
  }
  if (length > r->end - r->at) {
    return fail(r, "an event goes beyond its chunk, at byte %zu", r->at);
  }
  *out = (char *)trace_must(malloc((size_t)length + 1));
  memcpy(*out, r->data + r->at, (size_t)length);
  (*out)[length] = '\0';
  r->at += (size_t)length;
  return true;
}

/* ---- Blocks ---- */

static size_t new_id(reader *r) {
  if (r->free_count != 0) {
    return r->free_ids[--r->free_count];
  }
  size_t *const room = &r->room[1];
  if (r->out->ids == *room) {
    *room = *room == 0 ? 64 : 2 * *room;
    r->free_ids = (size_t *)trace_must(realloc(r->free_ids, *room * sizeof(size_t)));
    r->sizes = (size_t *)trace_must(realloc(r->sizes, *room * sizeof(size_t)));
  }
  r->sizes[r->out->ids] = 0;
  return r->out->ids++;
}

static size_t name_block(reader *r) {
  size_t const id = new_id(r);
  r->ids = (size_t *)with_room(r->ids, &r->room[0], r->names, sizeof(size_t));
  r->ids[r->names++] = id;
  return id;
}

static bool find_block(reader *r, uint64_t back, size_t *name) {
  if (back == 0 || back > r->names) {
    return fail(r, "a request names a block that there never was, at byte %zu", r->at);
  }
  *name = r->names - (size_t)back;
  return r->ids[*name] != NOT_LIVE || fail(r, "a request names a block that was freed before, at byte %zu", r->at);
}

static void set_size(reader *r, size_t id, size_t size) {
  trace *const t = r->out;
  r->live = r->live - r->sizes[id] + size;
  r->sizes[id] = size;
  t->peak = r->live > t->peak ? r->live : t->peak;
}

/* ---- Requests ---- */

typedef struct fields {
  uint64_t time;
  uint64_t back;
  uint64_t size;
  uint64_t align;
  uint64_t site;
} fields;

static bool take_fields(reader *r, unsigned kind, unsigned tag, fields *f) {
  f->site = r->site;
  return ((tag & RF_TRACE_HAS_TIME) == 0 || take_varint(r, &f->time)) &&
         (kind == RF_TRACE_ALLOC || take_varint(r, &f->back)) &&
         (kind == RF_TRACE_FREE || take_number(r, RF_SIZE_LIMIT, &f->size)) &&
         ((tag & RF_TRACE_HAS_ALIGN) == 0 || take_number(r, LOG2_MOST, &f->align)) &&
         ((tag & RF_TRACE_HAS_SITE) == 0 || take_varint(r, &f->site)) &&
         (f->site < r->out->site_count || fail(r, "a request names a call site that is not there, at byte %zu", r->at));
}

static void add_request(reader *r, const trace_op *op) {
  trace *const t = r->out;
  if (op->kind == TRACE_ALLOC) {
    r->live_blocks++;
    t->peak_blocks = r->live_blocks > t->peak_blocks ? r->live_blocks : t->peak_blocks;
  }
  set_size(r, op->id, op->size);
  if (op->kind == TRACE_FREE) {
    r->live_blocks--;
    r->free_ids[r->free_count++] = op->id;
  }
  trace_add(t, op);
}

static bool read_request(reader *r, unsigned kind, unsigned tag) {
  fields f = {0};
  size_t name = 0;
  bool const failed = (tag & RF_TRACE_FAILED) != 0;
  if (!take_fields(r, kind, tag, &f) || (kind != RF_TRACE_ALLOC && !find_block(r, f.back, &name))) {
    return false;
  }
  r->requests++;
  r->site = (uint32_t)f.site;
  r->out->duration_us += f.time;
  if (failed) {
    r->out->failures++;
    return true;
  }
  trace_op op = {.size = (size_t)f.size, .site = r->site, .thread = r->thread};
  op.align = (tag & RF_TRACE_HAS_ALIGN) != 0 ? (size_t)1 << f.align : 0;
  op.kind = kind == RF_TRACE_ALLOC ? TRACE_ALLOC : kind == RF_TRACE_FREE ? TRACE_FREE : TRACE_REALLOC;
  op.id = kind == RF_TRACE_ALLOC ? name_block(r) : r->ids[name];
  if (kind == RF_TRACE_FREE) {
    r->ids[name] = NOT_LIVE;
  }
  add_request(r, &op);
  return true;
}

/* ---- Other events ---- */

static bool read_frames(reader *r, trace_site *site) {
  uint64_t depth;
  if (!take_number(r, RF_TRACE_FRAMES_MOST, &depth)) {
    return false;
  }
  site->frames = (uint64_t *)trace_must(calloc((size_t)depth + 1, sizeof *site->frames));
  for (; site->depth < depth; site->depth++) {
    if (!take_varint(r, &site->frames[site->depth])) {
      return false;
    }
  }
  return true;
}

static trace_site *new_site(reader *r) {
  trace *const t = r->out;
  t->sites = (trace_site *)with_room(t->sites, &r->room[2], t->site_count, sizeof *t->sites);
  t->sites[t->site_count] = (trace_site){0};
  return &t->sites[t->site_count++];
}

static bool fill_site(reader *r, trace_site *site) {
  uint64_t line = 0;
  bool const good = take_number(r, UINT32_MAX, &line) && take_text(r, &site->file) && take_text(r, &site->function) &&
                    read_frames(r, site);
  site->line = (unsigned)line;
  return good;
}

/* Removes a site that could not be read whole. */
static bool read_site(reader *r) {
  trace_site *const site = new_site(r);
  if (fill_site(r, site)) {
    return true;
  }
  free(site->file);
  free(site->function);
  free(site->frames);
  r->out->site_count--;
  return false;
}

static bool read_module(reader *r) {
  trace *const t = r->out;
  t->modules = (trace_module *)with_room(t->modules, &r->room[3], t->module_count, sizeof *t->modules);
  trace_module *const m = &t->modules[t->module_count];
  *m = (trace_module){0};
  if (take_varint(r, &m->start) && take_varint(r, &m->end) && take_varint(r, &m->bias) && take_text(r, &m->path) &&
      take_text(r, &m->build_id)) {
    t->module_count++;
    return true;
  }
  free(m->path);
  return false;
}

static bool read_end(reader *r) {
  uint64_t requests;
  if (!take_varint(r, &requests)) {
    return false;
  }
  if (requests != r->requests) {
    return fail(r, "%" PRIu64 " requests were recorded, but %" PRIu64 " are there, at byte %zu", requests, r->requests,
                r->at);
  }
  r->out->complete = true;
  return true;
}

static bool read_event(reader *r) {
  unsigned const tag = r->data[r->at++];
  unsigned const kind = tag & RF_TRACE_KIND;
  uint64_t value = 0;
  r->out->complete = false; /* unless this is the end, and the last event */
  if (kind <= RF_TRACE_REALLOC && tag < 0x80) {
    return read_request(r, kind, tag);
  }
  if (tag != kind) {
    return fail(r, "no event begins with 0x%02x, at byte %zu", tag, r->at - 1);
  }
  switch (kind) {
  case RF_TRACE_SITE:
    return read_site(r);
  case RF_TRACE_MODULE:
    return read_module(r);
  case RF_TRACE_THREAD:
    if (!take_number(r, UINT32_MAX, &value)) {
      return false;
    }
    r->thread = (uint32_t)value;
    return true;
  case RF_TRACE_LOST:
    if (!take_varint(r, &value)) {
      return false;
    }
    r->out->lost += value;
    return true;
  default:
    return read_end(r);
  }
}

/* ---- The file ---- */

static bool read_header(reader *r) {
  size_t const magic = sizeof RF_TRACE_MAGIC - 1;
  if (r->size < magic || memcmp(r->data, RF_TRACE_MAGIC, magic) != 0) {
    return fail(r, r->size == 0 ? "it is empty" : "it is not a trace: it does not begin with RFTRACE");
  }
  if (r->size < RF_TRACE_HEADER_BYTES) {
    return fail(r, "it ends within its header");
  }
  if (u32_at(r->data + 16) != rf_crc32(0, r->data, 16)) {
    return fail(r, "its header is damaged");
  }
  if (u32_at(r->data + 8) != RF_TRACE_VERSION) {
    return fail(r, "it has version %" PRIu32 " of the format, this command reads version %u", u32_at(r->data + 8),
                RF_TRACE_VERSION);
  }
  r->out->process = u32_at(r->data + 12);
  r->at = RF_TRACE_HEADER_BYTES;
  return true;
}

static bool read_chunk(reader *r) {
  const unsigned char *const header = r->data + r->at;
  size_t const left = r->size - r->at;
  if (left < RF_TRACE_CHUNK_HEADER_BYTES) {
    return fail(r, "it is cut off in the header of chunk %" PRIu32 ", at byte %zu", r->chunks, r->at);
  }
  uint32_t const length = u32_at(header);
  if (length == 0 || length > RF_TRACE_CHUNK_MOST) {
    return fail(r, "chunk %" PRIu32 " says that it has %" PRIu32 " bytes, at byte %zu", r->chunks, length, r->at);
  }
  if (length > left - RF_TRACE_CHUNK_HEADER_BYTES) {
    return fail(r, "it is cut off in chunk %" PRIu32 ": %zu of %" PRIu32 " bytes are there, at byte %zu", r->chunks,
                left - RF_TRACE_CHUNK_HEADER_BYTES, length, r->at);
  }
  if (u32_at(header + 4) != r->chunks) {
    return fail(r, "after chunk %" PRIu32 " comes chunk %" PRIu32 ", at byte %zu", r->chunks - 1, u32_at(header + 4),
                r->at);
  }
  uint32_t const crc = rf_crc32(rf_crc32(0, header + 4, 4), header + RF_TRACE_CHUNK_HEADER_BYTES, length);
  if (u32_at(header + 8) != crc) {
    return fail(r, "chunk %" PRIu32 " is damaged: its check sum is wrong, at byte %zu", r->chunks, r->at);
  }
  r->chunks++;
  r->at += RF_TRACE_CHUNK_HEADER_BYTES;
  r->end = r->at + length;
  while (r->at < r->end) {
    if (!read_event(r)) {
      return false;
    }
  }
  return true;
}

bool trace_parse(trace *out, const unsigned char *data, size_t size, char *problem) {
  reader r = {.out = out, .problem = problem, .data = data, .size = size};
  problem[0] = '\0';
  *out = (trace){0};
  trace_site *const unknown = new_site(&r);
  unknown->file = (char *)trace_must(calloc(1, 1));
  unknown->function = (char *)trace_must(calloc(1, 1));
  bool good = read_header(&r);
  while (good && r.at < r.size) {
    good = read_chunk(&r);
  }
  free(r.ids);
  free(r.free_ids);
  free(r.sizes);
  return good;
}

/* All of a file; NULL where it cannot be read. */
static unsigned char *contents(const char *path, size_t *size) {
  FILE *const file = fopen(path, "rbe");
  unsigned char *data = NULL;
  size_t room = 0;
  *size = 0;
  if (file == NULL) {
    return NULL;
  }
  do {
    if (*size == room) {
      room = room == 0 ? 65536 : 2 * room;
      data = (unsigned char *)trace_must(realloc(data, room));
    }
    *size += fread(data + *size, 1, room - *size, file);
  } while (*size == room);
  if (ferror(file) != 0) {
    int const error = errno;
    free(data);
    data = NULL;
    errno = error;
  }
  (void)fclose(file);
  return data;
}

bool trace_read(trace *out, const char *path, char *problem) {
  size_t size;
  unsigned char *const data = contents(path, &size);
  if (data == NULL) {
    *out = (trace){0};
    (void)snprintf(problem, TRACE_PROBLEM_BYTES, "it cannot be read: %s", strerror(errno));
    return false;
  }
  bool const good = trace_parse(out, data, size, problem);
  free(data);
  return good;
}

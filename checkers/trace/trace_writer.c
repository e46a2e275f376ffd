#include <ringfence/trace_writer.h>

#include "checkers/trace/trace_format.h"
#include <ringfence/bits.h>
#include <ringfence/layout.h>
#include <string.h>

#include "checkers/report/crc32.h"

#define BUFFER_MOST ((size_t)64 * 1024)
#define REQUEST_MOST 64U /* bytes of a request and what may come before it */
#define SLOTS_LEAST 16U

/* ---- Tables ---- */

static size_t slots_of(const rf_trace_table *t) {
  return (size_t)1 << t->bits;
}

/* Bytes of the largest power of two of slots that `size` bytes hold. */
static size_t table_bytes(size_t size) {
  return sizeof(rf_trace_slot) << rf_log2(size / sizeof(rf_trace_slot));
}

/* As many slots. */
static rf_trace_table table_in(void *memory, size_t size) {
  rf_trace_table const t = {(rf_trace_slot *)memory, rf_log2(size / sizeof(rf_trace_slot)), 0};
  memset(memory, 0, slots_of(&t) * sizeof(rf_trace_slot));
  return t;
}

static size_t home_of(const rf_trace_table *t, uintptr_t key) {
#if UINTPTR_MAX > UINT32_MAX
  return (size_t)(key * 0x9e3779b97f4a7c15U >> (64 - t->bits));
#else
  return (size_t)(key * 0x9e3779b9U >> (32 - t->bits));
#endif
}

/* The slot of `key`, or the free one where it would go. There always is a free one. */
static rf_trace_slot *slot_of(const rf_trace_table *t, uintptr_t key) {
  size_t at = home_of(t, key);
  while (t->slots[at].key != 0 && t->slots[at].key != key) {
    at = (at + 1) & (slots_of(t) - 1);
  }
  return &t->slots[at];
}

/* Frees the slot, and moves up those behind it that would no longer be found. */
static void clear_slot(rf_trace_table *t, rf_trace_slot *slot) {
  size_t const mask = slots_of(t) - 1;
  size_t hole = (size_t)(slot - t->slots);
  for (size_t at = (hole + 1) & mask; t->slots[at].key != 0; at = (at + 1) & mask) {
    size_t const way = (at - home_of(t, t->slots[at].key)) & mask;
    if (way >= ((at - hole) & mask)) {
      t->slots[hole] = t->slots[at];
      hole = at;
    }
  }
  t->slots[hole].key = 0;
  t->count--;
}

/* Twice the slots, where there is memory for them. */
static void grow(rf_trace_writer *w, rf_trace_table *t) {
  size_t const size = 2 * slots_of(t) * sizeof(rf_trace_slot);
  void *const memory = w->options.more != NULL ? w->options.more(w->options.context, size) : NULL;
  if (memory == NULL) {
    return;
  }
  rf_trace_table larger = {(rf_trace_slot *)memory, t->bits + 1, t->count};
  for (size_t i = 0; i < slots_of(t); i++) {
    if (t->slots[i].key != 0) {
      *slot_of(&larger, t->slots[i].key) = t->slots[i];
    }
  }
  *t = larger;
}

/* False where the table is full. The key is not in it. */
static bool put(rf_trace_writer *w, rf_trace_table *t, uintptr_t key, size_t value) {
  if (t->count >= slots_of(t) / 4 * 3) {
    grow(w, t);
  }
  if (t->count >= slots_of(t) / 4 * 3) {
    return false;
  }
  *slot_of(t, key) = (rf_trace_slot){key, value};
  t->count++;
  return true;
}

/* ---- Bytes ---- */

static void put_u32(unsigned char *at, uint32_t value) {
  for (unsigned i = 0; i < 4; i++) {
    at[i] = (unsigned char)(value >> 8 * i);
  }
}

static void put_byte(rf_trace_writer *w, unsigned byte) {
  w->buffer[w->used++] = (unsigned char)byte;
}

static void put_varint(rf_trace_writer *w, uint64_t value) {
  while (value >= 0x80) {
    put_byte(w, (unsigned)(value & 0x7f) | 0x80U);
    value >>= 7;
  }
  put_byte(w, (unsigned)value);
}

/* The end of a path tells more than its beginning. */
static void put_text(rf_trace_writer *w, const char *text) {
  size_t const length = text != NULL ? strlen(text) : 0;
  size_t const kept = length < RF_TRACE_TEXT_MOST ? length : RF_TRACE_TEXT_MOST;
  put_varint(w, kept);
  if (kept != 0) {
    memcpy(w->buffer + w->used, text + (length - kept), kept);
    w->used += kept;
  }
}

void rf_trace_writer_flush(rf_trace_writer *w) {
  size_t const payload = w->used - RF_TRACE_CHUNK_HEADER_BYTES;
  if (payload == 0) {
    return;
  }
  put_u32(w->buffer, (uint32_t)payload);
  put_u32(w->buffer + 4, w->chunks++);
  uint32_t const crc = rf_crc32(0, w->buffer + 4, 4);
  put_u32(w->buffer + 8, rf_crc32(crc, w->buffer + RF_TRACE_CHUNK_HEADER_BYTES, payload));
  rf_sink_mem(&w->options.sink, (const char *)w->buffer, w->used);
  w->used = RF_TRACE_CHUNK_HEADER_BYTES;
}

/* Room for `size` bytes in this chunk, or in a new one. */
static void make_room(rf_trace_writer *w, size_t size) {
  if (w->capacity - w->used < size) {
    rf_trace_writer_flush(w);
  }
}

/* ---- The beginning ---- */

static void put_header(rf_trace_writer *w) {
  unsigned char header[RF_TRACE_HEADER_BYTES];
  memcpy(header, RF_TRACE_MAGIC, sizeof RF_TRACE_MAGIC - 1);
  put_u32(header + 8, RF_TRACE_VERSION);
  put_u32(header + 12, w->options.process);
  put_u32(header + 16, rf_crc32(0, header, 16));
  rf_sink_mem(&w->options.sink, (const char *)header, sizeof header);
}

static size_t clip(size_t value, size_t least, size_t most) {
  return value < least ? least : value > most ? most : value;
}

rf_status rf_trace_writer_init(rf_trace_writer *w, const rf_trace_writer_options *options) {
  if (options->memory == NULL || options->size < RF_TRACE_MEMORY_MIN || options->sink.write == NULL ||
      !rf_is_aligned(options->memory, sizeof(size_t))) {
    return RF_ERR_INVALID;
  }
  unsigned char *const memory = (unsigned char *)options->memory;
  size_t const buffer = rf_round_down(clip(options->size / 16, RF_TRACE_BUFFER_MIN, BUFFER_MOST), sizeof(size_t));
  size_t const sites =
      table_bytes(clip(options->size / 8, SLOTS_LEAST * sizeof(rf_trace_slot), options->size - buffer));
  memset(w, 0, sizeof *w);
  w->options = *options;
  w->buffer = memory;
  w->capacity = buffer;
  w->used = RF_TRACE_CHUNK_HEADER_BYTES;
  w->sites = table_in(memory + buffer, sites);
  w->blocks = table_in(memory + buffer + sites, options->size - buffer - sites);
  put_header(w);
  return RF_OK;
}

/* ---- Call sites ---- */

static uintptr_t mixed(uintptr_t hash) {
  hash *= (uintptr_t)0x9e3779b97f4a7c15U;
  return hash ^ hash >> (sizeof hash * 4);
}

/* The table compares nothing else, so the site is mixed before a frame comes to it: they may differ alike. */
static uintptr_t hash_of(const rf_trace *where) {
  uintptr_t hash = mixed((uintptr_t)where->site);
  for (unsigned i = 0; i < where->depth; i++) {
    hash = mixed(hash ^ where->frames[i]);
  }
  return hash != 0 ? hash : 1;
}

static void put_site(rf_trace_writer *w, const rf_trace *where) {
  const rf_site *const site = where->site;
  unsigned const depth = where->depth < RF_TRACE_FRAMES_MOST ? where->depth : RF_TRACE_FRAMES_MOST;
  if (depth != 0 && w->options.met != NULL) {
    w->options.met(w->options.context, where);
  }
  make_room(w, 2 * (RF_TRACE_TEXT_MOST + 2) + 12 + (size_t)depth * 10);
  put_byte(w, RF_TRACE_SITE);
  put_varint(w, site != NULL ? site->line : 0);
  put_text(w, site != NULL ? site->file : NULL);
  put_text(w, site != NULL ? site->function : NULL);
  put_varint(w, depth);
  for (unsigned i = 0; i < depth; i++) {
    put_varint(w, where->frames[i]);
  }
}

/* The number of the site, written out where it is new; 0 where it is not known, or the table is full. */
static size_t site_of(rf_trace_writer *w, const rf_trace *where) {
  if (where == NULL || (where->site == NULL && where->depth == 0)) {
    return 0;
  }
  uintptr_t const key = hash_of(where);
  const rf_trace_slot *const known = slot_of(&w->sites, key);
  if (known->key == key) {
    return known->value;
  }
  if (!put(w, &w->sites, key, w->next_site + 1)) {
    return 0;
  }
  put_site(w, where);
  return ++w->next_site;
}

void rf_trace_writer_module(rf_trace_writer *w, uintptr_t start, uintptr_t end, uintptr_t bias, const char *path,
                            const char *build_id) {
  make_room(w, 2 * (RF_TRACE_TEXT_MOST + 2) + 40);
  put_byte(w, RF_TRACE_MODULE);
  put_varint(w, start);
  put_varint(w, end);
  put_varint(w, bias);
  put_text(w, path);
  put_text(w, build_id);
}

/* ---- Requests ---- */

typedef struct request {
  unsigned kind;
  bool failed;
  size_t back; /* FREE, REALLOC */
  size_t size; /* ALLOC, REALLOC */
  size_t align;
  const rf_trace *where;
  uint64_t now_ns;
} request;

static void put_thread(rf_trace_writer *w, const rf_trace *where) {
  if (where != NULL && where->thread != w->thread) {
    w->thread = where->thread;
    put_byte(w, RF_TRACE_THREAD);
    put_varint(w, w->thread);
  }
}

static void put_lost(rf_trace_writer *w) {
  if (w->lost != w->lost_told) {
    put_byte(w, RF_TRACE_LOST);
    put_varint(w, w->lost - w->lost_told);
    w->lost_told = w->lost;
  }
}

static void put_request(rf_trace_writer *w, const request *r) {
  size_t const site = site_of(w, r->where);
  uint64_t const time_us = r->now_ns / 1000;
  uint64_t const passed = w->requests != 0 && time_us > w->time_us ? time_us - w->time_us : 0;
  bool const has_align = r->kind != RF_TRACE_FREE && r->align != RF_ALIGN_DEFAULT;
  make_room(w, REQUEST_MOST);
  put_lost(w);
  put_thread(w, r->where);
  put_byte(w, r->kind | (has_align ? RF_TRACE_HAS_ALIGN : 0U) | (r->failed ? RF_TRACE_FAILED : 0U) |
                  (site != w->site ? RF_TRACE_HAS_SITE : 0U) | (passed != 0 ? RF_TRACE_HAS_TIME : 0U));
  if (passed != 0) {
    put_varint(w, passed);
  }
  if (r->kind != RF_TRACE_ALLOC) {
    put_varint(w, r->back);
  }
  if (r->kind != RF_TRACE_FREE) {
    put_varint(w, r->size);
  }
  if (has_align) {
    put_varint(w, rf_log2(r->align));
  }
  if (site != w->site) {
    put_varint(w, site);
  }
  w->site = site;
  w->time_us = time_us;
  w->requests++;
}

/* A block of that address that is still in the table was freed unseen. */
static void drop_stale(rf_trace_writer *w, const void *ptr, const rf_trace *where, uint64_t now_ns) {
  if (slot_of(&w->blocks, (uintptr_t)ptr)->key != 0) {
    rf_trace_writer_free(w, ptr, where, now_ns);
  }
}

void rf_trace_writer_alloc(rf_trace_writer *w, const void *ptr, size_t size, size_t align, const rf_trace *where,
                           uint64_t now_ns) {
  request const r = {RF_TRACE_ALLOC, ptr == NULL, 0, size, align, where, now_ns};
  if (ptr != NULL) {
    drop_stale(w, ptr, where, now_ns);
    if (!put(w, &w->blocks, (uintptr_t)ptr, w->next_block)) {
      w->lost++;
      return;
    }
    w->next_block++;
  }
  put_request(w, &r);
}

bool rf_trace_writer_take(rf_trace_writer *w, const void *ptr, size_t *block) {
  rf_trace_slot *const slot = slot_of(&w->blocks, (uintptr_t)ptr);
  if (slot->key == 0 || ptr == NULL) {
    w->lost += ptr != NULL;
    return false;
  }
  *block = slot->value;
  clear_slot(&w->blocks, slot);
  return true;
}

void rf_trace_writer_free(rf_trace_writer *w, const void *ptr, const rf_trace *where, uint64_t now_ns) {
  size_t block = 0;
  if (rf_trace_writer_take(w, ptr, &block)) {
    request const r = {RF_TRACE_FREE, false, w->next_block - block, 0, RF_ALIGN_DEFAULT, where, now_ns};
    put_request(w, &r);
  }
}

void rf_trace_writer_resized(rf_trace_writer *w, size_t block, const void *ptr, size_t size, size_t align, bool failed,
                             const rf_trace *where, uint64_t now_ns) {
  request const r = {RF_TRACE_REALLOC, failed, w->next_block - block, size, align, where, now_ns};
  drop_stale(w, ptr, where, now_ns);
  /* `take` left a slot, but another thread may have had it since. */
  if (put(w, &w->blocks, (uintptr_t)ptr, block)) {
    put_request(w, &r);
    return;
  }
  request const gone = {RF_TRACE_FREE, false, w->next_block - block, 0, RF_ALIGN_DEFAULT, where, now_ns};
  put_request(w, &gone);
  w->lost++;
}

/* ---- The end ---- */

void rf_trace_writer_lost(rf_trace_writer *w) {
  w->lost++;
}

void rf_trace_writer_end(rf_trace_writer *w) {
  make_room(w, REQUEST_MOST);
  put_lost(w);
  put_byte(w, RF_TRACE_END);
  put_varint(w, w->requests);
  rf_trace_writer_flush(w);
}

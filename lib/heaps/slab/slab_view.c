/* Looking at the heap: walk, check, statistics. An empty zone is free memory like any other here, and told together
 * with what is free beside it: it is given back before a request fails. */
#include "slab_impl.h"

#include <string.h>

/* A stretch of the heap: a block of pages, a zone in use, or all that is free in a row. */
typedef struct stretch {
  record *r;
  uint32_t page;
  uint32_t pages;
  bool free;
} stretch;

static bool is_free(const record *r) {
  return kind_of(r) == FREE || (kind_of(r) == ZONE && zone_used(r) == 0);
}

/* The stretch behind `*s`, the first for one of no pages. False at the end, or where damage bars the way: s->page
 * tells. */
static bool next_stretch(const rf_slab *h, stretch *s) {
  s->page += s->pages;
  s->pages = 0;
  s->r = rf_slab_owner_at(h, s->page);
  if (s->r == NULL) {
    return false;
  }
  s->free = is_free(s->r);
  s->pages = length_of(s->r);
  while (s->free) {
    const record *const behind = rf_slab_owner_at(h, s->page + s->pages);
    if (behind == NULL || !is_free(behind)) {
      break;
    }
    s->pages += length_of(behind);
  }
  return true;
}

static size_t bytes_of(const rf_slab *h, const stretch *s) {
  return (size_t)s->pages << h->page_shift;
}

/* Bytes of a free chunk that any request may have, and a request of the usual alignment does. */
static size_t usual_room(const rf_slab *h, uint32_t chunk) {
  return room_for_align(h, chunk, RF_ALIGN_DEFAULT);
}

/* ---- Walk ---- */

/* The chunk of that index; the last tells what lies behind it, too. False where its word is damaged. */
static bool describe_chunk(const rf_slab *h, const zone *z, uint32_t index, rf_block *out) {
  bool const cut = index < zone_cut(z->r);
  size_t const rest = (size_t)((unsigned char *)z->words - z->start) - (size_t)z->chunks * z->chunk;
  size_t const whole = z->chunk + WORD + (index + 1 == z->chunks ? rest : 0);
  if (cut && !is_word(&z->words[index])) {
    return false;
  }
  uint32_t const word = cut ? z->words[index] : 0;
  size_t const room = usual_room(h, z->chunk);
  *out = (rf_block){z->start + (size_t)index * z->chunk, room, whole - room, false, NULL};
  if ((word & WORD_USED) != 0) {
    size_t const size = size_of_word(word);
    *out = (rf_block){rf_slab_chunk_user(z, index), size, whole - size, true, NULL};
  }
  return true;
}

/* *more is false where the visitor ended it. */
static bool walk_zone(const rf_slab *h, uint32_t page, rf_walk_fn visit, void *context, bool *more) {
  zone z;
  if (!rf_slab_zone_at(h, page, &z)) {
    return false;
  }
  for (uint32_t i = 0; i < z.chunks && *more; i++) {
    rf_block block;
    if (!describe_chunk(h, &z, i, &block)) {
      return false;
    }
    *more = visit(&block, context);
  }
  return true;
}

rf_status rf_slab_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  const rf_slab *const h = slab_of(self);
  stretch s = {NULL, 0, 0, false};
  bool more = true;
  if (!rf_slab_intact(h)) {
    return RF_ERR_CORRUPT;
  }
  while (more && next_stretch(h, &s)) {
    if (!s.free && kind_of(s.r) == ZONE) {
      if (!walk_zone(h, s.page, visit, context, &more)) {
        return RF_ERR_CORRUPT;
      }
      continue;
    }
    size_t const size = s.free ? bytes_of(h, &s) : run_size(h, s.r);
    rf_block const block = {page_at(h, s.page), size, bytes_of(h, &s) - size, !s.free, NULL};
    more = visit(&block, context);
  }
  return !more || s.page == h->count ? RF_OK : RF_ERR_CORRUPT;
}

/* ---- Statistics ---- */

static void count_free(rf_stats *out, size_t each, size_t count) {
  out->free_bytes += each * count;
  if (count != 0 && out->largest_free < each) {
    out->largest_free = each;
  }
}

void rf_slab_stats(rf_allocator *self, rf_stats *out) {
  const rf_slab *const h = slab_of(self);
  stretch s = {NULL, 0, 0, false};
  zone z;
  memset(out, 0, sizeof *out);
  rf_count_into(&h->counters, out);
  if (!rf_slab_intact(h)) {
    return;
  }
  while (next_stretch(h, &s)) {
    if (s.free) {
      count_free(out, bytes_of(h, &s), 1);
    } else if (kind_of(s.r) == ZONE && rf_slab_zone_at(h, s.page, &z)) {
      count_free(out, usual_room(h, z.chunk), z.chunks - zone_used(s.r));
    }
  }
  out->capacity = h->size;
  out->overhead = out->capacity - out->used - out->free_bytes;
}

/* ---- Check ---- */

/* Totals of a check. */
typedef struct sums {
  size_t used;
  size_t blocks;
  size_t free_runs;
  size_t open[RF_SLAB_CLASSES];
  size_t empty;
} sums;

static const char *check_records(const rf_slab *h, const void **at) {
  for (uint32_t i = 0; i < h->count; i++) {
    *at = &h->records[i];
    if (!is_intact(&h->records[i])) {
      return "record of a page overwritten";
    }
  }
  return NULL;
}

static bool words_sound(const zone *z, uint32_t *used, size_t *size) {
  *used = 0;
  *size = 0;
  for (uint32_t i = 0; i < zone_cut(z->r); i++) {
    uint32_t const word = z->words[i];
    if (!is_word(&z->words[i])) {
      return false;
    }
    if ((word & WORD_USED) != 0) {
      *used += 1;
      *size += size_of_word(word);
    }
  }
  return *used == zone_used(z->r);
}

static bool free_chunks_sound(const zone *z) {
  uint32_t i = zone_free(z->r);
  for (uint32_t left = zone_cut(z->r) - zone_used(z->r); left != 0; left--) {
    if (i >= zone_cut(z->r) || (z->words[i] & WORD_USED) != 0) {
      return false;
    }
    i = next_of_word(z->words[i]);
  }
  return i == NO_CHUNK;
}

static const char *check_zone(const rf_slab *h, uint32_t page, sums *s) {
  zone z;
  uint32_t used;
  size_t size;
  if (!rf_slab_zone_at(h, page, &z) || length_of(z.r) != zone_pages(h, z.chunk)) {
    return "record of a zone contradicts itself";
  }
  if (!words_sound(&z, &used, &size) || !free_chunks_sound(&z)) {
    return "table of a zone's chunks overwritten";
  }
  for (uint32_t i = 1; i < length_of(z.r); i++) {
    if (kind_of(z.r + i) != MEMBER || length_of(z.r + i) != i) {
      return "a page of a zone does not lead to it";
    }
  }
  s->used += size;
  s->blocks += used;
  s->open[z.q] += used != z.chunks ? 1U : 0U;
  s->empty += used == 0 ? 1U : 0U;
  return NULL;
}

static const char *check_free(const rf_slab *h, uint32_t page, sums *s) {
  uint32_t const pages = length_of(&h->records[page]);
  const record *const last = &h->records[page + pages - 1];
  const record *const behind = rf_slab_owner_at(h, page + pages);
  if ((pages > 1 && (kind_of(last) != LAST || length_of(last) != pages)) ||
      (behind != NULL && kind_of(behind) == FREE)) {
    return "free pages do not end where they say";
  }
  s->free_runs++;
  return NULL;
}

/* Inside of a stretch nothing may begin. */
static bool is_hollow(const rf_slab *h, uint32_t page) {
  for (uint32_t i = 1; i < length_of(&h->records[page]); i++) {
    unsigned const kind = kind_of(&h->records[page + i]);
    if (kind != INSIDE && kind != LAST && kind != MEMBER) {
      return false;
    }
  }
  return true;
}

static const char *check_stretches(const rf_slab *h, sums *s, const void **at) {
  for (uint32_t page = 0; page < h->count;) {
    const record *const r = rf_slab_owner_at(h, page);
    *at = &h->records[page];
    if (r == NULL || !is_hollow(h, page)) {
      return "pages do not follow each other";
    }
    const char *what = NULL;
    if (kind_of(r) == RUN) {
      what = r->a > (size_t)length_of(r) << h->page_shift ? "record of a block contradicts itself" : NULL;
      s->used += run_size(h, r);
      s->blocks++;
    } else {
      what = kind_of(r) == ZONE ? check_zone(h, page, s) : check_free(h, page, s);
    }
    if (what != NULL) {
      return what;
    }
    page += length_of(r);
  }
  return NULL;
}

/* Free runs as long as the one at `i`, which is in the trie, itself included; 0 where the list is not sound. */
static size_t count_list(const rf_slab *h, uint32_t i) {
  const record *r = &h->records[i];
  uint32_t const length = length_of(r);
  size_t count = 1;
  uint32_t before = i;
  for (uint32_t next = r->next; next != NO_PAGE; next = r->next) {
    r = record_of_kind(h, next, FREE);
    if (r == NULL || r->prev != before || length_of(r) != length || r->a != NO_PAGE || r->b != NO_PAGE ||
        count++ == h->count) {
      return 0;
    }
    before = next;
  }
  return count;
}

/* A part of the trie that is still to be seen, and what all lengths in it share: the bits above `shift`. */
typedef struct branch {
  uint32_t at;
  unsigned shift;
  uint32_t prefix;
} branch;

/* The free runs in the trie; SIZE_MAX where it is not sound. */
static size_t count_trie(const rf_slab *h) {
  branch todo[2 * TRIE_STEPS];
  unsigned const bits = rf_log2(h->count) + 1;
  unsigned depth = 0;
  size_t count = 0;
  if (h->root != NO_PAGE) {
    todo[depth++] = (branch){h->root, bits, 0};
  }
  while (depth != 0) {
    branch const b = todo[--depth];
    const record *const r = record_of_kind(h, b.at, FREE);
    size_t const listed = r != NULL && r->prev == NO_PAGE ? count_list(h, b.at) : 0;
    if (listed == 0 || (uint64_t)length_of(r) >> b.shift != b.prefix || (b.shift == 0 && (r->a & r->b) != NO_PAGE)) {
      return SIZE_MAX;
    }
    count += listed;
    if (count > h->count) {
      return SIZE_MAX;
    }
    for (unsigned side = 0; side < 2; side++) {
      uint32_t const child = side == 0 ? r->a : r->b;
      if (child != NO_PAGE) {
        todo[depth++] = (branch){child, b.shift - 1, b.prefix << 1 | side};
      }
    }
  }
  return count;
}

/* Open zones of a class in its list; SIZE_MAX where it is not sound. */
static size_t count_open(const rf_slab *h, unsigned q) {
  size_t count = 0;
  uint32_t before = NO_PAGE;
  for (uint32_t i = h->open[q]; i != NO_PAGE;) {
    const record *const r = record_of_kind(h, i, ZONE);
    if (r == NULL || zone_class(r) != q || r->prev != before || count++ == h->count) {
      return SIZE_MAX;
    }
    before = i;
    i = r->next;
  }
  return count;
}

static const char *check_reserve(const rf_slab *h, const sums *s) {
  size_t kept = 0;
  for (unsigned i = 0; i < RF_SLAB_RESERVE; i++) {
    uint32_t const page = h->reserve[i];
    const record *const r = record_of_kind(h, page, ZONE);
    if (page == NO_PAGE) {
      continue;
    }
    if (r == NULL || zone_used(r) != 0 || (i != 0 && page == h->reserve[0])) {
      return "reserve of empty zones overwritten";
    }
    kept++;
  }
  return kept == s->empty ? NULL : "an empty zone is not in the reserve";
}

static const char *check_lists(const rf_slab *h, const sums *s, const void **at) {
  *at = &h->root;
  if (count_trie(h) != s->free_runs) {
    return "free pages are not where they are looked for";
  }
  for (unsigned q = 0; q < RF_SLAB_CLASSES; q++) {
    *at = &h->open[q];
    if (count_open(h, q) != s->open[q]) {
      return "open zones are not where they are looked for";
    }
  }
  *at = h->reserve;
  return check_reserve(h, s);
}

/* A block of pages of which a part in the middle is freed becomes two blocks by one allocation. */
static const char *check_counts(const rf_slab *h, const sums *s) {
  const rf_counters *const c = &h->counters;
  bool const fine = s->used == c->used && s->blocks == c->blocks && c->peak >= c->used && c->peak_blocks >= c->blocks;
  return fine ? NULL : "blocks do not add up to what was counted";
}

static const char *find_damage(const rf_slab *h, const void **at) {
  sums s;
  memset(&s, 0, sizeof s);
  *at = h;
  if (!rf_slab_intact(h)) {
    return "heap record overwritten";
  }
  if (h->count == 0) {
    return NULL; /* ended */
  }
  const char *what = check_records(h, at);
  what = what != NULL ? what : check_stretches(h, &s, at);
  what = what != NULL ? what : check_lists(h, &s, at);
  if (what == NULL) {
    *at = &h->counters;
    what = check_counts(h, &s);
  }
  return what;
}

rf_status rf_slab_check(rf_allocator *self, rf_fault *where) {
  const void *at;
  const char *const what = find_damage(slab_of(self), &at);
  if (what == NULL) {
    return RF_OK;
  }
  *where = (rf_fault){RF_ERR_CORRUPT, what, self, at, NULL};
  return RF_ERR_CORRUPT;
}

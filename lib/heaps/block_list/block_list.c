#include "block_list.h"

#include <ringfence/seam.h>
#include <string.h>

#define G RF_ALIGN_DEFAULT
#define ROUND_UP(n) (((n) + G - 1) & ~(G - 1))
#define SLACK_MAX ((size_t)0x7F)
#define LOW_MASK ((((size_t)1) << RF_REGION_LOW_BITS) - 1)
#define WORD_BITS (sizeof(size_t) * 8)

_Static_assert(sizeof(rf_region_header) == 4 * sizeof(size_t), "a header is four words, of which three may do");
_Static_assert(G % sizeof(size_t) == 0, "headers that lie so that payloads are aligned are aligned for words");
/* The largest slack: rounding up, a rest too small for a block of its own, and the end of the region, cut anywhere. */
_Static_assert(2 * ROUND_UP(sizeof(rf_region_header) + 2 * sizeof(size_t)) + G <= SLACK_MAX, "slack fits its field");

uintptr_t rf_site_owner(const rf_site *site) {
  return (uintptr_t)site;
}

/* ---- Checksums ---- */

static size_t checksum_of(const rf_region *r) {
  size_t sum = rf_region_mix(0, (uintptr_t)r->start);
  sum = rf_region_mix(sum, r->limit);
  sum = rf_region_mix(sum, r->header);
  sum = rf_region_mix(sum, r->least);
  return rf_region_mix(sum, (uintptr_t)r->owner_of);
}

bool rf_region_intact(const rf_region *region) {
  return region->checksum == checksum_of(region);
}

static size_t rotated(size_t word, unsigned bits) {
  return word << bits | word >> (WORD_BITS - bits);
}

/* Each word goes in by whole bytes, so one byte that is overwritten changes the operand of the product by e * 256^k,
 * which changes the upper bits whatever e and k are: see RF_REGION_FACTOR. */
static size_t tag_of(const rf_region *r, const rf_region_block *b) {
  size_t const low = b->slack << 1 | (b->used ? RF_REGION_USED : 0);
  size_t const all = r->checksum ^ (uintptr_t)(r->start + b->at) ^ low ^ b->next ^ rotated(b->prev, WORD_BITS / 2) ^
                     rotated(b->owner, WORD_BITS / 4);
  return ((all * RF_REGION_FACTOR) & ~LOW_MASK) | low;
}

/* ---- Verdicts ---- */

bool rf_region_refuse(rf_status status, const char *what, const void *where, rf_region_verdict *verdict) {
  verdict->status = status;
  verdict->what = what;
  verdict->where = where;
  return false;
}

static bool corrupt(const rf_region *r, size_t at, const char *what, rf_region_verdict *verdict) {
  return rf_region_refuse(RF_ERR_CORRUPT, what, (const void *)((uintptr_t)r->start + at), verdict);
}

bool rf_region_damaged(const rf_region *region, size_t at, rf_region_verdict *verdict) {
  return corrupt(region, at, "damaged block header", verdict);
}

static bool check_record(const rf_region *r, rf_region_verdict *verdict) {
  return rf_region_intact(r) || rf_region_refuse(RF_ERR_CORRUPT, "damaged heap record", r, verdict);
}

/* ---- Headers ---- */

static void put(rf_region *r, const rf_region_block *b) {
  rf_region_header *const h = rf_region_header_at(r, b->at);
  h->tag = tag_of(r, b);
  h->next = b->next;
  h->prev = b->prev;
  if (r->owner_of != NULL) {
    h->owner = b->owner;
  }
}

static void put_free(rf_region *r, size_t at, size_t next, size_t prev) {
  rf_region_block const b = {at, next, prev, 0, 0, false};
  put(r, &b);
}

bool rf_region_read(const rf_region *region, size_t at, rf_region_block *out) {
  if (!rf_region_readable(region, at)) {
    return false;
  }
  const rf_region_header *const h = rf_region_header_at(region, at);
  rf_region_block const b = {
      at,
      h->next,
      h->prev,
      (h->tag & LOW_MASK) >> 1,
      region->owner_of != NULL ? h->owner : 0,
      (h->tag & RF_REGION_USED) != 0,
  };
  *out = b;
  return h->tag == tag_of(region, &b) && b.next > at && b.next - at >= region->least &&
         (b.next == region->limit || rf_region_readable(region, b.next)) && (at == 0 ? b.prev == 0 : b.prev < at) &&
         b.slack <= rf_region_room(region, &b) && (b.used || b.slack == 0);
}

bool rf_region_read_neighbours(const rf_region *region, size_t at, rf_region_neighbours *out,
                               rf_region_verdict *verdict) {
  static const rf_region_block none = {RF_REGION_NONE, RF_REGION_NONE, RF_REGION_NONE, 0, 0, true};
  out->before = none;
  out->after = none;
  if (!rf_region_read(region, at, &out->block)) {
    return rf_region_damaged(region, at, verdict);
  }
  size_t const next = out->block.next;
  size_t const prev = out->block.prev;
  if (next != region->limit && (!rf_region_read(region, next, &out->after) || out->after.prev != at)) {
    return rf_region_damaged(region, next, verdict);
  }
  if (at != 0 && (!rf_region_read(region, prev, &out->before) || out->before.next != at)) {
    return rf_region_damaged(region, prev, verdict);
  }
  return true;
}

void rf_region_set_owner(rf_region *region, rf_region_block *block, uintptr_t owner) {
  block->owner = owner;
  put(region, block);
}

/* ---- Pointers ---- */

static bool bad_pointer(const void *ptr, const char *what, rf_region_verdict *verdict) {
  return rf_region_refuse(RF_ERR_BAD_POINTER, what, ptr, verdict);
}

static bool free_memory(const void *ptr, rf_region_verdict *verdict) {
  return rf_region_refuse(RF_ERR_NOT_ALLOCATED, "pointer to free memory", ptr, verdict);
}

/* Tells why `ptr`, in the region, is no live block with its header at `at`. *verdict stays as it was where it is one:
 * then its neighbours are damaged. */
static bool explain(const rf_region *r, const void *ptr, size_t at, rf_region_verdict *verdict) {
  size_t const offset = (uintptr_t)ptr - (uintptr_t)r->start;
  rf_region_block b = {0, 0, 0, 0, 0, false};
  do {
    size_t const next = b.next;
    if (!rf_region_read(r, next, &b)) {
      return rf_region_damaged(r, next, verdict);
    }
  } while (b.next <= offset);
  if (b.at == at) {
    return false;
  }
  return b.used ? bad_pointer(ptr, "pointer into the middle of a block", verdict) : free_memory(ptr, verdict);
}

bool rf_region_find(const rf_region *region, const void *ptr, rf_region_neighbours *out, rf_region_verdict *verdict) {
  if (!check_record(region, verdict)) {
    return false;
  }
  if (!rf_region_owns(region, ptr)) {
    return bad_pointer(ptr, "pointer from elsewhere", verdict);
  }
  if (!rf_is_aligned(ptr, G)) {
    return bad_pointer(ptr, "misaligned pointer", verdict);
  }
  size_t const at = (uintptr_t)ptr - (uintptr_t)region->start - region->header;
  if (!rf_region_read_neighbours(region, at, out, verdict)) {
    return explain(region, ptr, at, verdict);
  }
  return out->block.used || free_memory(ptr, verdict);
}

/* ---- Spans ---- */

/* The block with the free block behind it and, with `before`, the one in front of it. */
static rf_region_span span_around(const rf_region_neighbours *near, bool before) {
  rf_region_span span = rf_region_span_of(&near->block);
  if (!near->after.used) {
    span.next = near->after.next;
  }
  if (before && !near->before.used) {
    span.at = near->before.at;
    span.prev = near->before.prev;
  }
  return span;
}

bool rf_region_fits(const rf_region *region, const rf_region_span *span, size_t size, size_t align, size_t *gap) {
  size_t const bytes = span->next - span->at;
  size_t skip = rf_align_gap(rf_region_payload(region, span->at), align);
  while (skip != 0 && skip < region->least) {
    skip += align;
  }
  *gap = skip;
  return skip <= bytes && bytes - skip >= region->least && size <= bytes - skip - region->header;
}

/* The headers in a span, all intact, lose their checksums, and the policy its free blocks. */
static void erase(const rf_region_policy *policy, rf_region *r, const rf_region_span *span) {
  for (size_t at = span->at; at != span->next;) {
    rf_region_header *const h = rf_region_header_at(r, at);
    if ((h->tag & RF_REGION_USED) == 0) {
      policy->remove(r, at, span->next);
    }
    at = h->next;
    h->tag = 0;
  }
}

static void add_free(const rf_region_policy *policy, rf_region *r, size_t at, size_t next, size_t prev) {
  put_free(r, at, next, prev);
  policy->insert(r, at);
}

/* Sets the `prev` of the block at `at`, intact, if there is one. */
static void set_prev(rf_region *r, size_t at, size_t prev) {
  rf_region_block b;
  if (at != r->limit && rf_region_read(r, at, &b) && b.prev != prev) {
    b.prev = prev;
    put(r, &b);
  }
}

/* Makes a used block of the span, after `gap` bytes that rf_region_fits found. The first `keep` bytes of the payload at
 * `from` come along; NULL: none do. */
static void *carve(const rf_region_policy *policy, rf_region *r, const rf_region_span *span, size_t gap, size_t size,
                   const rf_site *site, const void *from, size_t keep) {
  size_t const at = span->at + gap;
  size_t const most = span->next - at;
  size_t const least = r->header + size < r->least ? r->least : r->header + size;
  size_t const wanted = ROUND_UP(least);
  bool const splits = wanted < most && most - wanted >= r->least;
  rf_region_block b = {at, splits ? at + wanted : span->next, gap != 0 ? span->at : span->prev, 0, 0, true};
  void *const payload = rf_region_payload(r, at);
  b.slack = rf_region_room(r, &b) - size;
  b.owner = r->owner_of != NULL ? r->owner_of(site) : 0;
  erase(policy, r, span);
  /* Before the new headers, which may come to lie where the payload was. */
  if (from != NULL && from != payload) {
    rf_seam_copy(payload, from, keep);
  }
  if (gap != 0) {
    add_free(policy, r, span->at, at, span->prev);
  }
  put(r, &b);
  if (splits) {
    add_free(policy, r, b.next, span->next, at);
  }
  set_prev(r, span->next, splits ? b.next : at);
  return payload;
}

/* ---- Operations ---- */

void *rf_region_alloc(const rf_region_policy *policy, rf_region *region, const rf_region_neighbours *chosen, size_t gap,
                      size_t size, const rf_site *site) {
  rf_region_span const span = rf_region_span_of(&chosen->block);
  return carve(policy, region, &span, gap, size, site, NULL, 0);
}

void rf_region_free(const rf_region_policy *policy, rf_region *region, const rf_region_neighbours *near) {
  rf_region_span const span = span_around(near, true);
  erase(policy, region, &span);
  add_free(policy, region, span.at, span.next, span.prev);
  set_prev(region, span.next, span.at);
}

bool rf_region_resize(const rf_region_policy *policy, rf_region *region, const rf_region_neighbours *near, size_t size,
                      const rf_site *site) {
  size_t gap;
  rf_region_span const span = span_around(near, false);
  if (!rf_region_fits(region, &span, size, 1, &gap)) {
    return false;
  }
  (void)carve(policy, region, &span, 0, size, site, NULL, 0);
  return true;
}

/* All that the owner may have written, not only what was requested: rf_usable_size told how much that is. */
static size_t bytes_to_keep(const rf_region *r, const rf_region_block *b, size_t new_size) {
  size_t const room = rf_region_room(r, b);
  return room < new_size ? room : new_size;
}

void *rf_region_realloc(const rf_region_policy *policy, rf_region *region, const rf_region_neighbours *near,
                        size_t size, size_t align, const rf_site *site) {
  size_t gap;
  void *const payload = rf_region_payload(region, near->block.at);
  if (rf_is_aligned(payload, align) && rf_region_resize(policy, region, near, size, site)) {
    return payload;
  }
  rf_region_span const span = span_around(near, true);
  if (!rf_region_fits(region, &span, size, align, &gap)) {
    return NULL;
  }
  return carve(policy, region, &span, gap, size, site, payload, bytes_to_keep(region, &near->block, size));
}

void rf_region_move(const rf_region_policy *policy, rf_region *region, const rf_region_neighbours *near, void *to,
                    size_t size) {
  rf_seam_copy(to, rf_region_payload(region, near->block.at), bytes_to_keep(region, &near->block, size));
  rf_region_free(policy, region, near);
}

/* ---- All blocks ---- */

rf_status rf_region_walk(const rf_region *region, rf_walk_fn visit, void *context, bool *more) {
  rf_region_block b;
  *more = true;
  if (!rf_region_intact(region)) {
    return RF_ERR_CORRUPT;
  }
  for (size_t at = 0; *more && at != region->limit; at = b.next) {
    if (!rf_region_read(region, at, &b)) {
      return RF_ERR_CORRUPT;
    }
    bool const sited = b.used && region->owner_of == rf_site_owner;
    rf_block const seen = {
        rf_region_payload(region, at),           rf_region_size(region, &b), region->header + b.slack, b.used,
        sited ? (const rf_site *)b.owner : NULL,
    };
    *more = visit(&seen, context);
  }
  return RF_OK;
}

static void add(const rf_region *r, const rf_region_block *b, rf_region_sums *sums) {
  size_t const size = rf_region_size(r, b);
  if (b->used) {
    sums->used += size;
    sums->blocks++;
    return;
  }
  sums->lowest_free = sums->free_blocks == 0 ? b->at : sums->lowest_free;
  sums->free_blocks++;
  sums->free_bytes += size;
  sums->largest_free = sums->largest_free < size ? size : sums->largest_free;
}

bool rf_region_check(const rf_region *region, rf_region_sums *sums, rf_region_verdict *verdict) {
  rf_region_block b = {0, 0, 0, 0, 0, true};
  memset(sums, 0, sizeof *sums);
  sums->lowest_free = region->limit;
  if (!check_record(region, verdict)) {
    return false;
  }
  while (b.next != region->limit) {
    rf_region_block const last = b;
    if (!rf_region_read(region, last.next, &b) || b.prev != last.at) {
      return rf_region_damaged(region, last.next, verdict);
    }
    if (!last.used && !b.used) {
      return corrupt(region, b.at, "two free blocks side by side", verdict);
    }
    add(region, &b, sums);
  }
  return true;
}

bool rf_region_adds_up(const rf_counters *counted, size_t used, size_t blocks) {
  return used == counted->used && blocks == counted->blocks && counted->peak >= used &&
         counted->peak_blocks >= blocks && counted->allocations >= counted->peak_blocks;
}

void rf_region_stats(const rf_region *region, const rf_counters *counted, rf_stats *out) {
  rf_region_sums sums;
  rf_region_verdict unused;
  memset(out, 0, sizeof *out);
  rf_count_into(counted, out);
  (void)rf_region_check(region, &sums, &unused);
  out->capacity = region->limit;
  out->free_bytes = sums.free_bytes;
  out->largest_free = sums.largest_free;
  out->overhead = out->capacity - out->used - out->free_bytes;
}

/* ---- Init and deinit ---- */

rf_status rf_region_init(rf_region *region, void *arena, size_t size, size_t payload, rf_owner_fn owner_of) {
  size_t const header = (owner_of != NULL ? 4 : 3) * sizeof(size_t);
  if (arena == NULL || size > RF_SIZE_LIMIT || (uintptr_t)arena > UINTPTR_MAX - size) {
    return RF_ERR_INVALID;
  }
  size_t const skip = rf_align_gap((unsigned char *)arena + header, G);
  if (size < skip || size - skip < header + payload) {
    return RF_ERR_INVALID;
  }
  region->start = (unsigned char *)arena + skip;
  region->limit = size - skip;
  region->header = header;
  region->least = header + payload;
  region->owner_of = owner_of;
  region->checksum = checksum_of(region);
  region->free = 0;
  put_free(region, 0, region->limit, 0);
  rf_seam_arena(region->start, region->limit);
  return RF_OK;
}

/* Erases the headers that the list of blocks leads to. Returns where it is broken; the limit where it is not. */
static size_t erase_list(rf_region *r) {
  size_t at = 0;
  rf_region_block b;
  while (at != r->limit && rf_region_read(r, at, &b)) {
    rf_region_header_at(r, at)->tag = 0;
    at = b.next;
  }
  return at;
}

void rf_region_deinit(rf_region *region) {
  if (rf_region_intact(region)) {
    /* Behind a damaged header, any place may be one. */
    for (size_t at = erase_list(region); at < region->limit; at += G) {
      rf_region_block b;
      if (rf_region_read(region, at, &b)) {
        rf_region_header_at(region, at)->tag = 0;
      }
    }
    rf_seam_arena_end(region->start, region->limit);
  }
  memset(region, 0, sizeof *region);
  region->checksum = checksum_of(region);
}

#include "block_list_impl.h"

#include <ringfence/track.h>
#include <string.h>

#define G RF_ALIGN_DEFAULT
#define ROUND_UP(n) (((n) + G - 1) & ~(G - 1))
#define SLACK_MAX ((size_t)0x7F)
#define LOW_MASK ((((size_t)1) << RF_BLOCK_LOW_BITS) - 1)
#define WORD_BITS (sizeof(size_t) * 8)

_Static_assert(sizeof(rf_block_header) == 4 * sizeof(size_t), "a header is four words, of which three may do");
_Static_assert(G % sizeof(size_t) == 0, "headers that lie so that payloads are aligned are aligned for words");
/* The largest slack: rounding up, a rest too small for a block of its own, and the end of the list, cut anywhere. */
_Static_assert(2 * ROUND_UP(sizeof(rf_block_header) + 2 * sizeof(size_t)) + G <= SLACK_MAX, "slack fits its field");

uintptr_t rf_site_owner(const rf_site *site) {
  return (uintptr_t)site;
}

/* ---- Checksums ---- */

static size_t checksum_of(const rf_block_list *list) {
  size_t sum = rf_checksum_begin(list->start); /* not of the record, which the caller may copy */
  sum = rf_checksum_add(sum, list->limit);
  sum = rf_checksum_add(sum, list->header);
  sum = rf_checksum_add(sum, list->least);
  return rf_checksum_add(sum, (size_t)(uintptr_t)list->owner_of);
}

bool rf_block_list_intact(const rf_block_list *list) {
  return list->checksum == checksum_of(list);
}

static size_t rotated(size_t word, unsigned bits) {
  return word << bits | word >> (WORD_BITS - bits);
}

/* Each word goes in by whole bytes, so one byte that is overwritten changes the operand of the product by e * 256^k,
 * which changes the upper bits whatever e and k are: see RF_CHECKSUM_FACTOR. */
static size_t tag_of(const rf_block_list *list, const rf_block_entry *b) {
  size_t const low = b->slack << 1 | (b->used ? RF_BLOCK_USED : 0);
  size_t const all = list->checksum ^ (uintptr_t)(list->start + b->at) ^ low ^ b->next ^
                     rotated(b->prev, WORD_BITS / 2) ^ rotated(b->owner, WORD_BITS / 4);
  return (rf_checksum_spread(all) & ~LOW_MASK) | low;
}

/* ---- Refusals ---- */

static bool refuse(rf_status status, const char *what, const void *where, rf_fault *fault) {
  fault->status = status;
  fault->what = what;
  fault->ptr = where;
  return false;
}

bool rf_block_list_refuse(rf_verdict verdict, const void *ptr, rf_fault *fault) {
  return refuse(rf_verdict_status(verdict), rf_verdict_text(verdict), ptr, fault);
}

bool rf_block_list_corrupt(const char *what, const void *where, rf_fault *fault) {
  return refuse(RF_ERR_CORRUPT, what, where, fault);
}

bool rf_block_list_damaged(const rf_block_list *list, size_t at, rf_fault *fault) {
  return rf_block_list_refuse(RF_POINTER_CORRUPT, (const void *)((uintptr_t)list->start + at), fault);
}

rf_status rf_block_list_raise(rf_fault *fault, rf_allocator *allocator, const rf_site *site) {
  fault->allocator = allocator;
  fault->site = site;
  return rf_fault_raise(fault);
}

static bool check_record(const rf_block_list *list, rf_fault *fault) {
  return rf_block_list_intact(list) || rf_block_list_corrupt("damaged heap record", list, fault);
}

/* ---- Headers ---- */

static void put(rf_block_list *list, const rf_block_entry *b) {
  rf_block_header *const h = rf_block_list_header_at(list, b->at);
  h->tag = tag_of(list, b);
  h->next = b->next;
  h->prev = b->prev;
  if (list->owner_of != NULL) {
    h->owner = b->owner;
  }
}

static void put_free(rf_block_list *list, size_t at, size_t next, size_t prev) {
  rf_block_entry const b = {at, next, prev, 0, 0, false};
  put(list, &b);
}

bool rf_block_list_read(const rf_block_list *list, size_t at, rf_block_entry *out) {
  if (!rf_block_list_readable(list, at)) {
    return false;
  }
  const rf_block_header *const h = rf_block_list_header_at(list, at);
  rf_block_entry const b = {
      at,
      h->next,
      h->prev,
      (h->tag & LOW_MASK) >> 1,
      list->owner_of != NULL ? h->owner : 0,
      (h->tag & RF_BLOCK_USED) != 0,
  };
  *out = b;
  return h->tag == tag_of(list, &b) && b.next > at && b.next - at >= list->least &&
         (b.next == list->limit || rf_block_list_readable(list, b.next)) && (at == 0 ? b.prev == 0 : b.prev < at) &&
         b.slack <= rf_block_list_room(list, &b) && (b.used || b.slack == 0);
}

bool rf_block_list_read_neighbours(const rf_block_list *list, size_t at, rf_block_neighbours *out, rf_fault *fault) {
  static const rf_block_entry none = {RF_BLOCK_NONE, RF_BLOCK_NONE, RF_BLOCK_NONE, 0, 0, true};
  out->before = none;
  out->after = none;
  if (!rf_block_list_read(list, at, &out->block)) {
    return rf_block_list_damaged(list, at, fault);
  }
  size_t const next = out->block.next;
  size_t const prev = out->block.prev;
  if (next != list->limit && (!rf_block_list_read(list, next, &out->after) || out->after.prev != at)) {
    return rf_block_list_damaged(list, next, fault);
  }
  if (at != 0 && (!rf_block_list_read(list, prev, &out->before) || out->before.next != at)) {
    return rf_block_list_damaged(list, prev, fault);
  }
  return true;
}

void rf_block_list_set_owner(rf_block_list *list, rf_block_entry *block, uintptr_t owner) {
  block->owner = owner;
  put(list, block);
}

/* ---- Pointers ---- */

/* Tells why `ptr`, in the list, is no live block with its header at `at`. *fault stays as it was where it is one:
 * then its neighbours are damaged. */
static bool explain(const rf_block_list *list, const void *ptr, size_t at, rf_fault *fault) {
  size_t const offset = (uintptr_t)ptr - (uintptr_t)list->start;
  rf_block_entry b = {0, 0, 0, 0, 0, false};
  do {
    size_t const next = b.next;
    if (!rf_block_list_read(list, next, &b)) {
      return rf_block_list_damaged(list, next, fault);
    }
  } while (b.next <= offset);
  if (b.at == at) {
    return false;
  }
  return rf_block_list_refuse(b.used ? RF_POINTER_INTERIOR : RF_POINTER_FREE, ptr, fault);
}

bool rf_block_list_find(const rf_block_list *list, const void *ptr, rf_block_neighbours *out, rf_fault *fault) {
  if (!check_record(list, fault)) {
    return false;
  }
  if (!rf_block_list_owns(list, ptr)) {
    return rf_block_list_refuse(RF_POINTER_FOREIGN, ptr, fault);
  }
  if (!rf_is_aligned(ptr, G)) {
    return rf_block_list_refuse(RF_POINTER_MISALIGNED, ptr, fault);
  }
  size_t const at = (uintptr_t)ptr - (uintptr_t)list->start - list->header;
  if (!rf_block_list_read_neighbours(list, at, out, fault)) {
    return explain(list, ptr, at, fault);
  }
  return out->block.used || rf_block_list_refuse(RF_POINTER_FREE, ptr, fault);
}

/* ---- Spans ---- */

/* The block with the free block behind it and, with `before`, the one in front of it. */
static rf_block_span span_around(const rf_block_neighbours *near, bool before) {
  rf_block_span span = rf_block_list_span_of(&near->block);
  if (!near->after.used) {
    span.next = near->after.next;
  }
  if (before && !near->before.used) {
    span.at = near->before.at;
    span.prev = near->before.prev;
  }
  return span;
}

bool rf_block_list_fits(const rf_block_list *list, const rf_block_span *span, size_t size, size_t align, size_t *gap) {
  size_t const bytes = span->next - span->at;
  size_t skip = rf_align_gap(rf_block_list_payload(list, span->at), align);
  while (skip != 0 && skip < list->least) {
    skip += align;
  }
  *gap = skip;
  return skip <= bytes && bytes - skip >= list->least && size <= bytes - skip - list->header;
}

/* The headers in a span, all intact, lose their checksums, and the policy its free blocks. */
static void erase(const rf_block_policy *policy, rf_block_list *list, const rf_block_span *span) {
  for (size_t at = span->at; at != span->next;) {
    rf_block_header *const h = rf_block_list_header_at(list, at);
    if ((h->tag & RF_BLOCK_USED) == 0) {
      policy->remove(list, at, span->next);
    }
    at = h->next;
    h->tag = 0;
  }
}

static void add_free(const rf_block_policy *policy, rf_block_list *list, size_t at, size_t next, size_t prev) {
  put_free(list, at, next, prev);
  policy->insert(list, at);
}

/* Sets the `prev` of the block at `at`, intact, if there is one. */
static void set_prev(rf_block_list *list, size_t at, size_t prev) {
  rf_block_entry b;
  if (at != list->limit && rf_block_list_read(list, at, &b) && b.prev != prev) {
    b.prev = prev;
    put(list, &b);
  }
}

/* Makes a used block of the span, after `gap` bytes that rf_block_list_fits found. The first `keep` bytes of the
 * payload at `from` come along; NULL: none do. */
static void *carve(const rf_block_policy *policy, rf_block_list *list, const rf_block_span *span, size_t gap,
                   size_t size, const rf_site *site, const void *from, size_t keep) {
  size_t const at = span->at + gap;
  size_t const most = span->next - at;
  size_t const least = list->header + size < list->least ? list->least : list->header + size;
  size_t const wanted = ROUND_UP(least);
  bool const splits = wanted < most && most - wanted >= list->least;
  rf_block_entry b = {at, splits ? at + wanted : span->next, gap != 0 ? span->at : span->prev, 0, 0, true};
  void *const payload = rf_block_list_payload(list, at);
  b.slack = rf_block_list_room(list, &b) - size;
  b.owner = list->owner_of != NULL ? list->owner_of(site) : 0;
  erase(policy, list, span);
  /* Before the new headers, which may come to lie where the payload was. */
  if (from != NULL && from != payload) {
    rf_track_copy(payload, from, keep);
  }
  if (gap != 0) {
    add_free(policy, list, span->at, at, span->prev);
  }
  put(list, &b);
  if (splits) {
    add_free(policy, list, b.next, span->next, at);
  }
  set_prev(list, span->next, splits ? b.next : at);
  return payload;
}

/* ---- Operations ---- */

void *rf_block_list_alloc(const rf_block_policy *policy, rf_block_list *list, const rf_block_neighbours *chosen,
                          size_t gap, size_t size, const rf_site *site) {
  rf_block_span const span = rf_block_list_span_of(&chosen->block);
  return carve(policy, list, &span, gap, size, site, NULL, 0);
}

void rf_block_list_free(const rf_block_policy *policy, rf_block_list *list, const rf_block_neighbours *near) {
  rf_block_span const span = span_around(near, true);
  erase(policy, list, &span);
  add_free(policy, list, span.at, span.next, span.prev);
  set_prev(list, span.next, span.at);
}

bool rf_block_list_resize(const rf_block_policy *policy, rf_block_list *list, const rf_block_neighbours *near,
                          size_t size, const rf_site *site) {
  size_t gap;
  rf_block_span const span = span_around(near, false);
  if (!rf_block_list_fits(list, &span, size, 1, &gap)) {
    return false;
  }
  (void)carve(policy, list, &span, 0, size, site, NULL, 0);
  return true;
}

/* All that the owner may have written, not only what was requested: rf_usable_size told how much that is. */
static size_t bytes_to_keep(const rf_block_list *list, const rf_block_entry *b, size_t new_size) {
  size_t const room = rf_block_list_room(list, b);
  return room < new_size ? room : new_size;
}

void *rf_block_list_realloc(const rf_block_policy *policy, rf_block_list *list, const rf_block_neighbours *near,
                            size_t size, size_t align, const rf_site *site) {
  size_t gap;
  void *const payload = rf_block_list_payload(list, near->block.at);
  if (rf_is_aligned(payload, align) && rf_block_list_resize(policy, list, near, size, site)) {
    return payload;
  }
  rf_block_span const span = span_around(near, true);
  if (!rf_block_list_fits(list, &span, size, align, &gap)) {
    return NULL;
  }
  return carve(policy, list, &span, gap, size, site, payload, bytes_to_keep(list, &near->block, size));
}

void rf_block_list_move(const rf_block_policy *policy, rf_block_list *list, const rf_block_neighbours *near, void *to,
                        size_t size) {
  rf_track_copy(to, rf_block_list_payload(list, near->block.at), bytes_to_keep(list, &near->block, size));
  rf_block_list_free(policy, list, near);
}

/* ---- All blocks ---- */

rf_status rf_block_list_walk(const rf_block_list *list, rf_walk_fn visit, void *context, bool *more) {
  rf_block_entry b;
  *more = true;
  if (!rf_block_list_intact(list)) {
    return RF_ERR_CORRUPT;
  }
  for (size_t at = 0; *more && at != list->limit; at = b.next) {
    if (!rf_block_list_read(list, at, &b)) {
      return RF_ERR_CORRUPT;
    }
    bool const sited = b.used && list->owner_of == rf_site_owner;
    rf_block const seen = {
        rf_block_list_payload(list, at),         rf_block_list_size(list, &b), list->header + b.slack, b.used,
        sited ? (const rf_site *)b.owner : NULL,
    };
    *more = visit(&seen, context);
  }
  return RF_OK;
}

static void add(const rf_block_list *list, const rf_block_entry *b, rf_block_sums *sums) {
  size_t const size = rf_block_list_size(list, b);
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

bool rf_block_list_check(const rf_block_list *list, rf_block_sums *sums, rf_fault *fault) {
  rf_block_entry b = {0, 0, 0, 0, 0, true};
  memset(sums, 0, sizeof *sums);
  sums->lowest_free = list->limit;
  if (!check_record(list, fault)) {
    return false;
  }
  while (b.next != list->limit) {
    rf_block_entry const last = b;
    if (!rf_block_list_read(list, last.next, &b) || b.prev != last.at) {
      return rf_block_list_damaged(list, last.next, fault);
    }
    if (!last.used && !b.used) {
      return rf_block_list_corrupt("two free blocks side by side", rf_block_list_header_at(list, b.at), fault);
    }
    add(list, &b, sums);
  }
  return true;
}

bool rf_block_list_adds_up(const rf_counters *counted, size_t used, size_t blocks) {
  return used == counted->used && blocks == counted->blocks && counted->peak >= used &&
         counted->peak_blocks >= blocks && counted->allocations >= counted->peak_blocks;
}

void rf_block_list_stats(const rf_block_list *list, const rf_counters *counted, rf_stats *out) {
  rf_block_sums sums;
  rf_fault unused;
  memset(out, 0, sizeof *out);
  rf_count_into(counted, out);
  (void)rf_block_list_check(list, &sums, &unused);
  out->capacity = list->limit;
  out->free_bytes = sums.free_bytes;
  out->largest_free = sums.largest_free;
  out->overhead = out->capacity - out->used - out->free_bytes;
}

/* ---- Init and deinit ---- */

rf_status rf_block_list_init(rf_block_list *list, void *arena, size_t size, size_t payload, rf_owner_fn owner_of) {
  size_t const header = (owner_of != NULL ? 4 : 3) * sizeof(size_t);
  if (arena == NULL || size > RF_SIZE_LIMIT || (uintptr_t)arena > UINTPTR_MAX - size) {
    return RF_ERR_INVALID;
  }
  size_t const skip = rf_align_gap((unsigned char *)arena + header, G);
  if (size < skip || size - skip < header + payload) {
    return RF_ERR_INVALID;
  }
  list->start = (unsigned char *)arena + skip;
  list->limit = size - skip;
  list->header = header;
  list->least = header + payload;
  list->owner_of = owner_of;
  list->checksum = checksum_of(list);
  list->free = 0;
  put_free(list, 0, list->limit, 0);
  rf_track_arena(list->start, list->limit);
  return RF_OK;
}

/* Erases the headers that the list of blocks leads to. Returns where it is broken; the limit where it is not. */
static size_t erase_list(rf_block_list *list) {
  size_t at = 0;
  rf_block_entry b;
  while (at != list->limit && rf_block_list_read(list, at, &b)) {
    rf_block_list_header_at(list, at)->tag = 0;
    at = b.next;
  }
  return at;
}

void rf_block_list_deinit(rf_block_list *list) {
  if (rf_block_list_intact(list)) {
    /* Behind a damaged header, any place may be one. */
    for (size_t at = erase_list(list); at < list->limit; at += G) {
      rf_block_entry b;
      if (rf_block_list_read(list, at, &b)) {
        rf_block_list_header_at(list, at)->tag = 0;
      }
    }
    rf_track_arena_end(list->start, list->limit);
  }
  memset(list, 0, sizeof *list);
  list->checksum = checksum_of(list);
}

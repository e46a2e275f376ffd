#include <ringfence/chain.h>

#include <ringfence/track.h>
#include <string.h>

#define G RF_ALIGN_DEFAULT
#define ROUND_UP(n) (((n) + G - 1) & ~(G - 1))
#define SLACK_MAX ((size_t)0x7F)
#define LOW_MASK ((((size_t)1) << RF_CHAIN_LOW_BITS) - 1)
#define WORD_BITS (sizeof(size_t) * 8)

_Static_assert(sizeof(rf_chain_header) == 4 * sizeof(size_t), "a header is four words, of which three may do");
_Static_assert(G % sizeof(size_t) == 0, "headers that lie so that payloads are aligned are aligned for words");
/* What rounding up leaves, and what is too little for a block of its own, at the arena's end cut anywhere. */
_Static_assert(2 * ROUND_UP(sizeof(rf_chain_header) + 2 * sizeof(size_t)) + G <= SLACK_MAX, "slack fits its field");

uintptr_t rf_chain_site_owner(const rf_site *site) {
  return (uintptr_t)site;
}

/* ---- Seals ---- */

static size_t seal_of(const rf_chain *c) {
  size_t seal = rf_chain_mix(0, (uintptr_t)c->start);
  seal = rf_chain_mix(seal, c->limit);
  seal = rf_chain_mix(seal, c->header);
  seal = rf_chain_mix(seal, c->least);
  return rf_chain_mix(seal, (uintptr_t)c->owner_of);
}

bool rf_chain_intact(const rf_chain *chain) {
  return chain->seal == seal_of(chain);
}

static size_t rotated(size_t word, unsigned bits) {
  return word << bits | word >> (WORD_BITS - bits);
}

/* Each word goes in by whole bytes, so one byte that is overwritten changes the operand of the product by e * 256^k, which
 * changes the upper bits whatever e and k are: see RF_CHAIN_FACTOR. */
static size_t tag_of(const rf_chain *c, const rf_chain_block *b) {
  size_t const low = b->slack << 1 | (b->used ? RF_CHAIN_USED : 0);
  size_t const all = c->seal ^ (uintptr_t)(c->start + b->at) ^ low ^ b->next ^ rotated(b->prev, WORD_BITS / 2) ^
                     rotated(b->owner, WORD_BITS / 4);
  return ((all * RF_CHAIN_FACTOR) & ~LOW_MASK) | low;
}

/* ---- Headers ---- */

static void put(rf_chain *c, const rf_chain_block *b) {
  rf_chain_header *const h = rf_chain_header_at(c, b->at);
  h->tag = tag_of(c, b);
  h->next = b->next;
  h->prev = b->prev;
  if (c->owner_of != NULL) {
    h->owner = b->owner;
  }
}

static void put_free(rf_chain *c, size_t at, size_t next, size_t prev) {
  rf_chain_block const b = {at, next, prev, 0, 0, false};
  put(c, &b);
}

bool rf_chain_read(const rf_chain *chain, size_t at, rf_chain_block *out) {
  if (!rf_chain_readable(chain, at)) {
    return false;
  }
  const rf_chain_header *const h = rf_chain_header_at(chain, at);
  rf_chain_block const b = {
      at,
      h->next,
      h->prev,
      (h->tag & LOW_MASK) >> 1,
      chain->owner_of != NULL ? h->owner : 0,
      (h->tag & RF_CHAIN_USED) != 0,
  };
  *out = b;
  return h->tag == tag_of(chain, &b) && b.next > at && b.next - at >= chain->least &&
         (b.next == chain->limit || rf_chain_readable(chain, b.next)) && (at == 0 ? b.prev == 0 : b.prev < at) &&
         b.slack <= rf_chain_room(chain, &b) && (b.used || b.slack == 0);
}

/* `at` may be any number. */
static bool damaged(const rf_chain *c, size_t at, const char *what, rf_chain_trouble *trouble) {
  trouble->status = RF_ERR_CORRUPT;
  trouble->what = what;
  trouble->where = (const void *)((uintptr_t)c->start + at);
  return false;
}

bool rf_chain_damaged(const rf_chain *chain, size_t at, rf_chain_trouble *trouble) {
  return damaged(chain, at, "damaged block header", trouble);
}

bool rf_chain_read_place(const rf_chain *chain, size_t at, rf_chain_place *out, rf_chain_trouble *trouble) {
  static const rf_chain_block nobody = {RF_CHAIN_NONE, RF_CHAIN_NONE, RF_CHAIN_NONE, 0, 0, true};
  out->before = nobody;
  out->after = nobody;
  if (!rf_chain_read(chain, at, &out->block)) {
    return rf_chain_damaged(chain, at, trouble);
  }
  size_t const next = out->block.next;
  size_t const prev = out->block.prev;
  if (next != chain->limit && (!rf_chain_read(chain, next, &out->after) || out->after.prev != at)) {
    return rf_chain_damaged(chain, next, trouble);
  }
  if (at != 0 && (!rf_chain_read(chain, prev, &out->before) || out->before.next != at)) {
    return rf_chain_damaged(chain, prev, trouble);
  }
  return true;
}

/* ---- Pointers ---- */

static bool bad_pointer(const void *ptr, const char *what, rf_chain_trouble *trouble) {
  trouble->status = RF_ERR_BAD_POINTER;
  trouble->what = what;
  trouble->where = ptr;
  return false;
}

static bool free_memory(const void *ptr, rf_chain_trouble *trouble) {
  trouble->status = RF_ERR_NOT_ALLOCATED;
  trouble->what = "pointer to free memory";
  trouble->where = ptr;
  return false;
}

/* What `ptr`, in the arena, is instead of a live block with its header at `at`. Where it is one after all, *trouble is left
 * as it was: its neighbours are what is wrong. */
static bool explain(const rf_chain *c, const void *ptr, size_t at, rf_chain_trouble *trouble) {
  size_t const offset = (uintptr_t)ptr - (uintptr_t)c->start;
  rf_chain_block b = {0, 0, 0, 0, 0, false};
  do {
    size_t const next = b.next;
    if (!rf_chain_read(c, next, &b)) {
      return rf_chain_damaged(c, next, trouble);
    }
  } while (b.next <= offset);
  if (b.at == at) {
    return false;
  }
  return b.used ? bad_pointer(ptr, "pointer into the middle of a block", trouble) : free_memory(ptr, trouble);
}

bool rf_chain_find(const rf_chain *chain, const void *ptr, rf_chain_place *out, rf_chain_trouble *trouble) {
  if (!rf_chain_intact(chain)) {
    trouble->status = RF_ERR_CORRUPT;
    trouble->what = "damaged heap record";
    trouble->where = chain;
    return false;
  }
  if (!rf_chain_owns(chain, ptr)) {
    return bad_pointer(ptr, "pointer from elsewhere", trouble);
  }
  if (!rf_is_aligned(ptr, G)) {
    return bad_pointer(ptr, "misaligned pointer", trouble);
  }
  size_t const at = (uintptr_t)ptr - (uintptr_t)chain->start - chain->header;
  if (!rf_chain_read_place(chain, at, out, trouble)) {
    return explain(chain, ptr, at, trouble);
  }
  return out->block.used || free_memory(ptr, trouble);
}

/* ---- Runs ---- */

rf_chain_run rf_chain_run_of(const rf_chain_block *block) {
  rf_chain_run const run = {block->at, block->next, block->prev};
  return run;
}

rf_chain_run rf_chain_run_around(const rf_chain_place *place, bool before) {
  rf_chain_run run = rf_chain_run_of(&place->block);
  if (!place->after.used) {
    run.next = place->after.next;
  }
  if (before && !place->before.used) {
    run.at = place->before.at;
    run.prev = place->before.prev;
  }
  return run;
}

bool rf_chain_fits(const rf_chain *chain, const rf_chain_run *run, size_t size, size_t align, size_t *gap) {
  size_t const span = run->next - run->at;
  size_t skip = rf_align_gap(rf_chain_payload(chain, run->at), align);
  while (skip != 0 && skip < chain->least) {
    skip += align;
  }
  *gap = skip;
  return skip <= span && span - skip >= chain->least && size <= span - skip - chain->header;
}

/* The headers in a run lose their seals; they are intact. */
static void erase(rf_chain *c, const rf_chain_run *run) {
  for (size_t at = run->at; at != run->next;) {
    rf_chain_header *const h = rf_chain_header_at(c, at);
    at = h->next;
    h->tag = 0;
  }
}

/* The block at `at`, intact, if any, learns who is before it now. */
static void set_prev(rf_chain *c, size_t at, size_t prev) {
  rf_chain_block b;
  if (at != c->limit && rf_chain_read(c, at, &b) && b.prev != prev) {
    b.prev = prev;
    put(c, &b);
  }
}

void *rf_chain_carve(rf_chain *chain, const rf_chain_run *run, size_t gap, size_t size, const rf_site *site,
                     const void *from, size_t keep, rf_chain_rest *rest) {
  size_t const at = run->at + gap;
  size_t const most = run->next - at;
  size_t const least = chain->header + size < chain->least ? chain->least : chain->header + size;
  size_t const wanted = ROUND_UP(least);
  bool const splits = wanted < most && most - wanted >= chain->least;
  rf_chain_block b = {at, splits ? at + wanted : run->next, gap != 0 ? run->at : run->prev, 0, 0, true};
  void *const payload = rf_chain_payload(chain, at);
  b.slack = rf_chain_room(chain, &b) - size;
  b.owner = chain->owner_of != NULL ? chain->owner_of(site) : 0;
  rest->before = gap != 0 ? run->at : RF_CHAIN_NONE;
  rest->after = splits ? b.next : RF_CHAIN_NONE;
  erase(chain, run);
  /* Before the new headers, which may come to lie where the payload was. */
  if (from != NULL && from != payload) {
    rf_track_copy(payload, from, keep);
  }
  if (gap != 0) {
    put_free(chain, run->at, at, run->prev);
  }
  put(chain, &b);
  if (splits) {
    put_free(chain, b.next, run->next, at);
  }
  set_prev(chain, run->next, splits ? b.next : at);
  return payload;
}

void rf_chain_release(rf_chain *chain, const rf_chain_run *run) {
  erase(chain, run);
  put_free(chain, run->at, run->next, run->prev);
  set_prev(chain, run->next, run->at);
}

void rf_chain_set_owner(rf_chain *chain, rf_chain_block *block, uintptr_t owner) {
  block->owner = owner;
  put(chain, block);
}

/* ---- All blocks ---- */

rf_status rf_chain_walk(const rf_chain *chain, rf_walk_fn visit, void *context, bool *more) {
  rf_chain_block b;
  *more = true;
  if (!rf_chain_intact(chain)) {
    return RF_ERR_CORRUPT;
  }
  for (size_t at = 0; *more && at != chain->limit; at = b.next) {
    if (!rf_chain_read(chain, at, &b)) {
      return RF_ERR_CORRUPT;
    }
    bool const sited = b.used && chain->owner_of == rf_chain_site_owner;
    rf_block const seen = {
        rf_chain_payload(chain, at),
        rf_chain_size(chain, &b),
        chain->header + b.slack,
        b.used,
        sited ? (const rf_site *)b.owner : NULL,
    };
    *more = visit(&seen, context);
  }
  return RF_OK;
}

static void add(const rf_chain *c, const rf_chain_block *b, rf_chain_sums *sums) {
  size_t const size = rf_chain_size(c, b);
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

bool rf_chain_check(const rf_chain *chain, rf_chain_sums *sums, rf_chain_trouble *trouble) {
  rf_chain_block b = {0, 0, 0, 0, 0, true};
  memset(sums, 0, sizeof *sums);
  sums->lowest_free = chain->limit;
  if (!rf_chain_intact(chain)) {
    trouble->status = RF_ERR_CORRUPT;
    trouble->what = "damaged heap record";
    trouble->where = chain;
    return false;
  }
  while (b.next != chain->limit) {
    rf_chain_block const last = b;
    if (!rf_chain_read(chain, last.next, &b) || b.prev != last.at) {
      return rf_chain_damaged(chain, last.next, trouble);
    }
    if (!last.used && !b.used) {
      return damaged(chain, b.at, "two free blocks side by side", trouble);
    }
    add(chain, &b, sums);
  }
  return true;
}

/* ---- Beginning and end ---- */

rf_status rf_chain_init(rf_chain *chain, void *arena, size_t size, size_t payload, rf_owner_fn owner_of) {
  size_t const header = (owner_of != NULL ? 4 : 3) * sizeof(size_t);
  if (arena == NULL || size > RF_SIZE_LIMIT || (uintptr_t)arena > UINTPTR_MAX - size) {
    return RF_ERR_INVALID;
  }
  size_t const skip = rf_align_gap((unsigned char *)arena + header, G);
  if (size < skip || size - skip < header + payload) {
    return RF_ERR_INVALID;
  }
  chain->start = (unsigned char *)arena + skip;
  chain->limit = size - skip;
  chain->header = header;
  chain->least = header + payload;
  chain->owner_of = owner_of;
  chain->seal = seal_of(chain);
  put_free(chain, 0, chain->limit, 0);
  rf_track_arena(chain->start, chain->limit);
  return RF_OK;
}

/* Erases the headers that the chain of blocks leads to. Returns where it is broken; the limit where it is not. */
static size_t erase_chain(rf_chain *c) {
  size_t at = 0;
  rf_chain_block b;
  while (at != c->limit && rf_chain_read(c, at, &b)) {
    rf_chain_header_at(c, at)->tag = 0;
    at = b.next;
  }
  return at;
}

void rf_chain_deinit(rf_chain *chain) {
  if (rf_chain_intact(chain)) {
    /* Behind a damaged header, any place may be one. */
    for (size_t at = erase_chain(chain); at < chain->limit; at += G) {
      rf_chain_block b;
      if (rf_chain_read(chain, at, &b)) {
        rf_chain_header_at(chain, at)->tag = 0;
      }
    }
    rf_track_arena_end(chain->start, chain->limit);
  }
  memset(chain, 0, sizeof *chain);
  chain->seal = seal_of(chain);
}

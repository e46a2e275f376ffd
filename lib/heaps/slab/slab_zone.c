/* slab: zones and their chunks. The zones of a class that have free chunks hang in a list, the one that had a chunk
 * freed last in front. */
#include "slab_impl.h"

bool rf_slab_zone_at(const rf_slab *h, uint32_t i, zone *out) {
  record *const r = &h->records[i];
  uint32_t const pages = length_of(r);
  out->r = r;
  out->page = i;
  out->q = zone_class(r);
  if (out->q >= h->classes || pages == 0 || pages > h->count - i) {
    return false;
  }
  out->chunk = chunk_size(out->q);
  out->chunks = zone_chunks(h, out->chunk, pages);
  out->start = page_at(h, i);
  out->words = (uint32_t *)(void *)(out->start + ((size_t)pages << h->page_shift)) - out->chunks;
  return zone_cut(r) <= out->chunks && zone_used(r) <= zone_cut(r);
}

unsigned char *rf_slab_chunk_user(const zone *z, uint32_t index) {
  unsigned char *const start = z->start + (size_t)index * z->chunk;
  return start + rf_align_gap(start, align_of_word(z->words[index]));
}

bool rf_slab_chunk_at(const rf_slab *h, uint32_t page, const void *ptr, found *out) {
  uint32_t head = page;
  while (head != 0 && record_of_kind(h, head, ZONE) == NULL && record_of_kind(h, head, RUN) == NULL) {
    head--;
  }
  if (record_of_kind(h, head, ZONE) == NULL || !rf_slab_zone_at(h, head, &out->z)) {
    return false;
  }
  out->r = out->z.r;
  out->page = head;
  out->index = (uint32_t)((uintptr_t)ptr - (uintptr_t)out->z.start) / out->z.chunk;
  return true;
}

/* ---- The list of open zones ---- */

static record *listed_zone(const rf_slab *h, uint32_t i, unsigned q) {
  record *const r = record_of_kind(h, i, ZONE);
  return r != NULL && zone_class(r) == q ? r : NULL;
}

/* True where the neighbours of an open zone, or the end of the list, agree that it is between them. */
static bool is_linked(const rf_slab *h, const zone *z) {
  const record *const before = z->r->prev != NO_PAGE ? listed_zone(h, z->r->prev, z->q) : NULL;
  const record *const behind = z->r->next != NO_PAGE ? listed_zone(h, z->r->next, z->q) : NULL;
  uint32_t const to_it = z->r->prev == NO_PAGE ? h->open[z->q] : before != NULL ? before->next : NO_PAGE;
  return to_it == z->page && (z->r->next == NO_PAGE || (behind != NULL && behind->prev == z->page));
}

/* True if the list's first zone is intact, so that another may be put before it. */
static bool is_front_sound(const rf_slab *h, unsigned q) {
  const record *const front = h->open[q] != NO_PAGE ? listed_zone(h, h->open[q], q) : NULL;
  return h->open[q] == NO_PAGE || (front != NULL && front->prev == NO_PAGE);
}

static void unlink_zone(rf_slab *h, const zone *z) {
  if (z->r->prev == NO_PAGE) {
    h->open[z->q] = z->r->next;
  } else {
    h->records[z->r->prev].next = z->r->next;
    update_checksum(&h->records[z->r->prev]);
  }
  if (z->r->next != NO_PAGE) {
    h->records[z->r->next].prev = z->r->prev;
    update_checksum(&h->records[z->r->next]);
  }
  z->r->next = NO_PAGE;
  z->r->prev = NO_PAGE;
  update_checksum(z->r);
}

static void link_zone(rf_slab *h, const zone *z) {
  uint32_t const next = h->open[z->q];
  if (next != NO_PAGE) {
    h->records[next].prev = z->page;
    update_checksum(&h->records[next]);
  }
  z->r->next = next;
  z->r->prev = NO_PAGE;
  update_checksum(z->r);
  h->open[z->q] = z->page;
}

/* ---- Opening and closing ---- */

bool rf_slab_zone_open(rf_slab *h, unsigned q, change *log, const rf_site *site) {
  uint32_t const pages = zone_pages(h, chunk_size(q));
  uint32_t page;
  if (!is_front_sound(h, q)) {
    return rf_slab_damaged(h, &h->open[q], site) == RF_OK;
  }
  if (rf_slab_pages_find(h, pages, 1, &page, log, site) != RF_OK) {
    return false;
  }
  record *const r = &h->records[page];
  write_record(r, ZONE, pages);
  r->b = NO_CHUNK | q << 16;
  update_checksum(r);
  for (uint32_t i = 1; i < pages; i++) {
    write_record(r + i, MEMBER, i);
  }
  zone z;
  (void)rf_slab_zone_at(h, page, &z);
  link_zone(h, &z);
  return true;
}

void rf_slab_zone_forget(rf_slab *h, const zone *z) {
  unlink_zone(h, z);
}

static bool close_zone(rf_slab *h, uint32_t page, const rf_site *site) {
  zone z;
  if (record_of_kind(h, page, ZONE) == NULL || !rf_slab_zone_at(h, page, &z) || zone_used(z.r) != 0 ||
      !is_linked(h, &z)) {
    return rf_slab_damaged(h, h->reserve, site) == RF_OK;
  }
  record was = *z.r; /* its pages go first: that may fail */
  if (!rf_slab_pages_free(h, page, length_of(z.r), site)) {
    return false;
  }
  z.r = &was;
  unlink_zone(h, &z);
  return true;
}

bool rf_slab_release_reserve(rf_slab *h, const rf_site *site) {
  bool released = false;
  for (unsigned i = 0; i < RF_SLAB_RESERVE; i++) {
    if (h->reserve[i] != NO_PAGE && close_zone(h, h->reserve[i], site)) {
      h->reserve[i] = NO_PAGE;
      released = true;
    }
  }
  return released;
}

rf_status rf_slab_pages_find(rf_slab *h, size_t pages, size_t align, uint32_t *out, change *log, const rf_site *site) {
  rf_status status = rf_slab_pages_alloc(h, pages, align, out, log, site);
  if (status == RF_ERR_NO_MEMORY && rf_slab_release_reserve(h, site)) {
    status = rf_slab_pages_alloc(h, pages, align, out, log, site);
  }
  return status;
}

/* Room for one more in the reserve: the zone that became empty longest ago goes. False where damage keeps it. */
static bool make_room_in_reserve(rf_slab *h, const rf_site *site) {
  if (h->reserve[0] != NO_PAGE && !close_zone(h, h->reserve[0], site)) {
    return false;
  }
  h->reserve[0] = NO_PAGE;
  return true;
}

static void keep_in_reserve(rf_slab *h, uint32_t page) {
  for (unsigned i = 0; i + 1 < RF_SLAB_RESERVE; i++) {
    h->reserve[i] = h->reserve[i + 1];
  }
  h->reserve[RF_SLAB_RESERVE - 1] = page;
}

static void take_from_reserve(rf_slab *h, uint32_t page) {
  for (unsigned i = 0; i < RF_SLAB_RESERVE; i++) {
    if (h->reserve[i] == page) {
      for (; i != 0; i--) {
        h->reserve[i] = h->reserve[i - 1];
      }
      h->reserve[0] = NO_PAGE;
    }
  }
}

/* ---- Chunks ---- */

static void set_zone(const zone *z, uint32_t used, uint32_t cut, uint32_t free) {
  z->r->a = used | cut << 16;
  z->r->b = free | z->q << 16;
  update_checksum(z->r);
}

/* A free chunk of an open zone: the one freed last, else the next to be cut. Its zone is left to be updated with what
 * follows it in the list, and how many are cut then. False where there is none. */
static bool next_chunk(const zone *z, uint32_t *index, uint32_t *rest, uint32_t *cut) {
  *index = zone_free(z->r);
  *rest = NO_CHUNK;
  *cut = zone_cut(z->r);
  if (*index == NO_CHUNK) {
    *index = (*cut)++;
    return *index < z->chunks;
  }
  if (*index >= *cut || !is_word(&z->words[*index]) || (z->words[*index] & WORD_USED) != 0) {
    return false;
  }
  *rest = next_of_word(z->words[*index]);
  return true;
}

static void write_used(const zone *z, uint32_t index, size_t size, unsigned align) {
  write_word(&z->words[index], align << WORD_ALIGN_SHIFT | (uint32_t)size << WORD_SHIFT | WORD_USED);
}

void *rf_slab_chunk_alloc(rf_slab *h, unsigned q, size_t size, size_t align, const rf_site *site) {
  uint32_t const page = h->open[q];
  zone z;
  uint32_t index;
  uint32_t rest;
  uint32_t cut;
  if (page == NO_PAGE) {
    return NULL;
  }
  if (listed_zone(h, page, q) == NULL || !rf_slab_zone_at(h, page, &z) || !next_chunk(&z, &index, &rest, &cut)) {
    (void)rf_slab_damaged(h, page < h->count ? (const void *)&h->records[page] : &h->open[q], site);
    return NULL;
  }
  uint32_t const used = zone_used(z.r) + 1;
  bool const is_last = used == z.chunks;
  if (is_last && !is_linked(h, &z)) {
    (void)rf_slab_damaged(h, z.r, site);
    return NULL;
  }
  if (used == 1) {
    take_from_reserve(h, page);
  }
  write_used(&z, index, size, align > natural_align(h, z.chunk) ? rf_log2(align) : 0);
  set_zone(&z, used, cut, rest);
  if (is_last) {
    unlink_zone(h, &z);
  }
  return rf_slab_chunk_user(&z, index);
}

/* True if the list is intact at the zone, which is or becomes the list's first when a chunk of it is freed. */
static bool may_lead(const rf_slab *h, const zone *z, bool was_full) {
  if (was_full) {
    return z->r->next == NO_PAGE && z->r->prev == NO_PAGE && is_front_sound(h, z->q);
  }
  return h->open[z->q] == z->page ? z->r->prev == NO_PAGE : is_linked(h, z) && is_front_sound(h, z->q);
}

rf_status rf_slab_chunk_free(rf_slab *h, const found *f, const rf_site *site) {
  const zone *const z = &f->z;
  uint32_t const used = zone_used(z->r) - 1;
  bool const was_full = used + 1 == z->chunks;
  if (used + 1 == 0 || !may_lead(h, z, was_full)) {
    return rf_slab_damaged(h, z->r, site);
  }
  if (used == 0 && !make_room_in_reserve(h, site)) {
    return RF_ERR_CORRUPT;
  }
  write_word(&z->words[f->index], zone_free(z->r) << WORD_SHIFT);
  set_zone(z, used, zone_cut(z->r), f->index);
  if (was_full) {
    link_zone(h, z);
  } else if (h->open[z->q] != z->page) {
    unlink_zone(h, z);
    link_zone(h, z);
  }
  if (used == 0) {
    keep_in_reserve(h, z->page);
  }
  return RF_OK;
}

void rf_slab_chunk_resize(const found *f, size_t size) {
  write_used(&f->z, f->index, size, f->z.words[f->index] >> WORD_ALIGN_SHIFT & 0xF);
}

/* slab: free pages. Runs of them are the nodes of a trie over their length: a node is anywhere on the path that the
 * bits of its length lead, from the highest on, and runs of the same length hang behind the one that is in the trie. */
#include "slab_impl.h"

/* ---- Changes ----
 *
 * Free pages change in steps. A step that meets damage undoes all before it. */

static void begin(change *c, rf_slab *h, const rf_site *site) {
  c->h = h;
  c->site = site;
  c->root = h->root;
  c->count = 0;
}

/* The record of page `i`, about to be written. */
static record *edit(change *c, uint32_t i) {
  record *const r = &c->h->records[i];
  c->was[c->count].page = i;
  c->was[c->count].before = *r;
  c->count++;
  return r;
}

/* The heap is as it was. Reports damage at `at`, unless it is NULL. False. */
static bool undo(change *c, const void *at) {
  while (c->count != 0) {
    c->count--;
    c->h->records[c->was[c->count].page] = c->was[c->count].before;
  }
  c->h->root = c->root;
  if (at != NULL) {
    (void)rf_slab_damaged(c->h, at, c->site);
  }
  return false;
}

void rf_slab_revert(change *c) {
  (void)undo(c, NULL);
}

/* ---- The trie ---- */

/* A place in the trie: the node there, and the link that leads to it. */
typedef struct spot {
  uint32_t at;
  uint32_t owner; /* NO_PAGE: the root */
  unsigned side;
} spot;

static record *node_at(const rf_slab *h, uint32_t i) {
  return record_of_kind(h, i, FREE);
}

static uint32_t child_of(const record *r, unsigned side) {
  return side == 0 ? r->a : r->b;
}

static void set_link(change *c, const spot *s, uint32_t to) {
  if (s->owner == NO_PAGE) {
    c->h->root = to;
    return;
  }
  record *const r = edit(c, s->owner);
  *(s->side == 0 ? &r->a : &r->b) = to;
  update_checksum(r);
}

/* The bits of a length from the highest on that any has. */
static uint32_t path_of(const rf_slab *h, uint32_t pages) {
  return pages << h->path_shift;
}

/* The node of that length, or the empty place for it. False where damage bars the way. */
static bool locate(const rf_slab *h, uint32_t pages, spot *out) {
  spot s = {h->root, NO_PAGE, 0};
  uint32_t path = path_of(h, pages);
  for (unsigned step = 0; s.at != NO_PAGE; step++) {
    const record *const r = node_at(h, s.at);
    if (r == NULL || step == TRIE_STEPS) {
      return false;
    }
    if (length_of(r) == pages) {
      break;
    }
    s.owner = s.at;
    s.side = path >> 31;
    s.at = child_of(r, s.side);
    path <<= 1;
  }
  *out = s;
  return true;
}

/* True where those before and behind `r`, of page `i`, in its list agree that it is between them. */
static bool is_listed(const rf_slab *h, uint32_t i, const record *r) {
  const record *const before = r->prev != NO_PAGE ? node_at(h, r->prev) : NULL;
  const record *const behind = r->next != NO_PAGE ? node_at(h, r->next) : NULL;
  return (r->prev == NO_PAGE || (before != NULL && before->next == i)) &&
         (r->next == NO_PAGE || (behind != NULL && behind->prev == i));
}

static void leave_list(change *c, const record *r) {
  record *const before = edit(c, r->prev);
  before->next = r->next;
  update_checksum(before);
  if (r->next != NO_PAGE) {
    record *const behind = edit(c, r->next);
    behind->prev = r->prev;
    update_checksum(behind);
  }
}

/* A node without children below `i`, by the links `*out`. False where damage bars the way. */
static bool leaf_below(const rf_slab *h, uint32_t i, spot *out) {
  spot s = {i, NO_PAGE, 0};
  for (unsigned step = 0;; step++) {
    const record *const r = node_at(h, s.at);
    if (r == NULL || step == TRIE_STEPS) {
      return false;
    }
    unsigned const side = r->b != NO_PAGE ? 1 : 0;
    if (child_of(r, side) == NO_PAGE) {
      *out = s;
      return true;
    }
    s.owner = s.at;
    s.side = side;
    s.at = child_of(r, side);
  }
}

/* Puts `i` where `r` is in the trie. */
static void replace(change *c, const spot *place, const record *r, uint32_t i) {
  record *const heir = edit(c, i);
  heir->a = r->a;
  heir->b = r->b;
  heir->prev = NO_PAGE;
  update_checksum(heir);
  set_link(c, place, i);
}

/* Takes the free run at `i` out. */
static bool remove_run(change *c, uint32_t i) {
  const record *const r = &c->h->records[i];
  spot place;
  spot leaf;
  if (!is_listed(c->h, i, r)) {
    return undo(c, r);
  }
  if (r->prev != NO_PAGE) {
    leave_list(c, r);
    return true;
  }
  if (!locate(c->h, length_of(r), &place) || place.at != i || !leaf_below(c->h, i, &leaf)) {
    return undo(c, r);
  }
  if (r->next != NO_PAGE) {
    replace(c, &place, r, r->next);
  } else if (leaf.at == i) {
    set_link(c, &place, NO_PAGE);
  } else {
    set_link(c, &leaf, NO_PAGE);
    replace(c, &place, r, leaf.at);
  }
  return true;
}

/* Behind the run of the same length that is in the trie. */
static bool join_list(change *c, uint32_t head, uint32_t i) {
  uint32_t const next = c->h->records[head].next;
  if (next != NO_PAGE && node_at(c->h, next) == NULL) {
    return undo(c, &c->h->records[head]);
  }
  record *const first = edit(c, head);
  first->next = i;
  update_checksum(first);
  record *const r = edit(c, i);
  r->prev = head;
  r->next = next;
  update_checksum(r);
  if (next != NO_PAGE) {
    record *const second = edit(c, next);
    second->prev = i;
    update_checksum(second);
  }
  return true;
}

/* Makes [i, i + pages) a free run. Its pages are nothing else any more. */
static bool insert_run(change *c, uint32_t i, uint32_t pages) {
  record *const r = edit(c, i);
  spot place;
  write_record(r, FREE, pages);
  r->a = NO_PAGE;
  r->b = NO_PAGE;
  update_checksum(r);
  if (pages > 1) {
    write_record(edit(c, i + pages - 1), LAST, pages);
  }
  if (!locate(c->h, pages, &place)) {
    return undo(c, &c->h->root);
  }
  if (place.at != NO_PAGE) {
    return join_list(c, place.at, i);
  }
  set_link(c, &place, i);
  return true;
}

/* The better of two: the shorter that is long enough. */
static void consider(uint32_t i, const record *r, uint32_t pages, uint32_t *best, uint32_t *length) {
  if (length_of(r) >= pages && length_of(r) < *length) {
    *best = i;
    *length = length_of(r);
  }
}

/* The shortest free run of at least `pages`, or NO_PAGE. Down the path of that length, remembering the last branch into
 * what is longer; then down the shortest side of that. False where damage bars the way. */
static bool best_fit(const rf_slab *h, uint32_t pages, uint32_t *best) {
  uint32_t length = UINT32_MAX;
  uint32_t longer = NO_PAGE;
  uint32_t path = path_of(h, pages);
  unsigned step = 0;
  *best = NO_PAGE;
  for (uint32_t i = h->root; i != NO_PAGE && length != pages; path <<= 1) {
    const record *const r = node_at(h, i);
    if (r == NULL || ++step == TRIE_STEPS) {
      return false;
    }
    consider(i, r, pages, best, &length);
    unsigned const side = path >> 31;
    if (side == 0 && r->b != NO_PAGE) {
      longer = r->b;
    }
    i = child_of(r, side);
  }
  for (uint32_t i = length != pages ? longer : NO_PAGE; i != NO_PAGE;) {
    const record *const r = node_at(h, i);
    if (r == NULL || ++step == 2 * TRIE_STEPS) {
      return false;
    }
    consider(i, r, pages, best, &length);
    i = r->a != NO_PAGE ? r->a : r->b;
  }
  return true;
}

/* ---- Allocation ---- */

/* Logs the records of a free run at `i` that the next owner of its pages may write, and the run needs again. */
static void log_ends(change *c, uint32_t i) {
  uint32_t const length = length_of(&c->h->records[i]);
  (void)edit(c, i);
  (void)edit(c, i + length - 1);
}

/* Takes `taken` pages that begin `skip` behind it out of the free run at `i`. */
static bool cut(change *c, uint32_t i, uint32_t skip, uint32_t taken) {
  uint32_t const length = length_of(&c->h->records[i]);
  uint32_t const rest = length - skip - taken;
  return remove_run(c, i) && (skip == 0 || insert_run(c, i, skip)) &&
         (rest == 0 || insert_run(c, i + skip + taken, rest));
}

/* Pages from `i` to the next whose address is a multiple of `align`. */
static uint32_t skip_to(const rf_slab *h, uint32_t i, size_t align) {
  return (uint32_t)(rf_align_gap(page_at(h, i), align) >> h->page_shift);
}

/* So many pages hold `pages` from a multiple of `align` on, wherever they lie; more than there are where there cannot
 * be. */
static uint32_t with_alignment(const rf_slab *h, size_t pages, size_t align) {
  size_t const extra = align >> h->page_shift;
  size_t total = pages;
  if (extra > 1 && !rf_add(pages, extra - 1, &total)) {
    return NO_PAGE;
  }
  return total <= h->count ? (uint32_t)total : NO_PAGE;
}

rf_status rf_slab_pages_alloc(rf_slab *h, size_t pages, size_t align, uint32_t *out, change *log, const rf_site *site) {
  uint32_t const wanted = with_alignment(h, pages, align);
  uint32_t best;
  if (wanted == NO_PAGE) {
    return RF_ERR_INVALID;
  }
  if (!best_fit(h, wanted, &best)) {
    return rf_slab_damaged(h, &h->root, site);
  }
  if (best == NO_PAGE) {
    return RF_ERR_NO_MEMORY;
  }
  if (rf_slab_owner_at(h, best) == NULL) {
    return rf_slab_damaged(h, &h->records[best], site);
  }
  uint32_t const skip = skip_to(h, best, align);
  change own;
  change *const c = log != NULL ? log : &own;
  begin(c, h, site);
  if (log != NULL) {
    log_ends(c, best);
  }
  if (!cut(c, best, skip, (uint32_t)pages)) {
    return RF_ERR_CORRUPT;
  }
  *out = best + skip;
  return RF_OK;
}

rf_status rf_slab_pages_alloc_at(rf_slab *h, uint32_t page, uint32_t pages, const rf_site *site) {
  change c;
  if (page >= h->count) {
    return RF_ERR_NO_MEMORY;
  }
  const record *const r = &h->records[page];
  if (!is_intact(r)) {
    return rf_slab_damaged(h, r, site);
  }
  if (kind_of(r) != FREE || length_of(r) < pages) {
    return RF_ERR_NO_MEMORY;
  }
  begin(&c, h, site);
  if (!cut(&c, page, 0, pages)) {
    return RF_ERR_CORRUPT;
  }
  write_record(&h->records[page], INSIDE, 0);
  return RF_OK;
}

/* ---- Freeing ---- */

/* The first page of the free run that ends before `page`; `page` where there is none. False where damage hides it. */
static bool run_before(const rf_slab *h, uint32_t page, uint32_t *first) {
  *first = page;
  if (page == 0) {
    return true;
  }
  const record *const last = &h->records[page - 1];
  uint32_t const length = length_of(last);
  if (!is_intact(last)) {
    return false;
  }
  if (kind_of(last) == FREE && length == 1) {
    *first = page - 1;
  } else if (kind_of(last) == LAST && length <= page) {
    const record *const r = &h->records[page - length];
    *first = is_intact(r) && kind_of(r) == FREE && length_of(r) == length ? page - length : page;
    return is_intact(r);
  }
  return true;
}

/* The page behind the free run that begins at `page`. */
static bool run_behind(const rf_slab *h, uint32_t page, uint32_t *end) {
  *end = page;
  if (page == h->count) {
    return true;
  }
  const record *const r = &h->records[page];
  if (is_intact(r) && kind_of(r) == FREE) {
    *end = page + length_of(r);
  }
  return is_intact(r) && *end >= page && *end <= h->count;
}

bool rf_slab_pages_free(rf_slab *h, uint32_t page, uint32_t pages, const rf_site *site) {
  uint32_t const behind = page + pages;
  uint32_t first;
  uint32_t end;
  change c;
  begin(&c, h, site);
  if (!run_before(h, page, &first) || !run_behind(h, behind, &end)) {
    return undo(&c, &h->records[page]);
  }
  if (first != page) {
    if (!remove_run(&c, first)) {
      return false;
    }
    write_record(edit(&c, page), INSIDE, 0);
  }
  if (end != behind) {
    if (!remove_run(&c, behind)) {
      return false;
    }
    write_record(edit(&c, behind), INSIDE, 0);
  }
  return insert_run(&c, first, end - first);
}

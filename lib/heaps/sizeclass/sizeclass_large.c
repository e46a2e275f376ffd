/* Blocks from the fallback: a tree, so that nothing of a foreign pointer is ever read. The bits of the mixed address
 * lead from the root down: a node may be anywhere on the path of its bits. */
#include "sizeclass_impl.h"

static uintptr_t link_check(const rf_sizeclass *heap, const rf_sizeclass_link *l) {
  return rf_checksum_mix((uintptr_t)heap ^ (uintptr_t)l, (uintptr_t)l->to);
}

void rf_sizeclass_link_set(const rf_sizeclass *heap, rf_sizeclass_link *l, large *to) {
  l->to = to;
  l->check = link_check(heap, l);
}

bool rf_sizeclass_link_intact(const rf_sizeclass *heap, const rf_sizeclass_link *l) {
  return l->check == link_check(heap, l);
}

static uintptr_t large_checksum(const rf_sizeclass *heap, const large *p) {
  return rf_checksum_mix(rf_checksum_mix((uintptr_t)heap ^ (uintptr_t)p, p->requested), p->room);
}

static void large_set(const rf_sizeclass *heap, large *p, size_t requested, size_t room) {
  p->requested = requested;
  p->room = room;
  p->checksum = large_checksum(heap, p);
}

/* From the start of the fallback's block to the payload. False where it would wrap. */
static bool large_front(size_t align, size_t *front) {
  return rf_round_up(sizeof(large) + HEADER_SIZE, align, front);
}

/* True where a record that an intact link leads to, its links and its header are undamaged. */
static bool large_intact(const rf_sizeclass *heap, const large *p) {
  const header *const h = header_of(large_payload(p));
  return p->checksum == large_checksum(heap, p) && rf_sizeclass_header_intact(heap, h) && class_of(h) == LARGE_CLASS &&
         (h->flags & (MALLOCED | FREED | SECOND)) == MALLOCED && rf_sizeclass_link_intact(heap, &p->child[0]) &&
         rf_sizeclass_link_intact(heap, &p->child[1]);
}

/* Leads to the block, or is where its link would be; NULL where damage bars the way. */
static rf_sizeclass_link *large_find(rf_sizeclass *heap, const void *payload) {
  rf_sizeclass_link *at = &heap->root;
  uintptr_t path = rf_checksum_mix(0, (uintptr_t)payload);
  for (unsigned i = 0; i <= RF_SIZE_BITS && rf_sizeclass_link_intact(heap, at); i++) {
    if (at->to == NULL || large_payload(at->to) == payload) {
      return at;
    }
    at = &at->to->child[path & 1];
    path >>= 1;
  }
  return NULL;
}

/* A leaf below the block takes its place. False, with nothing changed, where damage bars the way. */
static bool large_unlink(const rf_sizeclass *heap, rf_sizeclass_link *at) {
  large *const p = at->to;
  rf_sizeclass_link *end = at;
  for (rf_sizeclass_link *down = at; down->to != NULL;) {
    if (!large_intact(heap, down->to)) {
      return false;
    }
    end = down;
    down = &end->to->child[end->to->child[0].to == NULL];
  }
  large *const leaf = end->to;
  rf_sizeclass_link_set(heap, end, NULL);
  if (leaf != p) {
    rf_sizeclass_link_set(heap, &leaf->child[0], p->child[0].to);
    rf_sizeclass_link_set(heap, &leaf->child[1], p->child[1].to);
    rf_sizeclass_link_set(heap, at, leaf);
  }
  return true;
}

static bool recently_freed(const rf_sizeclass *heap, const void *ptr) {
  for (unsigned i = 0; i < RF_SIZECLASS_RECENT; i++) {
    if (heap->recent[i] == (uintptr_t)ptr) {
      return true;
    }
  }
  return false;
}

/* Blocks that were freed there are blocks again, or lie within one. */
static void recent_forget(rf_sizeclass *heap, const unsigned char *start, size_t size) {
  for (unsigned i = 0; i < RF_SIZECLASS_RECENT; i++) {
    if (heap->recent[i] - (uintptr_t)start < size) {
      heap->recent[i] = 0;
    }
  }
}

rf_status rf_sizeclass_find_in_fallback(rf_sizeclass *heap, const void *ptr, found *out) {
  rf_sizeclass_link *const at = large_find(heap, ptr);
  if (at == NULL) {
    return RF_ERR_CORRUPT;
  }
  if (at->to == NULL) {
    return recently_freed(heap, ptr) ? RF_ERR_NOT_ALLOCATED : RF_ERR_BAD_POINTER;
  }
  if (!large_intact(heap, at->to)) {
    return RF_ERR_CORRUPT;
  }
  *out = (found){header_of(ptr), large_payload(at->to), at, at->to->requested, at->to->room};
  return RF_OK;
}

void *rf_sizeclass_serve_fallback(rf_sizeclass *heap, size_t size, size_t align, size_t row, const rf_site *site) {
  size_t front;
  size_t total;
  if (heap->fallback == NULL || !large_front(align, &front) || !rf_add(front, size, &total) || total > RF_SIZE_LIMIT) {
    return NULL;
  }
  unsigned char *const start = (unsigned char *)rf_alloc_at(heap->fallback, total, align, site);
  if (start == NULL) {
    return NULL;
  }
  unsigned char *const payload = start + front;
  large *const p = (large *)((uintptr_t)header_of(payload) - sizeof(large));
  rf_sizeclass_link *const at = large_find(heap, payload);
  if (at == NULL || at->to != NULL) {
    (void)rf_free_at(heap->fallback, start, site);
    (void)rf_sizeclass_refuse(heap, RF_ERR_CORRUPT, heap, site);
    return NULL;
  }
  rf_sizeclass_header_set(heap, header_of(payload), row << SIZE_BITS,
                          MALLOCED | LARGE_CLASS | rf_log2(align) << ALIGN_SHIFT);
  large_set(heap, p, size, size);
  rf_sizeclass_link_set(heap, &p->child[0], NULL);
  rf_sizeclass_link_set(heap, &p->child[1], NULL);
  rf_sizeclass_link_set(heap, at, p);
  heap->large_blocks++;
  heap->large_bytes += total;
  recent_forget(heap, start, total);
  rf_track_arena(start, total);
  return payload;
}

size_t rf_sizeclass_front_of(const header *h) {
  size_t front = 0;
  (void)large_front(align_of(h), &front); /* did not wrap when the block was made */
  return front;
}

/* As it was before its release, but for its place in the tree. */
static void put_back(rf_sizeclass *heap, const found *f, large *p, const header *was) {
  size_t const front = rf_sizeclass_front_of(was);
  rf_track_arena(f->payload - front, front + f->room);
  rf_track_alloc(f->payload, f->requested);
  *f->h = *was;
  rf_sizeclass_link_set(heap, &p->child[0], NULL);
  rf_sizeclass_link_set(heap, &p->child[1], NULL);
  rf_sizeclass_link *const at = large_find(heap, f->payload);
  if (at != NULL) { /* else it is lost, behind damage that a check will tell */
    rf_sizeclass_link_set(heap, at, p);
  }
}

rf_status rf_sizeclass_release_fallback(rf_sizeclass *heap, const found *f, const rf_site *site) {
  size_t const front = rf_sizeclass_front_of(f->h);
  size_t const total = front + f->room;
  header const was = *f->h;
  large *const p = f->at->to;
  if (!large_unlink(heap, f->at)) {
    return rf_sizeclass_refuse(heap, RF_ERR_CORRUPT, f->payload, site);
  }
  rf_sizeclass_header_set(heap, f->h, 0, MALLOCED | FREED | LARGE_CLASS);
  rf_track_arena_end(f->payload - front, total);
  rf_status const status = rf_free_at(heap->fallback, f->payload - front, site);
  if (status != RF_OK) {
    put_back(heap, f, p, &was);
    return status;
  }
  heap->large_blocks--;
  heap->large_bytes -= total;
  heap->recent[heap->recent_at % RF_SIZECLASS_RECENT] = (uintptr_t)f->payload;
  heap->recent_at = (heap->recent_at + 1) % RF_SIZECLASS_RECENT;
  return RF_OK;
}

void rf_sizeclass_large_walk_begin(large_walk *w, const rf_sizeclass *heap) {
  w->todo[0] = heap->root.to;
  w->count = rf_sizeclass_link_intact(heap, &heap->root) && heap->root.to != NULL ? 1 : 0;
}

/* The next block; NULL at the end, and at damage, which leaves w->count above 0. */
large *rf_sizeclass_large_walk_next(large_walk *w, const rf_sizeclass *heap) {
  if (w->count == 0 || !large_intact(heap, w->todo[w->count - 1])) {
    return NULL;
  }
  large *const p = w->todo[--w->count];
  for (unsigned i = 0; i < 2; i++) {
    if (p->child[i].to != NULL) {
      w->todo[w->count++] = p->child[i].to;
    }
  }
  return p;
}

/* A block of the fallback grows and shrinks there, if the fallback can. */
bool rf_sizeclass_reshape_fallback(rf_sizeclass *heap, const found *f, size_t size, const rf_site *site) {
  size_t const front = rf_sizeclass_front_of(f->h);
  size_t total;
  size_t room = f->room;
  if (!rf_add(front, size, &total) || total > RF_SIZE_LIMIT) {
    return false;
  }
  if (size != room && rf_resize_at(heap->fallback, f->payload - front, total, site) == RF_OK) {
    heap->large_bytes = heap->large_bytes - room + size;
    room = size;
    recent_forget(heap, f->payload - front, total);
    rf_track_arena(f->payload - front, front);
  }
  if (size > room) {
    return false;
  }
  large_set(heap, f->at->to, size, room);
  return true;
}

void rf_sizeclass_give_all_back(rf_sizeclass *heap) {
  while (rf_sizeclass_link_intact(heap, &heap->root) && heap->root.to != NULL && large_intact(heap, heap->root.to)) {
    large *const p = heap->root.to;
    unsigned char *const start = large_payload(p) - rf_sizeclass_front_of(header_of(large_payload(p)));
    if (!large_unlink(heap, &heap->root)) {
      return;
    }
    rf_track_arena_end(start, (size_t)(large_payload(p) - start) + p->room);
    (void)rf_free(heap->fallback, start);
  }
}

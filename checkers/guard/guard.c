/* The operations of rf_guard that change something. What looks is in guard_look.c; what is rare, because a bug was found, in the
 * other guard_*.c. */
#include "guard_bytes.h"
#include "guard_quarantine.h"

static const rf_allocator_ops guard_ops;

static rf_guard *self_of(rf_allocator *self) {
  return (rf_guard *)self;
}

RF_PEEKS bool rf_guard_is_guard(const rf_guard *guard) {
  return guard->base.ops == rf_track_mute_ops(&guard_ops) || guard->base.ops == &rf_guard_walked_ops;
}

/* ---- Calls into the inner allocator ---- */

RF_RARE static void report_inner(rf_guard *guard, const rf_fault *fault, const rf_origin *origin) {
  rf_finding f;
  if (fault->status == RF_ERR_CORRUPT && rf_guard_inner_is_explained(guard, origin)) {
    return;
  }
  rf_guard_finding(guard, &f, RF_BUG_METADATA, RF_ACCESS_UNKNOWN, fault->ptr, origin);
  if (fault->status == RF_ERR_CORRUPT) {
    rf_guard_name_before(guard, &f);
  }
  f.detail = fault->what != NULL ? fault->what : rf_status_name(fault->status);
  rf_report(guard->options.reporter, &f);
}

/* The inner allocator may give up pages. */
RF_INLINE void forget_pages(rf_guard *guard) {
#if RF_GUARD_THREADS
  if (RF_UNLIKELY(++guard->page_turn == RF_GUARD_PAGE)) {
    guard->page_turn = 1;
    memset(guard->pages, 0, sizeof guard->pages);
  }
#else
  (void)guard;
#endif
}

RF_INLINE void call_end(rf_guard *guard, rf_inner_call *call, const rf_origin *origin) {
  if (rf_inner_call_end(call)) {
    report_inner(guard, &call->fault, origin);
  }
}

/* How much of the inner block may be written, at least `asked`. */
static size_t offered(rf_guard *guard, const void *block, size_t asked) {
  rf_allocator *const inner = guard->inner;
  size_t const usable = inner->ops->usable_size != NULL ? inner->ops->usable_size(inner, block) : 0;
  return usable < asked ? asked : usable;
}

/* ---- Origins ---- */

RF_RARE static uint32_t put_stack_and_site(rf_guard *guard, const rf_origin *origin) {
  uintptr_t frames[1 + RF_TRACE_DEPTH];
  unsigned const wanted = guard->options.stack_depth < RF_TRACE_DEPTH ? guard->options.stack_depth : RF_TRACE_DEPTH;
  frames[0] = (uintptr_t)origin->site;
  unsigned const depth = rf_stack_capture(origin, frames + 1, wanted);
  return depth == 0 ? 0 : rf_stack_depot_put(guard->options.depot, frames, 1 + depth);
}

/* What of `origin` goes into a header. */
RF_INLINE uintptr_t keep_origin(rf_guard *guard, const rf_origin *origin, origin_kind *kind) {
  if (guard->options.stack_depth != 0 && guard->options.depot != NULL) {
    bool const with_site = origin->site != NULL;
    uint32_t const stack = with_site
                               ? put_stack_and_site(guard, origin)
                               : rf_stack_depot_put_from(guard->options.depot, origin, guard->options.stack_depth);
    if (stack != 0) {
      *kind = with_site ? ORIGIN_SITE_AND_STACK : ORIGIN_STACK;
      return stack;
    }
  }
  if (origin->site != NULL || origin->caller == 0) {
    *kind = ORIGIN_SITE;
    return (uintptr_t)origin->site;
  }
  *kind = ORIGIN_CALLER;
  return origin->caller;
}

static const rf_origin nowhere;

RF_INLINE const rf_origin *known(const rf_origin *origin) {
  return origin != NULL ? origin : &nowhere;
}

/* ---- The ring of live blocks and the quarantine ---- */

/* Makes `h`, all of it but links and magic filled in, the newest; `body` is what its magic is to say of the rest. */
RF_INLINE void link_live(rf_guard *guard, rf_guard_header *h, uintptr_t body) {
  rf_guard_header *const newest = guard->live.next;
  guard_seal const parts = {body, next_part((uintptr_t)newest), prev_part((uintptr_t)&guard->live)};
  h->next = newest;
  h->u.prev = &guard->live;
  h->magic = magic_of(parts);
  if (RF_LIKELY(newest->u.prev == &guard->live)) { /* else it was overwritten, and the magic is to go on saying so */
    newest->magic += prev_part((uintptr_t)h) - parts.prev;
  }
  newest->u.prev = h;
  guard->live.next = h;
}

/* Touches a neighbour only where it agrees that it is one: the header of a block that was overwritten is found damaged
 * in its own turn. */
RF_INLINE void unlink_live(rf_guard_header *h, guard_seal parts) {
  rf_guard_header *const next = h->next;
  rf_guard_header *const prev = h->u.prev;
  if (RF_LIKELY(next->u.prev == h)) {
    next->magic += parts.prev - prev_part((uintptr_t)h);
    next->u.prev = prev;
  }
  if (RF_LIKELY(prev->next == h)) {
    prev->magic += parts.next - next_part((uintptr_t)h);
    prev->next = next;
  }
}

/* Gives a block that left the quarantine back. Its header says so, as long as the memory is not used again. */
RF_INLINE void retire(rf_guard *guard, rf_guard_header *h, guard_seal parts, const rf_origin *origin) {
  unsigned char *const block = block_of(h);
  size_t const total = total_of(h);
  rf_inner_call call;
  uint8_t const kind = (uint8_t)(h->kind | STATE_RETIRED);
  parts.next = next_part(0);
  parts.body ^= traits_part(0, 0, h->kind ^ kind);
  h->kind = kind;
  h->next = NULL;
#if RF_GUARD_THREADS
  parts.body ^= threads_of(h) ^ threads_part(0, 0);
  h->allocated_by = 0;
  h->released_by = 0;
#else
  parts.body ^= turn(h->size, 29);
  h->size = 0;
#endif
  h->magic = magic_of(parts);
  if (RF_UNLIKELY(guard->inner_damaged)) {
    return; /* its bookkeeping would lead it anywhere */
  }
  tell_returned(guard, payload_of(h), block, total);
  forget_pages(guard);
  rf_inner_call_begin(&call);
  (void)guard->inner->ops->free(guard->inner, block, origin->site);
  call_end(guard, &call, origin);
}

/* Takes the oldest block of `q`, which is not empty, out of the quarantine and checks it. NULL where its header was
 * overwritten: then all that is damaged was reported. */
RF_INLINE rf_guard_header *take_oldest(rf_guard *guard, rf_guard_queue *q, const rf_origin *origin, guard_seal *parts) {
  rf_guard_header *const h = q->oldest;
  *parts = parts_of(guard, h, h);
  if (RF_UNLIKELY(h->magic != magic_of(*parts) || state_of(h) != STATE_FREED)) {
    (void)rf_guard_mend(guard, origin);
    return NULL;
  }
  quarantine_count_out(guard, q);
  quarantine_take(guard, q);
  if (RF_UNLIKELY(!freed_intact(guard, h))) {
    (void)rf_guard_report_damage(guard, h, origin);
  }
  return h;
}

/* The queue from which a block is to leave: one with a ripe block, else one with the oldest there are. NULL: all are empty. */
RF_RARE static rf_guard_queue *next_to_leave(rf_guard *guard) {
  for (unsigned age = 0; age <= RF_GUARD_AGES; age++) {
    for (unsigned i = 0; i < RF_GUARD_QUEUES; i++) {
      rf_guard_queue *const q = &guard->queues[(guard->leaving + i) % RF_GUARD_QUEUES];
      if (q->oldest != NULL && (age == 0 ? q->ripe : q->young[(guard->age + age) % RF_GUARD_AGES]) != 0) {
        guard->leaving = (guard->leaving + i) % RF_GUARD_QUEUES;
        return q;
      }
    }
  }
  return NULL;
}

RF_RARE static void flush(rf_guard *guard, size_t keep, const rf_origin *origin) {
  while (guard->quarantined > keep) {
    rf_guard_queue *q = &guard->queues[guard->leaving];
    guard_seal parts;
    if (q->ripe == 0) {
      q = next_to_leave(guard);
      if (q == NULL) {
        return;
      }
    }
    rf_guard_header *const h = take_oldest(guard, q, origin, &parts);
    if (h != NULL) {
      retire(guard, h, parts, origin);
    }
  }
}

void rf_guard_flush(rf_guard *guard, size_t keep) {
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  rf_track_enter();
  flush(guard, keep, &origin);
  rf_track_leave();
}

/* A live block, already unlinked and checked, becomes a freed one. `parts` are of its magic so far; `prefix` is its own. */
RF_INLINE void release(rf_guard *guard, rf_guard_header *h, guard_seal parts, size_t prefix, const rf_origin *origin) {
  size_t const total = prefix + h->size + h->back;
  origin_kind kind;
  uintptr_t const released = keep_origin(guard, origin, &kind);
  fill_payload(payload_of(h), h->size, guard->options.fill_free, RF_FILL_FREE, freed_edge);
  uint32_t const other_traits = (STATE_LIVE ^ STATE_FREED) * TRAITS_STATE_UNIT ^ (uint32_t)kind << TRAITS_RELEASED;
  parts.body ^= other_traits;
  set_traits(h, traits_of(h) ^ other_traits);
#if RF_GUARD_THREADS
  uint32_t const me = this_thread();
  parts.body ^= threads_part(0, me); /* nobody, so far */
  h->released_by = me;
#endif
  parts.next = next_part(0);
  parts.prev = prev_part(released);
  h->next = NULL;
  h->u.released = released;
  h->magic = magic_of(parts);
  tell_freed(guard, h);
  if (RF_UNLIKELY(total > guard->options.quarantine)) {
    retire(guard, h, parts, origin);
    return;
  }
  quarantine_put(guard, h, prefix, total);
  if (RF_UNLIKELY(guard->quarantined > guard->options.quarantine)) {
    flush(guard, guard->options.quarantine, origin);
  }
}

/* ---- Allocation ---- */

RF_INLINE void *take(rf_guard *guard, size_t total, size_t align, const rf_origin *origin, size_t *got) {
  rf_inner_call call;
  rf_inner_call_begin(&call);
  void *const block = guard->inner->ops->alloc(guard->inner, total, align, origin->site);
  if (block != NULL) {
    *got = is_watched(guard) ? total : offered(guard, block, total); /* watched, slack is out of bounds anyway */
  }
  call_end(guard, &call, origin);
  return block;
}

/* Fills what is new of a payload, from `at` on, whose end is guarded. */
RF_INLINE void fill_new(const rf_guard *guard, unsigned char *at, size_t size) {
  fill_payload(at, size, guard->options.fill_alloc, RF_FILL_ALLOC, new_edge);
}

/* Sets size and back guard of a block that offers `got` bytes in all. */
RF_INLINE uint16_t set_size(rf_guard_header *h, size_t size, size_t prefix, size_t got) {
  size_t const slack = got - prefix - size;
  size_t const back = slack < RF_GUARD_BACK_MAX ? slack : RF_GUARD_BACK_MAX;
  h->size = size;
  fill_back(payload_of(h) + size, back);
  return (uint16_t)back;
}

/* A decorator passes the question on to an allocator that may not know: the answer for its own block tells. And small blocks
 * of one allocator are all odd by the same number of bytes, or by none. */
RF_INLINE void learn(rf_guard *guard, const void *block, size_t size, size_t got) {
  if (RF_UNLIKELY(guard->counters.allocations == 0)) {
    guard->inner_tells = rf_owns(guard->inner, block);
  }
  if (RF_UNLIKELY(!guard->odd_known) && queue_for(guard, size) != GUARD_OTHERS) {
    guard->odd = (unsigned)(got % RF_GUARD_STEP);
    guard->odd_known = true;
  }
}

/* What is in quarantine may be what is missing. */
RF_RARE static void *take_again(rf_guard *guard, size_t total, size_t align, const rf_origin *origin, size_t *got) {
  if (guard->quarantined == 0) {
    return NULL;
  }
  flush(guard, 0, origin);
  return take(guard, total, align, origin, got);
}

/* Makes a live block, not filled and not counted, of `got` bytes from the start of its prefix on. Its front guard is there. */
RF_INLINE void make_live(rf_guard *guard, rf_guard_header *h, size_t size, size_t inner_align, size_t got,
                         rf_family family, const rf_origin *origin) {
  origin_kind kind;
  uintptr_t const allocated = keep_origin(guard, origin, &kind);
  uintptr_t body = body_part(guard, h, size, allocated);
  h->allocated = allocated;
#if RF_GUARD_THREADS
  uint32_t const me = this_thread();
  body ^= threads_part(me, 0);
  set_allocated_by(h, me);
#endif
  uint32_t const traits = set_size(h, size, prefix_for(inner_align), got) |
                          traits_for(STATE_LIVE, inner_align, family) | (uint32_t)kind << TRAITS_ALLOCATED;
  set_traits(h, traits);
  link_live(guard, h, body ^ traits);
  tell_live(guard, h);
}

/* A live block with guards, its payload not filled and nothing counted. `inner_align`: at least GUARD_ALIGN. */
RF_INLINE rf_guard_header *make_block_at(rf_guard *guard, size_t size, size_t inner_align, rf_family family,
                                         const rf_origin *origin) {
  size_t got = 0;
  size_t const prefix = prefix_for(inner_align);
  if (RF_UNLIKELY(size > RF_SIZE_LIMIT - RF_GUARD_BACK_MIN - prefix)) {
    return NULL;
  }
  size_t const total = prefix + size + RF_GUARD_BACK_MIN;
  unsigned char *block = (unsigned char *)take(guard, total, inner_align, origin, &got);
  if (RF_UNLIKELY(block == NULL)) {
    block = (unsigned char *)take_again(guard, total, inner_align, origin, &got);
    if (block == NULL) {
      return NULL;
    }
  }
  learn(guard, block, size, got);
  rf_guard_header *const h = header_of(block + prefix);
  fill_front(h);
  make_live(guard, h, size, inner_align, got, family, origin);
  return h;
}

/* The same from a block that has waited long enough; NULL where there is none. */
RF_INLINE rf_guard_header *make_block_again(rf_guard *guard, size_t size, rf_family family, const rf_origin *origin) {
  size_t const number = queue_for(guard, size);
  rf_guard_queue *const q = &guard->queues[number];
  guard_seal parts;
  if (number == GUARD_OTHERS || q->ripe == 0 || is_watched(guard)) {
    return NULL;
  }
  rf_guard_header *const h = take_oldest(guard, q, origin, &parts);
  if (RF_UNLIKELY(h == NULL)) {
    return NULL;
  }
  make_live(guard, h, size, GUARD_ALIGN, RF_GUARD_PREFIX + h->size + h->back, family, origin);
  return h;
}

RF_RARE static rf_guard_header *make_block_default(rf_guard *guard, size_t size, rf_family family,
                                                   const rf_origin *origin) {
  return make_block_at(guard, size, GUARD_ALIGN, family, origin);
}

RF_RARE static rf_guard_header *make_block_aligned(rf_guard *guard, size_t size, size_t align, rf_family family,
                                                   const rf_origin *origin) {
  if (align > RF_SIZE_LIMIT / 4) {
    return NULL; /* no address space has room for it, and the prefix could wrap */
  }
  return make_block_at(guard, size, align, family, origin);
}

RF_INLINE rf_guard_header *make_block(rf_guard *guard, size_t size, size_t align, rf_family family,
                                      const rf_origin *origin) {
  if (RF_UNLIKELY(align > GUARD_ALIGN)) {
    return make_block_aligned(guard, size, align, family, origin);
  }
  rf_guard_header *const again = make_block_again(guard, size, family, origin);
  return again != NULL ? again : make_block_default(guard, size, family, origin);
}

/* rf_count_alloc, with jumps: peaks are passed rarely. */
RF_INLINE void count_alloc(rf_counters *c, size_t size) {
  size_t const used = c->used + size;
  size_t const blocks = c->blocks + 1;
  c->used = used;
  c->blocks = blocks;
  c->allocations++;
  if (RF_UNLIKELY(used > c->peak)) {
    c->peak = used;
  }
  if (RF_UNLIKELY(blocks > c->peak_blocks)) {
    c->peak_blocks = blocks;
  }
}

RF_INLINE rf_guard_header *new_block(rf_guard *guard, size_t size, size_t align, rf_family family,
                                     const rf_origin *origin) {
  rf_guard_header *const h = make_block(guard, size, align, family, origin);
  if (RF_UNLIKELY(h == NULL)) {
    guard->counters.failures++;
    return NULL;
  }
  count_alloc(&guard->counters, size);
  return h;
}

RF_INLINE void *alloc_filled(rf_guard *guard, size_t size, size_t align, rf_family family, const rf_origin *origin) {
  rf_guard_header *const h = new_block(guard, size, align, family, origin);
  if (h == NULL) {
    return NULL;
  }
  fill_new(guard, payload_of(h), size);
  return payload_of(h);
}

void *rf_guard_alloc_from(rf_guard *guard, size_t size, size_t align, rf_family family, const rf_origin *origin) {
  return alloc_filled(guard, size, align, family, known(origin));
}

void *rf_guard_zalloc_from(rf_guard *guard, size_t size, size_t align, rf_family family, const rf_origin *origin) {
  rf_guard_header *const h = new_block(guard, size, align, family, known(origin));
  if (h == NULL) {
    return NULL;
  }
  return memset(payload_of(h), 0, size);
}

/* ---- Looking at a pointer ---- */

/* What shares a page with memory that may be looked at may be looked at. Bare targets have no pages: what is beside their
 * memory may be a device, which minds being read. */
RF_INLINE bool on_one_page(const void *p, const void *q) {
  return RF_GUARD_THREADS && ((uintptr_t)p ^ (uintptr_t)q) < RF_GUARD_PAGE;
}

RF_INLINE bool has_memory(const rf_guard *guard, const void *p, size_t size) {
  rf_allocator *const inner = guard->inner;
  if (!guard->inner_tells) {
    return rf_host_readable(p, size);
  }
  const void *const last = (const void *)((uintptr_t)p + (size - 1));
  return inner->ops->owns(inner, p) && (on_one_page(p, last) || inner->ops->owns(inner, last));
}

bool rf_guard_has_memory(const rf_guard *guard, const void *p, size_t size) {
  return has_memory(guard, p, size);
}

RF_INLINE bool reachable(const rf_guard *guard, const void *ptr) {
  return (uintptr_t)ptr > RF_GUARD_PREFIX && has_memory(guard, header_of(ptr), RF_GUARD_PREFIX);
}

bool rf_guard_reachable(const rf_guard *guard, const void *ptr) {
  return reachable(guard, ptr);
}

/* ---- Pages that are known ----
 *
 * The inner allocator gives up no page with a live block, and none at all but in its own free and resize. So after a live
 * block was seen, whatever is on its page may be looked at, to begin with, up to the next such call. */

#if RF_GUARD_THREADS
/* Where it would be noted that the page of `ptr` is known. */
RF_INLINE uintptr_t *page_note(rf_guard *guard, const void *ptr) {
  return &guard->pages[(uintptr_t)ptr / RF_GUARD_PAGE % RF_GUARD_PAGES];
}

RF_INLINE uintptr_t page_and_turn(const rf_guard *guard, const void *ptr) {
  return ((uintptr_t)ptr & ~(uintptr_t)(RF_GUARD_PAGE - 1)) | guard->page_turn;
}

/* The header before `ptr` is on the same page, which is known. */
RF_INLINE bool is_on_known_page(rf_guard *guard, const void *ptr) {
  return (uintptr_t)ptr % RF_GUARD_PAGE >= RF_GUARD_PREFIX && *page_note(guard, ptr) == page_and_turn(guard, ptr);
}

RF_INLINE void know_page(rf_guard *guard, const void *ptr) {
  if (guard->inner_tells && (uintptr_t)ptr % RF_GUARD_PAGE >= RF_GUARD_PREFIX) {
    *page_note(guard, ptr) = page_and_turn(guard, ptr);
  }
}
#else
RF_INLINE bool is_on_known_page(rf_guard *guard, const void *ptr) {
  (void)guard;
  (void)ptr;
  return false;
}

RF_INLINE void know_page(rf_guard *guard, const void *ptr) {
  (void)guard;
  (void)ptr;
}
#endif

/* What is before `ptr` may be looked at: is it the header of a live block? Also fills in the parts of its magic. */
RF_PEEKS RF_PEEK_INLINE bool is_header_of_live(const rf_guard *guard, const void *ptr, guard_seal *parts) {
  const rf_guard_header *const h = header_of(ptr);
  *parts = parts_of(guard, h, h);
  return h->magic == magic_of(*parts) && (traits_of(h) & TRAITS_STATE) == STATE_LIVE * TRAITS_STATE_UNIT;
}

RF_RARE static bool is_live_on_new_page(rf_guard *guard, const void *ptr, guard_seal *parts) {
  bool const live = reachable(guard, ptr) && is_header_of_live(guard, ptr, parts);
  if (live) {
    know_page(guard, ptr);
  }
  return live;
}

RF_INLINE bool is_live(rf_guard *guard, const void *ptr, guard_seal *parts) {
  if (RF_UNLIKELY(!rf_is_aligned(ptr, GUARD_ALIGN))) {
    return false;
  }
  return RF_LIKELY(is_on_known_page(guard, ptr)) ? is_header_of_live(guard, ptr, parts)
                                                 : is_live_on_new_page(guard, ptr, parts);
}

bool rf_guard_is_live(const rf_guard *guard, const void *ptr) {
  guard_seal parts;
  return rf_is_aligned(ptr, GUARD_ALIGN) && reachable(guard, ptr) && is_header_of_live(guard, ptr, &parts);
}

RF_RARE static void report_family(rf_guard *guard, const rf_guard_header *h, rf_family family, size_t size,
                                  const rf_origin *origin) {
  bool const other_family = family_of(h) != family;
  rf_finding f;
  rf_guard_finding(guard, &f, other_family ? RF_BUG_DEALLOC_MISMATCH : RF_BUG_SIZE_MISMATCH, RF_ACCESS_FREE,
                   payload_of(h), origin);
  rf_guard_finding_block(guard, &f, h);
  f.allocation = rf_family_allocation(family_of(h));
  f.deallocation = rf_family_deallocation(family);
  f.argument = other_family ? 0 : size;
  rf_report(guard->options.reporter, &f);
}

/* A program frees what it allocated: the checks that follow from the header alone. */
RF_INLINE void check_family(rf_guard *guard, const rf_guard_header *h, rf_family family, size_t size,
                            const rf_origin *origin) {
  if (RF_UNLIKELY(family_of(h) != family || (size != SIZE_MAX && size != h->size))) {
    report_family(guard, h, family, size, origin);
  }
}

RF_INLINE void check_guards(rf_guard *guard, rf_guard_header *h, const rf_origin *origin) {
  if (RF_UNLIKELY(!guards_intact(h))) {
    (void)rf_guard_report_damage(guard, h, origin);
  }
}

/* Free of a block that is live. */
RF_INLINE rf_status free_live(rf_guard *guard, rf_guard_header *h, guard_seal parts, size_t prefix,
                              const rf_origin *origin) {
  check_guards(guard, h, origin);
  unlink_live(h, parts);
  rf_count_free(&guard->counters, h->size);
  release(guard, h, parts, prefix, origin);
  return RF_OK;
}

/* The same where something is not as it mostly is, or as it should be. */
RF_RARE static rf_status free_special(rf_guard *guard, rf_guard_header *h, rf_family family, size_t size,
                                      const rf_origin *origin) {
  guard_seal const parts = parts_of(guard, h, h);
  check_guards(guard, h, origin);
  check_family(guard, h, family, size, origin);
  return free_live(guard, h, parts, prefix_of(h), origin);
}

RF_INLINE rf_status free_checked(rf_guard *guard, void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  rf_guard_header *const h = header_of(ptr);
  guard_seal parts;
  if (RF_UNLIKELY(!is_live(guard, ptr, &parts))) {
    return rf_guard_refuse(guard, ptr, origin);
  }
  __builtin_prefetch(h->next, 1);
  __builtin_prefetch(h->u.prev, 1);
  bool const plain = (traits_of(h) & TRAITS_BUT_ORIGINS) == traits_for(STATE_LIVE, GUARD_ALIGN, family);
  if (RF_UNLIKELY(!plain || (size != SIZE_MAX && size != h->size))) {
    return free_special(guard, h, family, size, origin);
  }
  return free_live(guard, h, parts, RF_GUARD_PREFIX, origin);
}

rf_status rf_guard_free_from(rf_guard *guard, void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  return free_checked(guard, ptr, family, size, known(origin));
}

/* ---- Realloc ---- */

/* Makes room in the inner block: RF_OK and how much there is in *got. */
static rf_status stretch(rf_guard *guard, rf_guard_header *h, size_t total, const rf_origin *origin, size_t *got) {
  rf_allocator *const inner = guard->inner;
  rf_status status = RF_ERR_NO_MEMORY;
  rf_inner_call call;
  tell_open(guard, h);
  forget_pages(guard);
  rf_inner_call_begin(&call);
  if (inner->ops->resize != NULL) {
    status = inner->ops->resize(inner, block_of(h), total, origin->site);
  }
  if (status == RF_ERR_UNSUPPORTED) {
    status = RF_ERR_NO_MEMORY;
  }
  size_t const asked = status == RF_OK ? total : total_of(h);
  *got = is_watched(guard) ? asked : offered(guard, block_of(h), asked);
  if (status == RF_ERR_NO_MEMORY && total <= *got) {
    status = RF_OK;
  }
  call_end(guard, &call, origin);
  return status;
}

/* `h` is live and checked. Changes nothing unless RF_OK. */
static rf_status resize_here(rf_guard *guard, rf_guard_header *h, size_t size, const rf_origin *origin) {
  size_t const prefix = prefix_of(h);
  size_t const old_size = h->size;
  size_t got;
  if (size > RF_SIZE_LIMIT - RF_GUARD_BACK_MIN - prefix) {
    return RF_ERR_NO_MEMORY;
  }
  rf_status const status = stretch(guard, h, prefix + size + RF_GUARD_BACK_MIN, origin, &got);
  if (status != RF_OK) {
    tell_closed(guard, h);
    return status;
  }
  h->back = set_size(h, size, prefix, got);
  if (size > old_size) {
    fill_new(guard, payload_of(h) + old_size, size - old_size);
  }
  seal(guard, h);
  tell_closed(guard, h);
  rf_count_resize(&guard->counters, old_size, size);
  return RF_OK;
}

/* The block elsewhere, the old one in quarantine; NULL, and the old one as it was, where there is no memory. */
static void *move(rf_guard *guard, rf_guard_header *old, size_t size, size_t align, const rf_origin *origin) {
  size_t const old_size = old->size;
  size_t const kept = old_size < size ? old_size : size;
  rf_guard_header *const h = make_block(guard, size, align, family_of(old), origin);
  if (h == NULL) {
    return NULL;
  }
  memcpy(payload_of(h), payload_of(old), kept);
  fill_new(guard, payload_of(h) + kept, size - kept);
  guard_seal const parts = parts_of(guard, old, old);
  unlink_live(old, parts);
  release(guard, old, parts, prefix_of(old), origin);
  rf_count_resize(&guard->counters, old_size, size);
  return payload_of(h);
}

void *rf_guard_realloc_from(rf_guard *guard, void *ptr, size_t size, size_t align, const rf_origin *origin) {
  origin = known(origin);
  if (!rf_guard_is_live(guard, ptr)) {
    (void)rf_guard_refuse(guard, ptr, origin);
    return NULL;
  }
  rf_guard_header *const h = header_of(ptr);
  bool const may_stay = rf_is_aligned(ptr, align);
  check_guards(guard, h, origin);
  check_family(guard, h, RF_FAMILY_MALLOC, SIZE_MAX, origin);
  bool const stay_first = may_stay && h->size > guard->options.move_below;
  if (stay_first && resize_here(guard, h, size, origin) == RF_OK) {
    return ptr;
  }
  void *const moved = move(guard, h, size, align, origin);
  if (moved != NULL) {
    return moved;
  }
  if (may_stay && !stay_first && resize_here(guard, h, size, origin) == RF_OK) {
    return ptr;
  }
  guard->counters.failures++;
  return NULL;
}

/* ---- The interface ---- */

static void *guard_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_origin const origin = RF_ORIGIN_HERE(site);
  return alloc_filled(self_of(self), size, align, RF_FAMILY_MALLOC, &origin);
}

static rf_status guard_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_origin const origin = RF_ORIGIN_HERE(site);
  return free_checked(self_of(self), ptr, RF_FAMILY_MALLOC, SIZE_MAX, &origin);
}

static void *guard_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_origin const origin = RF_ORIGIN_HERE(site);
  return rf_guard_realloc_from(self_of(self), ptr, size, align, &origin);
}

static rf_status guard_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_guard *const guard = self_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  if (!rf_guard_is_live(guard, ptr)) {
    return rf_guard_refuse(guard, ptr, &origin);
  }
  rf_guard_header *const h = header_of(ptr);
  check_guards(guard, h, &origin);
  return resize_here(guard, h, size, &origin);
}

static void guard_reject(rf_allocator *self, rf_reject why, size_t size, size_t detail, const rf_site *site) {
  rf_origin const origin = RF_ORIGIN_HERE(site);
  rf_guard_reject_from(self_of(self), why, size, detail, &origin);
}

void rf_guard_reject_from(rf_guard *guard, rf_reject why, size_t size, size_t detail, const rf_origin *origin) {
  rf_finding f;
  origin = known(origin);
  rf_finding_begin_rejected(&f, why, size, detail, guard->inner->ops->name, mode_of(guard), origin);
  rf_report(guard->options.reporter, &f);
  (void)rf_reject_at(guard->inner, why, size, detail, origin->site);
}

size_t rf_guard_sweep(rf_guard *guard) {
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  rf_track_enter();
  size_t const count = rf_guard_sweep_from(guard, &origin);
  rf_track_leave();
  return count;
}

/* ---- Beginning and end ---- */

void rf_guard_options_default(rf_guard_options *out) {
  bool const hosted = RF_GUARD_THREADS != 0;
  *out = (rf_guard_options){
      .quarantine = hosted ? (size_t)512 * 1024 : 1024,
      .fill_alloc = hosted ? 4096 : 64,
      .fill_free = hosted ? (size_t)64 * 1024 : SIZE_MAX,
      .move_below = hosted ? 4096 : 0,
      .stack_depth = 0,
      .depot = NULL,
      .reporter = NULL,
      .leaks_at_deinit = false,
      .sweep_at_deinit = true,
      .watched = false,
  };
}

rf_status rf_guard_init(rf_guard *guard, rf_allocator *inner, const rf_guard_options *options) {
  if (guard == NULL || inner == NULL) {
    return RF_ERR_INVALID;
  }
  memset(guard, 0, sizeof *guard);
  guard->base.ops = rf_track_mute_ops(&guard_ops);
  guard->inner = inner;
  if (options != NULL) {
    guard->options = *options;
  } else {
    rf_guard_options_default(&guard->options);
  }
  if (guard->options.reporter == NULL) {
    guard->options.reporter = rf_reporter_plain();
  }
  guard->inner_tells = inner->ops->owns != NULL;
  guard->secret = rf_host_secret();
  forget_pages(guard); /* 0 is none */
  guard->live.next = &guard->live;
  guard->live.u.prev = &guard->live;
  rf_guard_register(guard);
  return RF_OK;
}

static void give_back_live(rf_guard *guard) {
  rf_guard_header *h = guard->live.next;
  guard->live.next = &guard->live;
  guard->live.u.prev = &guard->live;
  while (h != &guard->live) {
    rf_guard_header *const next = h->next;
    retire(guard, h, parts_of(guard, h, h), &nowhere);
    h = next;
  }
}

/* ---- After the end ---- */

static void report_ended(rf_allocator *self, const void *ptr, const rf_origin *origin) {
  const rf_guard *const guard = self_of(self);
  rf_finding f;
  rf_guard_finding(guard, &f, RF_BUG_ENDED, RF_ACCESS_UNKNOWN, ptr, origin);
  rf_report(guard->options.reporter, &f);
}

static void ended_stats(rf_allocator *self, rf_stats *out) {
  rf_stats const nothing = {0};
  *out = nothing;
  rf_count_into(&self_of(self)->counters, out);
}

static const rf_ended_ops ended_ops = {
    .ops =
        {
            .name = "guard",
            .alloc = rf_ended_alloc,
            .free = rf_ended_free,
            .realloc = rf_ended_realloc,
            .stats = ended_stats,
            .inner = rf_guard_inner,
        },
    .report = report_ended,
};

static void guard_deinit(rf_allocator *self) {
  rf_guard *const guard = self_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  (void)rf_guard_mend(guard, &origin); /* what follows goes through all blocks */
  if (guard->options.sweep_at_deinit) {
    (void)rf_guard_sweep_from(guard, &origin);
  }
  if (guard->options.leaks_at_deinit) {
    (void)rf_guard_report_live(guard);
  }
  flush(guard, 0, &origin);
  give_back_live(guard);
  rf_guard_unregister(guard);
  guard->base.ops = &ended_ops.ops;
}

static const rf_allocator_ops guard_ops = {
    .name = "guard",
    .alloc = guard_alloc,
    .free = guard_free,
    .realloc = guard_realloc,
    .resize = guard_resize,
    .usable_size = rf_guard_usable_size,
    .owns = rf_guard_owns,
    .walk = rf_guard_walk,
    .check = rf_guard_check,
    .stats = rf_guard_stats,
    .reject = guard_reject,
    .inner = rf_guard_inner,
    .deinit = guard_deinit,
    .counters = rf_guard_counters,
};

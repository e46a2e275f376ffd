/* rf_guard: damaged headers. Each is explained, reported, and taken out of the ring or the quarantine. */
#include "guard_impl.h"

static bool is_abandoned(const rf_guard *guard, const rf_guard_header *h) {
  return rf_guard_sound(guard, h, STATE_ABANDONED);
}

/* ---- Fields that a damaged header may still have ---- */

/* True where the bytes at `p` are those of a back redzone. */
RF_NO_SANITIZE static bool looks_like_redzone(const unsigned char *p) {
  for (size_t i = 0; i < RF_GUARD_BACK_MIN; i++) {
    if (p[i] != RF_PATTERN_REDZONE) {
      return false;
    }
  }
  return true;
}

/* The size in a damaged header, where a redzone at the place to which it points bears it out; else 0. */
static size_t plausible_size(const rf_guard *guard, const rf_guard_header *h) {
  if (h->size > RF_SIZE_LIMIT / 2) {
    return 0;
  }
  const void *const back = (const void *)((uintptr_t)payload_of(h) + h->size);
  bool const borne_out =
      rf_guard_has_memory(guard, back, RF_GUARD_BACK_MIN) && looks_like_redzone((const unsigned char *)back);
  return borne_out ? h->size : 0;
}

/* A header that is no longer intact, and its neighbours as far as they are known. */
typedef struct damaged_header {
  rf_guard_header *h;
  bool freed;
  const rf_guard_header *prev; /* in the ring; NULL: not known, nor is the next */
  const rf_guard_header *next;
} damaged_header;

/* True where `number` is that of a stack in the depot. */
static bool is_stack(const rf_guard *guard, uint32_t number) {
  uintptr_t frame;
  return guard->options.depot != NULL && rf_stack_depot_get(guard->options.depot, number, &frame, 1) != 0;
}

/* The size of the back redzone, by its bytes. */
RF_NO_SANITIZE static uint16_t measured_back(const rf_guard *guard, const rf_guard_header *h) {
  const unsigned char *const end = h->size <= RF_SIZE_LIMIT / 2 ? payload_of(h) + h->size : NULL;
  uint16_t back = 0;
  while (end != NULL && back < RF_GUARD_BACK_MAX && rf_guard_has_memory(guard, end + back, 1) &&
         *(const volatile unsigned char *)(end + back) == RF_PATTERN_REDZONE) {
    back++;
  }
  return back;
}

/* The header as it was, as far as that can be told: links from the neighbours, the number of a stack from its low
 * bytes, traits of most blocks where they are impossible, the checksum from all of that. */
static rf_guard_header restored(const rf_guard *guard, const damaged_header *d) {
  guard_state const state = d->freed ? STATE_FREED : STATE_LIVE;
  rf_guard_header was = *d->h;
  if (d->prev != NULL) {
    was.next = (rf_guard_header *)(uintptr_t)d->next;
    was.u.prev = (rf_guard_header *)(uintptr_t)d->prev;
  }
  if (is_stack(guard, (uint32_t)was.allocated)) {
    was.allocated = (uint32_t)was.allocated;
  }
  if (state_of(&was) != state || was.back > RF_GUARD_BACK_MAX || align_of(&was) < GUARD_ALIGN) {
    bool const has_stack = is_stack(guard, (uint32_t)was.allocated);
    was.back = measured_back(guard, d->h);
    was.align_log2 = make_align(GUARD_ALIGN, RF_FAMILY_MALLOC);
    was.kind = make_kind(state, RF_FAMILY_MALLOC, has_stack ? ORIGIN_STACK : ORIGIN_SITE, ORIGIN_SITE);
  }
  was.checksum = header_checksum(guard, &was, d->h);
  return was;
}

/* The first byte that differs; the last one where none does. */
static size_t first_difference(const void *a, const void *b, size_t size) {
  size_t i = 0;
  while (i + 1 < size && ((const unsigned char *)a)[i] == ((const unsigned char *)b)[i]) {
    i++;
  }
  return i;
}

/* The words that the checksum of a header at `h` hashes. Each byte of the header is eight bits of one of them, which
 * may be rotated. */
RF_NO_SANITIZE static void hashed_words(const rf_guard *guard, const rf_guard_header *as_if, const rf_guard_header *h,
                                        uintptr_t words[3]) {
  words[0] = checksum_parts(guard, as_if, h).body;
  words[1] = (uintptr_t)as_if->next;
  words[2] = as_if->u.released;
}

/* How many other values of byte `at` make the checksum right. */
static unsigned values_that_explain(const rf_guard *guard, const rf_guard_header *h, size_t at) {
  static const uintptr_t factors[] = {FACTOR_OF_BODY, FACTOR_OF_NEXT, FACTOR_OF_PREV};
  rf_guard_header as_if = *h;
  uintptr_t words[3];
  uintptr_t others[3];
  hashed_words(guard, h, h, words);
  ((unsigned char *)&as_if)[at] ^= 1;
  hashed_words(guard, &as_if, h, others);
  unsigned const which = words[1] != others[1] ? 1 : words[2] != others[2] ? 2 : 0;
  unsigned const place = rf_ctz(words[which] ^ others[which]);
  uint32_t const rest = header_checksum(guard, h, h) - hash32(words[which], factors[which]);
  unsigned count = 0;
  for (uintptr_t change = 1; change <= UINT8_MAX; change++) {
    count += hash32(words[which] ^ rotate(change, place), factors[which]) + rest == h->checksum;
  }
  return count;
}

/* The byte whose change alone explains the damaged header; 0, its start, where there is none, or more than one. */
static size_t only_wrong_byte(const rf_guard *guard, const rf_guard_header *h) {
  size_t const covered = offsetof(rf_guard_header, checksum);
  uint32_t const wrong_bits = header_checksum(guard, h, h) ^ h->checksum;
  size_t found = 0;
  unsigned count = 0;
  for (size_t i = 0; i < covered; i++) {
    unsigned const values = values_that_explain(guard, h, i);
    found = values != 0 ? i : found;
    count += values;
  }
  for (size_t i = 0; i < sizeof wrong_bits; i++) {
    uint32_t mask = 0;
    memset((unsigned char *)&mask + i, UINT8_MAX, 1);
    if ((wrong_bits & ~mask) == 0) {
      found = covered + i;
      count++;
    }
  }
  return count == 1 ? found : 0;
}

/* The lowest byte of the header that was overwritten, by an underflow or a stray write. */
static const unsigned char *first_damaged_byte(const rf_guard *guard, const rf_guard_header *h,
                                               const rf_guard_header *was, bool underflow) {
  bool const known = underflow || was->checksum == h->checksum;
  return (const unsigned char *)h + (known ? first_difference(h, was, sizeof *h) : only_wrong_byte(guard, h));
}

/* The allocation, where its number is that of a stack. */
static void plausible_allocation(const rf_guard *guard, const rf_guard_header *was, rf_trace *out) {
  memset(out, 0, sizeof *out);
  if (is_stack(guard, (uint32_t)was->allocated)) {
    rf_guard_trace(guard, ORIGIN_STACK, (uint32_t)was->allocated, 0, out);
  }
}

/* ---- Reporting ---- */

/* An underflow of the block where its front redzone is damaged too, else a stray write. */
static size_t report_header_itself(rf_guard *guard, const damaged_header *d, const rf_origin *origin) {
  rf_guard_header *const h = d->h;
  rf_guard_header const was = restored(guard, d);
  rf_pattern_area const redzone = {front_redzone_of(h), RF_GUARD_FRONT, RF_PATTERN_REDZONE};
  rf_pattern_area front;
  rf_finding f;
  bool const underflow = rf_pattern_damage(&redzone, &front);
  const unsigned char *const first = first_damaged_byte(guard, h, &was, underflow);
  rf_guard_finding(guard, &f, underflow ? RF_BUG_BUFFER_UNDERFLOW : RF_BUG_METADATA, RF_ACCESS_WRITE, first, origin);
  f.block = (uintptr_t)payload_of(h);
  f.size = plausible_size(guard, h);
  f.offset = (ptrdiff_t)(f.address - f.block);
  plausible_allocation(guard, &was, &f.allocated);
  f.blocks = 1;
  f.freed = d->freed;
  f.access_size = underflow ? (size_t)(front.at + front.size - first) : 0;
  f.detail = underflow ? "the block's metadata were overwritten too" : "the block's metadata were overwritten";
  rf_guard_finding_header(&f, h);
  if (underflow) {
    rf_track_fill(front.at, front.byte, front.size);
  }
  rf_guard_abandon(guard, h, d->freed);
  (void)rf_guard_inner_was_hit(guard);
  rf_report(guard->options.reporter, &f);
  return 1;
}

/* Reports and abandons the header: an overflow of the block before it where that one's redzone is damaged, else an
 * underflow or a stray write. Returns the number of findings. */
static size_t report_header(rf_guard *guard, const damaged_header *d, const rf_origin *origin) {
  guard_damage damage;
  size_t count = 0;
  rf_guard_header *const before = rf_guard_block_before(guard, d->h);
  bool const near = before != NULL && (uintptr_t)d->h - (uintptr_t)end_of(before) <= GUARD_REACH;
  if (near && rf_guard_inspect(guard, before, &damage)) {
    count = rf_guard_report_damage(guard, before, origin);
  }
  return is_abandoned(guard, d->h) ? count : count + report_header_itself(guard, d, origin);
}

/* ---- The ring and the quarantine ---- */

static size_t repair_ring(rf_guard *guard, const rf_origin *origin) {
  size_t count = 0;
  rf_guard_header *prev = &guard->live;
  rf_guard_header *h = prev->next;
  guard_lap lap = {NULL, 0};
  while (h != &guard->live) {
    if (comes_again(&lap, h)) {
      h = &guard->live; /* the ring is closed here */
      set_next(prev, h);
      set_prev(h, prev);
      break;
    }
    if (rf_guard_sound(guard, h, STATE_LIVE)) {
      prev = h;
      h = h->next;
      continue;
    }
    rf_guard_header *const next = rf_guard_skip_damaged(guard, h);
    if (!is_abandoned(guard, h)) {
      damaged_header const d = {h, false, prev, next};
      count += report_header(guard, &d, origin);
    }
    set_next(prev, next);
    if (next == &guard->live || rf_guard_sound(guard, next, STATE_LIVE)) {
      set_prev(next, prev);
    }
    h = next;
  }
  return count;
}

/* Ends a queue that leads back into itself. */
static void cut_queue(const rf_guard *guard, const rf_guard_queue *q) {
  rf_guard_header *last = NULL;
  guard_lap lap = {NULL, 0};
  for (rf_guard_header *h = q->oldest; h != NULL; h = rf_guard_next_freed(guard, h)) {
    if (comes_again(&lap, h)) {
      if (rf_guard_sound(guard, last, STATE_FREED)) { /* else it is taken out as damaged */
        set_next(last, NULL);
      }
      return;
    }
    last = h;
  }
}

/* The rest of a queue waits as if it were freed now: the ages of the lost blocks are not known. */
static size_t repair_queue(rf_guard *guard, rf_guard_queue *q, const rf_origin *origin) {
  size_t count = 0;
  uint32_t left = 0;
  rf_guard_header *last = NULL;
  rf_guard_header *h = q->oldest;
  cut_queue(guard, q);
  while (h != NULL) {
    rf_guard_header *const next = rf_guard_next_freed(guard, h);
    if (rf_guard_sound(guard, h, STATE_FREED)) {
      guard->quarantined += total_of(h);
      left++;
      last = h;
    } else {
      if (!is_abandoned(guard, h)) {
        damaged_header const d = {h, true, NULL, NULL};
        count += report_header(guard, &d, origin);
      }
      if (last != NULL) {
        set_next(last, next);
      } else {
        q->oldest = next;
      }
    }
    h = next;
  }
  q->newest = last;
  q->ripe = 0;
  memset(q->young, 0, sizeof q->young);
  q->young[guard->age] = left;
  return count;
}

static size_t repair_quarantine(rf_guard *guard, const rf_origin *origin) {
  size_t count = 0;
  guard->quarantined = 0;
  for (size_t i = 0; i < RF_GUARD_QUEUES; i++) {
    count += repair_queue(guard, &guard->queues[i], origin);
  }
  return count;
}

static bool any_damaged(const rf_guard *guard) {
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL; rf_guard_next(guard, &at)) {
    if (!at.intact) {
      return true;
    }
  }
  return false;
}

size_t rf_guard_repair(rf_guard *guard, const rf_origin *origin) {
  size_t count = any_damaged(guard) ? rf_guard_report_overruns(guard, origin) : 0;
  count += repair_ring(guard, origin);
  return count + repair_quarantine(guard, origin);
}

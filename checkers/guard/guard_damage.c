/* rf_guard: damage to blocks whose header is intact, and to the inner allocator. */
#include "guard_impl.h"

/* ---- One block ---- */

/* NOLINTNEXTLINE(readability-non-const-parameter): *out points to it */
static bool damaged(unsigned char *p, size_t size, unsigned char byte, guard_damage *out) {
  rf_pattern_area const area = {p, size, byte};
  return rf_pattern_damage(&area, &out->area);
}

bool rf_guard_inspect(const rf_guard *guard, const rf_guard_header *h, guard_damage *out) {
  bool const freed = state_of(h) == STATE_FREED;
  if (freed && damaged(payload_of(h), fill_of(guard, h), RF_PATTERN_FREED, out)) {
    out->bug = RF_BUG_USE_AFTER_FREE;
    out->detail = "the fill of a freed block was overwritten";
    return true;
  }
  if (damaged(front_redzone_of(h), RF_GUARD_FRONT, RF_PATTERN_REDZONE, out)) {
    out->bug = RF_BUG_BUFFER_UNDERFLOW;
    out->detail = "guard bytes before the block were overwritten";
    return true;
  }
  if (damaged(payload_of(h) + h->size, h->back, RF_PATTERN_REDZONE, out)) {
    out->bug = RF_BUG_BUFFER_OVERFLOW;
    out->detail = "guard bytes after the block were overwritten";
    return true;
  }
  return false;
}

static bool reaches_end(const guard_damage *damage, const rf_guard_header *h) {
  return damage->bug == RF_BUG_BUFFER_OVERFLOW && damage->area.at + damage->area.size == end_of(h);
}

static void report_area(rf_guard *guard, const rf_guard_header *h, const guard_damage *damage,
                        const rf_origin *origin) {
  rf_finding f;
  rf_guard_finding(guard, &f, damage->bug, RF_ACCESS_WRITE, damage->area.at, origin);
  rf_guard_finding_block(guard, &f, h);
  rf_guard_finding_window(guard, &f, h, damage->area.at);
  f.access_size = damage->area.size;
  f.detail = damage->detail;
  rf_track_fill(damage->area.at, damage->area.byte, damage->area.size);
  rf_report(guard->options.reporter, &f);
}

/* ---- Overruns ---- */

void rf_guard_abandon(rf_guard *guard, rf_guard_header *h, bool freed) {
  if (!freed) {
    guard->abandoned++;
    untag_lost(guard, h);
  }
  rf_track_fill(h, 0, sizeof *h);
  h->kind = STATE_ABANDONED;
  write_checksum(guard, h);
}

/* Abandons the blocks whose headers an overflow that ran on beyond `end` has overwritten. True where there are any. */
static bool abandon_overrun(rf_guard *guard, const unsigned char *end) {
  guard_cursor hit = rf_guard_block_after(guard, end);
  if (hit.h == NULL || (uintptr_t)hit.h - (uintptr_t)end > GUARD_REACH) {
    return false;
  }
  bool any = false;
  while (hit.h != NULL && !hit.intact) {
    if (!rf_guard_sound(guard, hit.h, STATE_ABANDONED)) {
      rf_guard_abandon(guard, hit.h, hit.freed);
      any = true;
    }
    hit = rf_guard_block_after(guard, payload_of(hit.h));
  }
  return any;
}

static bool has_overrun(rf_guard *guard, const unsigned char *end) {
  bool const header_hit = abandon_overrun(guard, end);
  return rf_guard_inner_was_hit(guard) || header_hit;
}

size_t rf_guard_report_damage(rf_guard *guard, rf_guard_header *h, const rf_origin *origin) {
  guard_damage damage;
  size_t count = 0;
  while (rf_guard_inspect(guard, h, &damage)) {
    if (reaches_end(&damage, h) && has_overrun(guard, end_of(h))) {
      damage.detail = "the metadata of the next block was overwritten too";
    }
    report_area(guard, h, &damage, origin);
    count++;
  }
  return count;
}

size_t rf_guard_report_overruns(rf_guard *guard, const rf_origin *origin) {
  size_t count = 0;
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL; rf_guard_next(guard, &at)) {
    guard_damage damage;
    if (at.intact && rf_guard_inspect(guard, at.h, &damage) && reaches_end(&damage, at.h)) {
      count += rf_guard_report_damage(guard, at.h, origin);
    }
  }
  return count;
}

bool rf_guard_has_lost_blocks(const rf_guard *guard) {
  size_t known = guard->abandoned;
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL && !at.freed; rf_guard_next(guard, &at)) {
    known++;
  }
  return known < guard->counters.blocks;
}

/* ---- The inner allocator ---- */

bool rf_guard_inner_is_whole(rf_guard *guard, rf_fault *where) {
  guard->inner_damaged = rf_check(guard->inner, where) != RF_OK;
  guard->inner_reported = guard->inner_reported && guard->inner_damaged;
  return !guard->inner_damaged;
}

bool rf_guard_inner_was_hit(rf_guard *guard) {
  rf_fault where;
  bool const hit = !guard->inner_damaged && !rf_guard_inner_is_whole(guard, &where);
  guard->inner_reported = guard->inner_reported || hit;
  return hit;
}

#define NEAR 256U /* bytes behind a block within which damage was probably written past its end */

void rf_guard_blame_before(const rf_guard *guard, rf_finding *f) {
  const rf_guard_header *nearest = NULL;
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL; rf_guard_next(guard, &at)) {
    uintptr_t const end = at.intact ? (uintptr_t)payload_of(at.h) + at.h->size : UINTPTR_MAX;
    bool const before = end <= f->address && f->address - end < NEAR;
    nearest = before && (nearest == NULL || at.h > nearest) ? at.h : nearest;
  }
  if (nearest != NULL) {
    rf_guard_finding_block(guard, f, nearest);
  }
}

/* True where damage to the inner allocator is reported, before or now with the block whose overflow did it; else it is
 * the caller's to report, once. */
static bool is_inner_reported(rf_guard *guard, const rf_origin *origin) {
  rf_fault where;
  if (!guard->inner_reported) {
    (void)rf_guard_report_overruns(guard, origin);
  }
  bool const reported = guard->inner_reported;
  guard->inner_reported = reported || !rf_guard_inner_is_whole(guard, &where);
  return reported;
}

void rf_guard_report_inner(rf_guard *guard, const rf_fault *fault, const rf_origin *origin) {
  rf_finding f;
  if (fault->status == RF_ERR_CORRUPT && is_inner_reported(guard, origin)) {
    return;
  }
  rf_guard_finding(guard, &f, RF_BUG_METADATA, RF_ACCESS_UNKNOWN, fault->ptr, origin);
  if (fault->status == RF_ERR_CORRUPT) {
    rf_guard_blame_before(guard, &f);
  }
  f.detail = fault->what != NULL ? fault->what : rf_status_name(fault->status);
  rf_report(guard->options.reporter, &f);
}

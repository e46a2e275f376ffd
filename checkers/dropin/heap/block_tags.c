#include "block_tags.h"

/* Slots on either side in which the block of a stray access is looked for. New spans repeat their tags behind NEAR. */
#define NEAR (RF_BLOCK_TAGS - 1)
#define FAR 64U

/* ---- Blocks ---- */

static uintptr_t begin_of(const rf_view *v) {
  return (uintptr_t)v->begin;
}

static uintptr_t payload_of(const rf_view *v) {
  return (uintptr_t)v->payload;
}

static uintptr_t end_of(const rf_view *v) {
  return (uintptr_t)v->end;
}

/* The first granule that has nothing of the payload. */
static uintptr_t guard_of(const rf_view *v) {
  return rf_tag_round(payload_of(v) + v->size);
}

/* By which slots differ from their neighbours. */
static size_t number_of(const rf_view *v) {
  return v->span->large ? (size_t)(v->span->base >> RF_UNIT_SHIFT) : v->index;
}

unsigned rf_block_tag_of(const rf_view *v) {
  if (v->span->mapped) {
    return RF_BLOCK_TAG_NONE;
  }
  return v->size == 0 ? RF_BLOCK_TAG_SHUT : rf_memory_tags_at(payload_of(v));
}

static void set_before_payload(const rf_view *v, unsigned tag) {
  uintptr_t const start = v->index == 0 ? rf_span_start(v->span) : begin_of(v);
  rf_memory_tags_set(start, payload_of(v), tag);
}

void *rf_block_tag_set(const rf_view *v, unsigned tag) {
  if (v->span->mapped) {
    set_before_payload(v, RF_BLOCK_TAG_SHUT);
    rf_memory_tags_set(guard_of(v), end_of(v), RF_BLOCK_TAG_SHUT);
    return v->payload;
  }
  set_before_payload(v, RF_BLOCK_TAG_NONE);
  rf_memory_tags_set(payload_of(v), guard_of(v), tag);
  rf_memory_tags_set(guard_of(v), end_of(v), RF_BLOCK_TAG_NONE);
  return (void *)rf_tag_add(payload_of(v), v->size == 0 ? RF_BLOCK_TAG_SHUT : tag);
}

void *rf_block_tag_give(const rf_view *v) {
  if (v->span->mapped && !v->span->fresh) {
    rf_memory_tags_set(payload_of(v), guard_of(v), RF_BLOCK_TAG_NONE);
  }
  return rf_block_tag_set(v, rf_block_tag_choose(number_of(v), rf_memory_tags_at(begin_of(v))));
}

#define SHUT_MOST ((size_t)1 << 20) /* bytes of a freed mapping that are shut: it may be large, and hardly touched */

void rf_block_tag_take(const rf_view *v) {
  if (v->span->mapped) {
    size_t const bytes = guard_of(v) - payload_of(v);
    rf_memory_tags_set(payload_of(v), payload_of(v) + (bytes < SHUT_MOST ? bytes : SHUT_MOST), RF_BLOCK_TAG_SHUT);
    return;
  }
  unsigned const tag = rf_block_tag_of(v);
  rf_memory_tags_set(begin_of(v), end_of(v), rf_block_tag_next(rf_block_tag_choose(number_of(v), tag)));
}

/* The payload of a mapping keeps its tag, for it may move by pages. */
unsigned rf_block_tag_hold(const rf_view *v) {
  if (v->span->mapped) {
    rf_memory_tags_set(guard_of(v), end_of(v), RF_BLOCK_TAG_NONE);
    return RF_BLOCK_TAG_NONE;
  }
  unsigned const tag = rf_block_tag_choose(number_of(v), rf_block_tag_of(v));
  rf_block_tag_take(v);
  return tag;
}

/* ---- Faults ---- */

/* The tag of the pointers to the slot's live block; RF_BLOCK_TAG_NONE where none lives there. */
static unsigned live_tag(rf_span *span, unsigned index, rf_view *out) {
  if (index >= span->count || rf_slot_state_of(&span->slots[index]) != RF_SLOT_LIVE) {
    return RF_BLOCK_TAG_NONE;
  }
  *out = rf_view_of(span, index);
  return rf_block_tag_of(out);
}

/* The nearest live block with the pointer's tag. */
static bool find_near(rf_span *span, unsigned index, unsigned tag, unsigned most, rf_view *out) {
  for (unsigned i = 1; i <= most && tag != RF_BLOCK_TAG_NONE; i++) {
    if ((index >= i && live_tag(span, index - i, out) == tag) || live_tag(span, index + i, out) == tag) {
      return true;
    }
  }
  return false;
}

/* The slot that `address` lies in, or the nearest one of its span. */
static unsigned slot_near(const rf_span *span, uintptr_t address) {
  unsigned const index = address >= span->base ? rf_span_index(span, address) : 0;
  return index < span->count ? index : span->count - 1;
}

static rf_tag_verdict judge(const rf_view *v, uintptr_t address, unsigned tag) {
  unsigned const memory = rf_view_is_freed(v) ? rf_memory_tags_at(begin_of(v)) : rf_block_tag_of(v);
  rf_tag_scene const scene = {tag, memory, rf_view_is_freed(v), (ptrdiff_t)(address - payload_of(v)), v->size};
  if (v->span->mapped) { /* all of its pointers have tag 0 */
    bool const inside = scene.offset >= 0 && (size_t)scene.offset < v->size;
    return rf_view_is_freed(v) || inside ? RF_TAG_AFTER_FREE : scene.offset < 0 ? RF_TAG_UNDERFLOW : RF_TAG_OVERFLOW;
  }
  return rf_tag_judge(&scene);
}

/* The pointer was not meant for this slot, unless an earlier block there had its tag. A slot that never held a block
 * rules that out, and the pointer's block may be far. */
static rf_tag_verdict judge_another(rf_span *span, unsigned index, uintptr_t address, unsigned tag, rf_view *view) {
  rf_view other;
  bool const used = rf_slot_state_of(&span->slots[index]) != RF_SLOT_NEW;
  if (find_near(span, index, tag, used ? NEAR : FAR, &other)) {
    *view = other;
    return payload_of(&other) > address ? RF_TAG_UNDERFLOW : RF_TAG_OVERFLOW;
  }
  return used && rf_block_tag_choose(number_of(view), tag) == tag ? RF_TAG_AFTER_REUSE : RF_TAG_ANOTHER;
}

static rf_bug bug_of(rf_tag_verdict verdict) {
  switch (verdict) {
  case RF_TAG_OVERFLOW:
    return RF_BUG_BUFFER_OVERFLOW;
  case RF_TAG_UNDERFLOW:
    return RF_BUG_BUFFER_UNDERFLOW;
  case RF_TAG_AFTER_FREE:
  case RF_TAG_AFTER_REUSE:
  case RF_TAG_ANOTHER:
    break;
  }
  return RF_BUG_USE_AFTER_FREE;
}

const char rf_block_tag_reused[] =
    "the pointer's tag is an older one: its block was freed, and the one described was given the memory since";
static const char nearest[] = "the block is the nearest one with the pointer's tag";

static const char *detail_of(rf_tag_verdict verdict, bool near) {
  return verdict == RF_TAG_AFTER_REUSE ? rf_block_tag_reused : near ? nearest : NULL;
}

bool rf_block_tag_explain(uintptr_t address, unsigned tag, rf_view *view, rf_bug *bug, const char **detail) {
  rf_span *const span = rf_span_of(address);
  if (span == NULL) {
    return false;
  }
  unsigned const index = slot_near(span, address);
  *view = rf_view_of(span, index);
  bool const used = rf_slot_state_of(view->slot) != RF_SLOT_NEW;
  rf_tag_verdict verdict = used ? judge(view, address, tag) : RF_TAG_ANOTHER;
  if (verdict == RF_TAG_ANOTHER) {
    verdict = judge_another(span, index, address, tag, view);
  }
  *bug = bug_of(verdict);
  *detail = detail_of(verdict, view->index + 1 < index || view->index > index + 1);
  return verdict != RF_TAG_ANOTHER;
}

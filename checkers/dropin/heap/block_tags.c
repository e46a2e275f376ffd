#include "block_tags.h"

#define NEAR 64U /* slots on either side in which the block of a stray access is looked for */

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

static void *shut_mapping(const rf_view *v) {
  if (!v->span->fresh) {
    rf_memory_tags_set(payload_of(v), guard_of(v), RF_BLOCK_TAG_NONE);
  }
  rf_memory_tags_set(rf_span_start(v->span), payload_of(v), RF_BLOCK_TAG_SHUT);
  rf_memory_tags_set(guard_of(v), end_of(v), RF_BLOCK_TAG_SHUT);
  return v->payload;
}

void rf_block_tag_open(const rf_view *v) {
  if (v->span->mapped) {
    rf_memory_tags_set(guard_of(v), end_of(v), RF_BLOCK_TAG_NONE);
  }
}

void *rf_block_tag_set(const rf_view *v, unsigned tag) {
  if (v->span->mapped) {
    return shut_mapping(v);
  }
  rf_memory_tags_set(v->index == 0 ? rf_span_start(v->span) : begin_of(v), payload_of(v), RF_BLOCK_TAG_NONE);
  rf_memory_tags_set(payload_of(v), guard_of(v), tag);
  rf_memory_tags_set(guard_of(v), end_of(v), RF_BLOCK_TAG_NONE);
  return (void *)rf_tag_add(payload_of(v), v->size == 0 ? RF_BLOCK_TAG_SHUT : tag);
}

void *rf_block_tag_give(const rf_view *v) {
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
static bool find_near(rf_span *span, unsigned index, unsigned tag, rf_view *out) {
  for (unsigned i = 1; i <= NEAR && tag != RF_BLOCK_TAG_NONE; i++) {
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

static bool is_freed(const rf_view *v) {
  return rf_slot_state_of(v->slot) == RF_SLOT_FREED;
}

static rf_tag_verdict judge(const rf_view *v, uintptr_t address, unsigned tag) {
  unsigned const memory = is_freed(v) ? rf_memory_tags_at(begin_of(v)) : rf_block_tag_of(v);
  rf_tag_scene const scene = {tag, memory, is_freed(v), (ptrdiff_t)(address - payload_of(v)), v->size};
  if (v->span->mapped) { /* all of its pointers have tag 0 */
    bool const inside = scene.offset >= 0 && (size_t)scene.offset < v->size;
    return is_freed(v) || inside ? RF_TAG_AFTER_FREE : scene.offset < 0 ? RF_TAG_UNDERFLOW : RF_TAG_OVERFLOW;
  }
  return rf_tag_judge(&scene);
}

/* The slot itself is none of those that the pointer was meant for, unless an earlier block there had its tag. */
static rf_tag_verdict judge_another(rf_span *span, unsigned index, uintptr_t address, unsigned tag, rf_view *view) {
  rf_view other;
  if (find_near(span, index, tag, &other)) {
    *view = other;
    return payload_of(&other) > address ? RF_TAG_UNDERFLOW : RF_TAG_OVERFLOW;
  }
  bool const used = rf_slot_state_of(&span->slots[index]) != RF_SLOT_NEW;
  bool const may_be_stale = used && rf_block_tag_choose(number_of(view), tag) == tag;
  return !may_be_stale ? RF_TAG_ANOTHER : is_freed(view) ? RF_TAG_AFTER_FREE : RF_TAG_AFTER_REUSE;
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

static const char reused[] = "the block was freed, and its memory given out again: this is the one that is there now";

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
  *detail = verdict == RF_TAG_AFTER_REUSE ? reused : NULL;
  return verdict != RF_TAG_ANOTHER;
}

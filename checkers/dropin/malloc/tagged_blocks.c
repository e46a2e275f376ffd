#include "tagged_blocks.h"

#include "checkers/dropin/heap/walk.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/shared/wrapper.h"
#include "lib/core/compiler.h"

void *rf_tagged_block_give(void *block) {
  rf_view view;
  return block != NULL && rf_heap_live(block, &view) ? rf_block_tag_give(&view) : block;
}

RF_RARE static void report_stale(const rf_view *v, const void *ptr, const rf_origin *origin) {
  rf_finding f;
  bool const lost = rf_tag_of((uintptr_t)ptr) == RF_BLOCK_TAG_NONE;
  const void *const address = (const void *)rf_tag_remove((uintptr_t)ptr);
  rf_finding_begin(&f, lost ? RF_BUG_BAD_FREE : RF_BUG_DOUBLE_FREE, RF_ACCESS_FREE, address, "malloc",
                   rf_mode_name(RF_MODE_MTE), origin);
  rf_check_about(&f, v);
  f.detail = lost ? "the pointer has lost its tag" : rf_block_tag_reused;
  rf_report(rf_process.guard_options.reporter, &f);
}

/* True, *ptr without its tag, where the heap may look at it; *live where it is a live block. */
static bool admit(void **ptr, rf_view *view, bool *live, const rf_origin *origin) {
  void *const plain = (void *)rf_tag_remove((uintptr_t)*ptr);
  *live = rf_heap_live(plain, view);
  if (*live && rf_block_tag_of(view) != rf_tag_of((uintptr_t)*ptr)) {
    report_stale(view, *ptr, origin);
    return false;
  }
  *ptr = plain;
  return true;
}

bool rf_tagged_block_take(void **ptr, const rf_origin *origin) {
  rf_view view;
  bool live;
  bool const admitted = admit(ptr, &view, &live, origin);
  if (admitted && live) {
    rf_block_tag_take(&view);
  }
  return admitted;
}

bool rf_tagged_block_hold(void **ptr, rf_tagged_block *held, const rf_origin *origin) {
  rf_view view;
  bool live;
  bool const admitted = admit(ptr, &view, &live, origin);
  *held = (rf_tagged_block){NULL, RF_BLOCK_TAG_NONE};
  if (admitted && live) {
    *held = (rf_tagged_block){*ptr, rf_block_tag_hold(&view)};
  }
  return admitted;
}

/* In its place a block keeps its tag: programs compare the two pointers. */
void *rf_tagged_block_settle(const rf_tagged_block *held, void *block) {
  rf_view view;
  bool const stayed = held->block != NULL && (block == NULL || block == held->block);
  if (!stayed) {
    return rf_tagged_block_give(block);
  }
  void *const pointer = rf_heap_live(held->block, &view) ? rf_block_tag_set(&view, held->tag) : NULL;
  return block != NULL ? pointer : NULL;
}

bool rf_tagged_block_is_known(const void *ptr) {
  rf_view view;
  uintptr_t const plain = rf_tag_remove((uintptr_t)ptr);
  if (rf_span_holding(plain) == NULL) {
    return true;
  }
  return rf_heap_live((const void *)plain, &view) && rf_block_tag_of(&view) == rf_tag_of((uintptr_t)ptr);
}

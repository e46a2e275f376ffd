/* The page store: the kernel's limit of mappings. An open block is a mapping, and so is the gap behind it. An eighth of
 * the limit is left to the program. */
#include "page_impl.h"

static size_t blocks_allowed; /* over all stores; accessed atomically, as is the next */
static size_t blocks_open;
static bool writable_is_free;

#define FEW 1024U /* so many need no look at what there is, which takes longer than a small program */

static size_t count_allowed(void) {
  size_t const limit = rf_page_map_limit();
  size_t const others = rf_page_map_count() + limit / 8;
  size_t const spare = limit > others ? limit - others : 0;
  return limit == SIZE_MAX ? SIZE_MAX : spare / 2;
}

void rf_page_mappings_plan(size_t slots) {
  size_t const allowed = slots != 0 && slots <= FEW ? FEW : count_allowed();
  size_t const open = __atomic_load_n(&blocks_open, __ATOMIC_RELAXED);
  size_t const before = __atomic_load_n(&blocks_allowed, __ATOMIC_RELAXED);
  __atomic_store_n(&writable_is_free, rf_page_writable_is_free(), __ATOMIC_RELAXED);
  if (allowed != FEW || before < open + FEW) {
    __atomic_store_n(&blocks_allowed, allowed == SIZE_MAX ? SIZE_MAX : allowed + open, __ATOMIC_RELAXED);
  }
}

bool rf_page_mappings_are_free(void) {
  return __atomic_load_n(&writable_is_free, __ATOMIC_RELAXED);
}

void rf_page_mappings_report_full(const rf_page_store *store) {
  static uint32_t said;
  char text[256];
  rf_sink_buffer line;
  if (__atomic_exchange_n(&said, 1, __ATOMIC_RELAXED) != 0) {
    return;
  }
  rf_sink_buffer_init(&line, text, sizeof text);
  rf_sink_str(&line.sink, rf_page_writable_is_free()
                              ? "ringfence: the kernel's limit of mappings (vm.max_map_count) is near with "
                              : "ringfence: a limit of mappings or of memory (vm.max_map_count, RLIMIT_DATA, no "
                                "overcommit) is near with ");
  rf_sink_uint(&line.sink, __atomic_load_n(&blocks_open, __ATOMIC_RELAXED));
  rf_sink_str(&line.sink, " blocks on pages of their own; for now, ");
  rf_sink_str(&line.sink, store->options.fallback);
  rf_sink_str(&line.sink, "\n");
  rf_port_log(line.data, line.length);
}

/* One more of the mappings that are allowed; given back by open_ends. */
bool rf_page_mapping_begin(void) {
  size_t const open = __atomic_add_fetch(&blocks_open, 1, __ATOMIC_RELAXED);
  if (open <= __atomic_load_n(&blocks_allowed, __ATOMIC_RELAXED)) {
    return true;
  }
  __atomic_fetch_sub(&blocks_open, 1, __ATOMIC_RELAXED);
  return false;
}

void rf_page_mapping_end(void) {
  __atomic_fetch_sub(&blocks_open, 1, __ATOMIC_RELAXED);
}

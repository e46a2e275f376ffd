#include "leak_check.h"

#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/os/module.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/runtime/process_reporter.h"
#include "checkers/dropin/runtime/sandbox.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/os/sort.h"
#include "own_memory.h"
#include "reachability.h"
#include "told_leaks.h"

#include <string.h>

#define WAIT_MS 1000U
#define MAX_THREADS 8192U
#define MAX_GROUPS 16384U

/* Leaks of one origin. */
typedef struct group {
  uint32_t state; /* rf_reachability_state */
  uintptr_t first;
  size_t blocks;
  size_t bytes;
  size_t told_blocks; /* besides: the program was told of these before */
  size_t told_bytes;
  rf_trace allocated;
} group;

typedef struct groups {
  group *list;
  uint32_t *slots; /* hash table of indices + 1 */
  size_t slot_mask;
  size_t capacity;
  size_t count;
} groups;

/* Memory of one search: a mapping that is not a root itself. */
typedef struct search {
  void *memory;
  size_t memory_size;
  rf_roots roots;
  rf_stopped stopped;
  rf_reachability table;
  groups groups;
} search;

/* Threads that were late in stopping may look at this for a while yet. */
static rf_stopped_thread *stopped_threads;

/* ---- Memory ---- */

static void *carve(unsigned char **at, size_t count, size_t size) {
  unsigned char *const p = *at;
  *at += (count * size + 63) & ~(size_t)63;
  return p;
}

static size_t power_above(size_t n) {
  size_t power = 64;
  while (power < n) {
    power *= 2;
  }
  return power;
}

/* With the heap locked. Memory that is not used is not touched, so generous sizes cost nothing. */
static bool get_memory(search *s) {
  size_t const blocks = rf_reachability_count_blocks();
  size_t const index = rf_reachability_count_slots();
  size_t const spans = rf_reachability_count_spans();
  size_t const ranges = rf_own_memory_count() + MAX_THREADS;
  size_t const kinds = blocks < MAX_GROUPS ? blocks : MAX_GROUPS;
  size_t const slots = power_above(2 * kinds);
  s->memory_size = RF_ROOTS_BUFFER + ranges * sizeof(rf_range) + blocks * sizeof(rf_reachability_block) +
                   (index + spans + slots) * sizeof(uint32_t) + kinds * sizeof(group) + 9 * (size_t)64;
  s->memory = rf_pages_map(s->memory_size, 1, 0);
  if (stopped_threads == NULL) {
    stopped_threads = rf_record_table(MAX_THREADS * sizeof *stopped_threads);
  }
  if (s->memory == NULL || stopped_threads == NULL) {
    return false;
  }
  unsigned char *at = s->memory;
  s->roots.buffer = carve(&at, RF_ROOTS_BUFFER, 1);
  s->roots.excluded = (rf_ranges){carve(&at, ranges, sizeof(rf_range)), ranges, 0};
  unsigned char *const written = at;
  s->table = (rf_reachability){
      .blocks = carve(&at, blocks, sizeof(rf_reachability_block)),
      .capacity = blocks,
      .index = carve(&at, index, sizeof(uint32_t)),
      .index_capacity = index,
      .first = carve(&at, spans, sizeof(uint32_t)),
      .first_capacity = spans,
      .roots = &s->roots,
  };
  rf_pages_populate((uintptr_t)written, (uintptr_t)at);
  s->groups = (groups){carve(&at, kinds, sizeof(group)), carve(&at, slots, sizeof(uint32_t)), slots - 1, kinds, 0};
  s->stopped = (rf_stopped){stopped_threads, MAX_THREADS, 0};
  return true;
}

static bool exclude_own_memory(search *s) {
  rf_ranges *const out = &s->roots.excluded;
  bool const room = rf_own_memory_add(out);
  return rf_ranges_add(out, (uintptr_t)s->memory, (uintptr_t)s->memory + s->memory_size) && room;
}

/* ---- Merging ---- */

static size_t hash(uint32_t state, const rf_trace *trace) {
  size_t h = state + 1;
  for (unsigned i = 0; i < trace->depth; i++) {
    h = (h ^ trace->frames[i]) * (size_t)0x9E3779B97F4A7C15U;
    h ^= h >> (sizeof h * 4);
  }
  return h ^ (uintptr_t)trace->site;
}

static bool same_origin(const group *g, uint32_t state, const rf_trace *trace) {
  return g->state == state && g->allocated.depth == trace->depth && g->allocated.site == trace->site &&
         memcmp(g->allocated.frames, trace->frames, trace->depth * sizeof trace->frames[0]) == 0;
}

/* The group of this origin, a new one if need be; NULL where there is no room for one. */
static group *group_of(groups *all, uint32_t state, const rf_trace *trace) {
  for (size_t slot = hash(state, trace);; slot++) {
    uint32_t *const index = &all->slots[slot & all->slot_mask];
    if (*index != 0 && !same_origin(&all->list[*index - 1], state, trace)) {
      continue;
    }
    if (*index == 0) {
      if (all->count == all->capacity) {
        return NULL;
      }
      group *const made = &all->list[all->count++];
      *made = (group){.state = state, .allocated = *trace};
      *index = (uint32_t)all->count;
    }
    return &all->list[*index - 1];
  }
}

static bool allocated_at(const rf_reachability_block *block, rf_trace *out) {
  rf_view view;
  if (block->paged) {
    return rf_page_store_allocated(rf_guarded_blocks.store, (const void *)block->start, out);
  }
  if (!rf_heap_live((const void *)block->start, &view)) {
    return false;
  }
  rf_check_trace(view.slot->allocated, view.slot->allocated_by, out);
  return true;
}

static void count_block(group *g, const rf_reachability_block *block, bool note) {
  if (rf_told_leaks_has(block->start, hash(g->state, &g->allocated), note)) {
    g->told_blocks++;
    g->told_bytes += block->size;
    return;
  }
  if (g->blocks++ == 0) {
    g->first = block->start;
  }
  g->bytes += block->size;
}

static void merge(search *s, rf_leaks policy, rf_leak_summary *out) {
  bool const note = rf_process_reports_to_program();
  for (size_t i = 0; i < s->table.count; i++) {
    const rf_reachability_block *const block = &s->table.blocks[i];
    rf_trace allocated;
    bool const leaked = block->state != RF_REACHABILITY_REACHABLE;
    if (leaked) {
      out->blocks++;
      out->bytes += block->size;
    } else if (policy != RF_LEAKS_REACHABLE) {
      continue;
    }
    if (!allocated_at(block, &allocated)) {
      continue;
    }
    group *const g = group_of(&s->groups, block->state, &allocated);
    if (g == NULL) {
      out->unlisted_blocks += leaked ? 1 : 0;
      out->unlisted_bytes += leaked ? block->size : 0;
      continue;
    }
    count_block(g, block, note);
  }
}

/* Direct leaks first, then by bytes. */
static bool before(const void *first, const void *second) {
  const group *const a = first;
  const group *const b = second;
  return a->state != b->state ? a->state < b->state : a->bytes > b->bytes;
}

/* ---- Reporting ---- */

/* Allocated by a function of the loader that another one called: its own affair, which no call of the program's could
 * free. The innermost frame alone may be the loader on the way from the program to malloc (LD_AUDIT). */
static bool is_loaders(rf_known_modules *modules, const rf_trace *trace) {
  for (unsigned i = 0; i < 2; i++) {
    const rf_known_module *const m = i < trace->depth ? rf_known_module_find(modules, trace->frames[i] - 1) : NULL;
    if (m == NULL || !m->loader) {
      return false;
    }
  }
  return true;
}

static bool is_named_users(const rf_known_module *m) {
  return m != NULL && m->users && m->named;
}

/* By the first frame that is the program's, or a library's that is no mere runtime; without one, by the program. */
static bool is_listed(rf_known_modules *modules, const rf_trace *trace) {
  if (trace->site != NULL) {
    return true;
  }
  if (is_loaders(modules, trace)) {
    return false;
  }
  for (unsigned i = 0; i < trace->depth; i++) {
    const rf_known_module *const m = rf_known_module_find(modules, trace->frames[i] - 1);
    if (m != NULL && !m->runtime) {
      return is_named_users(m);
    }
  }
  return is_named_users(rf_known_module_of_program(modules));
}

/* For a module that is not listed. Ringfence, which calls main, may lie in a folder of the user's modules. */
static bool is_called_by_user(rf_known_modules *modules, const rf_trace *trace) {
  for (unsigned i = 0; i < trace->depth && !is_loaders(modules, trace); i++) {
    const rf_known_module *const m = rf_known_module_find(modules, trace->frames[i] - 1);
    if (is_named_users(m) && !m->runtime) {
      return true;
    }
  }
  return false;
}

static const char *detail_of(uint32_t state) {
  switch (state) {
  case RF_REACHABILITY_LEAKED:
    return "nothing points to it";
  case RF_REACHABILITY_LEAKED_INDIRECTLY:
    return "only leaked blocks point to it";
  default:
    return "still reachable";
  }
}

static void report(const group *g, rf_reporter *reporter) {
  rf_finding f;
  memset(&f, 0, sizeof f);
  f.bug = RF_BUG_LEAK;
  f.cwe = rf_bug_cwe(f.bug, RF_ACCESS_UNKNOWN);
  f.address = g->first;
  f.block = g->first;
  f.size = g->bytes;
  f.blocks = g->blocks;
  f.allocator = "malloc";
  f.mode = rf_mode_name(rf_process.options.mode);
  f.detail = detail_of(g->state);
  f.allocated = g->allocated;
  rf_report(reporter, &f);
}

static void report_groups(search *s, rf_leaks policy, rf_reporter *reporter, rf_leak_summary *out) {
  rf_known_modules modules = {.count = 0};
  rf_sort(s->groups.list, s->groups.count, sizeof s->groups.list[0], before);
  for (size_t i = 0; i < s->groups.count; i++) {
    const group *const g = &s->groups.list[i];
    if (policy == RF_LEAKS_LOST && !is_listed(&modules, &g->allocated)) {
      out->unlisted_blocks += g->blocks + g->told_blocks;
      out->unlisted_bytes += g->bytes + g->told_bytes;
      out->called_blocks += is_called_by_user(&modules, &g->allocated) ? g->blocks + g->told_blocks : 0;
    } else if (g->blocks != 0) {
      out->findings++;
      report(g, reporter);
    }
  }
}

/* ---- The search ---- */

static bool mark_stopped(search *s, uintptr_t sp, const char **why) {
  if (!rf_roots_stacks(&s->roots, &s->stopped, sp) || !exclude_own_memory(s)) {
    *why = "the memory map cannot be read (/proc)";
    return false;
  }
  rf_ranges_sort(&s->roots.excluded);
  rf_reachability_collect(&s->table);
  if (!rf_reachability_mark(&s->table)) {
    *why = "the memory map cannot be read (/proc)";
    return false;
  }
  return true;
}

/* The heap locked, and what is known of ended threads. */
static bool find_leaks(search *s, uintptr_t sp, const char **why) {
  if (!get_memory(s)) {
    *why = "no memory for the search";
    return false;
  }
  *why = rf_stop_the_world(&s->stopped, WAIT_MS);
  if (*why != NULL) {
    return false;
  }
  rf_roots_open(&s->roots);
  bool const found = mark_stopped(s, sp, why);
  rf_roots_close(&s->roots);
  rf_resume_the_world(&s->stopped);
  return found;
}

void rf_leak_check(rf_leaks policy, uintptr_t sp, rf_reporter *reporter, rf_leak_summary *out) {
  search s;
  memset(&s, 0, sizeof s);
  *out = (rf_leak_summary){.checked = false, .why = NULL};
  if (policy == RF_LEAKS_NONE) {
    return;
  }
  if (rf_sandbox_forbids_search()) {
    out->why = "the program forbids itself the system calls that this takes (seccomp)";
    return;
  }
  out->why = "a thread is inside an allocation function";
  if (!rf_thread_lock(WAIT_MS)) {
    return;
  }
  if (!rf_lock_blocks(WAIT_MS)) {
    rf_thread_unlock();
    return;
  }
  bool const found = find_leaks(&s, sp, &out->why);
  if (found) {
    merge(&s, policy, out);
  }
  rf_unlock_blocks();
  rf_thread_unlock();
  if (found) {
    out->checked = true;
    out->why = NULL;
    report_groups(&s, policy, reporter, out);
  }
  if (s.memory != NULL) {
    rf_pages_unmap(s.memory, s.memory_size);
  }
}

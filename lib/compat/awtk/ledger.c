/* A decorator that lists each live block: the work behind debug, and the adapter that makes an rf_allocator of a
 * foreign mem_allocator_t.
 *
 *     | lead … | entry: next, prev, site, size, lead, checksum | payload: size bytes |
 *              ^ a multiple of RF_ALIGN_DEFAULT            ^ of the alignment
 *
 * `checksum` covers the entry, its address and the ledger, so that a foreign pointer does not pass. A freed
 * entry is marked, so that a second free is recognised until the memory is used again. The
 * newest block is first.
 */
#include "impl.h"

#include <ringfence/layout.h>

typedef struct rf_awtk_entry entry;

struct rf_awtk_entry {
  _Alignas(RF_ALIGN_DEFAULT) entry *next;
  entry *prev; /* newer; NULL: this is the first */
  const rf_site *site;
  size_t size;
  size_t lead; /* bytes before the entry */
  uintptr_t checksum;
};

_Static_assert(sizeof(entry) % RF_ALIGN_DEFAULT == 0, "a payload behind an aligned entry is aligned");

#define FREED ((uintptr_t)0x5A)

static rf_awtk_ledger *ledger_of(rf_allocator *allocator) {
  return (rf_awtk_ledger *)(void *)allocator;
}

/* Without the links, which change with the neighbours; links_match verifies those. */
static uintptr_t checksum_of(const rf_awtk_ledger *ledger, const entry *e) {
  uintptr_t sum = (uintptr_t)e ^ (uintptr_t)ledger << 4;
  sum = (sum + e->size) * UINT32_C(0x9E3779B1);
  sum = (sum + e->lead) * UINT32_C(0x9E3779B1);
  return sum + (uintptr_t)e->site;
}

static void *payload_of(entry *e) {
  return e + 1;
}

static void *start_of(entry *e) {
  return (unsigned char *)e - e->lead;
}

/* ---- Memory from below ---- */

static void *alloc_below(const rf_awtk_ledger *ledger, size_t bytes, const rf_site *site) {
  if (ledger->inner != NULL) {
    return rf_alloc_at(ledger->inner, bytes, RF_ALIGN_DEFAULT, site);
  }
  if (bytes >= UINT32_MAX) {
    return NULL;
  }
  return mem_allocator_alloc(ledger->impl, (uint32_t)bytes, site != NULL ? site->function : NULL,
                             site != NULL ? site->line : 0);
}

static rf_status free_below(const rf_awtk_ledger *ledger, void *start, const rf_site *site) {
  if (ledger->inner != NULL) {
    return rf_free_at(ledger->inner, start, site);
  }
  mem_allocator_free(ledger->impl, start);
  return RF_OK;
}

/* ---- The list ---- */

static void link_entry(rf_awtk_ledger *ledger, entry *e) {
  e->prev = NULL;
  e->next = ledger->first;
  if (e->next != NULL) {
    e->next->prev = e;
  }
  ledger->first = e;
}

static bool links_match(const rf_awtk_ledger *ledger, const entry *e) {
  return (e->prev != NULL ? e->prev->next : ledger->first) == e && (e->next == NULL || e->next->prev == e);
}

static void unlink_entry(rf_awtk_ledger *ledger, entry *e) {
  *(e->prev != NULL ? &e->prev->next : &ledger->first) = e->next;
  if (e->next != NULL) {
    e->next->prev = e->prev;
  }
}

/* The entry of `ptr`, or why there is none. */
static rf_status find(const rf_awtk_ledger *ledger, const void *ptr, entry **out, const char **what) {
  *what = "pointer from elsewhere";
  if (!rf_is_aligned(ptr, RF_ALIGN_DEFAULT)) {
    return RF_ERR_BAD_POINTER;
  }
  entry *const e = (entry *)((uintptr_t)ptr - sizeof(entry));
  if (e->checksum == checksum_of(ledger, e)) {
    *what = "list of live blocks overwritten";
    *out = e;
    return links_match(ledger, e) ? RF_OK : RF_ERR_CORRUPT;
  }
  if (e->checksum == (checksum_of(ledger, e) ^ FREED)) {
    *what = "pointer to free memory";
    return RF_ERR_NOT_ALLOCATED;
  }
  return RF_ERR_BAD_POINTER;
}

/* ---- Operations ---- */

static void *ledger_alloc(rf_allocator *allocator, size_t size, size_t align, const rf_site *site) {
  rf_awtk_ledger *const ledger = ledger_of(allocator);
  size_t const strict = align > RF_ALIGN_DEFAULT ? align : RF_ALIGN_DEFAULT;
  size_t const most =
      ledger->inner != NULL ? strict - RF_ALIGN_DEFAULT : strict; /* of lead: a foreign allocator may not align */
  unsigned char *start = NULL;
  size_t bytes;
  if (rf_add(size, sizeof(entry), &bytes) && rf_add(bytes, most, &bytes) && bytes <= RF_SIZE_LIMIT) {
    start = (unsigned char *)alloc_below(ledger, bytes, site);
  }
  if (start == NULL) {
    ledger->counters.failures++;
    return NULL;
  }
  size_t const lead = rf_align_gap(start + sizeof(entry), strict);
  entry *const e = (entry *)(void *)(start + lead);
  e->site = site;
  e->size = size;
  e->lead = lead;
  e->checksum = checksum_of(ledger, e);
  link_entry(ledger, e);
  rf_count_alloc(&ledger->counters, size);
  return payload_of(e);
}

static rf_status ledger_free(rf_allocator *allocator, void *ptr, const rf_site *site) {
  rf_awtk_ledger *const ledger = ledger_of(allocator);
  const char *what;
  entry *e = NULL;
  rf_status const status = find(ledger, ptr, &e, &what);
  if (status != RF_OK) {
    return rf_fault_refuse(allocator, status, what, ptr, site);
  }
  unlink_entry(ledger, e);
  rf_count_free(&ledger->counters, e->size);
  e->checksum ^= FREED;
  return free_below(ledger, start_of(e), site);
}

/* In place, also where memory below stays larger than it need be. */
static rf_status ledger_resize(rf_allocator *allocator, void *ptr, size_t size, const rf_site *site) {
  rf_awtk_ledger *const ledger = ledger_of(allocator);
  const char *what;
  entry *e = NULL;
  rf_status status = find(ledger, ptr, &e, &what);
  if (status != RF_OK) {
    return rf_fault_refuse(allocator, status, what, ptr, site);
  }
  size_t bytes;
  if (ledger->inner != NULL && rf_add(size, sizeof(entry) + e->lead, &bytes)) {
    status = rf_resize_at(ledger->inner, start_of(e), bytes, site);
  } else {
    status = RF_ERR_NO_MEMORY;
  }
  if (status != RF_OK && size > e->size) {
    return RF_ERR_NO_MEMORY;
  }
  rf_count_resize(&ledger->counters, e->size, size);
  e->size = size;
  e->site = site != NULL ? site : e->site;
  e->checksum = checksum_of(ledger, e);
  return RF_OK;
}

static size_t ledger_usable_size(rf_allocator *allocator, const void *ptr) {
  const char *what;
  entry *e = NULL;
  return find(ledger_of(allocator), ptr, &e, &what) == RF_OK ? e->size : 0;
}

/* Newest block first, not in address order. */
static rf_status ledger_walk(rf_allocator *allocator, rf_walk_fn visit, void *context) {
  const rf_awtk_ledger *const ledger = ledger_of(allocator);
  for (entry *e = ledger->first; e != NULL; e = e->next) {
    rf_block const block = {payload_of(e), e->size, sizeof *e + e->lead, true, e->site};
    if (e->checksum != checksum_of(ledger, e) || !links_match(ledger, e)) {
      return RF_ERR_CORRUPT;
    }
    if (!visit(&block, context)) {
      break;
    }
  }
  return RF_OK;
}

static bool add_up(const rf_block *block, void *context) {
  rf_counters *const sum = (rf_counters *)context;
  sum->blocks++;
  sum->used += block->size;
  return true;
}

static rf_status ledger_check(rf_allocator *allocator, rf_fault *where) {
  rf_awtk_ledger *const ledger = ledger_of(allocator);
  rf_counters sum = {0};
  if (ledger_walk(allocator, add_up, &sum) != RF_OK || sum.used != ledger->counters.used ||
      sum.blocks != ledger->counters.blocks) {
    *where = (rf_fault){RF_ERR_CORRUPT, "list of live blocks overwritten", allocator, ledger->first, NULL};
    return RF_ERR_CORRUPT;
  }
  return ledger->inner != NULL ? rf_check(ledger->inner, where) : RF_OK;
}

static void ledger_stats(rf_allocator *allocator, rf_stats *out) {
  memset(out, 0, sizeof *out);
  rf_count_into(&ledger_of(allocator)->counters, out);
}

static void ledger_reject(rf_allocator *allocator, rf_reject why, size_t size, size_t detail, const rf_site *site) {
  if (ledger_of(allocator)->inner != NULL) {
    (void)rf_reject_at(ledger_of(allocator)->inner, why, size, detail, site);
  }
}

static rf_allocator *ledger_inner(rf_allocator *allocator) {
  return ledger_of(allocator)->inner;
}

static const rf_allocator_ops LEDGER_OPS = {
    .name = "debug",
    .alloc = ledger_alloc,
    .free = ledger_free,
    .resize = ledger_resize,
    .usable_size = ledger_usable_size,
    .walk = ledger_walk,
    .check = ledger_check,
    .stats = ledger_stats,
    .reject = ledger_reject,
    .inner = ledger_inner,
};

void rf_awtk_ledger_init(rf_awtk_ledger *ledger, rf_allocator *inner, mem_allocator_t *impl) {
  memset(ledger, 0, sizeof *ledger);
  ledger->base.ops = &LEDGER_OPS;
  ledger->inner = inner;
  ledger->impl = impl;
}

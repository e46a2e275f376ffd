/* The page store's backing blocks: from what is kept with a block to the block. A table over addresses has in each
 * place the tag of the one backing block there, or MANY.
 *
 *     address = | .......... | tag, 15 bits | place | 4 bits |
 *
 * With PLACES_A_SLOT places for each slot hardly any pointer meets a place that is taken, however many blocks live, and
 * of these hardly any has its tag. The places of blocks that lie together lie together.
 *
 * Complexity: a look is a load; adding and finding O(1) and O(slots), removing O(1), where two shared a place O(slots).
 */
#include "page_impl.h"

#include <ringfence/bits.h>

#define PLACES_A_SLOT 64U
#define PLACES_LEAST ((size_t)4096)
#define PLACES_MOST ((size_t)1 << 20)

#define MANY UINT16_MAX

static uintptr_t place_of(const rf_page_store *store, const void *ptr) {
  return (uintptr_t)ptr >> RF_PAGE_BACKING_SHIFT & store->tags_mask;
}

/* Never 0, never MANY. */
static uint16_t tag_of(const rf_page_store *store, const void *ptr) {
  uintptr_t const above = (uintptr_t)ptr >> RF_PAGE_BACKING_SHIFT >> rf_log2(store->tags_mask + 1);
  return (uint16_t)((above & 0x7FFFU) + 1);
}

static uint16_t tag_at(const rf_page_store *store, uintptr_t place) {
  return __atomic_load_n(&store->tags[place], __ATOMIC_RELAXED);
}

static void put_tag(rf_page_store *store, uintptr_t place, uint16_t tag) {
  __atomic_store_n(&store->tags[place], tag, __ATOMIC_RELAXED);
}

/* ---- The table ---- */

bool rf_backing_begin(rf_page_store *store) {
  size_t places = PLACES_LEAST;
  while (places < PLACES_MOST && places / PLACES_A_SLOT < store->options.slots) {
    places *= 2;
  }
  store->tags = (uint16_t *)rf_page_records(places * sizeof *store->tags);
  store->tags_mask = places - 1;
  return store->tags != NULL;
}

void rf_backing_end(rf_page_store *store) {
  rf_page_release(store->tags, (store->tags_mask + 1) * sizeof *store->tags);
  store->tags = NULL;
}

rf_page_backing rf_page_store_backing(const rf_page_store *store) {
  return (rf_page_backing){store->tags, store->tags_mask};
}

/* ---- Entries of the table. Under the lock. ---- */

typedef bool (*is_wanted)(const rf_page_store *store, const rf_slot *s, const void *what);

/* The first wanted live block after `s` (NULL: of all). */
static const rf_slot *next_live(const rf_page_store *store, const rf_slot *s, is_wanted wanted, const void *what) {
  const rf_space *space = s != NULL ? s->space : store->spaces;
  s = s != NULL ? s->after : space != NULL ? space->lowest : NULL;
  while (space != NULL) {
    for (; s != NULL; s = s->after) {
      if (rf_slot_is_live(s) && s->backing != NULL && wanted(store, s, what)) {
        return s;
      }
    }
    space = space->next;
    s = space != NULL ? space->lowest : NULL;
  }
  return NULL;
}

static bool has_backing(const rf_page_store *store, const rf_slot *s, const void *what) {
  (void)store;
  return s->backing == what;
}

static bool has_place(const rf_page_store *store, const rf_slot *s, const void *what) {
  return place_of(store, s->backing) == place_of(store, what);
}

void rf_backing_add(rf_page_store *store, const rf_slot *s) {
  if (s->backing == NULL || store->tags == NULL) {
    return;
  }
  uintptr_t const place = place_of(store, s->backing);
  put_tag(store, place, tag_at(store, place) == 0 ? tag_of(store, s->backing) : MANY);
}

void rf_backing_remove(rf_page_store *store, const void *backing) {
  if (backing == NULL || store->tags == NULL) {
    return;
  }
  uintptr_t const place = place_of(store, backing);
  const rf_slot *left = NULL;
  if (tag_at(store, place) == MANY) {
    left = next_live(store, NULL, has_place, backing);
  }
  if (left == NULL) {
    put_tag(store, place, 0);
  } else if (next_live(store, left, has_place, backing) == NULL) {
    put_tag(store, place, tag_of(store, left->backing));
  }
}

const rf_slot *rf_backing_find(const rf_page_store *store, const void *ptr) {
  uint16_t const tag = tag_at(store, place_of(store, ptr));
  return tag == MANY || tag == tag_of(store, ptr) ? next_live(store, NULL, has_backing, ptr) : NULL;
}

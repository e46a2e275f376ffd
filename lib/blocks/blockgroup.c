#include <ringfence/blockgroup.h>

#include "blockgroup_impl.h"
#include "memblocks_impl.h"

#include <string.h>

/* ---- Records: none is followed before its checksum was compared ---- */

static size_t group_checksum(const rf_blockgroup *group) {
  size_t const sum = rf_checksum_add(rf_checksum_begin(group), (size_t)(uintptr_t)group->choose);
  return rf_checksum_add_address(sum, group->first);
}

static size_t member_checksum(const rf_blockgroup_member *member) {
  size_t const sum = rf_checksum_add_address(rf_checksum_begin(member), member->blocks);
  return rf_checksum_add_address(sum, member->next);
}

/* The address of the first damage; NULL if group, members and pools are intact. */
static const void *find_damage(const rf_blockgroup *group) {
  if (group->checksum != group_checksum(group)) {
    return group;
  }
  for (const rf_blockgroup_member *m = group->first; m != NULL; m = m->next) {
    if (m->checksum != member_checksum(m)) {
      return m;
    }
    if (!rf_memblocks_intact(m->blocks)) {
      return m->blocks;
    }
  }
  return NULL;
}

bool rf_blockgroup_intact(const rf_blockgroup *group) {
  return find_damage(group) == NULL;
}

static rf_status broken(const rf_blockgroup *group, const rf_site *site) {
  return rf_fault_refuse(NULL, RF_ERR_CORRUPT, "blockgroup: record of the group, a member or a pool was overwritten",
                         find_damage(group), site);
}

/* ---- Members ---- */

rf_status rf_blockgroup_init(rf_blockgroup *group, rf_blockgroup_choice choose) {
  if (group == NULL || choose == NULL) {
    return RF_ERR_INVALID;
  }
  group->choose = choose;
  group->first = NULL;
  group->quiet = false;
  group->checksum = group_checksum(group);
  return RF_OK;
}

void rf_blockgroup_deinit(rf_blockgroup *group) {
  group->first = NULL;
  group->checksum = group_checksum(group);
}

static bool is_member(const rf_blockgroup *group, const rf_memblocks *blocks) {
  const rf_blockgroup_member *m = group->first;
  while (m != NULL && m->blocks != blocks) {
    m = m->next;
  }
  return m != NULL;
}

/* Makes `member` follow `before`, or be the first where that is NULL. */
static void link_after(rf_blockgroup *group, rf_blockgroup_member *before, rf_blockgroup_member *member) {
  if (before == NULL) {
    group->first = member;
    group->checksum = group_checksum(group);
  } else {
    before->next = member;
    before->checksum = member_checksum(before);
  }
}

rf_status rf_blockgroup_add(rf_blockgroup *group, rf_blockgroup_member *member, rf_memblocks *blocks) {
  rf_blockgroup_member *last = NULL;
  if (group == NULL || member == NULL || blocks == NULL) {
    return RF_ERR_INVALID;
  }
  if (!rf_blockgroup_intact(group)) {
    return broken(group, NULL);
  }
  for (rf_blockgroup_member *m = group->first; m != NULL; m = m->next) {
    if (m == member || m->blocks == blocks) {
      return RF_ERR_BUSY;
    }
    last = m;
  }
  member->blocks = blocks;
  member->next = NULL;
  member->checksum = member_checksum(member);
  link_after(group, last, member);
  return RF_OK;
}

rf_status rf_blockgroup_remove(rf_blockgroup *group, rf_blockgroup_member *member) {
  rf_blockgroup_member *before = NULL;
  if (!rf_blockgroup_intact(group)) {
    return broken(group, NULL);
  }
  for (rf_blockgroup_member *m = group->first; m != NULL; m = m->next) {
    if (m == member) {
      link_after(group, before, m->next);
      return RF_OK;
    }
    before = m;
  }
  return RF_ERR_INVALID;
}

rf_memblocks *rf_blockgroup_find(const rf_blockgroup *group, const void *ptr) {
  for (const rf_blockgroup_member *m = group->first; m != NULL; m = m->next) {
    if (rf_memblocks_holds(m->blocks, ptr)) {
      return m->blocks;
    }
  }
  return NULL;
}

rf_memblocks *rf_blockgroup_owner(const rf_blockgroup *group, const void *ptr) {
  return rf_blockgroup_intact(group) ? rf_blockgroup_find(group, ptr) : NULL;
}

static size_t blocks_in_sum(const rf_blockgroup *group) {
  size_t sum = 0;
  for (const rf_blockgroup_member *m = group->first; m != NULL; m = m->next) {
    sum += m->blocks->num_blocks;
  }
  return sum;
}

/* ---- Locks: all of the members' mutexes, each once ---- */

/* The mutex of the group that follows `after` in the order of addresses (NULL: the first); NULL where there is none. */
static rf_mutex *next_mutex(const rf_blockgroup *group, const rf_mutex *after) {
  rf_mutex *best = NULL;
  for (const rf_blockgroup_member *m = group->first; m != NULL; m = m->next) {
    rf_mutex *const mutex = m->blocks->mutex;
    if ((uintptr_t)mutex > (uintptr_t)after && (best == NULL || (uintptr_t)mutex < (uintptr_t)best)) {
      best = mutex;
    }
  }
  return best;
}

static void lock_all(const rf_blockgroup *group) {
  for (rf_mutex *m = next_mutex(group, NULL); m != NULL; m = next_mutex(group, m)) {
    rf_mutex_lock(m);
  }
}

static void unlock_all(const rf_blockgroup *group) {
  for (rf_mutex *m = next_mutex(group, NULL); m != NULL; m = next_mutex(group, m)) {
    rf_mutex_unlock(m);
  }
}

/* ---- Taking ---- */

typedef rf_status (*take_fn)(rf_memblocks *blocks, size_t count, void **out);

static rf_status take(rf_blockgroup *group, void *config, size_t count, void **out, size_t *block_size, take_fn from) {
  if (!rf_blockgroup_intact(group)) {
    return broken(group, NULL);
  }
  rf_memblocks *const chosen = group->choose(group, config);
  if (chosen == NULL || !is_member(group, chosen)) {
    return RF_ERR_INVALID;
  }
  rf_status const status = from(chosen, count, out);
  if (status == RF_OK && block_size != NULL) {
    *block_size = chosen->block_size;
  }
  return status;
}

rf_status rf_blockgroup_alloc(rf_blockgroup *group, void *config, size_t count, void **out, size_t *block_size) {
  if (count == 0) {
    if (block_size != NULL) {
      *block_size = 0;
    }
    return RF_OK;
  }
  return out == NULL ? RF_ERR_INVALID : take(group, config, count, out, block_size, rf_memblocks_alloc);
}

rf_status rf_blockgroup_alloc_contiguous(rf_blockgroup *group, void *config, size_t count, void **out,
                                         size_t *block_size) {
  if (out == NULL) {
    return RF_ERR_INVALID;
  }
  if (count == 0) {
    *out = NULL;
    if (block_size != NULL) {
      *block_size = 0;
    }
    return RF_OK;
  }
  return take(group, config, count, out, block_size, rf_memblocks_alloc_contiguous);
}

/* ---- Giving back ---- */

/* As bytes: see memblocks_block.c. */
static void *load(void *const *in, size_t i) {
  void *ptr;
  memcpy(&ptr, in + i, sizeof ptr);
  return ptr;
}

static rf_status refuse(const rf_blockgroup *group, const rf_memblocks_refusal *why, const rf_site *site) {
  if (group->quiet && why->status != RF_ERR_CORRUPT) {
    return why->status;
  }
  return rf_fault_refuse(NULL, why->status, why->what, why->ptr, site);
}

static bool release(const rf_blockgroup *group, const void *ptr, rf_memblocks_refusal *why) {
  rf_memblocks *const owner = rf_blockgroup_find(group, ptr);
  if (owner == NULL) {
    rf_memblocks_refusal const foreign = {RF_ERR_BAD_POINTER, "blockgroup: free of a foreign pointer", ptr};
    *why = foreign;
    return false;
  }
  return rf_memblocks_release(owner, ptr, why);
}

/* All locks held: nobody sees a batch half freed, and nobody can take from it before it is known to be good. */
static bool release_all(const rf_blockgroup *group, size_t count, void *const *in, rf_memblocks_refusal *why) {
  for (size_t i = 0; i < count; i++) {
    if (!release(group, load(in, i), why)) {
      while (i != 0) {
        void *const ptr = load(in, --i);
        rf_memblocks_unrelease(rf_blockgroup_find(group, ptr), ptr);
      }
      return false;
    }
  }
  return true;
}

/* The pool that owns every block of the batch, for which one lock is enough; NULL where there is no such pool. */
static rf_memblocks *sole_owner(const rf_blockgroup *group, size_t count, void *const *in) {
  rf_memblocks *const owner = rf_blockgroup_find(group, load(in, 0));
  for (size_t i = 1; owner != NULL && i < count; i++) {
    if (!rf_memblocks_holds(owner, load(in, i))) {
      return NULL;
    }
  }
  return owner;
}

rf_status rf_blockgroup_free_at(rf_blockgroup *group, size_t count, void *const *in, const rf_site *site) {
  rf_memblocks_refusal why;
  if (count == 0) {
    return RF_OK;
  }
  if (!rf_blockgroup_intact(group)) {
    return broken(group, site);
  }
  if (in == NULL || count > blocks_in_sum(group)) {
    return RF_ERR_INVALID;
  }
  rf_memblocks *const owner = sole_owner(group, count, in);
  if (owner != NULL) {
    return rf_memblocks_free_at(owner, count, in, site);
  }
  lock_all(group);
  bool const released = release_all(group, count, in, &why);
  for (size_t i = 0; (RF_TRACK || RF_WATCH) && released && i < count; i++) {
    const rf_memblocks *const blocks = rf_blockgroup_find(group, load(in, i));
    rf_track_free(load(in, i), blocks->block_size);
    RF_WATCH_TELL(free, rf_memblocks_view(blocks), load(in, i), 1, site, RF_WATCH_CALLER);
  }
  unlock_all(group);
  if (!released) {
    return refuse(group, &why, site);
  }
  for (size_t i = 0; i < count; i++) {
    rf_memblocks *const blocks = rf_blockgroup_find(group, load(in, i));
    rf_memblocks_notify_free(blocks, load(in, i), blocks->block_size);
  }
  return RF_OK;
}

rf_status rf_blockgroup_free_contiguous_at(rf_blockgroup *group, void *first, size_t count, const rf_site *site) {
  if (count == 0) {
    return RF_OK;
  }
  if (!rf_blockgroup_intact(group)) {
    return broken(group, site);
  }
  rf_memblocks *const owner = rf_blockgroup_find(group, first);
  if (owner == NULL) {
    rf_memblocks_refusal const foreign = {RF_ERR_BAD_POINTER, "blockgroup: free of a foreign pointer", first};
    return refuse(group, &foreign, site);
  }
  return rf_memblocks_free_contiguous_at(owner, first, count, site);
}

rf_status rf_blockgroup_check(rf_blockgroup *group, rf_fault *where) {
  const void *const at = find_damage(group);
  if (at != NULL) {
    if (where != NULL) {
      rf_fault const fault = {RF_ERR_CORRUPT, "blockgroup: record of the group, a member or a pool was overwritten",
                              NULL, at, NULL};
      *where = fault;
    }
    return RF_ERR_CORRUPT;
  }
  for (const rf_blockgroup_member *m = group->first; m != NULL; m = m->next) {
    if (rf_memblocks_check(m->blocks, where) != RF_OK) {
      return RF_ERR_CORRUPT;
    }
  }
  return RF_OK;
}

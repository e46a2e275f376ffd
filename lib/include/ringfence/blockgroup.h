/* blockgroup: several memblocks behind one name. A function of yours chooses the pool for each request; a free finds
 * the pool by address.
 *
 *     static rf_memblocks *choose(rf_blockgroup *group, void *config) { return config == NEAR ? &sram : &dram; }
 *
 *     rf_blockgroup_init(&group, choose);
 *     rf_blockgroup_add(&group, &near, &sram);
 *     rf_blockgroup_add(&group, &far, &dram);
 *     rf_blockgroup_alloc(&group, NEAR, 4, frames, &frame_size);
 *     rf_blockgroup_free(&group, 4, frames);
 *
 * Algorithm: the members are a list; the owner of an address is looked for in it.
 * From: Zephyr's sys_multi_mem_blocks; any number of members, batches that span them, all-or-nothing frees are ours.
 * Memory: four words for the group, three for each member, all the caller's; no byte of any buffer.
 * Complexity: alloc as memblocks, + O(members); free of k blocks O(k * members).
 * Alignment: that of the chosen member.
 * Threads and interrupts: as the members: each with its own mutex, or one mutex for several. A free that spans members
 *   holds all of the group's mutexes at once, always locked in the order of their addresses. Members are added and
 *   removed before other threads use the group.
 * An allocation fails iff the choice is NULL or no member, or the chosen pool cannot serve it: no other is tried.
 *
 * As an rf_allocator that picks the pool by size: blockgroup_allocator.h.
 */
#ifndef RINGFENCE_BLOCKGROUP_H
#define RINGFENCE_BLOCKGROUP_H

#include <ringfence/memblocks.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_blockgroup rf_blockgroup;

/* Answers which pool, a member of the group, is to serve a request; NULL: none. `config` is what the caller of alloc
 * passed, of any meaning. Runs outside all locks. */
typedef rf_memblocks *(*rf_blockgroup_choice)(rf_blockgroup *group, void *config);

/* A pool's place in a group: the caller's storage, until it is removed. A pool may be in several groups. */
typedef struct rf_blockgroup_member {
  rf_memblocks *blocks;
  struct rf_blockgroup_member *next;
  size_t checksum; /* of the two */
} rf_blockgroup_member;

/* Read freely; `quiet` is yours to set. */
struct rf_blockgroup {
  rf_blockgroup_choice choose;
  rf_blockgroup_member *first; /* in order of rf_blockgroup_add */
  bool quiet;      /* refused frees that span members, or that no member owns, go to nobody but the caller */
  size_t checksum; /* of choose and first */
};

/* Makes an empty group. RF_OK, or RF_ERR_INVALID for NULL. */
rf_status rf_blockgroup_init(rf_blockgroup *group, rf_blockgroup_choice choose);

/* Ends the group; its pools live on. A second call does nothing. */
void rf_blockgroup_deinit(rf_blockgroup *group);

/* Adds `blocks` at the end of the list, as `member`. RF_OK, RF_ERR_INVALID for NULL, RF_ERR_BUSY where one of the two
 * is in already. */
rf_status rf_blockgroup_add(rf_blockgroup *group, rf_blockgroup_member *member, rf_memblocks *blocks);

/* Takes `member` out, whatever is allocated from its pool: such blocks are then freed at the pool. RF_OK, or
 * RF_ERR_INVALID where it is not in. */
rf_status rf_blockgroup_remove(rf_blockgroup *group, rf_blockgroup_member *member);

/* rf_memblocks_alloc from the pool that the choice function names for `config`; *block_size (NULL allowed) is then that
 * pool's block size (0 for count 0). Also RF_ERR_INVALID where it names none of the group. */
rf_status rf_blockgroup_alloc(rf_blockgroup *group, void *config, size_t count, void **out, size_t *block_size);

/* The same with rf_memblocks_alloc_contiguous. */
rf_status rf_blockgroup_alloc_contiguous(rf_blockgroup *group, void *config, size_t count, void **out,
                                         size_t *block_size);

/* Gives back in[0 … count-1], each to the pool that owns it, of any of the members; all or none. Results and reports as
 * rf_memblocks_free; a pointer that no member owns is RF_ERR_BAD_POINTER, more blocks than the members have in sum
 * RF_ERR_INVALID. */
#define rf_blockgroup_free(group, count, in) rf_blockgroup_free_at((group), (count), (in), RF_HERE)
rf_status rf_blockgroup_free_at(rf_blockgroup *group, size_t count, void *const *in, const rf_site *site);

/* rf_memblocks_free_contiguous at the pool that owns `first`. */
#define rf_blockgroup_free_contiguous(group, first, count)                                                             \
  rf_blockgroup_free_contiguous_at((group), (first), (count), RF_HERE)
rf_status rf_blockgroup_free_contiguous_at(rf_blockgroup *group, void *first, size_t count, const rf_site *site);

/* The member in whose buffer `ptr` lies, taken or not; NULL where none is. */
rf_memblocks *rf_blockgroup_owner(const rf_blockgroup *group, const void *ptr);

/* Checks the records of group and members, and then each pool until one fails: RF_OK, or RF_ERR_CORRUPT with *where
 * (NULL allowed) filled. (Every other call refuses to work on a group whose records are damaged, and reports it.) */
rf_status rf_blockgroup_check(rf_blockgroup *group, rf_fault *where);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_BLOCKGROUP_H */

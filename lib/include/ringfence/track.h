/* Tracking: tells AddressSanitizer or Valgrind's memcheck which bytes of an arena belong to the program.
 *
 * An allocator reports three events: a range becomes an arena, a block of it is allocated, a block is freed. All bytes
 * of an arena outside of live blocks (headers, slack, free space) are then poisoned, and an access by the program is
 * stopped.
 *
 *     heap->base.ops = rf_track_ops(&my_ops);    reports each block, for allocators that one thread uses at a time
 *     rf_track_arena(arena, size);               at the end of init
 *     rf_track_arena_end(arena, size);           in deinit
 *
 * An allocator that several threads use at once calls rf_track_alloc and rf_track_free under its own lock instead. No
 * allocator needs an #if.
 *
 * Build: RF_TRACK_ASAN=1 or RF_TRACK_VALGRIND=1 selects the tool; Bazel's --//lib/core:track sets them
 * (docs/checkers/asan.md, docs/checkers/valgrind.md). Without either, the calls compile to nothing. With RF_TRACK_ASAN
 * the sources of allocators need -fno-sanitize=address, since only they may touch poisoned bytes: RF_TRACK_COPTS of
 * tools/bazel/copts.bzl.
 * Threads: any thread may call. The caller orders calls about the same memory, and about blocks that share eight
 * aligned bytes, for which AddressSanitizer keeps one byte of state: call under the lock that guards the allocation.
 */
#ifndef RINGFENCE_TRACK_H
#define RINGFENCE_TRACK_H

#include <ringfence/allocator.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef RF_TRACK_ASAN
#define RF_TRACK_ASAN 0
#endif
#ifndef RF_TRACK_VALGRIND
#define RF_TRACK_VALGRIND 0
#endif

/* True in a build with tracking. */
#define RF_TRACK (RF_TRACK_ASAN || RF_TRACK_VALGRIND)

#if RF_TRACK

/* Poisons the `size` bytes at `start`: they become an arena. */
void rf_track_arena(const void *start, size_t size);

/* Unpoisons them: they are the caller's again. */
void rf_track_arena_end(const void *start, size_t size);

/* Unpoisons a new block of `size` bytes at `p`, contents indeterminate. */
void rf_track_alloc(const void *p, size_t size);

/* Poisons a freed block. `room` >= `size`: all bytes that the program may have been given at `p`. */
void rf_track_free(const void *p, size_t room);

/* Moves a block of `room` bytes at `old` to `size` bytes at `p`, which may overlap. The allocator has moved the
 * contents. */
void rf_track_resize(const void *old, size_t room, const void *p, size_t size);

/* Unpoisons all `room` bytes of the block at `p`: the program asked for its usable size. */
void rf_track_reveal(const void *p, size_t room);

/* memmove of a block's contents, poisoned or not. */
void rf_track_copy(void *to, const void *from, size_t size);

/* memset of bytes that may be poisoned, and stay so. */
void rf_track_fill(void *to, int byte, size_t size);

/* Between these two the calling thread may touch poisoned bytes. They nest. Valgrind checks every instruction;
 * AddressSanitizer checks only instrumented code and needs neither. */
void rf_track_enter(void);
void rf_track_leave(void);

/* Nothing is poisoned while paused: for tests that read and damage an allocator's own data. Pauses nest and count for
 * the whole process. */
void rf_track_pause(void);
void rf_track_resume(void);

/* The operations of `bare`, which is static, with tracking around each; rf_track_mute_ops only enters and leaves, for
 * an allocator that calls rf_track_alloc by itself. One table is made for each name. */
const rf_allocator_ops *rf_track_ops(const rf_allocator_ops *bare);
const rf_allocator_ops *rf_track_mute_ops(const rf_allocator_ops *bare);

#else

static inline void rf_track_arena(const void *start, size_t size) {
  (void)start;
  (void)size;
}

static inline void rf_track_arena_end(const void *start, size_t size) {
  (void)start;
  (void)size;
}

static inline void rf_track_alloc(const void *p, size_t size) {
  (void)p;
  (void)size;
}

static inline void rf_track_free(const void *p, size_t room) {
  (void)p;
  (void)room;
}

static inline void rf_track_resize(const void *old, size_t room, const void *p, size_t size) {
  (void)old;
  (void)room;
  (void)p;
  (void)size;
}

static inline void rf_track_reveal(const void *p, size_t room) {
  (void)p;
  (void)room;
}

static inline void rf_track_copy(void *to, const void *from, size_t size) {
  memmove(to, from, size);
}

static inline void rf_track_fill(void *to, int byte, size_t size) {
  memset(to, byte, size);
}

static inline void rf_track_enter(void) {}

static inline void rf_track_leave(void) {}

static inline void rf_track_pause(void) {}

static inline void rf_track_resume(void) {}

static inline const rf_allocator_ops *rf_track_ops(const rf_allocator_ops *bare) {
  return bare;
}

static inline const rf_allocator_ops *rf_track_mute_ops(const rf_allocator_ops *bare) {
  return bare;
}

#endif

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TRACK_H */

/* The seam between allocators and what watches memory from outside: AddressSanitizer, or Valgrind's memcheck.
 *
 * An allocator tells three things: this memory is an arena of mine, this block of it is now the program's, this block is mine
 * again. Whatever of an arena is not the program's (headers, slack, free space) is then out of bounds, and a program that
 * reads or writes there is stopped at the access.
 *
 *     heap->base.ops = rf_seam_ops(&MY_OPS);    tells of blocks, for an allocator that one thread uses at a time
 *     rf_seam_arena(arena, size);               at init, once the arena is laid out
 *     rf_seam_arena_end(arena, size);           at deinit
 *
 * That is all a heap needs. One that is called by several threads at once calls rf_seam_alloc and rf_seam_free itself, under
 * its own lock. Neither heap nor header has an #if.
 *
 * RF_SEAM_ASAN=1 or RF_SEAM_VALGRIND=1, which Bazel's --//lib/core:seam sets, chooses the watcher (docs/checkers/asan.md,
 * docs/checkers/valgrind.md). Without either all of this is nothing at all. With RF_SEAM_ASAN the sources of allocators are
 * compiled with -fno-sanitize=address, since they alone may touch what is out of bounds; RF_SEAM_COPTS of
 * tools/bazel/copts.bzl says so.
 *
 * Threads and interrupts: each call may come from any thread; two calls about the same memory are the caller's to order, and
 * so are two about blocks that share eight aligned bytes, of which AddressSanitizer keeps one byte of state: tell under the
 * lock that hands out and takes back.
 */
#ifndef RINGFENCE_SEAM_H
#define RINGFENCE_SEAM_H

#include <ringfence/allocator.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef RF_SEAM_ASAN
#define RF_SEAM_ASAN 0
#endif
#ifndef RF_SEAM_VALGRIND
#define RF_SEAM_VALGRIND 0
#endif

/* True in a build whose memory is watched. */
#define RF_SEAM (RF_SEAM_ASAN || RF_SEAM_VALGRIND)

#if RF_SEAM

/* The `size` bytes at `start`, the caller's up to now, belong to an allocator: nobody else may touch them. */
void rf_seam_arena(const void *start, size_t size);

/* They are the caller's again, wholly, whatever they hold. */
void rf_seam_arena_end(const void *start, size_t size);

/* `size` bytes at `p`, in an arena, are the program's, contents indeterminate: these and no more. */
void rf_seam_alloc(const void *p, size_t size);

/* They are the allocator's again. `room`: all that the program may have been given at `p`, at least `size`. */
void rf_seam_free(const void *p, size_t room);

/* A block of `room` bytes at `old` is now one of `size` at `p`, which may be the same place or overlap. What it held was
 * brought along. */
void rf_seam_resize(const void *old, size_t room, const void *p, size_t size);

/* All `room` bytes of the block at `p` may be used from now on: its owner asked how many there are. */
void rf_seam_reveal(const void *p, size_t room);

/* memmove, from a block to where the program will find it, whatever both are at the moment. */
void rf_seam_copy(void *to, const void *from, size_t size);

/* memset, of bytes that may be out of bounds, and stay so. */
void rf_seam_fill(void *to, int byte, size_t size);

/* Between these two the calling thread touches what is out of bounds, and may. They nest. For Valgrind, which watches every
 * instruction; AddressSanitizer watches only those that were compiled for it. */
void rf_seam_enter(void);
void rf_seam_leave(void);

/* While paused, nothing is put out of bounds: for tests that read and damage an allocator's own data. Pauses nest, and are
 * the process's, not the thread's. */
void rf_seam_pause(void);
void rf_seam_resume(void);

/* Operations that do what those of `bare`, static storage, do, and tell of it; or that only enter before and leave after,
 * for an allocator that tells by itself. One table is made for each name. */
const rf_allocator_ops *rf_seam_ops(const rf_allocator_ops *bare);
const rf_allocator_ops *rf_seam_quiet_ops(const rf_allocator_ops *bare);

#else

static inline void rf_seam_arena(const void *start, size_t size) {
  (void)start;
  (void)size;
}

static inline void rf_seam_arena_end(const void *start, size_t size) {
  (void)start;
  (void)size;
}

static inline void rf_seam_alloc(const void *p, size_t size) {
  (void)p;
  (void)size;
}

static inline void rf_seam_free(const void *p, size_t room) {
  (void)p;
  (void)room;
}

static inline void rf_seam_resize(const void *old, size_t room, const void *p, size_t size) {
  (void)old;
  (void)room;
  (void)p;
  (void)size;
}

static inline void rf_seam_reveal(const void *p, size_t room) {
  (void)p;
  (void)room;
}

static inline void rf_seam_copy(void *to, const void *from, size_t size) {
  memmove(to, from, size);
}

static inline void rf_seam_fill(void *to, int byte, size_t size) {
  memset(to, byte, size);
}

static inline void rf_seam_enter(void) {}

static inline void rf_seam_leave(void) {}

static inline void rf_seam_pause(void) {}

static inline void rf_seam_resume(void) {}

static inline const rf_allocator_ops *rf_seam_ops(const rf_allocator_ops *bare) {
  return bare;
}

static inline const rf_allocator_ops *rf_seam_quiet_ops(const rf_allocator_ops *bare) {
  return bare;
}

#endif

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_SEAM_H */

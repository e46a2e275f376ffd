#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64 /* /proc/self/mem has the addresses above 2 GiB, too */
#include "roots.h"

#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/os/raw_syscall.h"
#include "checkers/dropin/runtime/dead_stacks.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/thread.h"
#include "checkers/os/sort.h"

#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "checkers/os/forbidden_calls.h"
#include "checkers/os/maps.h"
#include "checkers/os/proc_self.h"

/* ---- Ranges ---- */

bool rf_ranges_add(rf_ranges *ranges, uintptr_t start, uintptr_t end) {
  if (start >= end) {
    return true;
  }
  if (ranges->count == ranges->capacity) {
    return false;
  }
  ranges->list[ranges->count++] = (rf_range){start, end};
  return true;
}

static bool starts_before(const void *a, const void *b) {
  return ((const rf_range *)a)->start < ((const rf_range *)b)->start;
}

void rf_ranges_sort(rf_ranges *ranges) {
  rf_sort(ranges->list, ranges->count, sizeof ranges->list[0], starts_before);
}

/* ---- The library's own data: its segments, of which those that cannot be written hold no pointer ---- */

#define OWN_MAX 8U

static struct {
  rf_range list[OWN_MAX];
  size_t count;
} own;

static int visit_module(struct dl_phdr_info *info, size_t size, void *context) {
  uintptr_t const here = (uintptr_t)&visit_module;
  uintptr_t const base = info->dlpi_addr;
  bool ours = false;
  (void)size;
  (void)context;
  for (size_t i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *const p = &info->dlpi_phdr[i];
    ours = ours || (p->p_type == PT_LOAD && here - (base + p->p_vaddr) < p->p_memsz);
  }
  bool const library = info->dlpi_name != NULL && info->dlpi_name[0] != '\0';
  for (size_t i = 0; ours && library && i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *const p = &info->dlpi_phdr[i];
    if (p->p_type == PT_LOAD && own.count < OWN_MAX) {
      own.list[own.count++] = (rf_range){base + p->p_vaddr, base + p->p_vaddr + p->p_memsz};
    }
  }
  return ours ? 1 : 0;
}

void rf_roots_init(void) {
  if (own.count == 0) {
    (void)dl_iterate_phdr(visit_module, NULL);
  }
}

bool rf_roots_add_library(rf_ranges *out) {
  bool room = true;
  for (size_t i = 0; i < own.count; i++) {
    room = rf_ranges_add(out, own.list[i].start, own.list[i].end) && room;
  }
  return room;
}

/* ---- Stacks ----
 *
 * Below the stack pointer nothing lives, where it is certain that this is a stack: the kernel's for the first thread,
 * or one that the C library made, which it describes itself, or which has a guard page below and the thread's own
 * storage above. A thread that runs on a stack of the program's making has all of its memory read. */

typedef struct stacks {
  rf_roots *roots;
  const rf_stopped *stopped; /* the caller as well, at the end */
  uintptr_t guard_end;       /* where the mapping before, without access, ended; else 0 */
  bool room;
  bool ours; /* the caller's stack is there: a tracer may have opened another process's map */
} stacks;

static bool within(const rf_map *map, uintptr_t address) {
  return address >= map->start && address < map->end;
}

/* In a child of fork the stacks of its parent's threads look like those of ended ones. */
static bool is_forked(void) {
  return rf_process.forked || getpid() != rf_process.id;
}

static bool visit_stack(const rf_map *map, void *context) {
  stacks *const s = context;
  const rf_stopped_thread *user = NULL;
  unsigned users = 0;
  for (size_t i = 0; i < s->stopped->count; i++) {
    const rf_stopped_thread *const t = &s->stopped->threads[i];
    if (within(map, t->sp)) {
      user = t;
      users++;
    }
  }
  s->ours = s->ours || within(map, s->stopped->threads[s->stopped->count - 1].sp);
  bool const guarded = s->guard_end == map->start;
  bool const of_kernel = strcmp(map->name, "[stack]") == 0;
  if (users == 1 && (of_kernel || (guarded && user->own > user->sp && within(map, user->own)))) {
    s->room = rf_ranges_add(&s->roots->excluded, map->start, user->sp) && s->room;
  }
  if (users == 0 && guarded && map->writable && map->name[0] == '\0' && !is_forked()) {
    rf_dead_stacks_look(map->start, map->end, rf_current_thread.id);
  }
  s->guard_end = map->readable ? 0 : map->end;
  return true;
}

/* The part that is not in use of a stack that the C library describes: the map need not tell where it ends. */
static bool exclude_unused(stacks *s, rf_stopped_thread *t) {
  uintptr_t const start = t->own != 0 ? rf_stack_start(t->own, (uintptr_t)&rf_current_thread) : 0;
  if (start == 0 || t->sp < start || t->sp >= t->own) {
    return true;
  }
  t->own = 0; /* done */
  return rf_ranges_add(&s->roots->excluded, start, t->sp);
}

/* A part of a dead stack: none of the threads may be on it. */
static bool exclude(uintptr_t start, uintptr_t end, void *context) {
  const stacks *const s = context;
  for (size_t i = 0; i < s->stopped->count; i++) {
    if (s->stopped->threads[i].sp >= start && s->stopped->threads[i].sp < end) {
      return true;
    }
  }
  return rf_ranges_add(&s->roots->excluded, start, end);
}

bool rf_roots_stacks(rf_roots *roots, rf_stopped *stopped, uintptr_t sp) {
  if (stopped->count == stopped->capacity) {
    return false;
  }
  stopped->threads[stopped->count] = (rf_stopped_thread){.sp = sp, .own = (uintptr_t)&rf_current_thread};
  rf_stopped const all = {stopped->threads, stopped->capacity, stopped->count + 1};
  stacks s = {.roots = roots, .stopped = &all, .guard_end = 0, .room = true, .ours = false};
  for (size_t i = 0; i < all.count; i++) {
    s.room = exclude_unused(&s, &all.threads[i]) && s.room;
  }
  if (!is_forked()) {
    rf_dead_stacks_list(rf_current_thread.id);
  }
  return rf_maps_each(visit_stack, &s) && s.ours && s.room && rf_dead_stacks_each(exclude, &s);
}

/* ---- Reading ---- */

/* A page that the program has closed (mprotect) holds what it held: the file of a process's memory tells. */
static size_t copy_closed(rf_roots *roots, uintptr_t from, size_t size) {
  size_t const left = rf_pages_round(from + 1) - from; /* of the page */
  if (roots->memory == RF_ROOTS_UNOPENED) {
    roots->memory = open(RF_PROC_PATH("mem"), O_RDONLY | O_CLOEXEC);
  }
  ssize_t const got =
      roots->memory < 0 ? -1 : pread(roots->memory, roots->buffer, size < left ? size : left, (off_t)from);
  return got > 0 ? (size_t)got : 0;
}

/* By way of the kernel, which answers where a load would fault; where it refuses, by loads. */
static size_t copy(rf_roots *roots, uintptr_t from, size_t size) {
  if (!roots->copies) {
    memcpy(roots->buffer, (const void *)from, size);
    return size;
  }
  struct iovec const local = {roots->buffer, size};
  struct iovec const remote = {(void *)from, size};
  ssize_t const got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
  return got > 0 ? (size_t)got : copy_closed(roots, from, size);
}

void rf_roots_visit_buffer(rf_roots *roots, size_t size) {
  const uintptr_t *const words = (const uintptr_t *)(const void *)roots->buffer;
  roots->visit(words, size / sizeof *words, roots->context);
  for (size_t shift = 1; roots->any_byte && shift < sizeof *words && size > shift; shift++) {
    memmove(roots->buffer, roots->buffer + 1, size - shift);
    roots->visit(words, (size - shift) / sizeof *words, roots->context);
  }
}

#define FEW_BYTES ((size_t)16 * 1024) /* a small process takes no more pages for the buffer */

static void read_pages(rf_roots *roots, uintptr_t start, uintptr_t end) {
  size_t const page = rf_pages_round(1);
  if (!roots->copies && !roots->any_byte) {
    roots->visit((const uintptr_t *)start, (end - start) / sizeof(uintptr_t), roots->context);
    return;
  }
  while (start < end) {
    size_t const most = end - start < RF_ROOTS_BUFFER ? FEW_BYTES : RF_ROOTS_BUFFER;
    size_t const want = end - start < most ? end - start : most;
    size_t const got = copy(roots, start, want);
    rf_roots_visit_buffer(roots, got);
    start += got;
    if (got == 0) {
      start = (start & ~(uintptr_t)(page - 1)) + page;
    } else if (got == want && roots->any_byte && start < end) {
      start -= sizeof(uintptr_t); /* a word may lie across the end */
    }
  }
}

#define PAGEMAP_BATCH 256U
#define PAGEMAP_IN_USE (UINT64_C(3) << 62)  /* present, or swapped out */
#define PAGEMAP_OF_FILE (UINT64_C(1) << 61) /* as it is in the file: nobody wrote to it */

static bool may_hold_pointers(const rf_roots *roots, uint64_t entry) {
  return (entry & PAGEMAP_IN_USE) != 0 && !(roots->only_written && (entry & PAGEMAP_OF_FILE) != 0);
}

/* Sets the low bit of a byte for each of `count` pages from `start` on that has memory. */
static void look_up_memory(uintptr_t start, size_t count, unsigned char *has_memory) {
  long const range[6] = {(long)start, (long)(count * rf_pages_round(1)), (long)(uintptr_t)has_memory};
  if (rf_raw_syscall(SYS_mincore, range) != 0) {
    memset(has_memory, 0, count);
  }
}

/* Chooses those of `want` pages, from page number `first` on, that are to be read. Returns how many of these the kernel
 * told of; 0: none. */
static size_t choose(const rf_roots *roots, uintptr_t first, size_t want, bool *chosen) {
  uint64_t entries[PAGEMAP_BATCH];
  unsigned char has_memory[PAGEMAP_BATCH];
  ssize_t const got = pread(roots->pages, entries, want * sizeof *entries, (off_t)(first * sizeof *entries));
  size_t const count = got > 0 ? (size_t)got / sizeof *entries : 0;
  if (roots->only_untouched) {
    look_up_memory(first * rf_pages_round(1), count, has_memory);
  }
  for (size_t i = 0; i < count; i++) {
    chosen[i] = roots->only_untouched ? (entries[i] & PAGEMAP_IN_USE) == 0 && (has_memory[i] & 1) != 0
                                      : may_hold_pointers(roots, entries[i]);
  }
  return count;
}

/* Only pages that were ever touched: a large mapping may be mostly holes, which reading would fill. */
static void read_touched(rf_roots *roots, uintptr_t start, uintptr_t end) {
  size_t const page = rf_pages_round(1);
  bool chosen[PAGEMAP_BATCH];
  while (start < end) {
    uintptr_t const first = start / page;
    uintptr_t const last = (end - 1) / page;
    size_t const want = last - first + 1 < PAGEMAP_BATCH ? last - first + 1 : PAGEMAP_BATCH;
    size_t const count = choose(roots, first, want, chosen);
    if (count == 0) {
      read_pages(roots, start, end);
      return;
    }
    for (size_t i = 0; i < count;) {
      size_t run = i + 1;
      while (run < count && chosen[run] == chosen[i]) {
        run++;
      }
      uintptr_t const from = (first + i) * page > start ? (first + i) * page : start;
      uintptr_t const to = (first + run) * page < end ? (first + run) * page : end;
      if (chosen[i]) {
        read_pages(roots, from, to);
      }
      i = run;
    }
    start = (first + count) * page;
    if (roots->any_byte && count > 1 && start < end) {
      start -= sizeof(uintptr_t); /* a word may lie across the end */
    }
  }
}

static uintptr_t words_only(uintptr_t address) {
  return address & ~(uintptr_t)(sizeof(uintptr_t) - 1);
}

void rf_roots_copy_range(rf_roots *roots, uintptr_t start, uintptr_t end) {
  read_pages(roots, start, words_only(end));
}

void rf_roots_read_range(rf_roots *roots, uintptr_t start, uintptr_t end) {
  start = words_only(start + sizeof(uintptr_t) - 1);
  end = words_only(end);
  if (start >= end) {
    return;
  }
  if (roots->pages >= 0) {
    read_touched(roots, start, end);
  } else {
    read_pages(roots, start, end);
  }
}

/* ---- Which mappings ---- */

static bool read_piece(uintptr_t start, uintptr_t end, void *context) {
  rf_roots_read_range(context, start, end);
  return true;
}

/* Reading a device may do anything. */
static bool is_device(const char *path) {
  return rf_roots_begins(path, "/dev/") && !rf_roots_begins(path, "/dev/zero") && !rf_roots_begins(path, "/dev/shm/");
}

static bool visit_mapping(const rf_map *map, void *context) {
  rf_roots *const roots = context;
  if (!map->readable || is_device(map->name) || rf_roots_begins(map->name, "[v")) {
    return true;
  }
  bool const anonymous = map->name[0] == '\0';
  if (!map->writable && (map->shared || (!anonymous && map->executable))) {
    return true;
  }
  /* Data that was written while a module was loaded, and is read-only since. */
  roots->only_written = !map->writable && !anonymous;
  roots->any_byte = anonymous && map->executable;
  (void)rf_ranges_each_outside(&roots->excluded, &roots->passed, map->start, map->end, read_piece, roots);
  roots->any_byte = false;
  return true;
}

bool rf_roots_read(rf_roots *roots) {
  roots->passed = 0;
  return rf_maps_each(visit_mapping, roots);
}

/* ---- What the first look passes over ----
 *
 * Pages of shared memory that others wrote to: this process's parent (a child of fork begins without a word about such
 * pages), another process, or this one at another address. And mappings that the program has closed. */

/* Larger ones are mostly address space that is kept for later: asking for each of their pages would take long. */
#define REST_MAX ((size_t)1024 * 1024 * 1024)

static bool visit_rest(const rf_map *map, void *context) {
  rf_roots *const roots = context;
  bool const closed = roots->copies && !map->readable && !map->shared && map->name[0] == '\0';
  bool const others = !rf_is_forbidden(RF_CALL_RESIDENT) && map->readable && map->writable && map->shared;
  if ((!closed && !others) || is_device(map->name) || map->end - map->start > REST_MAX) {
    return true;
  }
  roots->any_byte = closed && map->executable;
  roots->only_untouched = others;
  (void)rf_ranges_each_outside(&roots->excluded, &roots->passed, map->start, map->end, read_piece, roots);
  roots->any_byte = false;
  roots->only_untouched = false;
  return true;
}

void rf_roots_read_rest(rf_roots *roots) {
  roots->passed = 0;
  roots->only_written = false;
  if (roots->pages >= 0) {
    (void)rf_maps_each(visit_rest, roots);
  }
}

void rf_roots_open(rf_roots *roots) {
  roots->pages = open(RF_PROC_PATH("pagemap"), O_RDONLY | O_CLOEXEC);
  roots->memory = RF_ROOTS_UNOPENED;
  roots->copies = true;
  roots->copies = copy(roots, (uintptr_t)roots, sizeof *roots) == sizeof *roots;
}

void rf_roots_close(rf_roots *roots) {
  int const files[] = {roots->pages, roots->memory};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    if (files[i] >= 0) {
      (void)close(files[i]);
    }
  }
}

#include "tools/ringfence/base/arena.h"

#include "tools/ringfence/base/diagnostics.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Under AddressSanitizer each piece has a chunk of its own, so that its bounds are checked. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIRST_CHUNK ((size_t)1)
#define MOST_CHUNK ((size_t)1)
#endif
#endif
#ifndef FIRST_CHUNK
/* All is zero at first, which takes time: many arenas hold a few names. */
#define FIRST_CHUNK ((size_t)4 * 1024)
#define MOST_CHUNK ((size_t)64 * 1024)
#endif

struct rf_bump_arena_chunk {
  rf_bump_arena_chunk *next;
  size_t used;
  size_t size;
  _Alignas(max_align_t) unsigned char bytes[];
};

static _Noreturn void out_of_memory(void) {
  rf_diag("out of memory");
  exit(RF_EXIT_USAGE);
}

static size_t chunk_behind(const rf_bump_arena_chunk *last) {
  return last == NULL ? FIRST_CHUNK : last->size < MOST_CHUNK / 2 ? 2 * last->size : MOST_CHUNK;
}

static rf_bump_arena_chunk *add_chunk(rf_bump_arena *arena, size_t at_least) {
  size_t const usual = chunk_behind(arena->chunks);
  size_t const size = at_least > usual ? at_least : usual;
  rf_bump_arena_chunk *const chunk =
      size > SIZE_MAX / 2 ? NULL : (rf_bump_arena_chunk *)calloc(1, sizeof *chunk + size);
  if (chunk == NULL) {
    out_of_memory();
  }
  chunk->size = size;
  chunk->next = arena->chunks;
  arena->chunks = chunk;
  return chunk;
}

void *rf_bump_arena_alloc(rf_bump_arena *arena, size_t size) {
  size_t const align = _Alignof(max_align_t);
  if (size > SIZE_MAX / 2) {
    out_of_memory();
  }
  size_t const taken = (size + align - 1) & ~(align - 1);
  rf_bump_arena_chunk *chunk = arena->chunks;
  if (chunk == NULL || chunk->size - chunk->used < taken) {
    chunk = add_chunk(arena, taken);
  }
  void *const p = chunk->bytes + chunk->used;
  chunk->used += taken;
  return p;
}

void *rf_bump_arena_array(rf_bump_arena *arena, size_t count, size_t size) {
  if (size != 0 && count > SIZE_MAX / size) {
    out_of_memory();
  }
  return rf_bump_arena_alloc(arena, count * size);
}

void *rf_bump_arena_grow(rf_bump_arena *arena, void *array, size_t count, size_t size) {
  if (count != 0 && (count & (count - 1)) != 0) {
    return array;
  }
  void *const larger = rf_bump_arena_array(arena, count == 0 ? 1 : 2 * count, size);
  if (count != 0) {
    memcpy(larger, array, count * size);
  }
  return larger;
}

char *rf_bump_arena_text(rf_bump_arena *arena, const char *text, size_t len) {
  char *const copy = (char *)rf_bump_arena_alloc(arena, len + 1);
  memcpy(copy, text, len);
  return copy;
}

char *rf_bump_arena_copy(rf_bump_arena *arena, const char *text) {
  return rf_bump_arena_text(arena, text, strlen(text));
}

char *rf_bump_arena_vprint(rf_bump_arena *arena, const char *format, va_list arguments) {
  char start[256]; /* most texts are no longer: these are formatted once */
  va_list again;
  va_copy(again, arguments);
  int const length = vsnprintf(start, sizeof start, format, again);
  va_end(again);
  size_t const size = length < 0 ? 1 : (size_t)length + 1;
  char *const text = (char *)rf_bump_arena_alloc(arena, size);
  if (length >= 0 && size <= sizeof start) {
    memcpy(text, start, size);
    return text;
  }
  (void)vsnprintf(text, size, format, arguments);
  return text;
}

char *rf_bump_arena_print(rf_bump_arena *arena, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *const text = rf_bump_arena_vprint(arena, format, arguments);
  va_end(arguments);
  return text;
}

rf_bump_arena_mark rf_bump_arena_mark_of(const rf_bump_arena *arena) {
  return (rf_bump_arena_mark){arena->chunks, arena->chunks == NULL ? 0 : arena->chunks->used};
}

void rf_bump_arena_reset(rf_bump_arena *arena, rf_bump_arena_mark mark) {
  while (arena->chunks != mark.chunk) {
    rf_bump_arena_chunk *const next = arena->chunks->next;
    free(arena->chunks);
    arena->chunks = next;
  }
  if (mark.chunk != NULL) { /* pieces are zeroed when they are taken again */
    memset(mark.chunk->bytes + mark.used, 0, mark.chunk->used - mark.used);
    mark.chunk->used = mark.used;
  }
}

void rf_bump_arena_free(rf_bump_arena *arena) {
  rf_bump_arena_reset(arena, (rf_bump_arena_mark){NULL, 0});
}

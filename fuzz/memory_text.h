/* A text that grows in memory, for libraries that the linker puts in the place of an output. */
#ifndef RINGFENCE_FUZZ_MEMORY_TEXT_H
#define RINGFENCE_FUZZ_MEMORY_TEXT_H

#include <stdlib.h>
#include <string.h>

typedef struct memory_text {
  char *bytes; /* NULL before the first ones */
  size_t length;
  size_t room;
} memory_text;

static inline void memory_text_append(memory_text *t, const char *bytes, size_t size) {
  if (size > t->room - t->length) {
    t->room = 2 * (t->length + size);
    t->bytes = (char *)realloc(t->bytes, t->room);
    if (t->bytes == NULL) {
      abort();
    }
  }
  memcpy(t->bytes + t->length, bytes, size);
  t->length += size;
}

#endif /* RINGFENCE_FUZZ_MEMORY_TEXT_H */

/* The XML of Valgrind's memcheck (--xml=yes), of protocol 4, by the elements that are needed. */
#include "tools/ringfence/model/foreign.h"

#include <stdlib.h>
#include <string.h>

enum { ACCESS, ALLOCATION, RELEASE, NAME_MOST = 32 };

typedef struct reader {
  rf_foreign *out;
  rf_bump_arena *arena;
  rf_foreign_finding *at; /* NULL: outside of an error */
  rf_foreign_frame frame;
  const char *directory;
  unsigned stack; /* the next one is of this kind */
  bool freed;     /* the block was */
  uint32_t process;
} reader;

/* ---- Text ---- */

/* A copy without the five entities. */
static const char *text_of(rf_bump_arena *arena, const char *from, const char *to) {
  static const char *const entities[][2] = {
      {"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}, {"&quot;", "\""}, {"&apos;", "'"}};
  char *const out = rf_bump_arena_text(arena, from, (size_t)(to - from));
  char *write = out;
  for (const char *read = out; *read != '\0';) {
    size_t used = 1;
    *write = *read;
    for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
      if (strncmp(read, entities[i][0], strlen(entities[i][0])) == 0) {
        *write = entities[i][1][0];
        used = strlen(entities[i][0]);
      }
    }
    read += used;
    write++;
  }
  *write = '\0';
  return out;
}

/* ---- Errors ---- */

static void set_kind(reader *r, const char *kind) {
  static const struct {
    const char *kind;
    rf_bug bug;
    rf_access access;
  } rows[] = {
      {"InvalidRead", RF_BUG_SEGV, RF_ACCESS_READ},
      {"InvalidWrite", RF_BUG_SEGV, RF_ACCESS_WRITE},
      {"InvalidFree", RF_BUG_BAD_FREE, RF_ACCESS_FREE},
      {"MismatchedFree", RF_BUG_DEALLOC_MISMATCH, RF_ACCESS_FREE},
      {"FishyValue", RF_BUG_SIZE_TOO_BIG, RF_ACCESS_UNKNOWN},
      {"Leak_DefinitelyLost", RF_BUG_LEAK, RF_ACCESS_UNKNOWN},
      {"Leak_IndirectlyLost", RF_BUG_LEAK, RF_ACCESS_UNKNOWN},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if (strcmp(kind, rows[i].kind) == 0) {
      r->at->known = true;
      r->at->bug = rows[i].bug;
      r->at->access = rows[i].access;
    }
  }
  if (r->at->known && r->at->bug == RF_BUG_LEAK) {
    r->stack = ALLOCATION;
    r->at->detail = kind[5] == 'D' ? "nothing points to it" : "only leaked blocks point to it";
  }
}

/* Numbers in sentences have commas between thousands: "5,000". */
static uint64_t count_at(const char *text) {
  uint64_t value = 0;
  for (; (*text >= '0' && *text <= '9') || *text == ','; text++) {
    value = *text == ',' ? value : 10 * value + (uint64_t)(*text - '0');
  }
  return value;
}

/* "Address 0x52 is 0 bytes after a block of size 10 alloc'd", "… 1,234 bytes inside a block of size 5,000 free'd",
 * "Block was alloc'd at". */
static void read_about_block(reader *r, const char *text) {
  const char *const address = strstr(text, "Address 0x");
  const char *const size = strstr(text, "a block of size ");
  r->stack = strstr(text, "free'd") != NULL ? RELEASE : ALLOCATION;
  if (address != NULL) {
    r->at->address = strtoull(address + strlen("Address "), NULL, 16);
  }
  if (address == NULL || size == NULL) {
    return;
  }
  const char *const is = strstr(address, " is ");
  uint64_t const distance = is == NULL ? 0 : count_at(is + strlen(" is "));
  bool const after = strstr(text, " after a block") != NULL;
  bool const before = strstr(text, " before a block") != NULL;
  r->at->size = count_at(size + strlen("a block of size "));
  r->at->block = r->at->address - (before ? 0 - distance : after ? distance + r->at->size : distance);
  r->freed = r->stack == RELEASE;
  if (r->at->bug == RF_BUG_SEGV) {
    r->at->bug = r->freed ? RF_BUG_USE_AFTER_FREE : before ? RF_BUG_BUFFER_UNDERFLOW : RF_BUG_BUFFER_OVERFLOW;
    rf_foreign_outside(r->at, r->at->address);
  } else if (r->at->bug == RF_BUG_BAD_FREE && r->freed && distance == 0 && !before && !after) {
    r->at->bug = RF_BUG_DOUBLE_FREE;
  }
}

static void read_what(reader *r, const char *text) {
  const char *const size = strstr(text, " of size ");
  const char *const value = strstr(text, " value: ");
  if (r->at->detail == NULL) {
    r->at->detail = text;
    r->at->size = value == NULL ? r->at->size : strtoull(value + strlen(" value: "), NULL, 10);
    r->at->access_size = size == NULL ? 0 : count_at(size + strlen(" of size "));
  }
}

/* ---- Elements ---- */

static void read_of_frame(reader *r, const char *name, const char *text) {
  if (strcmp(name, "ip") == 0) {
    r->frame.pc = strtoull(text, NULL, 16);
    r->frame.offset = r->frame.pc; /* Valgrind loads modules at the same place each time */
  } else if (strcmp(name, "obj") == 0) {
    r->frame.module = text;
  } else if (strcmp(name, "fn") == 0) {
    r->frame.function = text;
  } else if (strcmp(name, "dir") == 0) {
    r->directory = text;
  } else if (strcmp(name, "file") == 0) {
    r->frame.file = r->directory == NULL ? text : rf_bump_arena_print(r->arena, "%s/%s", r->directory, text);
  } else if (strcmp(name, "line") == 0) {
    r->frame.line = (unsigned)strtoul(text, NULL, 10);
  }
}

static void read_element(reader *r, const char *name, const char *text) {
  if (r->at == NULL) {
    r->process = strcmp(name, "pid") == 0 ? (uint32_t)strtoul(text, NULL, 10) : r->process;
    if (strcmp(name, "exe") == 0) {
      r->out->program = text; /* the first one is Valgrind's, the last the program */
    }
  } else if (strcmp(name, "kind") == 0) {
    set_kind(r, text);
  } else if (strcmp(name, "what") == 0 || (strcmp(name, "text") == 0 && r->at->stacks[ACCESS].count == 0)) {
    read_what(r, text);
  } else if (strcmp(name, "auxwhat") == 0) {
    read_about_block(r, text);
  } else if (strcmp(name, "leakedbytes") == 0) {
    r->at->size = strtoull(text, NULL, 10);
  } else if (strcmp(name, "leakedblocks") == 0) {
    r->at->blocks = strtoull(text, NULL, 10);
  } else {
    read_of_frame(r, name, text);
  }
}

static void open_element(reader *r, const char *name) {
  if (strcmp(name, "error") == 0) {
    r->at = rf_foreign_add(r->out, r->arena);
    r->at->process = r->process;
    r->stack = ACCESS;
    r->freed = false;
  } else if (strcmp(name, "frame") == 0) {
    r->frame = (rf_foreign_frame){0};
    r->directory = NULL;
  }
}

static void close_element(reader *r, const char *name, const char *from, const char *to) {
  if (strcmp(name, "error") == 0) {
    r->at = NULL;
  } else if (strcmp(name, "frame") == 0 && r->at != NULL) {
    rf_foreign_add_frame(&r->at->stacks[r->stack], r->arena, &r->frame);
  } else if (from != NULL) {
    read_element(r, name, text_of(r->arena, from, to));
  }
}

/* The name of the tag at `at`, behind its slash; false where it is none of ours. */
static bool read_name(char out[NAME_MOST], const char *at, const char *end) {
  size_t length = 0;
  for (; at + length < end && at[length] != ' ' && at[length] != '/'; length++) {
  }
  if (length == 0 || length >= NAME_MOST) {
    return false;
  }
  memcpy(out, at, length);
  out[length] = '\0';
  return true;
}

void rf_foreign_read_valgrind(rf_foreign *out, rf_bump_arena *arena, const char *text, size_t length) {
  reader r = {.out = out, .arena = arena};
  const char *const end = text + length;
  const char *content = NULL; /* of the innermost element, where no other has begun in it */
  char name[NAME_MOST];
  for (const char *at = text; (at = (const char *)memchr(at, '<', (size_t)(end - at))) != NULL;) {
    const char *const stop = (const char *)memchr(at, '>', (size_t)(end - at));
    if (stop == NULL) {
      return;
    }
    bool const closing = at[1] == '/';
    if (read_name(name, at + 1 + closing, stop)) {
      if (closing) {
        close_element(&r, name, content, at);
      } else {
        open_element(&r, name);
      }
    }
    content = closing ? NULL : stop + 1;
    at = stop + 1;
  }
}

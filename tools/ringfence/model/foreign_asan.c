/* The text of AddressSanitizer and LeakSanitizer, as gcc and clang of the last ten years write it. */
#include "tools/ringfence/model/foreign.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { ACCESS, ALLOCATION, RELEASE };

typedef struct reader {
  rf_foreign *out;
  rf_bump_arena *arena;
  rf_foreign_finding *at; /* NULL: outside of a report */
  unsigned stack;
} reader;

/* The text behind `words` in `line`; NULL where it does not have them. */
static const char *behind(const char *line, const char *words) {
  const char *const found = strstr(line, words);
  return found == NULL ? NULL : found + strlen(words);
}

/* ---- The first line of a report ---- */

static bool set_bug(rf_foreign_finding *f, const char *text) {
  static const struct {
    const char *words;
    rf_bug bug;
  } others[] = {
      {"attempting double-free", RF_BUG_DOUBLE_FREE},
      {"attempting free on address", RF_BUG_BAD_FREE},
      {"attempting to call malloc_usable_size", RF_BUG_BAD_USABLE_SIZE},
      {"requested allocation size", RF_BUG_SIZE_TOO_BIG},
      {"calloc parameters overflow", RF_BUG_CALLOC_OVERFLOW},
      {"reallocarray parameters overflow", RF_BUG_CALLOC_OVERFLOW},
      {"invalid allocation alignment", RF_BUG_BAD_ALIGNMENT},
  };
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    if (strncmp(text, others[i].words, strlen(others[i].words)) == 0) {
      f->bug = others[i].bug;
      return true;
    }
  }
  return rf_bug_from_name(text, strcspn(text, " :"), &f->bug);
}

static void begin(reader *r, const char *line, const char *text) {
  const char *const address = behind(text, "address ");
  const char *const pid = strstr(line, "==");
  rf_foreign_finding *const f = rf_foreign_add(r->out, r->arena);
  f->known = set_bug(f, text);
  f->detail = rf_bump_arena_text(r->arena, text, strcspn(text, "\r\n"));
  f->address = address == NULL ? 0 : strtoull(address, NULL, 16);
  f->process = pid == NULL ? 0 : (uint32_t)strtoul(pid + 2, NULL, 10);
  f->access = f->bug == RF_BUG_DOUBLE_FREE || f->bug == RF_BUG_BAD_FREE ? RF_ACCESS_FREE : RF_ACCESS_UNKNOWN;
  r->at = f;
  r->stack = ACCESS;
}

/* "Direct leak of 40 byte(s) in 2 object(s) allocated from:" */
static void begin_leak(reader *r, const char *sizes, bool direct) {
  char *end = NULL;
  rf_foreign_finding *const f = rf_foreign_add(r->out, r->arena);
  f->known = true;
  f->bug = RF_BUG_LEAK;
  f->size = strtoull(sizes, &end, 10);
  const char *const objects = behind(end, "byte(s) in ");
  f->blocks = objects == NULL ? 1 : strtoull(objects, NULL, 10);
  f->detail = direct ? "nothing points to it" : "only leaked blocks point to it";
  r->at = f;
  r->stack = ALLOCATION;
}

/* ---- Frames ---- */

/* "/path/module+0x12) (BuildId: 4f2c)" */
static void read_module(rf_bump_arena *arena, rf_foreign_frame *frame, const char *text) {
  const char *const plus = strstr(text, "+0x");
  const char *const id = behind(text, "(BuildId: ");
  if (plus != NULL) {
    frame->module = rf_bump_arena_text(arena, text, (size_t)(plus - text));
    frame->offset = strtoull(plus + 1, NULL, 16);
    frame->build_id = id == NULL ? NULL : rf_bump_arena_text(arena, id, strcspn(id, ")"));
  }
}

/* "main /src/a.c:12:3", "f(int, char) (/path/module+0x12)" */
static void read_function(rf_bump_arena *arena, rf_foreign_frame *frame, const char *text) {
  const char *const module = strstr(text, " (/");
  size_t length = module != NULL ? (size_t)(module - text) : strlen(text);
  const char *space = NULL;
  for (size_t i = 0; module == NULL && i < length; i++) {
    space = text[i] == ' ' ? text + i : space;
  }
  const char *const colon = space == NULL ? NULL : strchr(space, ':');
  if (module != NULL) {
    read_module(arena, frame, module + 2);
  } else if (colon != NULL && isdigit((unsigned char)colon[1])) {
    frame->file = rf_bump_arena_text(arena, space + 1, (size_t)(colon - space - 1));
    frame->line = (unsigned)strtoul(colon + 1, NULL, 10);
    length = (size_t)(space - text);
  }
  frame->function = length == 0 ? NULL : rf_bump_arena_text(arena, text, length);
}

/* "#0 0x4011a6 in main /src/a.c:12:3", "#1 0x7f10  (/lib/libc.so.6+0x12)" */
static bool read_frame(reader *r, const char *line) {
  rf_foreign_frame frame = {0};
  char *end = NULL;
  line += strspn(line, " \t");
  if (*line != '#' || !isdigit((unsigned char)line[1])) {
    return false;
  }
  const char *const number = line + 1;
  const char *const address = number + strspn(number, "0123456789");
  frame.pc = strtoull(address, &end, 16);
  if (end == address) {
    return false;
  }
  if (strncmp(end, " in ", 4) == 0) {
    read_function(r->arena, &frame, end + 4);
  } else if (strstr(end, "(/") != NULL) {
    read_module(r->arena, &frame, strstr(end, "(/") + 1);
  }
  rf_foreign_add_frame(&r->at->stacks[r->stack], r->arena, &frame);
  return true;
}

/* ---- Lines ---- */

/* "0x602 is located 0 bytes after 40-byte region [0x5da,0x602)" */
static void read_region(reader *r, const char *line) {
  const char *const region = behind(line, "-byte region [");
  if (region != NULL) {
    const char *size = region - strlen("-byte region [");
    while (size > line && isdigit((unsigned char)size[-1])) {
      size--;
    }
    r->at->size = strtoull(size, NULL, 10);
    r->at->block = strtoull(region, NULL, 16);
    r->at->address = strtoull(line + strspn(line, " \t"), NULL, 16);
    if (r->at->bug == RF_BUG_BUFFER_OVERFLOW && r->at->address < r->at->block) {
      r->at->bug = RF_BUG_BUFFER_UNDERFLOW;
    }
  }
}

static void read_in_report(reader *r, const char *line) {
  const char *const read = behind(line, "READ of size ");
  const char *const write = behind(line, "WRITE of size ");
  if (read_frame(r, line)) {
    return;
  }
  if (read != NULL || write != NULL) {
    r->at->access = read != NULL ? RF_ACCESS_READ : RF_ACCESS_WRITE;
    r->at->access_size = strtoull(read != NULL ? read : write, NULL, 10);
  } else if (strstr(line, " is located ") != NULL) {
    read_region(r, line);
  } else if (strncmp(line, "freed by ", 9) == 0) {
    r->stack = RELEASE;
  } else if (strstr(line, "allocated by ") != NULL) {
    r->stack = ALLOCATION;
  } else if (strncmp(line, "SUMMARY: ", 9) == 0) {
    r->at = NULL;
  }
}

static void read_line(reader *r, const char *line) {
  const char *const error = behind(line, "ERROR: AddressSanitizer: ");
  const char *const direct = behind(line, "Direct leak of ");
  const char *const indirect = behind(line, "Indirect leak of ");
  if (error != NULL) {
    begin(r, line, error);
  } else if (direct != NULL || indirect != NULL) {
    begin_leak(r, direct != NULL ? direct : indirect, direct != NULL);
  } else if (r->at != NULL) {
    read_in_report(r, line);
  }
}

void rf_foreign_read_asan(rf_foreign *out, rf_bump_arena *arena, const char *text, size_t length) {
  reader r = {.out = out, .arena = arena};
  const char *const end = text + length;
  while (text < end) {
    const char *const feed = (const char *)memchr(text, '\n', (size_t)(end - text));
    const char *const stop = feed == NULL ? end : feed;
    size_t const size = (size_t)(stop - text) - (stop != text && stop[-1] == '\r');
    rf_bump_arena_mark const mark = rf_bump_arena_mark_of(arena);
    size_t const before = out->count;
    read_line(&r, rf_bump_arena_text(arena, text, size));
    if (r.at == NULL && out->count == before) {
      rf_bump_arena_reset(arena, mark); /* a line of the program's own */
    }
    text = feed == NULL ? end : feed + 1;
  }
}

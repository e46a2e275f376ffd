/* The text of AddressSanitizer and LeakSanitizer, as gcc and clang of the last ten years write it. */
#include "tools/ringfence/model/foreign.h"

#include "tools/ringfence/base/string_table.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { ACCESS, ALLOCATION, RELEASE, OTHER };

typedef struct reader {
  rf_foreign *out;
  rf_bump_arena *arena;
  rf_foreign_finding *at; /* NULL: outside of a report */
  size_t number;          /* of that finding, from 1 on: the list may move between two lines */
  unsigned stack;         /* frames belong to this one; OTHER: to none that counts */
  uint32_t process;       /* of the last report, as is the next one */
  const char *program;    /* NULL: not named */
  bool fuzzed;            /* the last frame was the target of a fuzzer */
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
      {"use-after-free", RF_BUG_USE_AFTER_FREE}, /* of HWAddressSanitizer */
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

/* The first line without what is of this run alone: registers, threads, the address that was freed. */
static const char *detail_of(rf_bump_arena *arena, const char *text) {
  static const char *const ends[] = {" at pc ", " (pc ", " in thread T", " (thread T", " (0x", "-ed: 0x"};
  size_t length = strlen(text);
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    const char *const end = strstr(text, ends[i]);
    size_t const kept = end == NULL ? length : (size_t)(end - text) + (ends[i][0] == '-' ? strlen("-ed") : 0);
    length = kept < length ? kept : length;
  }
  return rf_bump_arena_text(arena, text, length);
}

/* "requested allocation size 0x8000", "calloc parameters overflow: count * size (3 * 4)",
 * "invalid allocation alignment: 24". */
static void read_request(rf_foreign_finding *f, const char *text) {
  const char *const size = behind(text, "requested allocation size ");
  const char *const count = behind(text, "count * size (");
  const char *const alignment = behind(text, "invalid allocation alignment: ");
  char *end = NULL;
  if (size != NULL) {
    f->size = strtoull(size, NULL, 0);
  } else if (count != NULL) {
    f->argument = strtoull(count, &end, 10);
    f->size = strtoull(end + strspn(end, " *"), NULL, 10);
  } else if (alignment != NULL) {
    f->argument = strtoull(alignment, NULL, 10);
  }
}

/* "alloc-dealloc-mismatch (operator new [] vs operator delete) on 0x10" */
static void read_mismatch(rf_bump_arena *arena, rf_foreign_finding *f, const char *text) {
  const char *const first = behind(text, "alloc-dealloc-mismatch (");
  const char *const second = first == NULL ? NULL : behind(first, " vs ");
  if (second != NULL) {
    f->allocation = rf_bump_arena_text(arena, first, (size_t)(second - first) - strlen(" vs "));
    f->deallocation = rf_bump_arena_text(arena, second, strcspn(second, ")"));
  }
}

/* "==4711==ERROR: ", and with log_exe_name "==prog==4711==ERROR: ". */
static void read_sender(reader *r, const char *line) {
  const char *const end = strstr(line, "==ERROR: ");
  const char *pid = end == NULL ? line : end;
  while (pid > line && isdigit((unsigned char)pid[-1])) {
    pid--;
  }
  r->process = (uint32_t)strtoul(pid, NULL, 10);
  r->program = NULL;
  const char *const stop = pid - line > 2 && strncmp(pid - 2, "==", 2) == 0 ? pid - 2 : line;
  for (const char *start = stop; start >= line + 2 && r->program == NULL; start--) {
    if (start < stop && strncmp(start - 2, "==", 2) == 0) {
      r->program = rf_bump_arena_text(r->arena, start, (size_t)(stop - start));
    }
  }
}

static void begin(reader *r, const char *line, const char *text) {
  const char *const address = behind(text, "address ");
  rf_foreign_finding *const f = rf_foreign_add(r->out, r->arena);
  f->known = set_bug(f, text);
  f->detail = detail_of(r->arena, text);
  f->address = address == NULL ? 0 : strtoull(address, NULL, 16);
  read_sender(r, line);
  f->process = r->process;
  f->program = r->program;
  read_request(f, text);
  read_mismatch(r->arena, f, text);
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
  f->process = r->process;
  f->program = r->program;
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

/* The space before "(/path/module+0x12)", of which strip_path_prefix may leave "(module+0x12)"; NULL: none. */
static const char *find_module(const char *text) {
  const char *const absolute = strstr(text, " (/");
  for (const char *at = text; absolute == NULL && (at = strstr(at, " (")) != NULL; at += 2) {
    size_t const length = strcspn(at + 2, " ()+");
    if (length != 0 && strncmp(at + 2 + length, "+0x", 3) == 0) {
      return at;
    }
  }
  return absolute;
}

/* The space before the path of a source, which may have others; NULL: none. */
static const char *find_source(const char *text) {
  const char *const absolute = strstr(text, " /");
  return absolute != NULL ? absolute : strrchr(text, ' ');
}

/* "main /src/a.c:12:3", "f(int, char) (/path/module+0x12)" */
static void read_function(rf_bump_arena *arena, rf_foreign_frame *frame, const char *text) {
  const char *const module = find_module(text);
  const char *const space = module == NULL ? find_source(text) : NULL;
  const char *const colon = space == NULL ? NULL : strchr(space, ':');
  size_t length = module != NULL ? (size_t)(module - text) : strlen(text);
  if (module != NULL) {
    read_module(arena, frame, module + 2);
  } else if (colon != NULL && isdigit((unsigned char)colon[1])) {
    frame->file = rf_bump_arena_text(arena, space + 1, (size_t)(colon - space - 1));
    frame->line = (unsigned)strtoul(colon + 1, NULL, 10);
    length = (size_t)(space - text);
  }
  frame->function = length == 0 ? NULL : rf_bump_arena_text(arena, text, length);
}

/* The number of the frame at the start of `line` or behind what a log puts before it; NULL where it is no frame. */
static const char *frame_number(const char *line) {
  for (const char *at = strchr(line, '#'); at != NULL; at = strchr(at + 1, '#')) {
    size_t const digits = strspn(at + 1, "0123456789");
    bool const first = at == line || at[-1] == ' ' || at[-1] == '\t';
    if (first && digits != 0 && strncmp(at + 1 + digits, " 0x", 3) == 0) {
      return at + 1;
    }
  }
  return NULL;
}

/* True for libFuzzer, and for what takes its place: the drivers of AFL++, honggfuzz and Centipede. */
static bool is_of_fuzzer(const char *function) {
  static const char *const starts[] = {"fuzzer::",  "LLVMFuzzerRunDriver", "ExecuteFilesOnyByOne",
                                       "Honggfuzz", "centipede::",         "fuzztest::"};
  for (size_t i = 0; function != NULL && i < sizeof starts / sizeof starts[0]; i++) {
    if (strncmp(function, starts[i], strlen(starts[i])) == 0) {
      return true;
    }
  }
  return false;
}

static void add_frame(reader *r, const rf_foreign_frame *frame) {
  if (r->fuzzed && is_of_fuzzer(frame->function)) {
    r->stack = OTHER; /* the callers of its target depend on why it calls it */
  }
  if (r->stack != OTHER) {
    rf_foreign_add_frame(&r->at->stacks[r->stack], r->arena, frame);
  }
  r->fuzzed = frame->function != NULL && strcmp(frame->function, "LLVMFuzzerTestOneInput") == 0;
}

/* "#0 0x4011a6 in main /src/a.c:12:3", "#1 0x7f10  (/lib/libc.so.6+0x12)" */
static bool read_frame(reader *r, const char *line) {
  rf_foreign_frame frame = {0};
  char *end = NULL;
  const char *const number = frame_number(line);
  if (number == NULL) {
    return false;
  }
  frame.pc = strtoull(number + strspn(number, "0123456789"), &end, 16);
  if (strncmp(end, " in ", 4) == 0) {
    read_function(r->arena, &frame, end + 4);
  } else if (find_module(end) != NULL) {
    read_module(r->arena, &frame, find_module(end) + 2);
  }
  if (r->stack != OTHER && *number == '0' && r->at->stacks[r->stack].count != 0) {
    r->stack = OTHER; /* of the call that made a thread, of a variable's function */
  }
  r->fuzzed = r->fuzzed && strtoul(number, NULL, 10) != 0;
  add_frame(r, &frame);
  return true;
}

/* ---- Lines ---- */

/* The number of hexadecimal digits that ends before `end`. */
static uint64_t address_before(const char *line, const char *end) {
  const char *start = end;
  while (start > line && isxdigit((unsigned char)start[-1])) {
    start--;
  }
  return strtoull(start, NULL, 16);
}

/* A report of memset and its like names the first wrong byte, not the first byte: where that is the one behind the
 * block, any number of them may lie in the block. */
static bool begins_anywhere(const rf_foreign_finding *f) {
  const rf_foreign_stack *const stack = &f->stacks[ACCESS];
  return f->bug == RF_BUG_BUFFER_OVERFLOW && f->address == f->block + f->size && stack->count != 0 &&
         rf_foreign_is_interceptor(&stack->frames[0]);
}

/* "0x602 is located 0 bytes after 40-byte region [0x5da,0x602)" */
static void read_region(reader *r, const char *line, const char *located) {
  uint64_t const start = r->at->address;
  const char *const region = behind(line, "-byte region [");
  if (region != NULL) {
    const char *size = region - strlen("-byte region [");
    while (size > line && isdigit((unsigned char)size[-1])) {
      size--;
    }
    r->at->size = strtoull(size, NULL, 10);
    r->at->block = strtoull(region, NULL, 16);
    r->at->address = address_before(line, located);
    if (r->at->bug == RF_BUG_BUFFER_OVERFLOW && r->at->address < r->at->block) {
      r->at->bug = RF_BUG_BUFFER_UNDERFLOW;
    }
    rf_foreign_outside(r->at, start);
    if (start == r->at->address && begins_anywhere(r->at)) {
      r->at->detail = rf_bump_arena_print(r->arena, "%s, by a call that was to access %llu bytes in all", r->at->detail,
                                          (unsigned long long)r->at->access_size);
      r->at->access_size = 0;
    }
  }
}

/* "READ of size 4", "The signal is caused by a READ memory access." */
static bool read_access(rf_foreign_finding *f, const char *line) {
  static const struct {
    const char *words;
    rf_access access;
  } rows[] = {
      {"READ of size ", RF_ACCESS_READ},
      {"WRITE of size ", RF_ACCESS_WRITE},
      {"caused by a READ memory access", RF_ACCESS_READ},
      {"caused by a WRITE memory access", RF_ACCESS_WRITE},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const char *const size = behind(line, rows[i].words);
    if (size != NULL) {
      f->access = rows[i].access;
      f->access_size = strtoull(size, NULL, 10);
      return true;
    }
  }
  return false;
}

/* "size of the allocated type:   16 bytes;", "size of the deallocated type: 4 bytes." */
static bool read_type_size(rf_foreign_finding *f, const char *line) {
  const char *const allocated = behind(line, "size of the allocated type: ");
  const char *const deallocated = behind(line, "size of the deallocated type: ");
  f->size = allocated == NULL ? f->size : strtoull(allocated, NULL, 10);
  f->argument = deallocated == NULL ? f->argument : strtoull(deallocated, NULL, 10);
  return allocated != NULL || deallocated != NULL;
}

/* HWAddressSanitizer's "Cause: use-after-free", which says what a tag that differs means. */
static bool read_cause(rf_foreign_finding *f, const char *line) {
  const char *const cause = behind(line, "Cause: ");
  if (cause == NULL || f->known) {
    return false;
  }
  f->known = set_bug(f, cause);
  return true;
}

static void read_in_report(reader *r, const char *line) {
  const char *const located = strstr(line, " is located ");
  if (read_frame(r, line) || read_access(r->at, line) || read_type_size(r->at, line) || read_cause(r->at, line)) {
    return;
  }
  if (located != NULL) {
    read_region(r, line, located);
  } else if (strstr(line, "freed by thread ") != NULL) {
    r->stack = RELEASE;
  } else if (strstr(line, "allocated by ") != NULL) {
    r->stack = ALLOCATION;
  } else if (strstr(line, "SUMMARY: ") != NULL) {
    r->at = NULL;
  }
}

typedef struct head {
  const char *error;    /* what comes behind "ERROR: AddressSanitizer: " */
  const char *direct;   /* behind "Direct leak of " */
  const char *indirect; /* behind "Indirect leak of " */
  bool leaks;           /* the line says that a list of leaks follows */
} head;

static head head_of(const char *line) {
  const char *const plain = behind(line, "ERROR: AddressSanitizer: ");
  return (head){
      .error = plain != NULL ? plain : behind(line, "ERROR: HWAddressSanitizer: "),
      .direct = behind(line, "Direct leak of "),
      .indirect = behind(line, "Indirect leak of "),
      .leaks = strstr(line, "ERROR: LeakSanitizer: ") != NULL,
  };
}

static bool begins_report(const head *h) {
  return h->leaks || h->error != NULL || h->direct != NULL || h->indirect != NULL;
}

static void read_line(reader *r, const char *line, const head *h) {
  if (h->leaks) {
    read_sender(r, line);
    r->at = NULL;
  } else if (h->error != NULL) {
    begin(r, line, h->error);
  } else if (h->direct != NULL || h->indirect != NULL) {
    begin_leak(r, h->direct != NULL ? h->direct : h->indirect, h->direct != NULL);
  } else if (r->at != NULL) {
    read_in_report(r, line);
  }
}

/* ---- Processes whose lines are mixed ---- */

/* A reader for each label by which a log tells processes apart. */
typedef struct streams {
  rf_foreign *out;
  rf_bump_arena *arena;
  rf_string_table labels;
  reader *readers; /* at the same indices */
} streams;

/* Behind the time that CI puts before each line: "2026-11-29T22:05:01.1234567Z ". */
static const char *behind_time(const char *line) {
  size_t const day = strspn(line, "0123456789-");
  size_t const time = day == strlen("2026-11-29") && line[day] == 'T' ? strspn(line + day + 1, "0123456789:.Z+-") : 0;
  return time != 0 && line[day + 1 + time] == ' ' ? line + day + 1 + time + 1 : line;
}

/* "12: " of ctest, or "name | " of containers; "" where there is none. */
static const char *label_of(rf_bump_arena *arena, const char *line) {
  const char *const start = behind_time(line);
  size_t const digits = strspn(start, "0123456789");
  size_t const name = strcspn(start, " |");
  size_t const gap = strspn(start + name, " ");
  bool const test = digits != 0 && start[digits] == ':' && start[digits + 1] == ' ';
  bool const container = name != 0 && gap != 0 && start[name + gap] == '|' && start[name + gap + 1] == ' ';
  return rf_bump_arena_text(arena, start, test ? digits : container ? name : 0);
}

/* NULL for lines outside of reports. */
static reader *reader_of(streams *s, const char *label, const head *h) {
  size_t count = s->labels.count;
  size_t index = rf_string_table_find(&s->labels, label);
  if (index == count && !begins_report(h)) {
    return NULL;
  }
  if (index == count) {
    index = rf_string_table_index(&s->labels, s->arena, label);
    RF_APPENDED(s->arena, s->readers, count) = (reader){.out = s->out, .arena = s->arena};
  }
  return &s->readers[index];
}

/* Returns false for a line of the program's own, of which nothing is kept. */
static bool read_labelled(streams *s, const char *line) {
  head const h = head_of(line);
  size_t const before = s->out->count;
  reader *const r = reader_of(s, label_of(s->arena, line), &h);
  if (r == NULL) {
    return false;
  }
  const char *const program = r->program;
  r->at = r->number == 0 ? NULL : &s->out->findings[r->number - 1];
  read_line(r, line, &h);
  r->number = r->at == NULL ? 0 : (size_t)(r->at - s->out->findings) + 1;
  return r->at != NULL || s->out->count != before || r->program != program || begins_report(&h);
}

/* A copy of a line without escape sequences, as in colours, and without bytes that are 0. */
static const char *plain_line(rf_bump_arena *arena, const char *text, size_t length) {
  char *const out = rf_bump_arena_text(arena, text, length);
  size_t kept = 0;
  for (size_t i = 0; i < length; i++) {
    if (text[i] == '\033' && i + 1 < length && text[i + 1] == '[') {
      for (i += 2; i < length && !isalpha((unsigned char)text[i]); i++) {
      }
    } else if (text[i] != '\0') {
      out[kept++] = text[i];
    }
  }
  out[kept] = '\0';
  return out;
}

void rf_foreign_read_asan(rf_foreign *out, rf_bump_arena *arena, const char *text, size_t length) {
  streams s = {.out = out, .arena = arena};
  const char *const end = text + length;
  while (text < end) {
    const char *const feed = (const char *)memchr(text, '\n', (size_t)(end - text));
    const char *const stop = feed == NULL ? end : feed;
    size_t const size = (size_t)(stop - text) - (stop != text && stop[-1] == '\r');
    rf_bump_arena_mark const mark = rf_bump_arena_mark_of(arena);
    if (!read_labelled(&s, plain_line(arena, text, size))) {
      rf_bump_arena_reset(arena, mark);
    }
    text = feed == NULL ? end : feed + 1;
  }
}

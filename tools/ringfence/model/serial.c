#include "tools/ringfence/model/serial.h"

#include "checkers/report/crc32.h"

#include <ringfence/report_serial.h>
#include <stddef.h>
#include <string.h>

enum { PAYLOAD = RF_SERIAL_HEAD + RF_SERIAL_DATA + RF_SERIAL_CRC, MODULES = 256, TRACES = 3 };

struct rf_serial_open {
  rf_serial_open *next;
  unsigned type;
  unsigned record;
  unsigned expected; /* index of the line that comes next */
  uint32_t crc;      /* of the line that came last */
  size_t lost;
  rf_record *finding; /* types other than text */
  rf_site *sites[TRACES];
  const char *modules[MODULES];
  const char *build_ids[MODULES];
  unsigned char frame_module[TRACES][RF_TRACE_DEPTH];
  bool has_module[TRACES][RF_TRACE_DEPTH];
  const char *text;
};

/* ---- Lines ---- */

static const char *find_mark(const char *at, const char *end) {
  return (const char *)memmem(at, (size_t)(end - at), RF_SERIAL_MARK, strlen(RF_SERIAL_MARK));
}

bool rf_serial_is(const char *line, size_t length) {
  return find_mark(line, line + length) != NULL;
}

static int digit_of(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The bytes that begin at `at`; 0 where there are too few or too many. */
static size_t read_digits(const char *at, const char *end, unsigned char out[PAYLOAD]) {
  size_t count = 0;
  while (end - at >= 2 && digit_of(at[0]) >= 0 && digit_of(at[1]) >= 0) {
    if (count == PAYLOAD) {
      return 0;
    }
    out[count++] = (unsigned char)(digit_of(at[0]) << 4 | digit_of(at[1]));
    at += 2;
  }
  return count >= RF_SERIAL_HEAD + RF_SERIAL_CRC ? count : 0;
}

static uint64_t low_first(const unsigned char *bytes, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size && i < 8; i++) {
    value |= (uint64_t)bytes[i] << (8 * i);
  }
  return value;
}

/* ---- Fields ---- */

/* `before` and the piece after it, with "..." between them where lost lines may have held more. */
static const char *append(rf_bump_arena *arena, const char *before, const unsigned char *piece, size_t size, bool gap) {
  const char *const text = rf_bump_arena_text(arena, (const char *)piece, size);
  return before == NULL ? text : rf_bump_arena_print(arena, "%s%s%s", before, gap ? "..." : "", text);
}

typedef struct field {
  unsigned tag;
  const unsigned char *value;
  size_t size;
  bool gap; /* lines were lost before the one that it is in */
} field;

static void read_text(rf_serial *s, const char **out, const field *f) {
  *out = append(s->arena, *out, f->value, f->size, f->gap);
}

static void read_window(unsigned char out[RF_WINDOW], const field *f) {
  for (size_t i = 1; i < f->size && f->value[0] + i - 1 < RF_WINDOW; i++) {
    out[f->value[0] + i - 1] = f->value[i];
  }
}

/* The classes also tell the size of the window. */
static void read_classes(rf_finding *out, const field *f) {
  for (size_t i = 1; i < f->size && f->value[0] + i - 1 < RF_WINDOW; i++) {
    unsigned const at = (unsigned)(f->value[0] + i - 1);
    out->window_class[at] = rf_byte_class_of((char)f->value[i]);
    out->window_size = at + 1 > out->window_size ? at + 1 : out->window_size;
  }
}

static rf_stack *stack_of(rf_serial_open *r, unsigned which) {
  rf_stack *const stacks[TRACES] = {&r->finding->found, &r->finding->allocated, &r->finding->released};
  return stacks[which];
}

static void read_frame(rf_serial *s, rf_serial_open *r, unsigned which, unsigned what, const field *f) {
  rf_stack *const stack = stack_of(r, which);
  if (f->size == 0 || f->value[0] >= RF_TRACE_DEPTH) {
    return;
  }
  rf_frame *const frame = &stack->frames[f->value[0]];
  stack->count = f->value[0] + 1U > stack->count ? f->value[0] + 1U : stack->count;
  if (what == RF_SERIAL_PC) {
    frame->address = low_first(f->value + 1, f->size - 1);
  } else if (what == RF_SERIAL_PC_FUNCTION) {
    frame->function = append(s->arena, frame->function, f->value + 1, f->size - 1, f->gap);
  } else if (f->size >= 2) {
    r->frame_module[which][f->value[0]] = f->value[1];
    r->has_module[which][f->value[0]] = true;
    frame->offset = low_first(f->value + 2, f->size - 2);
  }
}

static rf_site *site_of(rf_serial *s, rf_serial_open *r, unsigned which) {
  if (r->sites[which] == NULL) {
    r->sites[which] = (rf_site *)rf_bump_arena_alloc(s->arena, sizeof(rf_site));
    *r->sites[which] = (rf_site){.file = NULL, .function = NULL, .line = 0};
  }
  return r->sites[which];
}

static void read_trace(rf_serial *s, rf_serial_open *r, const field *f) {
  unsigned const which = (f->tag - RF_SERIAL_TRACE) / RF_SERIAL_TRACE_STEP;
  unsigned const what = (f->tag - RF_SERIAL_TRACE) % RF_SERIAL_TRACE_STEP;
  rf_finding *const out = &r->finding->finding;
  rf_trace *const traces[TRACES] = {&out->found, &out->allocated, &out->released};
  if (which >= TRACES) {
    return;
  }
  switch (what) {
  case RF_SERIAL_THREAD:
    traces[which]->thread = (uint32_t)low_first(f->value, f->size);
    break;
  case RF_SERIAL_SITE_LINE:
    site_of(s, r, which)->line = (unsigned)low_first(f->value, f->size);
    break;
  case RF_SERIAL_SITE_FILE:
    read_text(s, &site_of(s, r, which)->file, f);
    break;
  case RF_SERIAL_SITE_FUNCTION:
    read_text(s, &site_of(s, r, which)->function, f);
    break;
  case RF_SERIAL_SITE_RECORD:
    stack_of(r, which)->site = low_first(f->value, f->size);
    break;
  case RF_SERIAL_PC:
  case RF_SERIAL_PC_MODULE:
  case RF_SERIAL_PC_FUNCTION:
    read_frame(s, r, which, what, f);
    break;
  default:
    break;
  }
}

static void read_module(rf_serial *s, const char *list[MODULES], const field *f) {
  if (f->size != 0) {
    list[f->value[0]] = append(s->arena, list[f->value[0]], f->value + 1, f->size - 1, f->gap);
  }
}

/* Numbers: a tag and the member of rf_finding that it sets, which is narrower than 64 bits or as wide. */
static const struct {
  unsigned tag;
  size_t offset;
  size_t size;
} numbers[] = {
#define NUMBER(tag, member)                                                                                            \
  { tag, offsetof(rf_finding, member), sizeof(((rf_finding *)NULL)->member) }
    NUMBER(RF_SERIAL_CWE, cwe),
    NUMBER(RF_SERIAL_ACCESS_SIZE, access_size),
    NUMBER(RF_SERIAL_ADDRESS, address),
    NUMBER(RF_SERIAL_BLOCK, block),
    NUMBER(RF_SERIAL_SIZE, size),
    NUMBER(RF_SERIAL_BLOCKS, blocks),
    NUMBER(RF_SERIAL_OFFSET, offset),
    NUMBER(RF_SERIAL_ARGUMENT, argument),
    NUMBER(RF_SERIAL_PROCESS, process),
    NUMBER(RF_SERIAL_TIME, time_ns),
    NUMBER(RF_SERIAL_WINDOW_ADDRESS, window_address),
#undef NUMBER
};

static bool read_number(rf_finding *out, const field *f) {
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    if (numbers[i].tag == f->tag) {
      void *const member = (unsigned char *)out + numbers[i].offset;
      uint64_t const value = low_first(f->value, f->size);
      if (numbers[i].size == sizeof value) {
        memcpy(member, &value, sizeof value);
      } else {
        uint32_t const narrow = (uint32_t)value;
        memcpy(member, &narrow, sizeof narrow);
      }
      return true;
    }
  }
  return false;
}

static void read_field(rf_serial *s, rf_serial_open *r, const field *f) {
  rf_finding *const out = &r->finding->finding;
  uint64_t const value = low_first(f->value, f->size);
  if (f->tag >= RF_SERIAL_TRACE) {
    read_trace(s, r, f);
    return;
  }
  if (read_number(out, f)) {
    return;
  }
  switch (f->tag) {
  case RF_SERIAL_ACCESS:
    out->access = value <= RF_ACCESS_FREE ? (rf_access)value : RF_ACCESS_UNKNOWN;
    break;
  case RF_SERIAL_FREED:
    out->freed = value != 0;
    break;
  case RF_SERIAL_AT_ACCESS:
    out->at_access = value != 0;
    break;
  case RF_SERIAL_ALLOCATOR:
    read_text(s, &out->allocator, f);
    break;
  case RF_SERIAL_MODE:
    read_text(s, &out->mode, f);
    break;
  case RF_SERIAL_DETAIL:
    read_text(s, &out->detail, f);
    break;
  case RF_SERIAL_ALLOCATION:
    read_text(s, &out->allocation, f);
    break;
  case RF_SERIAL_DEALLOCATION:
    read_text(s, &out->deallocation, f);
    break;
  case RF_SERIAL_WINDOW:
    read_window(out->window, f);
    break;
  case RF_SERIAL_EXPECTED:
    read_window(out->expected, f);
    break;
  case RF_SERIAL_CLASSES:
    read_classes(out, f);
    break;
  case RF_SERIAL_MODULE:
    read_module(s, r->modules, f);
    break;
  case RF_SERIAL_BUILD_ID:
    read_module(s, r->build_ids, f);
    break;
  default:
    break; /* of a later version */
  }
}

static void read_fields(rf_serial *s, rf_serial_open *r, const unsigned char *data, size_t size, bool gap) {
  for (size_t at = 0; at + 2 <= size && at + 2 + data[at + 1] <= size; at += 2 + (size_t)data[at + 1]) {
    field const f = {data[at], data + at + 2, data[at + 1], gap};
    read_field(s, r, &f);
  }
}

/* ---- Records ---- */

static rf_serial_open *begin(rf_serial *s, unsigned type, unsigned record) {
  rf_serial_open *const r = (rf_serial_open *)rf_bump_arena_alloc(s->arena, sizeof *r);
  r->type = type;
  r->record = record;
  if (type != 0) {
    r->finding = (rf_record *)rf_bump_arena_alloc(s->arena, sizeof *r->finding);
    r->finding->times = 1;
    r->finding->processes = 1;
    r->finding->finding.bug = (rf_bug)(type - 1);
    r->finding->finding.sequence = record;
    for (unsigned i = 0; i < TRACES; i++) {
      stack_of(r, i)->frames = (rf_frame *)rf_bump_arena_array(s->arena, RF_TRACE_DEPTH, sizeof(rf_frame));
    }
  }
  r->next = s->open;
  s->open = r;
  return r;
}

static void finish_trace(rf_serial_open *r, unsigned which, rf_stack *stack, rf_trace *trace) {
  if ((stack->site & 1) != 0 && stack->count == 0) { /* no site but a caller: lib/compat/system_malloc.c */
    stack->frames[0].address = stack->site & ~(uint64_t)1;
    stack->count = 1;
    stack->site = 0;
  }
  trace->site = r->sites[which];
  trace->depth = stack->count;
  if (r->sites[which] != NULL) {
    r->sites[which]->file = r->sites[which]->file == NULL ? "?" : r->sites[which]->file;
    r->sites[which]->function = r->sites[which]->function == NULL ? "?" : r->sites[which]->function;
  }
  for (unsigned i = 0; i < stack->count; i++) {
    rf_frame *const frame = &stack->frames[i];
    trace->frames[i] = (uintptr_t)frame->address;
    if (r->has_module[which][i]) {
      frame->module = r->modules[r->frame_module[which][i]];
      frame->build_id = r->build_ids[r->frame_module[which][i]];
    }
  }
}

/* guard_small, which alone names neither allocator nor mode, sends no number that can be worked out. The damage that it
 * sees was written. */
static void work_out(rf_finding *f) {
  f->cwe = rf_bug_cwe(f->bug, f->access);
  f->offset = f->block != 0 ? (ptrdiff_t)(f->address - f->block) : 0;
  f->freed = f->bug == RF_BUG_USE_AFTER_FREE || f->bug == RF_BUG_DOUBLE_FREE;
  f->blocks = f->block != 0 ? 1 : 0;
  f->allocator = "guard_small";
  f->mode = "guard";
}

static rf_access access_of(rf_bug bug) {
  switch (bug) {
  case RF_BUG_BUFFER_OVERFLOW:
  case RF_BUG_BUFFER_UNDERFLOW:
  case RF_BUG_USE_AFTER_FREE:
    return RF_ACCESS_WRITE;
  case RF_BUG_DOUBLE_FREE:
  case RF_BUG_BAD_FREE:
    return RF_ACCESS_FREE;
  default:
    return RF_ACCESS_UNKNOWN;
  }
}

static void finish_finding(rf_serial *s, rf_serial_open *r) {
  rf_finding *const f = &r->finding->finding;
  if (f->cwe == 0 && f->allocator == NULL && f->mode == NULL && r->lost == 0) {
    f->access = access_of(f->bug);
    work_out(f);
  }
  finish_trace(r, 0, &r->finding->found, &f->found);
  finish_trace(r, 1, &r->finding->allocated, &f->allocated);
  finish_trace(r, 2, &r->finding->released, &f->released);
  if (r->lost != 0) {
    f->detail = rf_bump_arena_print(s->arena, "%s%sat least %zu line%s of this report did not arrive",
                                    f->detail == NULL ? "" : f->detail, f->detail == NULL ? "" : "; ", r->lost,
                                    r->lost == 1 ? "" : "s");
  }
  s->finding(s->context, r->finding);
}

static void take_out(rf_serial *s, const rf_serial_open *r) {
  rf_serial_open **at = &s->open;
  while (*at != r) {
    at = &(*at)->next;
  }
  *at = r->next;
}

static void finish(rf_serial *s, rf_serial_open *r, bool ended) {
  take_out(s, r);
  r->lost += !ended;
  s->incomplete += r->lost != 0;
  if (r->finding != NULL) {
    finish_finding(s, r);
  } else if (r->lost == 0 && r->text != NULL) {
    s->text(s->context, r->text, strlen(r->text));
  }
}

static rf_serial_open *find(rf_serial *s, unsigned type, unsigned record) {
  rf_serial_open *r = s->open;
  while (r != NULL && (r->type != type || r->record != record)) {
    r = r->next;
  }
  return r;
}

/* A number below the last one means a restart of the target, or that the count wrapped. */
static void count_missing(rf_serial *s, unsigned type, unsigned record) {
  if (type == 0) {
    return;
  }
  if (record > s->last + 1 && s->last != 0) {
    s->missing += record - s->last - 1;
  }
  s->last = record;
}

static void take_line(rf_serial *s, const unsigned char *bytes, size_t size) {
  unsigned const type = bytes[1];
  unsigned const record = (unsigned)low_first(bytes + 2, 2);
  unsigned const index = (unsigned)low_first(bytes + 4, 2) & ~RF_SERIAL_LAST;
  bool const last = ((unsigned)low_first(bytes + 4, 2) & RF_SERIAL_LAST) != 0;
  size_t const data = size - RF_SERIAL_HEAD - RF_SERIAL_CRC;
  uint32_t const crc = (uint32_t)low_first(bytes + size - RF_SERIAL_CRC, RF_SERIAL_CRC);
  rf_serial_open *r = find(s, type, record);
  bool const again = r != NULL ? index + 1 == r->expected && crc == r->crc : last && crc == s->finished;
  if (again) {
    return; /* a repeated line */
  }
  if (r != NULL && index < r->expected) {
    finish(s, r, false);
    r = NULL;
  }
  if (r == NULL) {
    r = begin(s, type, record);
    count_missing(s, type, record);
  }
  bool const gap = index != r->expected;
  r->lost += index - r->expected;
  r->expected = index + 1;
  r->crc = crc;
  if (type != 0) {
    read_fields(s, r, bytes + RF_SERIAL_HEAD, data, gap);
  } else {
    r->text = append(s->arena, r->text, bytes + RF_SERIAL_HEAD, data, gap);
  }
  if (last) {
    s->finished = crc;
    finish(s, r, true);
  }
}

static bool is_whole(const unsigned char *bytes, size_t size) {
  size_t const body = size - RF_SERIAL_CRC;
  return bytes[0] == RF_SERIAL_VERSION && bytes[1] <= RF_BUG_COUNT &&
         rf_crc32(0, bytes, body) == (uint32_t)low_first(bytes + body, RF_SERIAL_CRC);
}

void rf_serial_line(rf_serial *s, const char *line, size_t length) {
  const char *const end = line + length;
  for (const char *at = find_mark(line, end); at != NULL; at = find_mark(at, end)) {
    unsigned char bytes[PAYLOAD];
    at += strlen(RF_SERIAL_MARK);
    size_t const size = read_digits(at, end, bytes);
    if (size != 0 && is_whole(bytes, size)) {
      s->lines++;
      take_line(s, bytes, size);
    } else {
      s->damaged++;
    }
  }
}

void rf_serial_end(rf_serial *s) {
  /* The oldest first. */
  while (s->open != NULL) {
    rf_serial_open *oldest = s->open;
    while (oldest->next != NULL) {
      oldest = oldest->next;
    }
    finish(s, oldest, false);
  }
}

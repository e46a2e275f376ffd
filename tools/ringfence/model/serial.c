#include "tools/ringfence/model/serial.h"

#include "checkers/report/crc32.h"
#include "tools/ringfence/model/serial_open.h"

#include <ringfence/report_serial.h>
#include <stddef.h>
#include <string.h>

enum { PAYLOAD = RF_SERIAL_HEAD + RF_SERIAL_DATA + RF_SERIAL_CRC };

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
  r->finding->lost = r->lost;
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
    rf_serial_fields(s, r, bytes + RF_SERIAL_HEAD, data, gap);
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

static bool is_blank(const char *line, size_t length) {
  size_t at = 0;
  while (at < length && (line[at] == ' ' || line[at] == '\t' || line[at] == '\r' || line[at] == '\n')) {
    at++;
  }
  return at == length;
}

bool rf_serial_line(rf_serial *s, const char *line, size_t length) {
  const char *const end = line + length;
  const char *const first = find_mark(line, end);
  if (first == NULL && !is_blank(line, length)) {
    s->finished = 0;
  }
  for (const char *at = first; at != NULL; at = find_mark(at, end)) {
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
  return first != NULL;
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

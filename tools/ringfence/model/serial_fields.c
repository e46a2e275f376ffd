/* The fields of a finding in the serial form: each a tag, a size and a value. */
#include <ringfence/report_serial.h>
#include <stddef.h>
#include <string.h>

#include "tools/ringfence/model/serial_open.h"

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

void rf_serial_fields(rf_serial *s, rf_serial_open *r, const unsigned char *data, size_t size, bool gap) {
  for (size_t at = 0; at + 2 <= size && at + 2 + data[at + 1] <= size; at += 2 + (size_t)data[at + 1]) {
    field const f = {data[at], data + at + 2, data[at + 1], gap};
    read_field(s, r, &f);
  }
}

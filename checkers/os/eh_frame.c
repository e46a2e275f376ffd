/* .eh_frame: the search in .eh_frame_hdr, and the instructions that make a row. */
#include "eh_frame.h"

#if defined(__x86_64__) || defined(__i386__)

#include "eh_reader.h"

/* ---- Which description ---- */

/* A CIE and one FDE of it. */
typedef struct description {
  uint64_t code_align;
  int64_t data_align;
  uint8_t encoding; /* of addresses of code */
  bool is_signal_frame;
  bool has_augmentation_data;
  eh_cursor initial; /* instructions of the CIE */
  eh_cursor own;     /* and of the FDE */
  uintptr_t begin;   /* of the function */
} description;

enum { HEADER_TABLE = EH_DATA | 0x0B, HEADER_ENTRY = 8 };

/* The last entry of the sorted table of (address of code, FDE), both relative to the header, that begins at or below
 * `pc`; 0: none. */
static uintptr_t search(uintptr_t header, uintptr_t table, size_t count, uintptr_t pc) {
  size_t low = 0;
  size_t high = count;
  int32_t entry[2];
  while (low < high) {
    size_t const middle = low + (high - low) / 2;
    memcpy(entry, (const void *)(table + middle * HEADER_ENTRY), sizeof entry);
    if (header + (uintptr_t)(intptr_t)entry[0] <= pc) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 0) {
    return 0;
  }
  memcpy(entry, (const void *)(table + (low - 1) * HEADER_ENTRY), sizeof entry);
  return header + (uintptr_t)(intptr_t)entry[1];
}

/* Linkers write the table in one form alone. */
static uintptr_t find_fde(const rf_eh_module *m, uintptr_t pc) {
  eh_cursor c = {m->header, m->end, m->header < m->start};
  uint8_t const version = eh_u8(&c);
  uint8_t const frame_encoding = eh_u8(&c);
  uint8_t const count_encoding = eh_u8(&c);
  uint8_t const table_encoding = eh_u8(&c);
  if (version != 1 || table_encoding != HEADER_TABLE || frame_encoding == EH_OMIT || count_encoding == EH_OMIT) {
    return 0;
  }
  (void)eh_pointer(&c, frame_encoding, m->header);
  size_t const count = (size_t)eh_pointer(&c, count_encoding, m->header);
  if (c.bad || count > (c.end - c.at) / HEADER_ENTRY) {
    return 0;
  }
  return search(m->header, c.at, count, pc);
}

uintptr_t rf_eh_frame_start(const rf_eh_module *module) {
  eh_cursor c = {module->header, module->end, module->header < module->start};
  (void)eh_u8(&c);
  uint8_t const encoding = eh_u8(&c);
  (void)eh_u16(&c);
  uintptr_t const start = eh_pointer(&c, encoding, module->header);
  return c.bad ? 0 : start;
}

/* A cursor over the entry at `at`, behind its length. */
static eh_cursor entry_at(const rf_eh_module *m, uintptr_t at) {
  eh_cursor c = {at, m->end, at < m->start};
  uint32_t const length = eh_u32(&c);
  if (length >= 0xFFFFFFF0U || length > c.end - c.at) {
    c.bad = true; /* the 64-bit form is written by no compiler */
  } else {
    c.end = c.at + length;
  }
  return c;
}

/* The letters of the augmentation. */
static void read_augmentation(eh_cursor *c, const char *letters, description *d) {
  d->has_augmentation_data = letters[0] == 'z';
  if (!d->has_augmentation_data) {
    c->bad = c->bad || letters[0] != '\0';
    return;
  }
  uint64_t const size = eh_uleb(c);
  eh_cursor data = *c;
  eh_skip(c, size);
  for (letters++; *letters != '\0' && !data.bad; letters++) {
    if (*letters == 'R') {
      d->encoding = eh_u8(&data);
    } else if (*letters == 'P') {
      uint8_t const personality = eh_u8(&data);
      (void)eh_value(&data, personality);
    } else if (*letters == 'L') {
      (void)eh_u8(&data);
    } else if (*letters == 'S') {
      d->is_signal_frame = true;
    } else {
      data.bad = true;
    }
  }
  c->bad = c->bad || data.bad;
}

static bool read_cie(const rf_eh_module *m, uintptr_t at, description *d) {
  eh_cursor c = entry_at(m, at);
  uint32_t const id = eh_u32(&c);
  uint8_t const version = eh_u8(&c);
  char letters[8];
  size_t count = 0;
  do {
    letters[count] = (char)eh_u8(&c);
  } while (letters[count] != '\0' && ++count < sizeof letters);
  if (id != 0 || (version != 1 && version != 3) || count == sizeof letters) {
    return false;
  }
  d->code_align = eh_uleb(&c);
  d->data_align = eh_sleb(&c);
  uint64_t const return_register = version == 1 ? eh_u8(&c) : eh_uleb(&c);
  read_augmentation(&c, letters, d);
  d->initial = c;
  return !c.bad && return_register == RF_REGISTER_PC;
}

static bool describe(const rf_eh_module *m, uintptr_t pc, description *d) {
  uintptr_t const fde = m->header != 0 ? find_fde(m, pc) : 0;
  if (fde == 0) {
    return false;
  }
  eh_cursor c = entry_at(m, fde);
  uintptr_t const at = c.at;
  uint32_t const back = eh_u32(&c);
  *d = (description){0};
  if (c.bad || back == 0 || !read_cie(m, at - back, d)) {
    return false;
  }
  d->begin = eh_pointer(&c, d->encoding, m->header);
  uintptr_t const size = eh_value(&c, d->encoding);
  if (d->has_augmentation_data) {
    eh_skip(&c, eh_uleb(&c));
  }
  d->own = c;
  return !c.bad && pc - d->begin < size;
}

/* ---- Instructions ---- */

enum { REMEMBERED = 4 };

typedef struct machine {
  const description *d;
  uintptr_t start; /* of the module: expressions are kept as offsets from here */
  uintptr_t header;
  uintptr_t location;
  rf_eh_row row;
  rf_place initial[RF_REGISTERS];
  struct {
    rf_place cfa;
    rf_place places[RF_REGISTERS];
  } remembered[REMEMBERED];
  unsigned depth;
} machine;

/* An offset in units of the data alignment; a sum that wraps is as wrong as the table that asks for it. */
static int64_t scaled(const machine *m, uint64_t units) {
  return (int64_t)(units * (uint64_t)m->d->data_align);
}

/* Registers beyond those kept are vectors and flags: no caller's frame depends on them. */
static void set(machine *m, uint64_t number, rf_place_kind kind, int64_t operand) {
  if (number < RF_REGISTERS) {
    m->row.places[number] = (rf_place){(uint8_t)kind, 0, (int32_t)operand};
  }
}

/* A register alone, or an offset alone, changes no frame that is an expression. */
static bool is_partial(const machine *m) {
  return m->row.cfa.kind == RF_PLACE_BY_EXPRESSION;
}

static void set_cfa(machine *m, eh_cursor *c, uint64_t base, int64_t offset) {
  c->bad = c->bad || base >= RF_REGISTERS || offset != (int32_t)offset;
  m->row.cfa = (rf_place){RF_PLACE_AT_REGISTER, (uint8_t)base, (int32_t)offset};
}

/* An expression begins with its length, where it is kept. */
static int64_t skip_expression(const machine *m, eh_cursor *c) {
  int64_t const at = (int64_t)(c->at - m->start);
  eh_skip(c, eh_uleb(c));
  c->bad = c->bad || at > INT32_MAX;
  return at;
}

static void remember(machine *m, eh_cursor *c) {
  if (m->depth == REMEMBERED) {
    c->bad = true;
    return;
  }
  m->remembered[m->depth].cfa = m->row.cfa;
  memcpy(m->remembered[m->depth++].places, m->row.places, sizeof m->row.places);
}

static void restore_all(machine *m, eh_cursor *c) {
  if (m->depth == 0) {
    c->bad = true;
    return;
  }
  m->row.cfa = m->remembered[--m->depth].cfa;
  memcpy(m->row.places, m->remembered[m->depth].places, sizeof m->row.places);
}

static void restore(machine *m, uint64_t number) {
  if (number < RF_REGISTERS) {
    m->row.places[number] = m->initial[number];
  }
}

/* Runs an instruction about the frame's address. False: it is none of these. */
static bool run_frame(machine *m, eh_cursor *c, uint8_t op) {
  uint64_t base = m->row.cfa.base;
  switch (op) {
  case 0x0A:
    remember(m, c);
    return true;
  case 0x0B:
    restore_all(m, c);
    return true;
  case 0x0C: /* def_cfa */
    base = eh_uleb(c);
    set_cfa(m, c, base, (int64_t)eh_uleb(c));
    return true;
  case 0x0D: /* def_cfa_register */
    c->bad = c->bad || is_partial(m);
    set_cfa(m, c, eh_uleb(c), m->row.cfa.operand);
    return true;
  case 0x0E: /* def_cfa_offset */
    c->bad = c->bad || is_partial(m);
    set_cfa(m, c, base, (int64_t)eh_uleb(c));
    return true;
  case 0x0F: /* def_cfa_expression */
    m->row.cfa = (rf_place){RF_PLACE_BY_EXPRESSION, 0, (int32_t)skip_expression(m, c)};
    return true;
  case 0x12: /* def_cfa_sf */
    base = eh_uleb(c);
    set_cfa(m, c, base, scaled(m, (uint64_t)eh_sleb(c)));
    return true;
  case 0x13: /* def_cfa_offset_sf */
    c->bad = c->bad || is_partial(m);
    set_cfa(m, c, base, scaled(m, (uint64_t)eh_sleb(c)));
    return true;
  case 0x2E: /* GNU_args_size: for exceptions alone */
    (void)eh_uleb(c);
    return true;
  default:
    return op == 0;
  }
}

/* Runs an instruction about a register: its number, then an operand. */
static void run_register(machine *m, eh_cursor *c, uint8_t op) {
  uint64_t const number = eh_uleb(c);
  switch (op) {
  case 0x05: /* offset_extended */
    set(m, number, RF_PLACE_AT_CFA, scaled(m, eh_uleb(c)));
    break;
  case 0x06: /* restore_extended */
    restore(m, number);
    break;
  case 0x07:
    set(m, number, RF_PLACE_UNDEFINED, 0);
    break;
  case 0x08:
    set(m, number, RF_PLACE_SAME, 0);
    break;
  case 0x09:
    set(m, number, RF_PLACE_IN_REGISTER, (int64_t)eh_uleb(c));
    break;
  case 0x10:
    set(m, number, RF_PLACE_AT_EXPRESSION, skip_expression(m, c));
    break;
  case 0x11: /* offset_extended_sf */
    set(m, number, RF_PLACE_AT_CFA, scaled(m, (uint64_t)eh_sleb(c)));
    break;
  case 0x14: /* val_offset */
    set(m, number, RF_PLACE_CFA_PLUS, scaled(m, eh_uleb(c)));
    break;
  case 0x15: /* val_offset_sf */
    set(m, number, RF_PLACE_CFA_PLUS, scaled(m, (uint64_t)eh_sleb(c)));
    break;
  case 0x16:
    set(m, number, RF_PLACE_BY_EXPRESSION, skip_expression(m, c));
    break;
  case 0x2F: /* GNU_negative_offset_extended */
    set(m, number, RF_PLACE_AT_CFA, scaled(m, 0 - eh_uleb(c)));
    break;
  default:
    c->bad = true;
  }
}

/* The instructions that move on in the code; the others stay. */
static bool run_advance(machine *m, eh_cursor *c, uint8_t op) {
  uint64_t by = 0;
  switch (op) {
  case 0x01: /* set_loc */
    m->location = eh_pointer(c, m->d->encoding, m->header);
    return true;
  case 0x02:
    by = eh_u8(c);
    break;
  case 0x03:
    by = eh_u16(c);
    break;
  case 0x04:
    by = eh_u32(c);
    break;
  default:
    if (op >> 6 != 1) {
      return false;
    }
    by = op & 0x3F;
  }
  m->location += (uintptr_t)(by * m->d->code_align);
  return true;
}

/* One instruction. False: it moves on to a place behind `pc`. */
static bool run_one(machine *m, eh_cursor *c, uintptr_t pc) {
  uint8_t const op = eh_u8(c);
  if (run_advance(m, c, op)) {
    return m->location <= pc;
  }
  if (op >> 6 == 2) {
    set(m, op & 0x3F, RF_PLACE_AT_CFA, scaled(m, eh_uleb(c)));
  } else if (op >> 6 == 3) {
    restore(m, op & 0x3F);
  } else if (!run_frame(m, c, op)) {
    run_register(m, c, op);
  }
  return true;
}

enum { COMMON_BYTES = 4 }; /* as many as run_common looks at in a turn */

/* The two instructions that nine of ten are, in their short forms: "move on", and "the CFA is so far from its
 * register". Large functions have hundreds of them, and all up to `pc` are run for each call site. Leaves the cursor at
 * the first other one, or at its end where one moves on to a place behind `pc`. */
static void run_common(machine *m, eh_cursor *c, uintptr_t pc) {
  uintptr_t const by = (uintptr_t)m->d->code_align;
  const uint8_t *at = (const uint8_t *)c->at;
  const uint8_t *const end = (const uint8_t *)c->end;
  uintptr_t location = m->location;
  int32_t offset = -1; /* none was said */
  while (end - at >= COMMON_BYTES) {
    const uint8_t *const before = at;
    if (at[0] >> 6 == 1) {
      location += (at[0] & 0x3FU) * by;
      at++;
      if (location > pc) {
        at = end;
        break;
      }
    }
    if (at[0] == 0x0E && at[1] < 0x80) {
      offset = at[1];
      at += 2;
    } else if (at[0] == 0x0E && at[2] < 0x80) {
      offset = (at[1] & 0x7F) | at[2] << 7;
      at += 3;
    } else if (at == before) {
      break;
    }
  }
  if (offset >= 0) {
    c->bad = c->bad || is_partial(m);
    m->row.cfa = (rf_place){RF_PLACE_AT_REGISTER, m->row.cfa.base, offset};
  }
  m->location = location;
  c->at = (uintptr_t)at;
}

/* Up to the row that holds at `pc`. False where an instruction is not known. */
static bool run(machine *m, eh_cursor c, uintptr_t pc) {
  do {
    run_common(m, &c, pc);
  } while (c.at < c.end && !c.bad && run_one(m, &c, pc));
  return !c.bad;
}

bool rf_eh_frame_row(const rf_eh_module *module, uintptr_t pc, rf_eh_row *row) {
  description d;
  machine m;
  if (!describe(module, pc, &d)) {
    return false;
  }
  m.d = &d;
  m.start = module->start;
  m.header = module->header;
  m.depth = 0;
  m.location = d.begin;
  memset(&m.row, 0, sizeof m.row);
  m.row.is_signal_frame = d.is_signal_frame;
  memset(m.initial, 0, sizeof m.initial);
  if (!run(&m, d.initial, UINTPTR_MAX)) {
    return false;
  }
  memcpy(m.initial, m.row.places, sizeof m.initial);
  if (!run(&m, d.own, pc)) {
    return false;
  }
  *row = m.row;
  return true;
}

#else

/* ISO C wants a declaration in every file. */
typedef int rf_eh_frame_is_not_read_here;

#endif

/* Reading .eh_frame: bytes, LEB128 and encoded pointers, within bounds. Internal to eh_*.c. */
#ifndef RINGFENCE_EH_READER_H
#define RINGFENCE_EH_READER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Past its end a cursor yields zeros and is `bad`, and once it is, it yields nothing else. */
typedef struct eh_cursor {
  uintptr_t at;
  uintptr_t end;
  bool bad;
} eh_cursor;

/* NOLINTNEXTLINE(readability-non-const-parameter): *out is written to */
static inline void eh_copy(eh_cursor *c, void *out, size_t size) {
  if (c->bad || c->at > c->end || c->end - c->at < size) {
    c->bad = true;
    memset(out, 0, size);
    return;
  }
  memcpy(out, (const void *)c->at, size);
  c->at += size;
}

static inline uint8_t eh_u8(eh_cursor *c) {
  uint8_t value;
  eh_copy(c, &value, sizeof value);
  return value;
}

static inline uint16_t eh_u16(eh_cursor *c) {
  uint16_t value;
  eh_copy(c, &value, sizeof value);
  return value;
}

static inline uint32_t eh_u32(eh_cursor *c) {
  uint32_t value;
  eh_copy(c, &value, sizeof value);
  return value;
}

static inline uint64_t eh_u64(eh_cursor *c) {
  uint64_t value;
  eh_copy(c, &value, sizeof value);
  return value;
}

/* Unsigned and signed LEB128; bits beyond 64 are lost. */
static inline uint64_t eh_leb(eh_cursor *c, bool is_signed) {
  uint64_t value = 0;
  unsigned shift = 0;
  uint8_t byte;
  do {
    byte = eh_u8(c);
    value |= shift < 64 ? (uint64_t)(byte & 0x7F) << shift : 0;
    shift += 7;
  } while ((byte & 0x80) != 0);
  if (is_signed && (byte & 0x40) != 0 && shift < 64) {
    value |= ~UINT64_C(0) << shift;
  }
  return value;
}

static inline uint64_t eh_uleb(eh_cursor *c) {
  return eh_leb(c, false);
}

static inline int64_t eh_sleb(eh_cursor *c) {
  return (int64_t)eh_leb(c, true);
}

static inline void eh_skip(eh_cursor *c, uint64_t size) {
  if (c->at > c->end || size > c->end - c->at) {
    c->bad = true;
    c->at = c->end;
  } else {
    c->at += (uintptr_t)size;
  }
}

/* Encodings of pointers: the format in the low half, what it is relative to in the high one. */
enum { EH_OMIT = 0xFF, EH_FORMAT = 0x0F, EH_RELATIVE = 0x70, EH_PC = 0x10, EH_DATA = 0x30, EH_INDIRECT = 0x80 };

static inline uintptr_t eh_value(eh_cursor *c, uint8_t encoding) {
  switch (encoding & EH_FORMAT) {
  case 0x00:
    return sizeof(uintptr_t) == 8 ? (uintptr_t)eh_u64(c) : (uintptr_t)eh_u32(c);
  case 0x01:
    return (uintptr_t)eh_uleb(c);
  case 0x02:
    return eh_u16(c);
  case 0x03:
    return eh_u32(c);
  case 0x04:
  case 0x0C:
    return (uintptr_t)eh_u64(c);
  case 0x09:
    return (uintptr_t)eh_sleb(c);
  case 0x0A:
    return (uintptr_t)(intptr_t)(int16_t)eh_u16(c);
  case 0x0B:
    return (uintptr_t)(intptr_t)(int32_t)eh_u32(c);
  default:
    c->bad = true;
    return 0;
  }
}

/* `data`: what data-relative values are relative to. A pointer to the pointer is none of those that are read here. */
static inline uintptr_t eh_pointer(eh_cursor *c, uint8_t encoding, uintptr_t data) {
  uintptr_t const here = c->at;
  uintptr_t const value = eh_value(c, encoding);
  switch (encoding & (EH_RELATIVE | EH_INDIRECT)) {
  case 0:
    return value;
  case EH_PC:
    return here + value;
  case EH_DATA:
    return data + value;
  default:
    c->bad = true;
    return 0;
  }
}

#endif /* RINGFENCE_EH_READER_H */

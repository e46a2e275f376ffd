// Numbers as the tables of DWARF have them, drawn from an input and made into bytes.
#ifndef RINGFENCE_FUZZ_MADE_BYTES_H
#define RINGFENCE_FUZZ_MADE_BYTES_H

#include <cstring>
#include <ringfence/fuzz/reader.h>
#include <string>

namespace ringfence::fuzz {

using Bytes = std::string;

template <typename T> Bytes raw(T value) {
  Bytes out(sizeof value, '\0');
  std::memcpy(&out[0], &value, sizeof value);
  return out;
}

inline Bytes byte(uint64_t value) {
  return Bytes(1, static_cast<char>(value & 0xFF));
}

// LEB128 of at least so many bytes.
inline Bytes uleb(uint64_t value, size_t at_least = 1) {
  Bytes out;
  for (; value >= 0x80 || out.size() + 1 < at_least; value >>= 7) {
    out += byte((value & 0x7F) | 0x80);
  }
  return out + byte(value);
}

inline Bytes sleb(int64_t value) {
  Bytes out;
  for (; value < -64 || value >= 64; value >>= 7) {
    out += byte((static_cast<uint64_t>(value) & 0x7F) | 0x80);
  }
  return out + byte(static_cast<uint64_t>(value) & 0x7F);
}

// Mostly small, at times beyond what is kept of it.
inline uint64_t draw_number(Reader &in) {
  unsigned const drawn = in.u8();
  if (drawn < 200) {
    return drawn % 64;
  }
  return drawn < 240 ? in.u16() : uint64_t{in.u16()} << drawn % 64;
}

inline int64_t draw_signed(Reader &in) {
  bool const is_negative = in.u8() % 2 != 0;
  uint64_t const value = draw_number(in);
  return static_cast<int64_t>(is_negative ? 0 - value : value);
}

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_MADE_BYTES_H

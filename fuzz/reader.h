// Turns the bytes of a fuzz input into numbers, front to back. Past the end every number is 0: thus any input, and any
// prefix of one, is a program, and a fuzzer may cut, splice and shrink inputs freely.
#ifndef RINGFENCE_FUZZ_READER_H
#define RINGFENCE_FUZZ_READER_H

#include <cstddef>
#include <cstdint>

namespace ringfence::fuzz {

class Reader {
public:
  Reader(const uint8_t *data, size_t size) : next_(data), end_(data + size) {}

  bool empty() const { return next_ == end_; }
  size_t left() const { return static_cast<size_t>(end_ - next_); }

  // The next `size` bytes, or as many as are left, as an input of their own.
  Reader take(size_t size) {
    const uint8_t *const start = next_;
    next_ += size < left() ? size : left();
    return {start, static_cast<size_t>(next_ - start)};
  }

  // A number made of all bytes that are left, which takes none.
  size_t checksum() const {
    uint32_t sum = 2166136261U; // FNV-1a
    for (const uint8_t *at = next_; at != end_; at++) {
      sum = (sum ^ *at) * 16777619U;
    }
    return sum ^ sum >> 16;
  }

  uint8_t u8() { return empty() ? uint8_t{0} : *next_++; }

  uint32_t u16() {
    uint32_t const low = u8();
    return low | uint32_t{u8()} << 8;
  }

  // 0 … n-1. Takes one byte for n up to 256, else two.
  size_t below(size_t n) { return n <= 1 ? 0 : (n <= 256 ? u8() : u16()) % n; }

  // A count of bytes up to 1 MiB from one to three bytes of input; small ones are likelier.
  size_t length() {
    uint32_t const head = u8();
    if (head < 0xa0) {
      return head;
    }
    if (head < 0xf0) {
      return (head - 0xa0) << 8 | u8();
    }
    return (head - 0xf0) << 16 | u16();
  }

private:
  const uint8_t *next_;
  const uint8_t *end_;
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_READER_H

// Bytes of .eh_frame, made by hand.
#ifndef RINGFENCE_TESTS_CHECKERS_EH_BYTES_H
#define RINGFENCE_TESTS_CHECKERS_EH_BYTES_H

#include <cstring>
#include <string>
#include <vector>

#include "checkers/os/eh_frame.h"

namespace ringfence {

using Bytes = std::vector<unsigned char>;

inline constexpr int kWord = sizeof(uintptr_t);
inline constexpr unsigned char kSp = RF_REGISTER_SP;
inline constexpr unsigned char kBp = RF_REGISTER_BP;
inline constexpr unsigned char kPc = RF_REGISTER_PC;

template <typename T> Bytes raw(T value) {
  Bytes out(sizeof value);
  std::memcpy(out.data(), &value, sizeof value);
  return out;
}

inline Bytes operator+(Bytes a, const Bytes &b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline std::string hex(const Bytes &bytes) {
  std::string text;
  for (unsigned char const byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
    text += ' ';
  }
  return text;
}

constexpr rf_place place(rf_place_kind kind, int32_t operand = 0) {
  return {static_cast<uint8_t>(kind), 0, operand};
}

constexpr rf_place cfa_at(unsigned char number, int32_t offset) {
  return {RF_PLACE_AT_REGISTER, number, offset};
}

// In memory, so many words from the CFA.
constexpr rf_place saved(int words) {
  return place(RF_PLACE_AT_CFA, words * kWord);
}

inline constexpr rf_place kSame = {RF_PLACE_SAME, 0, 0};

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_EH_BYTES_H

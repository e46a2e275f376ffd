// A module made by hand: a CIE, its functions' FDEs, then the header with its table.
#ifndef RINGFENCE_TESTS_CHECKERS_EH_MODULE_H
#define RINGFENCE_TESTS_CHECKERS_EH_MODULE_H

#include "tests/checkers/eh_bytes.h"

#include <gtest/gtest.h>

namespace ringfence {

inline constexpr unsigned char kPcRelative = 0x1B; // signed, 4 bytes

struct Function {
  uint32_t begin; // code, as an offset in the module
  uint32_t size;
  Bytes instructions;
};

struct Cie {
  uint32_t id = 0;
  unsigned char version = 1;
  std::string letters = "zR";
  Bytes code_align = {1};
  Bytes data_align = {static_cast<unsigned char>(0x80 - kWord)};
  Bytes return_register = {kPc};
  Bytes augmentation = {1, kPcRelative};
  // The CFA is the stack pointer + a word, and the return address right below it.
  Bytes instructions = {0x0C, kSp, kWord, 0x80 | kPc, 1};
};

inline constexpr uint32_t kCode = 0x20000; // far behind the tables: no code is there, and none is read

class Module {
public:
  Cie cie;
  std::vector<Function> functions = {{kCode, 0x100, {}}};
  Bytes fde_augmentation = {0};
  unsigned char version = 1;
  unsigned char frame_encoding = kPcRelative;
  unsigned char count_encoding = 0x03;
  unsigned char table_encoding = 0x3B;
  int count_more = 0;      // what the header claims beyond the truth
  int32_t length_more = 0; // the same of the FDEs' lengths
  bool names_no_cie = false;

  rf_eh_module make() {
    used_ = 0;
    put_entry(cie_body());
    std::vector<uint32_t> places;
    for (const Function &f : functions) {
      places.push_back(used_);
      put_fde(f);
    }
    header_ = used_;
    put(Bytes{version, frame_encoding, count_encoding, table_encoding});
    put(raw<int32_t>(-static_cast<int32_t>(used_)));
    put(raw<uint32_t>(static_cast<uint32_t>(static_cast<int>(functions.size()) + count_more)));
    for (size_t i = 0; i < functions.size(); i++) {
      put(raw<int32_t>(static_cast<int32_t>(functions[i].begin - header_)));
      put(raw<int32_t>(static_cast<int32_t>(places[i]) - static_cast<int32_t>(header_)));
    }
    return {base(), base() + used_, base() + header_};
  }

  unsigned char *bytes() { return memory_; }
  uintptr_t base() const { return reinterpret_cast<uintptr_t>(memory_); }
  uintptr_t code() const { return base() + kCode; }

  bool row(uintptr_t pc, rf_eh_row *out) {
    rf_eh_module const module = make();
    return rf_eh_frame_row(&module, pc, out);
  }

  bool has_row(uint32_t offset = 0) {
    rf_eh_row row;
    return this->row(code() + offset, &row);
  }

private:
  void put(const Bytes &bytes) {
    ASSERT_LE(used_ + bytes.size(), sizeof memory_);
    std::memcpy(memory_ + used_, bytes.data(), bytes.size());
    used_ += static_cast<uint32_t>(bytes.size());
  }

  void put_entry(const Bytes &body) { put(raw(static_cast<uint32_t>(body.size())) + body); }

  Bytes cie_body() const {
    Bytes body = raw(cie.id);
    body.push_back(cie.version);
    body.insert(body.end(), cie.letters.begin(), cie.letters.end());
    body.push_back(0);
    return body + cie.code_align + cie.data_align + cie.return_register + cie.augmentation + cie.instructions;
  }

  void put_fde(const Function &f) {
    Bytes body = raw(names_no_cie ? 0U : used_ + 4);
    body = body + raw(static_cast<int32_t>(f.begin - (used_ + 8))) + raw(static_cast<int32_t>(f.size));
    body = body + fde_augmentation + f.instructions;
    put(raw(static_cast<uint32_t>(static_cast<int32_t>(body.size()) + length_more)) + body);
  }

  alignas(4096) unsigned char memory_[4096] = {};
  uint32_t used_ = 0;
  uint32_t header_ = 0;
};

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_EH_MODULE_H

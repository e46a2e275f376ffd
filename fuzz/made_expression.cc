#include "made_expression.h"

namespace ringfence::fuzz {

namespace {

constexpr size_t kOperands = 8; // as many as real tables need, and more
constexpr unsigned kOperations = 10;

enum class Form { kNone, kOne, kSignedOne, kTwo, kSignedTwo, kFour, kSignedFour, kEight, kWord, kUleb, kSleb };

constexpr uint8_t kAddr = 0x03;
constexpr uint8_t kDeref = 0x06;
constexpr uint8_t kFirstLiteral = 0x30;
constexpr uint8_t kFirstRegister = 0x70;
constexpr uint8_t kLastRegister = 0x8F;

Form form_of(uint8_t code) {
  static constexpr Form kConstants[] = {Form::kOne,  Form::kSignedOne,  Form::kTwo,   Form::kSignedTwo,
                                        Form::kFour, Form::kSignedFour, Form::kEight, Form::kEight,
                                        Form::kUleb, Form::kSleb};
  if (code == kAddr) {
    return Form::kWord;
  }
  if (code >= 0x08 && code <= 0x11) {
    return kConstants[code - 0x08];
  }
  if (code >= kFirstRegister && code <= kLastRegister) {
    return Form::kSleb;
  }
  return code == 0x23 ? Form::kUleb : Form::kNone;
}

Bytes draw_operand(Reader &in, Form form, uintptr_t *value) {
  int64_t const drawn = form == Form::kNone ? 0 : draw_signed(in);
  auto const narrow = [&](auto number) {
    *value = static_cast<uintptr_t>(static_cast<intptr_t>(number));
    return raw(number);
  };
  auto const narrow_unsigned = [&](auto number) {
    *value = static_cast<uintptr_t>(number);
    return raw(number);
  };
  *value = static_cast<uintptr_t>(drawn);
  switch (form) {
  case Form::kNone:
    break;
  case Form::kOne:
    return narrow_unsigned(static_cast<uint8_t>(drawn));
  case Form::kSignedOne:
    return narrow(static_cast<int8_t>(drawn));
  case Form::kTwo:
    return narrow_unsigned(static_cast<uint16_t>(drawn));
  case Form::kSignedTwo:
    return narrow(static_cast<int16_t>(drawn));
  case Form::kFour:
    return narrow_unsigned(static_cast<uint32_t>(drawn));
  case Form::kSignedFour:
    return narrow(static_cast<int32_t>(drawn));
  case Form::kEight:
    return raw(drawn);
  case Form::kWord:
    return raw(static_cast<uintptr_t>(drawn));
  case Form::kUleb:
    return uleb(static_cast<uint64_t>(drawn), 1 + in.u8() % 3U);
  case Form::kSleb:
    return sleb(drawn);
  }
  return {};
}

// Any, but mostly some operand first, and then what needs operands.
uint8_t draw_code(Reader &in, bool is_first) {
  static constexpr uint8_t kOperand[] = {kFirstRegister + RF_REGISTER_SP, kFirstRegister + RF_REGISTER_BP, 0x08,
                                         kFirstLiteral + 8};
  static constexpr uint8_t kOften[] = {kDeref, 0x12, 0x12, 0x13, 0x14, 0x16, 0x1A, 0x1C, 0x22,
                                       0x23,   0x24, 0x29, 0x2A, 0x2B, 0x2C, 0x2D, 0x2E};
  unsigned const drawn = in.u8();
  if (drawn < 0x98) {
    return static_cast<uint8_t>(drawn);
  }
  return is_first || drawn % 4 == 0 ? kOperand[drawn / 4 % 4] : kOften[drawn % (sizeof kOften)];
}

// ---- Its value ----

class Evaluation {
public:
  explicit Evaluation(const rf_unwind_registers &registers) : registers_(registers) {}

  void push(std::optional<uintptr_t> value) {
    failed_ = failed_ || !value || operands_.size() == kOperands;
    if (!failed_) {
      operands_.push_back(*value);
    }
  }

  void run(const Operation &o) {
    if (!failed_ && !run_push(o) && !run_one(o)) {
      run_two(o.code);
    }
  }

  std::optional<uintptr_t> result() const {
    return failed_ || operands_.empty() ? std::nullopt : std::optional(operands_.back());
  }

private:
  bool has(size_t count) {
    failed_ = failed_ || operands_.size() < count;
    return !failed_;
  }

  // The one that is `down` below the top.
  uintptr_t &top(size_t down = 0) { return operands_[operands_.size() - 1 - down]; }

  bool run_push(const Operation &o) {
    if (o.code >= kFirstRegister && o.code <= kLastRegister) {
      auto const value = register_of(registers_, o.code - kFirstRegister);
      push(value ? std::optional(*value + o.operand) : std::nullopt);
    } else if (o.code >= kFirstLiteral && o.code < kFirstLiteral + 32) {
      push(o.code - kFirstLiteral);
    } else if (form_of(o.code) != Form::kNone && o.code != 0x23) {
      push(o.operand);
    } else if (o.code == 0x12 && has(1)) {
      push(top());
    } else if (o.code == 0x14 && has(2)) {
      push(top(1));
    } else {
      return failed_;
    }
    return true;
  }

  bool run_one(const Operation &o) {
    switch (o.code) {
    case kDeref:
      if (has(1)) {
        auto const word = word_at(registers_, top());
        failed_ = !word;
        top() = word.value_or(0);
      }
      return true;
    case 0x13:
      if (has(1)) {
        operands_.pop_back();
      }
      return true;
    case 0x1F:
    case 0x20:
    case 0x23:
      if (has(1)) {
        top() = o.code == 0x1F ? 0 - top() : (o.code == 0x20 ? ~top() : top() + o.operand);
      }
      return true;
    default:
      return o.code == 0x96;
    }
  }

  void run_two(uint8_t code) {
    if (!has(2)) {
      return;
    }
    uintptr_t const b = top();
    uintptr_t const a = top(1);
    auto const is_less = static_cast<intptr_t>(a) < static_cast<intptr_t>(b);
    uintptr_t const bits = 8 * sizeof a;
    if (code == 0x16) {
      std::swap(top(), top(1));
      return;
    }
    operands_.pop_back();
    switch (code) {
    case 0x1A:
      top() = a & b;
      break;
    case 0x1C:
      top() = a - b;
      break;
    case 0x1E:
      top() = a * b;
      break;
    case 0x21:
      top() = a | b;
      break;
    case 0x22:
      top() = a + b;
      break;
    case 0x24:
      top() = b < bits ? a << b : 0;
      break;
    case 0x25:
      top() = b < bits ? a >> b : 0;
      break;
    case 0x27:
      top() = a ^ b;
      break;
    case 0x29:
      top() = a == b;
      break;
    case 0x2A:
      top() = !is_less;
      break;
    case 0x2B:
      top() = !is_less && a != b;
      break;
    case 0x2C:
      top() = is_less || a == b;
      break;
    case 0x2D:
      top() = is_less;
      break;
    case 0x2E:
      top() = a != b;
      break;
    default:
      failed_ = true;
    }
  }

  const rf_unwind_registers &registers_;
  std::vector<uintptr_t> operands_;
  bool failed_ = false;
};

} // namespace

Expression draw_expression(Reader &in) {
  Expression out;
  unsigned const drawn = in.u8();
  for (unsigned i = 0; i < drawn % kOperations; i++) {
    Operation o = {draw_code(in, i == 0), 0};
    out.bytes += byte(o.code) + draw_operand(in, form_of(o.code), &o.operand);
    out.operations.push_back(o);
  }
  if (drawn >= 0xF0 && !out.operations.empty() && form_of(out.operations.back().code) != Form::kNone) {
    out.bytes.pop_back();
    out.is_cut = true;
  }
  return out;
}

std::optional<uintptr_t> value_of(const Expression &expression, const rf_unwind_registers &registers,
                                  std::optional<uintptr_t> pushed) {
  Evaluation e(registers);
  if (pushed) {
    e.push(pushed);
  }
  for (const Operation &o : expression.operations) {
    e.run(o);
  }
  return expression.is_cut ? std::nullopt : e.result();
}

std::optional<uintptr_t> word_at(const rf_unwind_registers &registers, uintptr_t at) {
  uintptr_t word;
  if (at % sizeof word != 0 || at < registers.low || at > registers.high || registers.high - at < sizeof word) {
    return std::nullopt;
  }
  std::memcpy(&word, reinterpret_cast<const void *>(at), sizeof word);
  return word;
}

std::optional<uintptr_t> register_of(const rf_unwind_registers &registers, uint64_t number) {
  bool const is_known = number < RF_REGISTERS && (registers.known & 1U << number) != 0;
  return is_known ? std::optional(registers.values[number]) : std::nullopt;
}

bool is_simple(const Expression &expression, unsigned base, bool deref, int32_t *offset) {
  const auto &all = expression.operations;
  size_t const count = deref ? 2 : 1;
  if (expression.is_cut || all.size() != count || all[0].code != kFirstRegister + base ||
      (deref && all[1].code != kDeref)) {
    return false;
  }
  *offset = static_cast<int32_t>(all[0].operand);
  return static_cast<uintptr_t>(static_cast<intptr_t>(*offset)) == all[0].operand;
}

} // namespace ringfence::fuzz

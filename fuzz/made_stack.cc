#include "made_stack.h"

#if RF_STACK_RULES

#include "checkers/os/stack_walk.h"
#include "tests/checkers/put_rule.h"

#include <algorithm>

namespace ringfence::fuzz {

// ---- Rules ----

Rules::Rules(Reader &in) {
  for (unsigned place = 0; place < kPlaces; place++) {
    draw(place, in);
  }
}

Rules::~Rules() {
  for (unsigned place = 0; place < kPlaces; place++) {
    rf_stack_rule_set(pc_of(place))[0] = 0;
  }
}

void Rules::draw(unsigned place, Reader &in) {
  unsigned const drawn = in.u8();
  unsigned const n = 1 + drawn / 8 % 8;
  unsigned const m = n >= 2 && drawn >= 128 ? 2 + drawn / 64 % (n - 1) : 0;
  switch (drawn % 8) {
  case 4:
    rules_[place] = RF_RULE_OF_N(RF_RULE_BP, n) | 2U << 18;
    break;
  case 5:
    rules_[place] = RF_RULE_OF_N(RF_RULE_BEHIND, n);
    break;
  case 6:
    rules_[place] = drawn < 128 ? RF_RULE_POINTERS : RF_RULE_UNKNOWN;
    break;
  case 7:
    rules_[place] = drawn < 128 ? RF_RULE_END : RF_RULE_OF_N(RF_RULE_SP, n) | m << 18;
    break;
  default:
    rules_[place] = RF_RULE_OF_N(RF_RULE_SP, n) | m << 18;
    break;
  }
  put_rule(pc_of(place), rules_[place]); // no place shares its set with another
}

void Rules::change(unsigned place, Reader &in) {
  rf_stack_generation++;
  draw(place, in);
}

// ---- Frames ----

bool MadeStack::has(unsigned place) const {
  return std::any_of(frames_.begin(), frames_.end(), [place](const Frame &f) { return f.place == place; });
}

uintptr_t MadeStack::any_word(Reader &in) const {
  unsigned const drawn = in.u8();
  switch (drawn % 4) {
  case 0:
    return drawn / 4;
  case 1:
    return high() - (1 + drawn / 4) * kWord;
  case 2:
    return pc_of(drawn / 4 % kPlaces);
  default:
    return UINTPTR_MAX - drawn / 4;
  }
}

// A frame of so many words below `cfa`; NULL where there is no room. Its words are alike, so that an input has to say
// little, or what earlier calls have left there.
uintptr_t *MadeStack::fill(uintptr_t *cfa, size_t words, Reader &in) const {
  if (static_cast<size_t>(cfa - low_) < words + 8) {
    return nullptr;
  }
  if (in.u8() % 2 == 0) {
    std::fill(cfa - words, cfa, any_word(in));
  }
  return cfa - words;
}

bool MadeStack::push(unsigned place, Reader &in) {
  bool const outermost = frames_.empty();
  uint32_t const rule = rules_->of(place);
  uintptr_t *const cfa = outermost ? high_ - in.below(4) : frames_.back().sp;
  uintptr_t const outer_bp = outermost ? any_word(in) : frames_.back().bp;
  size_t const n = RF_RULE_N(rule);
  size_t const m = RF_RULE_M(rule);
  unsigned const kind = rule & RF_RULE_KIND;
  size_t const more = kind == RF_RULE_SP ? 0 : in.below(4);
  size_t const words = kind == RF_RULE_SP ? n : kind == RF_RULE_BEHIND ? n + 2 + more : 2 + more;
  if (rule == RF_RULE_END && !outermost) {
    return false;
  }
  uintptr_t *const sp = fill(cfa, words, in);
  if (sp == nullptr) {
    return false;
  }
  Frame made = {place, sp, cfa, outer_bp};
  if (kind == RF_RULE_SP && m != 0) {
    cfa[-static_cast<ptrdiff_t>(m)] = outer_bp;
    made.bp = any_word(in);
  } else if (kind == RF_RULE_BP) {
    cfa[-2] = outer_bp;
    made.bp = reinterpret_cast<uintptr_t>(cfa - n);
  } else if (kind == RF_RULE_BEHIND) {
    uintptr_t *const bp = sp + n + in.below(more + 1);
    *bp = outer_bp;
    *(bp - n) = reinterpret_cast<uintptr_t>(cfa);
    made.bp = reinterpret_cast<uintptr_t>(bp);
  } else if (rule == RF_RULE_POINTERS || rule == RF_RULE_UNKNOWN) {
    cfa[-2] = outer_bp;
    made.bp = reinterpret_cast<uintptr_t>(cfa - 2);
  }
  cfa[-1] = outermost ? in.below(RF_PC_LEAST) : pc_of(frames_.back().place);
  frames_.push_back(made);
  return true;
}

const uintptr_t *MadeStack::frame() {
  uintptr_t *const frame = frames_.back().sp - 2;
  frame[0] = frames_.back().bp;
  frame[1] = caller();
  return frame;
}

std::vector<uintptr_t> MadeStack::expected() const {
  std::vector<uintptr_t> out;
  for (size_t i = frames_.size(); i-- != 0;) {
    out.push_back(pc_of(frames_[i].place));
  }
  return out;
}

} // namespace ringfence::fuzz

#endif // RF_STACK_RULES

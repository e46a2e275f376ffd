// A rule of the test's own, by which the frame of the code at `pc` is found.
#ifndef RINGFENCE_TESTS_CHECKERS_PUT_RULE_H
#define RINGFENCE_TESTS_CHECKERS_PUT_RULE_H

#include "checkers/os/stack_rules.h"

#if RF_STACK_RULES

namespace ringfence {

inline void put_rule(uintptr_t pc, uint32_t rule) {
  rf_stack_rule_set(pc)[0] = static_cast<uint64_t>(pc >> RF_RULES_FIRST_BITS) << RF_RULE_BITS | rule;
}

} // namespace ringfence

#endif // RF_STACK_RULES

#endif // RINGFENCE_TESTS_CHECKERS_PUT_RULE_H

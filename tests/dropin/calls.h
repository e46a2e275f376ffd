// For tests of one source that has all its functions below from the test: the calls of these, as text, in their order.
#ifndef RINGFENCE_TESTS_DROPIN_CALLS_H
#define RINGFENCE_TESTS_DROPIN_CALLS_H

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ringfence_test {

using Calls = std::vector<std::string>;

// All calls since the test began, or since calls_of did.
inline Calls recorded;

inline void call(const std::string &what) {
  recorded.push_back(what);
}

inline void call(const std::string &what, uint64_t number) {
  call(what + " " + std::to_string(number));
}

// The calls that `act` makes.
template <typename Act> Calls calls_of(Act &&act) {
  recorded.clear();
  act();
  return recorded;
}

inline Calls with(Calls calls, const Calls &more) {
  calls.insert(calls.end(), more.begin(), more.end());
  return calls;
}

class RecordsCalls : public testing::Test {
protected:
  RecordsCalls() { recorded.clear(); }
};

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_DROPIN_CALLS_H

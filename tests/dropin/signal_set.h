// A set of signals by their numbers.
#ifndef RINGFENCE_TESTS_DROPIN_SIGNAL_SET_H
#define RINGFENCE_TESTS_DROPIN_SIGNAL_SET_H

#include <csignal>
#include <initializer_list>

namespace ringfence_test {

inline sigset_t set_of(std::initializer_list<int> numbers) {
  sigset_t set;
  (void)sigemptyset(&set);
  for (int const number : numbers) {
    (void)sigaddset(&set, number);
  }
  return set;
}

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_DROPIN_SIGNAL_SET_H

// The options that are numbers, as the table has them.
#ifndef RINGFENCE_TESTS_CHECKERS_OPTION_NUMBERS_H
#define RINGFENCE_TESTS_CHECKERS_OPTION_NUMBERS_H

#include <string>
#include <vector>

namespace ringfence {

struct Number {
  const char *name;
  unsigned value;
  unsigned least;
  unsigned most;
};

inline bool operator==(const Number &a, const Number &b) {
  return std::string(a.name) == b.name && a.value == b.value && a.least == b.least && a.most == b.most;
}

inline const std::vector<Number> kNumbers = {
#define RF_OPTION_NUMBER(name, value, least, most, help) {#name, (value), (least), (most)},
#include <ringfence/options.inc>
};

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_OPTION_NUMBERS_H

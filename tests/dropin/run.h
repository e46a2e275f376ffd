// Runs a program with the drop-in in it, and reads what it reported.
#ifndef RINGFENCE_TESTS_DROPIN_RUN_H
#define RINGFENCE_TESTS_DROPIN_RUN_H

#include "tests/checkers/json_value.h"

#include <string>
#include <utility>
#include <vector>

namespace ringfence_test {

using ringfence::Json;

struct Result {
  int status = -1; // exit status, or 128 + signal, as in a shell
  std::string out;
  std::string err;
  std::vector<Json> lines;    // of the log, in order
  std::vector<Json> findings; // those of them that are findings

  // The first and the last line of that type ("summary"); of kind kNothing where there is none.
  const Json &first(const std::string &type) const;
  const Json &last(const std::string &type) const;
};

struct How {
  bool preload = true;                                          // false: the program has the drop-in linked in
  std::string before;                                           // a library to preload before it; "": none
  std::string behind;                                           // the same behind it
  std::string options;                                          // RINGFENCE_OPTIONS, before format and log
  bool log = true;                                              // findings as JSON to a file; false: as text to stderr
  size_t address_space = 0;                                     // limit in bytes; 0: none
  size_t data = 0;                                              // the same of writable memory
  std::vector<std::pair<std::string, std::string>> environment; // added
};

// With these options, preloaded.
How with(const std::string &options);

Result run(const std::vector<std::string> &arguments, const How &how = {});

// The same program without any of it: what its output should be.
Result run_bare(const std::vector<std::string> &arguments);

// A program of tests/dropin/programs, as an absolute path.
std::string program(const std::string &name);

// The place that a program of cases prints for the call of that name (programs/marks.h); -1 if it prints none.
long long place(const std::string &out, const std::string &what);

// True where the trace's first frame lies in that program, at most a few instructions from there.
bool is_near(const Json &trace, const std::string &file, long long offset);

// The file that a shell would run, or "".
std::string find_in_path(const std::string &name);

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_DROPIN_RUN_H

// Text about heaps, each read or counted a second time; for the harness of printing.
#ifndef RINGFENCE_FUZZ_PRINTING_PARTS_H
#define RINGFENCE_FUZZ_PRINTING_PARTS_H

#include <ringfence/fuzz/reader.h>

#include <sstream>
#include <string>
#include <vector>

namespace ringfence::fuzz {

inline std::vector<std::string> lines_of(const std::string &text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    lines.push_back(line);
  }
  return lines;
}

// Dumps of a heap agree with its statistics and its walk.
void check_dumps(Reader &in);

// Snapshots and their differences as text, JSON and in a form for collectors.
void check_snapshots(Reader &in);

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_PRINTING_PARTS_H

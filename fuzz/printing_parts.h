// Text about heaps, each read or counted a second time; for the harness of printing.
#ifndef RINGFENCE_FUZZ_PRINTING_PARTS_H
#define RINGFENCE_FUZZ_PRINTING_PARTS_H

#include <algorithm>
#include <cstddef>
#include <ringfence/fuzz/reader.h>

#include <string>
#include <vector>

namespace ringfence::fuzz {

inline std::vector<std::string> lines_of(const std::string &text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    size_t const end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

// Dumps of a heap agree with its statistics and its walk.
void check_dumps(Reader &in);

// Snapshots and their differences as text, JSON and in a form for collectors.
void check_snapshots(Reader &in);

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_PRINTING_PARTS_H

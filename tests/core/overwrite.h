// For tests that damage the record of an allocator.
#ifndef RINGFENCE_TESTS_CORE_OVERWRITE_H
#define RINGFENCE_TESTS_CORE_OVERWRITE_H

#include <algorithm>
#include <cstddef>
#include <cstring>

// Fills `record` from its byte `from` on. False where that changes nothing: the last bytes of a checksum may have that
// value by chance.
template <class Record> bool overwrite(Record *record, size_t from, int fill) {
  auto *const begin = reinterpret_cast<unsigned char *>(record) + from;
  auto *const end = reinterpret_cast<unsigned char *>(record + 1);
  bool const same = std::all_of(begin, end, [fill](unsigned char byte) { return byte == fill; });
  std::memset(begin, fill, static_cast<size_t>(end - begin));
  return !same;
}

#endif // RINGFENCE_TESTS_CORE_OVERWRITE_H

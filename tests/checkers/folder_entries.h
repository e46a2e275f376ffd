// How many entries a folder has: of /proc/self/fd, what is open.
#ifndef RINGFENCE_TESTS_CHECKERS_FOLDER_ENTRIES_H
#define RINGFENCE_TESTS_CHECKERS_FOLDER_ENTRIES_H

#include <cstddef>
#include <filesystem>
#include <iterator>

namespace ringfence {

inline size_t entries_of(const char *folder) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

inline size_t open_descriptors() {
  return entries_of("/proc/self/fd");
}

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_FOLDER_ENTRIES_H

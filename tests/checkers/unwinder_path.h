// The unwinder's library, which a C++ program has loaded: tests load copies of it as further modules.
#ifndef RINGFENCE_TESTS_CHECKERS_UNWINDER_PATH_H
#define RINGFENCE_TESTS_CHECKERS_UNWINDER_PATH_H

#include <cstring>
#include <link.h>
#include <string>

namespace ringfence {

// Empty where it is linked in.
inline std::string unwinder_path() {
  std::string path;
  dl_iterate_phdr(
      [](dl_phdr_info *info, size_t, void *found) {
        bool const is_it = std::strstr(info->dlpi_name, "/libgcc_s.so") != nullptr;
        if (is_it) {
          *static_cast<std::string *>(found) = info->dlpi_name;
        }
        return is_it ? 1 : 0;
      },
      &path);
  return path;
}

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_UNWINDER_PATH_H

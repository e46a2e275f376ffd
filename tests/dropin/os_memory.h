// Pages of memory, as tests of the system below the drop-in look at them.
#ifndef RINGFENCE_TESTS_DROPIN_OS_MEMORY_H
#define RINGFENCE_TESTS_DROPIN_OS_MEMORY_H

#include <cstddef>
#include <unistd.h>

namespace ringfence_test {

inline const size_t kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));

inline unsigned char *bytes(void *p) {
  return static_cast<unsigned char *>(p);
}

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_DROPIN_OS_MEMORY_H

// A sink that appends to a string of the caller's.
#ifndef RINGFENCE_TESTS_CORE_TEXT_SINK_H
#define RINGFENCE_TESTS_CORE_TEXT_SINK_H

#include <ringfence/sink.h>

#include <string>

namespace ringfence {

inline rf_sink sink_to(std::string *text) {
  return {[](void *context, const char *part, size_t size) { static_cast<std::string *>(context)->append(part, size); },
          text};
}

} // namespace ringfence

#endif

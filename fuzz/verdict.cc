#include <ringfence/fuzz/verdict.h>

#include <cstdarg>
#include <cstdio>

namespace ringfence::fuzz {
namespace {

constexpr size_t kLine = 512;

std::string formatted(const char *format, va_list arguments) {
  char line[kLine];
  int const length = vsnprintf(line, sizeof line, format, arguments);
  return length < 0 ? std::string(format) : std::string(line);
}

} // namespace

void Verdict::begin(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  statement_ = formatted(format, arguments);
  va_end(arguments);
  operations_++;
  if (trace_) {
    fprintf(stderr, "%4zu: %s\n", operations_, statement_.c_str());
  }
}

void Verdict::outcome(const char *format, ...) {
  if (!trace_) {
    return;
  }
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "        // %s\n", formatted(format, arguments).c_str());
  va_end(arguments);
}

bool Verdict::fail(const char *rule, const char *format, ...) {
  if (ok()) {
    va_list arguments;
    va_start(arguments, format);
    violation_ = {rule, formatted(format, arguments), statement_, operations_};
    va_end(arguments);
  }
  return false;
}

} // namespace ringfence::fuzz

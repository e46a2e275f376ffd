#include <ringfence/fuzz/verdict.h>

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace ringfence::fuzz {
namespace {

constexpr size_t kLine = 512;

std::string formatted(const char *format, va_list arguments) {
  char line[kLine];
  int const length = vsnprintf(line, sizeof line, format, arguments);
  return length < 0 ? std::string(format) : std::string(line);
}

// The next conversion of a format, "%+td"; its text is empty at the end.
struct Conversion {
  const char *begin;
  const char *end;
};

Conversion next_conversion(const char *format) {
  const char *const begin = strchr(format, '%');
  if (begin == nullptr) {
    return {format, format};
  }
  return {begin, begin + 1 + strcspn(begin + 1, "dusxcp%") + 1};
}

// One argument, kept as the largest integer.
uintmax_t kept(const Conversion &conversion, va_list *arguments) {
  switch (conversion.end[-1]) {
  case 's':
  case 'p':
    return reinterpret_cast<uintptr_t>(va_arg(*arguments, const void *));
  default:
    break;
  }
  switch (conversion.end[-2]) {
  case 'z':
    return va_arg(*arguments, size_t);
  case 't':
    return static_cast<uintmax_t>(va_arg(*arguments, ptrdiff_t));
  case 'l':
    return static_cast<uintmax_t>(va_arg(*arguments, long));
  default:
    return va_arg(*arguments, unsigned);
  }
}

std::string printed(const Conversion &conversion, uintmax_t value) {
  char line[kLine];
  std::string const format(conversion.begin, conversion.end);
  // In the type that was given: all that are as wide are passed alike.
  switch (conversion.end[-1]) {
  case 's':
  case 'p':
    snprintf(line, sizeof line, format.c_str(), reinterpret_cast<const void *>(static_cast<uintptr_t>(value)));
    break;
  default:
    if (strchr("ztl", conversion.end[-2]) != nullptr) {
      snprintf(line, sizeof line, format.c_str(), static_cast<size_t>(value));
    } else {
      snprintf(line, sizeof line, format.c_str(), static_cast<unsigned>(value));
    }
  }
  return line;
}

} // namespace

size_t Verdict::begun_;

std::string Verdict::statement() const {
  std::string text;
  const char *at = format_;
  size_t i = 0;
  for (Conversion next = next_conversion(at); next.begin != next.end; next = next_conversion(at)) {
    text.append(at, next.begin);
    text += printed(next, arguments_[i++]);
    at = next.end;
  }
  return text + at;
}

void Verdict::begin(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  format_ = format;
  size_t i = 0;
  for (Conversion next = next_conversion(format); next.begin != next.end && i < kArguments;
       next = next_conversion(next.end)) {
    arguments_[i++] = kept(next, &arguments);
  }
  va_end(arguments);
  operations_++;
  begun_++;
  if (trace_) {
    fprintf(stderr, "%4zu: %s\n", operations_, statement().c_str());
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
    violation_ = {rule, formatted(format, arguments), statement(), operations_};
    va_end(arguments);
  }
  return false;
}

} // namespace ringfence::fuzz

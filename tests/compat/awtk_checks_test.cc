// The output of AWTK's argument checks, in a program that has stdio.
#include <string>

static std::string g_logged;
[[maybe_unused]] static void note(const char *format, ...) __attribute__((format(printf, 1, 2))); // not with NDEBUG

#define log_debug note
#define log_info note
#define log_warn note
#define log_error note
#include "tkc/mem.h"

#include <cstdarg>
#include <cstdio>

#include <gtest/gtest.h>

static void note(const char *format, ...) {
  char line[200];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(line, sizeof line, format, args);
  va_end(args);
  g_logged += line;
}

namespace {

ret_t half(int n, const char *format) {
  return_value_if_fail(n % 2 == 0 && format != nullptr, RET_BAD_PARAMS);
  return_value_if_fail(strcmp(format, "%s") != 0, RET_FAIL);
  return RET_OK;
}

// A condition is text, whatever a format would make of it.
TEST(AwtkChecks, AConditionIsPrintedAsItStands) {
  EXPECT_EQ(RET_OK, half(2, ""));
  EXPECT_EQ("", g_logged);
  EXPECT_EQ(RET_BAD_PARAMS, half(1, ""));
#ifdef NDEBUG
  EXPECT_EQ("", g_logged);
#else
  EXPECT_NE(std::string::npos, g_logged.find(" n % 2 == 0 && format != nullptr\n")) << g_logged;
  EXPECT_EQ(0U, g_logged.find("half:"));
  g_logged.clear();
  EXPECT_EQ(RET_FAIL, half(2, "%s"));
  EXPECT_NE(std::string::npos, g_logged.find(" strcmp(format, \"%s\") != 0\n")) << g_logged;
#endif
}

} // namespace

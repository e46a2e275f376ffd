// A process tells a collector the time, by a clock of this file's, which the linker puts in front of the system's, and
// labels at the limits of their length.
#include "checkers/report/collector_identity.h"

#include <gtest/gtest.h>
#include <ringfence/sink.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <time.h>
#include <unistd.h>
#include <utility>

#include "tests/checkers/not_cancelled.h"

namespace {

bool is_told;
timespec told;
size_t bytes_read = SIZE_MAX; // at most, of any file

} // namespace

extern "C" int __real_clock_gettime(clockid_t clock, struct timespec *now);
extern "C" int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

extern "C" int __wrap_clock_gettime(clockid_t clock, struct timespec *now) {
  if (!is_told) {
    return __real_clock_gettime(clock, now);
  }
  EXPECT_EQ(clock, CLOCK_REALTIME);
  *now = told;
  return 0;
}

extern "C" ssize_t __real_read(int fd, void *to, size_t size);
extern "C" ssize_t __wrap_read(int fd, void *to, size_t size);

extern "C" ssize_t __wrap_read(int fd, void *to, size_t size) {
  return __real_read(fd, to, std::min(size, bytes_read));
}

namespace {

std::string time_at(time_t seconds, long ns) {
  char text[64] = "";
  rf_sink_buffer out;
  rf_sink_buffer_init(&out, text, sizeof text);
  told = {seconds, ns};
  is_told = true;
  rf_collector_put_time(&out.sink);
  is_told = false;
  return text;
}

// Each day of more than four centuries, at another time of day each, as the C library writes it.
TEST(CollectorTime, IsThatOfTheCalendar) {
  constexpr int64_t kDay = 86400;
  for (int64_t day = 0; day < 160000 && !HasFailure(); day++) {
    int64_t const seconds = day * kDay + day * 7919 % kDay;
    if (static_cast<int64_t>(static_cast<time_t>(seconds)) != seconds) {
      break; // 32 bits end in 2038
    }
    auto const at = static_cast<time_t>(seconds);
    tm parts = {};
    char expected[64];
    ASSERT_NE(gmtime_r(&at, &parts), nullptr);
    size_t const length = strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &parts);
    EXPECT_EQ(time_at(at, 123456999), std::string(expected, length) + ".123456Z");
  }
  EXPECT_EQ(time_at(951782400, 0), "2000-02-29T00:00:00.000000Z");
  EXPECT_EQ(time_at(951868799, 999999999), "2000-02-29T23:59:59.999999Z");
}

bool has_label(const std::string &name, const std::string &value) {
  static rf_collector_identity id;
  std::string const labels = "first=1," + name + "=" + value + ",last=2";
  rf_collector_options options = {};
  options.labels = {labels.data(), labels.size()};
  options.mode = "guard";
  rf_collector_identity_init(&id, &options);
  std::string const fields = id.fields;
  EXPECT_NE(fields.find("\"first\":\"1\""), std::string::npos) << fields;
  EXPECT_NE(fields.find("\"last\":\"2\""), std::string::npos) << fields;
  return fields.find("\"" + name + "\":\"" + value + "\"") != std::string::npos;
}

// As a container may show it that hides the machine.
TEST(CollectorIdentity, AMachineWithoutAWholeIdHasNone) {
  static rf_collector_identity id;
  rf_collector_options const options = {};
  rf_collector_identity_init(&id, &options);
  EXPECT_EQ(std::strlen(id.boot), 36U);
  for (size_t const length : {0, 1, 35}) {
    bytes_read = length;
    std::memset(id.boot, 'x', sizeof id.boot);
    rf_collector_identity_init(&id, &options);
    EXPECT_STREQ(id.boot, "0") << length;
  }
  bytes_read = SIZE_MAX;
}

TEST(CollectorIdentity, IsFoundWithoutAPointOfCancellation) {
  static rf_collector_identity id;
  rf_collector_options const options = {};
  ringfence_test::expect_not_cancelled([options] { rf_collector_identity_init(&id, &options); });
  EXPECT_EQ(std::strlen(id.boot), 36U);
}

TEST(CollectorIdentity, KnowsWhetherItIsAmongDevelopers) {
  static rf_collector_identity id;
  for (auto const &[environment, is] : {std::pair("development", true), std::pair("ci", true), std::pair("test", true),
                                        std::pair("tests", false), std::pair("production", false)}) {
    rf_collector_options options = {};
    options.environment = {environment, std::strlen(environment)};
    id.development = !is;
    rf_collector_identity_init(&id, &options);
    EXPECT_EQ(id.development, is) << environment;
  }
}

TEST(CollectorLabels, HaveAsManyBytesAsFit) {
  for (size_t const length : {1, 100, 254, 255}) {
    EXPECT_TRUE(has_label("k", std::string(length, 'v'))) << length;
    EXPECT_TRUE(has_label(std::string(length, 'n'), "v")) << length;
  }
  for (size_t const length : {256, 257, 1000}) {
    EXPECT_FALSE(has_label("k", std::string(length, 'v'))) << length;
    EXPECT_FALSE(has_label(std::string(length, 'n'), "v")) << length;
  }
  EXPECT_FALSE(has_label("", "v"));
  EXPECT_TRUE(has_label("k", ""));
}

} // namespace

// A question about one mapping (checkers/os/map_query.c): what the kernel is asked, and what its answer becomes. The
// kernel is this test's own.
extern "C" {
#include "checkers/os/map_query.h"
}

#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstring>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

// As the kernel has it.
struct Query {
  uint64_t size, flags, address, start, end, rights, page_size, offset, inode;
  uint32_t major, minor, name_size, build_id_size;
  uint64_t name, build_id;
};

Query asked;
int error; // 0: there is an answer
bool has_name;
uint64_t rights;

} // namespace

extern "C" long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  int const maps = va_arg(list, int);
  unsigned long const request = va_arg(list, unsigned long);
  auto *const q = va_arg(list, Query *);
  va_end(list);
  EXPECT_EQ(number, SYS_ioctl);
  EXPECT_EQ(maps, 44);
  EXPECT_EQ(request & 0xFFFF, 0x6611U);
  asked = *q;
  errno = error;
  q->start = 0x1000;
  q->end = 0x3000;
  q->rights = rights;
  q->offset = 0x77000;
  q->inode = 99;
  q->major = 8;
  q->minor = 3;
  if (has_name && q->name_size != 0) {
    std::strcpy(reinterpret_cast<char *>(static_cast<uintptr_t>(q->name)), "/file");
  }
  return error == 0 ? 0 : -1;
}

namespace {

TEST(MapQuery, AsksForTheMappingOfAnAddress) {
  rf_map_place place = {};
  char name[20] = "before";
  error = 0;
  has_name = true;
  rights = 5;
  EXPECT_EQ(rf_map_query(44, 0x1234, &place, name, sizeof name), RF_MAP_FOUND);
  EXPECT_EQ(asked.size, sizeof asked);
  EXPECT_EQ(asked.flags, 0U) << "of this address alone";
  EXPECT_EQ(asked.address, 0x1234U);
  EXPECT_EQ(asked.name, reinterpret_cast<uintptr_t>(name));
  EXPECT_EQ(asked.name_size, sizeof name);
  EXPECT_EQ(asked.build_id_size, 0U);
  EXPECT_STREQ(name, "/file");
  EXPECT_EQ(place.start, 0x1000U);
  EXPECT_EQ(place.end, 0x3000U);
  EXPECT_EQ(place.file_offset, 0x77000U);
  EXPECT_EQ(place.inode, 99U);
  EXPECT_EQ(place.major, 8U);
  EXPECT_EQ(place.minor, 3U);
  EXPECT_TRUE(place.executable);
}

TEST(MapQuery, AMappingOfNoFileHasNoName) {
  rf_map_place place = {};
  char name[20] = "before";
  error = 0;
  has_name = false;
  rights = 3;
  EXPECT_EQ(rf_map_query(44, 0x1234, &place, name, sizeof name), RF_MAP_FOUND);
  EXPECT_STREQ(name, "");
  EXPECT_FALSE(place.executable);
  EXPECT_EQ(rf_map_query(44, 0x1234, &place, nullptr, 0), RF_MAP_FOUND);
  EXPECT_EQ(asked.name, 0U);
}

TEST(MapQuery, WhereNothingIsMappedIsToldFromAKernelThatDoesNotKnow) {
  rf_map_place place = {};
  error = ENOENT;
  EXPECT_EQ(rf_map_query(44, 0x1234, &place, nullptr, 0), RF_MAP_NONE);
  EXPECT_EQ(place.end, 0U);
  for (int const each : {ENOTTY, EPERM, EINVAL}) {
    error = each;
    EXPECT_EQ(rf_map_query(44, 0x1234, &place, nullptr, 0), RF_MAP_UNKNOWN);
  }
}

} // namespace

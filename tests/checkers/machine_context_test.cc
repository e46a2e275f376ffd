// READ or WRITE of a fault on AArch64, from the records that Linux puts behind the registers.
#include "checkers/os/machine_context.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace ringfence {
namespace {

// Exception classes of the architecture, in the upper bits of a syndrome.
constexpr uint64_t kDataAbort = 0x24ULL << 26;
constexpr uint64_t kDataAbortOfSameLevel = 0x25ULL << 26;
constexpr uint64_t kInstructionAbort = 0x20ULL << 26;
constexpr uint64_t kWritten = 1 << 6;

// As sigcontext.h of Linux names and lays them out.
constexpr uint32_t kFpsimd = 0x46508001;
constexpr uint32_t kExtra = 0x45585401;
constexpr uint32_t kSyndrome = 0x45535201;

struct Records {
  std::vector<unsigned char> bytes;

  Records &add(uint32_t magic, uint32_t size, uint64_t first) {
    size_t const at = bytes.size();
    bytes.resize(at + (size < 16 ? 16 : size));
    std::memcpy(&bytes[at], &magic, sizeof magic);
    std::memcpy(&bytes[at + 4], &size, sizeof size);
    std::memcpy(&bytes[at + 8], &first, sizeof first);
    return *this;
  }

  rf_machine_access access() {
    add(0, 0, 0);
    return rf_machine_access_of(bytes.data(), bytes.size());
  }
};

TEST(MachineContext, TellsReadsFromWritesByTheSyndrome) {
  EXPECT_EQ(Records().add(kFpsimd, 528, 0).add(kSyndrome, 16, kDataAbort).access(), RF_MACHINE_READ);
  EXPECT_EQ(Records().add(kFpsimd, 528, 0).add(kSyndrome, 16, kDataAbort | kWritten).access(), RF_MACHINE_WRITE);
  EXPECT_EQ(Records().add(kSyndrome, 16, kDataAbortOfSameLevel | kWritten).access(), RF_MACHINE_WRITE);
  EXPECT_EQ(Records().add(kSyndrome, 16, kDataAbort | kWritten).add(kExtra, 32, 0).access(), RF_MACHINE_WRITE);
}

TEST(MachineContext, TellsNothingOfOtherExceptions) {
  EXPECT_EQ(Records().add(kSyndrome, 16, kInstructionAbort | kWritten).access(), RF_MACHINE_UNKNOWN);
}

TEST(MachineContext, TellsNothingWithoutASyndromeAsUnderEmulators) {
  EXPECT_EQ(Records().access(), RF_MACHINE_UNKNOWN);
  EXPECT_EQ(Records().add(kFpsimd, 528, kDataAbort).access(), RF_MACHINE_UNKNOWN);
}

TEST(MachineContext, StopsAtRecordsOfImpossibleSize) {
  for (uint32_t const size : {0U, 4U, 7U, 4096U, UINT32_MAX}) {
    Records records;
    records.add(kFpsimd, 32, 0);
    std::memcpy(&records.bytes[4], &size, sizeof size);
    EXPECT_EQ(records.add(kSyndrome, 16, kDataAbort).access(), RF_MACHINE_UNKNOWN) << size;
  }
  // A record that ends where the room does.
  Records cut;
  cut.add(kSyndrome, 16, kDataAbort);
  EXPECT_EQ(rf_machine_access_of(cut.bytes.data(), 16), RF_MACHINE_READ);
  EXPECT_EQ(rf_machine_access_of(cut.bytes.data(), 15), RF_MACHINE_UNKNOWN);
}

} // namespace
} // namespace ringfence

// Addresses of unloaded modules (checkers/dropin/process/unloaded_places_glibc.c): who gets them, and when.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/process/unloaded_places.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/modules.h"
}
#undef _Static_assert

#include "tests/dropin/alone.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <ringfence/port.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace {

void (*within)(); // called once while a place is given back, as by another thread

void come_within() {
  void (*const now)() = within;
  within = nullptr;
  if (now != nullptr) {
    now();
  }
}

} // namespace

// The linker puts these in front of the C library's.
extern "C" {
int __real_stat(const char *path, struct stat *out);
int __wrap_stat(const char *path, struct stat *out);
int __real_munmap(void *start, size_t size);
int __wrap_munmap(void *start, size_t size);

// Files whose path has "elsewhere" are on another device.
int __wrap_stat(const char *path, struct stat *out) {
  int const result = __real_stat(path, out);
  out->st_dev += result == 0 && strstr(path, "elsewhere") != nullptr ? 1 : 0;
  return result;
}

int __wrap_munmap(void *start, size_t size) {
  int const result = __real_munmap(start, size);
  come_within();
  return result;
}
}

namespace ringfence_test {
namespace {

constexpr size_t kSize = 8192;
constexpr uint64_t kSecond = 1000000000;

// An address at which nothing is mapped.
uintptr_t a_place() {
  void *const p = mmap(nullptr, kSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT_NE(p, MAP_FAILED);
  EXPECT_EQ(munmap(p, kSize), 0);
  return reinterpret_cast<uintptr_t>(p);
}

bool is_taken(uintptr_t place) {
  void *const p =
      mmap(reinterpret_cast<void *>(place), kSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (p != MAP_FAILED) {
    EXPECT_EQ(munmap(p, kSize), 0);
  }
  return p == MAP_FAILED;
}

class UnloadedPlaces : public testing::Test {
protected:
  UnloadedPlaces() {
    std::string folder = testing::TempDir() + "/placesXXXXXX";
    EXPECT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    file_ = folder_ + "/lib.so";
    write(file_);
  }
  ~UnloadedPlaces() override {
    for (const char *const name : {"/lib.so", "/other.so"}) {
      (void)unlink((folder_ + name).c_str());
    }
    (void)rmdir(folder_.c_str());
  }

  static void write(const std::string &path) { std::ofstream(path) << "library"; }

  // The process began so long after the file was written; or so long before.
  static void began(double seconds) {
    rf_process.start_ns = rf_port_now_ns() + static_cast<uint64_t>(static_cast<int64_t>(seconds * kSecond));
  }

  std::string folder_;
  std::string file_;
};

TEST_F(UnloadedPlaces, ThePlaceIsNobodysUntilTheSameFileIsLoaded) {
  alone([this] {
    began(10);
    uintptr_t const place = a_place();
    errno = 77;
    rf_unloaded_places_keep(place, place + kSize, file_.c_str());
    EXPECT_TRUE(is_taken(place));
    write(folder_ + "/other.so");
    rf_unloaded_places_give(nullptr);
    rf_unloaded_places_give((folder_ + "/other.so").c_str());
    rf_unloaded_places_give((folder_ + "/none/lib.so").c_str());
    EXPECT_TRUE(is_taken(place));
    errno = 77;
    rf_unloaded_places_give(file_.c_str());
    EXPECT_EQ(errno, 77);
    EXPECT_FALSE(is_taken(place));
  });
}

// Numbers of files are those of one device.
TEST_F(UnloadedPlaces, AFileIsTheSameOnItsDeviceAlone) {
  alone([this] {
    for (bool const elsewhere : {true, false}) {
      std::string const folder = folder_ + (elsewhere ? "/elsewhere" : "/beside");
      std::string const same = folder + "/lib.so";
      ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
      ASSERT_EQ(link(file_.c_str(), same.c_str()), 0);
      began(10);
      uintptr_t const place = a_place();
      rf_unloaded_places_keep(place, place + kSize, file_.c_str());
      rf_unloaded_places_give(same.c_str());
      EXPECT_EQ(is_taken(place), elsewhere);
      EXPECT_EQ(unlink(same.c_str()), 0);
      EXPECT_EQ(rmdir(folder.c_str()), 0);
    }
  });
}

TEST_F(UnloadedPlaces, ANameWithoutAFolderIsTheFileThatWasFound) {
  alone([this] {
    began(10);
    uintptr_t const place = a_place();
    rf_unloaded_places_keep(place, place + kSize, file_.c_str());
    rf_unloaded_places_give("lib");
    EXPECT_TRUE(is_taken(place));
    rf_unloaded_places_give("lib.so");
    EXPECT_FALSE(is_taken(place));
  });
}

// A library that was built anew has other code there.
TEST_F(UnloadedPlaces, AFileThatChangedSinceTheProcessBeganGetsAnotherPlace) {
  alone([this] {
    for (double const seconds : {-10.0, 0.05}) {
      began(seconds);
      uintptr_t const place = a_place();
      rf_unloaded_places_keep(place, place + kSize, file_.c_str());
      rf_unloaded_places_give(file_.c_str());
      EXPECT_TRUE(is_taken(place)) << seconds;
    }
  });
}

TEST_F(UnloadedPlaces, WhatIsMappedThereMeanwhileStays) {
  alone([this] {
    began(10);
    auto *const p =
        static_cast<char *>(mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    auto const place = reinterpret_cast<uintptr_t>(p);
    *p = 'x';
    rf_unloaded_places_keep(place, place + kSize, file_.c_str());
    EXPECT_EQ(*p, 'x');
    rf_unloaded_places_give(file_.c_str());
    EXPECT_EQ(*p, 'x');
  });
}

TEST_F(UnloadedPlaces, AsManyAreKeptAsHaveNames) {
  alone([this] {
    began(-10);
    std::vector<uintptr_t> kept;
    for (unsigned i = 0; i <= RF_MODULES_UNLOADED; i++) {
      kept.push_back(a_place());
      rf_unloaded_places_keep(kept.back(), kept.back() + kSize, file_.c_str());
    }
    EXPECT_FALSE(is_taken(kept[0]));
    for (size_t i = 1; i < kept.size(); i++) {
      EXPECT_TRUE(is_taken(kept[i])) << i;
    }
  });
}

uintptr_t given_back;

// Makes a child while another thread gives a place back, where the child maps memory of its own at once.
void fork_meanwhile() {
  alone([] {
    rf_unloaded_places_forked();
    auto *const own = static_cast<char *>(mmap(reinterpret_cast<void *>(given_back), kSize, PROT_READ | PROT_WRITE,
                                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    ASSERT_EQ(reinterpret_cast<uintptr_t>(own), given_back);
    *own = 'x';
    for (unsigned i = 0; i < RF_MODULES_UNLOADED; i++) {
      uintptr_t const place = a_place();
      rf_unloaded_places_keep(place, place + kSize, "lib.so");
      ASSERT_TRUE(is_taken(place)) << i;
    }
    EXPECT_TRUE(is_taken(given_back));
    EXPECT_EQ(*own, 'x');
  });
}

TEST_F(UnloadedPlaces, AreKeptInAChildThatWasMadeMeanwhile) {
  alone([this] {
    began(10);
    given_back = a_place();
    rf_unloaded_places_keep(given_back, given_back + kSize, file_.c_str());
    within = fork_meanwhile;
    rf_unloaded_places_give(file_.c_str());
    EXPECT_EQ(within, nullptr);
  });
}

TEST_F(UnloadedPlaces, NothingIsAskedOfASandboxThatForbidsIt) {
  alone([this] {
    began(10);
    uintptr_t const place = a_place();
    for (uint32_t const call : {RF_CALL_MMAP, RF_CALL_MUNMAP}) {
      rf_forbidden_calls = call;
      rf_unloaded_places_keep(place, place + kSize, file_.c_str());
      rf_forbidden_calls = 0;
      EXPECT_FALSE(is_taken(place));
    }
    rf_unloaded_places_keep(place, place + kSize, file_.c_str());
    for (uint32_t const call : {RF_CALL_MMAP, RF_CALL_MUNMAP, RF_CALL_OPEN, RF_CALL_CLOCK}) {
      rf_forbidden_calls = call;
      rf_unloaded_places_give(file_.c_str());
      rf_forbidden_calls = 0;
      EXPECT_TRUE(is_taken(place)) << call;
    }
  });
}

} // namespace
} // namespace ringfence_test

// Parts of the drop-in by themselves: the shape of a heap, leaks that were told, sites that were watched, and the time
// that pages may take.
extern "C" {
#include "checkers/dropin/inspect/heap_shape.h"
#include "checkers/dropin/inspect/told_leaks.h"
#include "checkers/dropin/malloc/page_time.h"
#include "checkers/dropin/malloc/watched_sites.h"
}

#include "tests/checkers/two_at_once.h"
#include "tests/dropin/alone.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <memory>
#include <sstream>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using ringfence_test::alone;

// ---- The shape ----

constexpr size_t kCell = 65536;

class Shape {
public:
  Shape() : shape_(std::make_unique<rf_heap_shape>()) { rf_heap_shape_begin(shape_.get()); }
  Shape &add(uintptr_t address, size_t size) {
    rf_heap_shape_add(shape_.get(), address, size);
    return *this;
  }
  std::string text() {
    std::vector<char> text(1 << 17);
    rf_sink_buffer buffer;
    rf_sink_buffer_init(&buffer, text.data(), text.size());
    rf_json_writer json = {};
    json.sink = &buffer.sink;
    rf_heap_shape_write(shape_.get(), &json);
    return std::string(buffer.data, buffer.length);
  }

private:
  std::unique_ptr<rf_heap_shape> shape_;
};

std::string map_of(const std::string &text) {
  return text.substr(text.find("\"map\""));
}

std::string sizes_of(const std::string &text) {
  return text.substr(0, text.find(",\"map\""));
}

TEST(DropinHeapShape, SizesAreCountedByTheirPowersOfTwo) {
  EXPECT_EQ(sizes_of(Shape().text()), "\"sizes\":[]");
  Shape shape;
  for (size_t const size : {0, 0, 1, 2, 3, 4, 7, 8, 1023, 1024}) {
    shape.add(kCell, size);
  }
  EXPECT_EQ(sizes_of(shape.text()), "\"sizes\":[[0,2,0],[1,1,1],[2,2,5],[4,2,11],[8,1,8],[512,1,1023],[1024,1,1024]]");
}

TEST(DropinHeapShape, TheMapHasTheLiveBytesOfEachCell) {
  struct Case {
    const char *what;
    std::vector<std::pair<uintptr_t, size_t>> blocks;
    const char *parts;
  };
  const Case kCases[] = {
      {"nothing", {}, ""},
      {"a block", {{5 * kCell + 100, 10}}, "[\"0x50000\",[10]]"},
      {"no bytes", {{5 * kCell, 0}}, ""},
      {"two in a cell", {{5 * kCell, 10}, {6 * kCell - 5, 5}}, "[\"0x50000\",[15]]"},
      {"across an edge", {{6 * kCell - 3, 10}}, "[\"0x50000\",[3,7]]"},
      {"some cells", {{5 * kCell + 1, 2 * kCell}}, "[\"0x50000\",[65535,65536,1]]"},
      {"in any order", {{7 * kCell, 7}, {5 * kCell, 5}}, "[\"0x50000\",[5,0,7]]"},
      {"eight empty ones", {{5 * kCell, 5}, {14 * kCell, 7}}, "[\"0x50000\",[5,0,0,0,0,0,0,0,0,7]]"},
      {"nine empty ones", {{5 * kCell, 5}, {15 * kCell, 7}}, "[\"0x50000\",[5]],[\"0xf0000\",[7]]"},
  };
  for (const Case &c : kCases) {
    Shape shape;
    for (const auto &[address, size] : c.blocks) {
      shape.add(address, size);
    }
    EXPECT_EQ(map_of(shape.text()), std::string("\"map\":{\"cell\":65536,\"parts\":[") + c.parts + "]}") << c.what;
  }
}

TEST(DropinHeapShape, CellsGrowUntilTheyAreFewEnough) {
  Shape enough;
  Shape too_many;
  for (uintptr_t i = 0; i < 1024; i++) {
    enough.add(i * kCell, 1);
  }
  for (uintptr_t i = 0; i < 1026; i++) {
    too_many.add(i * kCell, 1 + i % 2);
  }
  EXPECT_EQ(map_of(enough.text()).rfind("\"map\":{\"cell\":65536,\"parts\":[[\"0x0\",[1,1,", 0), 0U);
  std::string const text = map_of(too_many.text());
  EXPECT_EQ(text.rfind("\"map\":{\"cell\":131072,\"parts\":[[\"0x0\",[3,3,", 0), 0U);
  EXPECT_EQ(std::count(text.begin(), text.end(), '3'), 513 + 1); // and that of 131072

  Shape full; // three quarters of the table
  for (uintptr_t i = 0; i < 6144; i++) {
    full.add(i * kCell, 1);
  }
  full.add(0, 1);
  EXPECT_EQ(map_of(full.text()).rfind("\"map\":{\"cell\":524288,\"parts\":[[\"0x0\",[9,8,8", 0), 0U);
}

// ---- Leaks that were told ----

TEST(DropinToldLeaks, AreThoseThatWereNoted) {
  alone([] {
    EXPECT_FALSE(rf_told_leaks_has(0x1000, 1, false));
    EXPECT_FALSE(rf_told_leaks_has(0x1000, 1, true));
    EXPECT_TRUE(rf_told_leaks_has(0x1000, 1, false));
    EXPECT_TRUE(rf_told_leaks_has(0x1000, 1, true));
    EXPECT_FALSE(rf_told_leaks_has(0x1000, 2, false));         // another block there
    EXPECT_FALSE(rf_told_leaks_has(0x1000, 1 + 65536, false)); // and one that is looked for in the same place
    EXPECT_FALSE(rf_told_leaks_has(0x1010, 0, true));          // in the same place of the table
    EXPECT_FALSE(rf_told_leaks_has(0x1010, 1, false));
    EXPECT_TRUE(rf_told_leaks_has(0x1010, 0, false));
    EXPECT_TRUE(rf_told_leaks_has(0x1000, 1, false));
    EXPECT_FALSE(rf_told_leaks_has(0xffff0, 0, true)); // the last place of the table, and behind it the first
    EXPECT_FALSE(rf_told_leaks_has(0xffff0 + 0x100000, 0, true));
    EXPECT_TRUE(rf_told_leaks_has(0xffff0 + 0x100000, 0, false));
  });
}

TEST(DropinToldLeaks, BeyondTheMostAreToldAgain) {
  alone([] {
    for (uintptr_t i = 1; i <= 49152; i++) {
      EXPECT_FALSE(rf_told_leaks_has(i << 4, 0, true));
    }
    EXPECT_TRUE(rf_told_leaks_has(1 << 4, 0, true));
    EXPECT_TRUE(rf_told_leaks_has(uintptr_t{49152} << 4, 0, true));
    EXPECT_FALSE(rf_told_leaks_has(uintptr_t{50000} << 4, 0, true));
    EXPECT_FALSE(rf_told_leaks_has(uintptr_t{50000} << 4, 0, true));
  });
}

// ---- The time that pages may take ----

// Work that began so long ago that it counts with the most that any does.
void work_long(int times) {
  for (int i = 0; i < times; i++) {
    rf_page_time_leave(0);
  }
}

TEST(PageTime, WithoutALimitThereIsNone) {
  alone([] {
    rf_page_time_begin(100);
    EXPECT_FALSE(rf_page_time_is_limited());
  });
}

TEST(PageTime, WhatIsSpentIsNotLeft) {
  alone([] {
    rf_page_time_begin(1);
    EXPECT_TRUE(rf_page_time_is_limited());
    EXPECT_TRUE(rf_page_time_left());
    work_long(75);
    EXPECT_TRUE(rf_page_time_left());
    work_long(100000);
    EXPECT_FALSE(rf_page_time_left());
    EXPECT_FALSE(rf_page_time_left());
  });
}

// About as much is lost later.
TEST(PageTime, WorkCountsTwice) {
  alone([] {
    rf_page_time_begin(1);
    work_long(95); // 19 ms of 20
    EXPECT_TRUE(rf_page_time_left());
    work_long(30);
    EXPECT_FALSE(rf_page_time_left());
  });
}

TEST(PageTime, ShortWorkCountsAsShort) {
  alone([] {
    rf_page_time_begin(1);
    for (int i = 0; i < 150; i++) { // each would be 200 us
      rf_page_time_leave(rf_page_time_enter());
    }
    EXPECT_TRUE(rf_page_time_left());
  });
}

TEST(PageTime, ComesAgainWithTheTimeOfTheProcess) {
  alone([] {
    rf_page_time_begin(99);
    work_long(110); // 22 ms: 20 are free
    for (volatile long i = 0; !rf_page_time_left(); i = i + 1) {
    }
  });
}

TEST(PageTime, IsTheChildsOwn) {
  alone([] {
    rf_page_time_begin(1);
    work_long(100000);
    rf_page_time_forked();
    EXPECT_TRUE(rf_page_time_left());
  });
}

// A process that waits takes no processor time.
TEST(PageTime, IsTheClocksInASandbox) {
  alone([] {
    rf_page_time_begin(99);
    rf_page_time_settle();
    work_long(110);
    while (!rf_page_time_left()) {
      usleep(1000);
    }
  });
}

// ---- Sites that were watched ----

class WatchedSites : public testing::Test {
protected:
  WatchedSites() {
    std::string base = testing::TempDir() + "/sites.XXXXXX";
    EXPECT_NE(mkdtemp(&base[0]), nullptr);
    folder_ = base;
    alone([this] { // the file's name
      rf_watched_sites_begin(folder_.c_str());
      EXPECT_TRUE(rf_watched_sites_add(0x89abcdef));
      rf_watched_sites_end();
    });
    std::string const list = "ls " + folder_ + " > " + folder_ + ".list";
    EXPECT_EQ(system(list.c_str()), 0);
    std::ifstream(folder_ + ".list") >> name_;
  }
  std::string read() const {
    std::ostringstream text;
    text << std::ifstream(folder_ + "/" + name_).rdbuf();
    return text.str();
  }
  void write(const std::string &text) const { std::ofstream(folder_ + "/" + name_) << text; }

  std::string folder_;
  std::string name_;
};

TEST_F(WatchedSites, AreWrittenAndReadByTheNextProcess) {
  EXPECT_EQ(name_.substr(name_.find('.')), ".sites");
  EXPECT_EQ(read(), "89abcdef\n");
  alone([this] {
    rf_watched_sites_begin(folder_.c_str());
    EXPECT_FALSE(rf_watched_sites_add(0x89abcdef));
    EXPECT_TRUE(rf_watched_sites_add(1));
    EXPECT_FALSE(rf_watched_sites_add(1));
    EXPECT_TRUE(rf_watched_sites_add(8193)); // in the same place
    EXPECT_FALSE(rf_watched_sites_add(8193));
    rf_watched_sites_end();
    EXPECT_GE(dup2(1, 0), 0);
    rf_watched_sites_end(); // nothing is new
    EXPECT_EQ(dup2(0, 0), 0) << "closed";
  });
  EXPECT_EQ(read(), "89abcdef\n00000001\n00002001\n");
}

#ifdef RF_CAN_STEP

TEST_F(WatchedSites, AddedTwiceAtOnceAreNewOnce) {
  alone([] {
    uint32_t key = 1;
    ringfence_test::expect_one_has([&] { return rf_watched_sites_add(key); }, [&] { key++; });
  });
}

TEST_F(WatchedSites, TwoAtOnceAreBothWritten) {
  alone([this] {
    rf_watched_sites_begin(folder_.c_str());
    uint32_t key = 1;
    auto const add = [&] { (void)rf_watched_sites_add(key); };
    auto const add_other = [&] { (void)rf_watched_sites_add(key + 0x1000); };
    while (key < 500 && ringfence_test::run_with_other_after(key, add, add_other)) {
      key++;
    }
    rf_watched_sites_end();
  });
  std::istringstream lines(read());
  std::string line;
  unsigned long count = 0;
  unsigned long last = 0; // alone
  while (std::getline(lines, line)) {
    unsigned long const key = std::stoul(line, nullptr, 16);
    count++;
    last = key < 0x1000 ? std::max(last, key) : last;
  }
  EXPECT_GT(last, 5U);
  EXPECT_EQ(count, 2 * last); // with the one that the folder had
}

#endif

TEST_F(WatchedSites, AFileMayHaveAnythingInIt) {
  write("00000010\n\n0000000g12\nAF\nffffffff\nab\n77");
  alone([this] {
    rf_watched_sites_begin(folder_.c_str());
    for (uint32_t const known : {0x10U, 0x12U, 0xffffffffU, 0xabU}) {
      EXPECT_FALSE(rf_watched_sites_add(known)) << known;
    }
    EXPECT_TRUE(rf_watched_sites_add(0xaf));
    EXPECT_TRUE(rf_watched_sites_add(0x77)) << "the line is not whole";
    EXPECT_TRUE(rf_watched_sites_add(0xffffffab)) << "a line begins with no digits of the one before";
  });
}

TEST_F(WatchedSites, AParentWritesItsOwn) {
  alone([this] {
    rf_watched_sites_begin(folder_.c_str());
    EXPECT_TRUE(rf_watched_sites_add(2));
    alone([] {
      rf_watched_sites_inherit();
      EXPECT_FALSE(rf_watched_sites_add(2));
      EXPECT_TRUE(rf_watched_sites_add(3));
      rf_watched_sites_end();
    });
    rf_watched_sites_end();
  });
  EXPECT_EQ(read(), "89abcdef\n00000003\n00000002\n");
}

TEST_F(WatchedSites, SoManyAreKnownAndWritten) {
  write("");
  alone([this] {
    rf_watched_sites_begin(folder_.c_str());
    for (uint32_t key = 1; key <= 6144; key++) {
      EXPECT_TRUE(rf_watched_sites_add(key)) << key;
    }
    EXPECT_FALSE(rf_watched_sites_add(6145)); // three quarters of the table
    rf_watched_sites_end();
  });
  std::string const text = read();
  EXPECT_EQ(text.size(), 1024U * 9);
  EXPECT_EQ(text.substr(text.size() - 9), "00000400\n");
}

TEST_F(WatchedSites, WithoutAFolderAreKnownInThisProcess) {
  for (const std::string &folder : {folder_ + "/none", folder_ + "/" + name_}) {
    alone([folder] {
      testing::internal::CaptureStderr();
      rf_watched_sites_begin(folder.c_str());
      EXPECT_EQ(testing::internal::GetCapturedStderr(),
                "ringfence: watch_sites: no folder for files: " + folder + "\n");
      EXPECT_TRUE(rf_watched_sites_add(2));
      EXPECT_FALSE(rf_watched_sites_add(2));
      rf_watched_sites_end();
    });
  }
  EXPECT_EQ(read(), "89abcdef\n");
}

} // namespace

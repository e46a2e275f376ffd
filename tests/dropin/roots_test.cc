// The memory in which a program may keep pointers (checkers/dropin/inspect/roots.c): over maps, threads, dead stacks
// and lists of pages that are this test's own, and memory that is real.
#include "tests/dropin/roots_world.h"

#include <fcntl.h>
#include <sys/mman.h>

namespace ringfence_test {
namespace {

// ---- Stacks ----

class RootsOfStacks : public Roots {
protected:
  // Threads with these stack pointers; thread 1 has its storage at 0x10F00, thread 2 at 0x21E00. The caller's stack is
  // in the map.
  bool find(const std::vector<std::pair<uint32_t, uintptr_t>> &threads, uintptr_t sp = 0x900000) {
    rf_stopped_thread list[4] = {};
    rf_stopped stopped = {list, room_, 0};
    for (const auto &[id, at] : threads) {
      list[stopped.count++] = {id, 0, at, id > 9 ? 0 : uintptr_t{0x10F00} * id};
    }
    roots_.excluded.count = 0;
    world.looked_at.clear();
    std::vector<rf_map> const maps = world.maps;
    if (has_callers_stack_) {
      world.maps.push_back(map_of(sp, sp + 1, "r--p", "/of/the/caller"));
    }
    bool const done = rf_roots_stacks(&roots_, &stopped, sp);
    world.maps = maps;
    return done;
  }

  static std::vector<rf_map> guarded(const char *rights = "rw-p", const char *name = "") {
    return {map_of(0xF000, 0x10000, "---p", ""), map_of(0x10000, 0x11000, rights, name)};
  }

  size_t room_ = 4;
  bool has_callers_stack_ = true;
};

// A tracer may have opened another process's.
TEST_F(RootsOfStacks, AMapThatDoesNotHoldTheCallersStackIsNotThisProcesss) {
  has_callers_stack_ = false;
  world.maps = guarded();
  EXPECT_FALSE(find({{1, 0x10800}}));
  EXPECT_FALSE(find({{1, 0x10800}}, 0x11000));
  EXPECT_TRUE(find({{1, 0x10800}}, 0x10FFF));
  EXPECT_TRUE(find({{1, 0x10800}}, 0xF000));
}

TEST_F(RootsOfStacks, BelowTheStackPointerNothingLives) {
  world.maps = guarded();
  EXPECT_TRUE(find({{1, 0x10800}}));
  EXPECT_EQ(excluded(), (Ranges{{0x10000, 0x10800}}));
  EXPECT_TRUE(find({{1, 0x10000}})); // all of it is in use
  EXPECT_EQ(excluded(), Ranges());
  EXPECT_TRUE(world.looked_at.empty());
  EXPECT_TRUE(find({{1, 0xFFFF}})); // not on it
  EXPECT_EQ(excluded(), Ranges());
  EXPECT_EQ(world.looked_at, (Ranges{{0x10000, 0x11000}}));
  EXPECT_TRUE(find({{1, 0x11000}})); // just above
  EXPECT_EQ(excluded(), Ranges());
  EXPECT_TRUE(find({{1, 0x10F00}})); // above its storage
  EXPECT_EQ(excluded(), Ranges());
  EXPECT_TRUE(find({{2, 0x10800}})); // another's stack: its storage is elsewhere
  EXPECT_EQ(excluded(), Ranges());
  EXPECT_TRUE(find({{10, 0x10800}})); // one whose storage is not known
  EXPECT_EQ(excluded(), Ranges());
  EXPECT_TRUE(find({{1, 0x10800}, {2, 0x10900}})); // two are on it
  EXPECT_EQ(excluded(), Ranges());
  EXPECT_TRUE(find({{2, 0x10700}, {1, 0x10800}})); // in either order
  EXPECT_EQ(excluded(), Ranges());
}

TEST_F(RootsOfStacks, OfTheKernelsMakingNeedNoClosedPage) {
  world.maps = {map_of(0x10000, 0x11000, "rw-p", "[stack]")};
  EXPECT_TRUE(find({{10, 0x10800}}));
  EXPECT_EQ(excluded(), (Ranges{{0x10000, 0x10800}}));
  EXPECT_TRUE(find({}, 0x10400)); // the caller's own
  EXPECT_EQ(excluded(), (Ranges{{0x10000, 0x10400}}));
}

TEST_F(RootsOfStacks, OfTheProgramsMakingAreReadAsAWhole) {
  for (const char *const below : {"r--p", "rw-p"}) {
    world.maps = {map_of(0xF000, 0x10000, below, ""), map_of(0x10000, 0x11000, "rw-p", "")};
    EXPECT_TRUE(find({{1, 0x10800}}));
    EXPECT_EQ(excluded(), Ranges()) << below;
  }
  world.maps = {map_of(0xE000, 0xF000, "---p", ""), map_of(0x10000, 0x11000, "rw-p", "")}; // not below it
  EXPECT_TRUE(find({{1, 0x10800}}));
  EXPECT_EQ(excluded(), Ranges());
}

// Stacks that the C library describes may share a line of the map with each other and with anything else.
TEST_F(RootsOfStacks, ThatAreDescribedNeedNoClosedPage) {
  world.maps = {map_of(0x1000, 0x40000, "rw-p", "")};
  world.starts = {{0x10F00, 0x10000}, {0x21E00, 0x20000}};
  EXPECT_TRUE(find({{1, 0x10800}, {2, 0x20900}}));
  EXPECT_EQ(excluded(), (Ranges{{0x10000, 0x10800}, {0x20000, 0x20900}}));
  EXPECT_TRUE(find({{1, 0x10000}, {2, 0x1FFFF}})); // all of it is in use; on another
  EXPECT_EQ(excluded(), Ranges());
  EXPECT_TRUE(find({{1, 0x10EFF}, {2, 0x21E00}})); // not above the thread's storage
  EXPECT_EQ(excluded(), (Ranges{{0x10000, 0x10EFF}}));
  world.maps = guarded();
  EXPECT_TRUE(find({{1, 0x10800}})); // once
  EXPECT_EQ(excluded(), (Ranges{{0x10000, 0x10800}}));
  world.maps.clear();
  world.starts = {{reinterpret_cast<uintptr_t>(&rf_current_thread), 0x8000}};
  EXPECT_TRUE(find({}, 0x9000)); // the caller's own
  EXPECT_EQ(excluded(), (Ranges{{0x8000, 0x9000}}));
  roots_.excluded.capacity = 0;
  EXPECT_FALSE(find({}, 0x9000));
}

TEST_F(RootsOfStacks, DeadOnesAreListedButInAChildOfFork) {
  EXPECT_TRUE(find({}));
  EXPECT_EQ(world.listed, 1);
  rf_process.forked = true;
  EXPECT_TRUE(find({}));
  EXPECT_EQ(world.listed, 1);
}

TEST_F(RootsOfStacks, DeadOnesAreLookedForInPrivateMemoryAboveAClosedPage) {
  world.maps = guarded();
  EXPECT_TRUE(find({}));
  EXPECT_EQ(world.looked_at, (Ranges{{0x10000, 0x11000}}));
  world.maps = guarded("r--p");
  EXPECT_TRUE(find({}));
  world.maps = guarded("rw-p", "/a/file");
  EXPECT_TRUE(find({}));
  world.maps.erase(world.maps.begin());
  EXPECT_TRUE(find({}));
  EXPECT_EQ(world.looked_at, Ranges());
  world.maps = guarded();
  rf_process.forked = true;
  EXPECT_TRUE(find({}));
  rf_process.forked = false;
  rf_process.id++;
  EXPECT_TRUE(find({}));
  EXPECT_EQ(world.looked_at, Ranges());
}

TEST_F(RootsOfStacks, DeadOnesAreNoRootsUnlessAThreadIsOnThem) {
  world.dead = {{0x5000, 0x6000}, {0x8000, 0x9000}};
  EXPECT_TRUE(find({{1, 0x4FFF}, {2, 0x6000}}));
  EXPECT_EQ(excluded(), world.dead);
  for (uintptr_t const sp : {0x5000, 0x5FFF}) {
    EXPECT_TRUE(find({{1, sp}}));
    EXPECT_EQ(excluded(), (Ranges{{0x8000, 0x9000}}));
  }
  EXPECT_TRUE(find({}, 0x8100));
  EXPECT_EQ(excluded(), (Ranges{{0x5000, 0x6000}}));
}

TEST_F(RootsOfStacks, FailureIsTold) {
  world.maps = guarded();
  room_ = 1;
  EXPECT_FALSE(find({{1, 0x10800}})); // no place for the caller
  room_ = 2;
  EXPECT_TRUE(find({{1, 0x10800}}));
  roots_.excluded.capacity = 0;
  EXPECT_FALSE(find({{1, 0x10800}}));
  world.maps.clear();
  world.dead = {{0x5000, 0x6000}};
  EXPECT_FALSE(find({}));
  world.dead.clear();
  EXPECT_TRUE(find({}));
  world.has_maps = false;
  EXPECT_FALSE(find({}));
}

// ---- Memory ----

TEST_F(RootsOfMemory, AreAllThatAProgramCanHaveWrittenTo) {
  struct {
    const char *rights;
    const char *name;
    bool is_read;
  } const cases[] = {
      {"rw-p", "", true},           {"rw-s", "", true},           {"rw-p", "/lib/a.so", true},
      {"rw-p", "[heap]", true},     {"---p", "", false},          {"-w-p", "", false},
      {"r--p", "", true},           {"r-xp", "", true},           {"r--p", "/lib/a.so", true}, // until relocation ended
      {"r-xp", "/lib/a.so", false}, {"rwxp", "/lib/a.so", true},  {"r--s", "/lib/a.so", false},
      {"r--s", "", false},          {"rw-p", "/dev/card", false}, {"rw-p", "/dev/zero", true},
      {"rw-p", "/dev/shm/a", true}, {"rw-p", "/devices", true},   {"r--p", "[vvar]", false},
      {"r-xp", "[vdso]", false},
  };
  rf_roots_close(&roots_);
  roots_.pages = -1; // where nothing is known of pages
  for (auto const &c : cases) {
    world.maps = {map_of(page(0), page(1), c.rights, c.name)};
    EXPECT_EQ(read(), c.is_read ? (Ranges{{page(0), page(1)}}) : Ranges()) << c.rights << " " << c.name;
  }
  EXPECT_FALSE(roots_.any_byte);
  world.has_maps = false;
  EXPECT_FALSE(rf_roots_read(&roots_));
}

TEST_F(RootsOfMemory, ExcludedRangesAreLeftOut) {
  for (int again = 0; again < 2; again++) { // from the first range on, each time
    world.maps = {map_of(page(0), page(2), "rw-p", ""), map_of(page(4), page(6), "rw-p", ""),
                  map_of(page(7), page(8), "rw-p", "")};
    roots_.excluded.count = 0;
    for (auto const &[start, end] : Ranges{{page(0) + 16, page(0) + 32},
                                           {page(0) + 24, page(0) + 48},
                                           {page(0) + 26, page(0) + 40},
                                           {page(1) + 8, page(4)},
                                           {page(4), page(4) + 64},
                                           {page(5), page(7)},
                                           {page(7) + 800, page(9)}}) {
      EXPECT_TRUE(rf_ranges_add(&roots_.excluded, start, end));
    }
    EXPECT_EQ(
        read(),
        (Ranges{
            {page(0), page(0) + 16}, {page(0) + 48, page(1) + 8}, {page(4) + 64, page(5)}, {page(7), page(7) + 800}}));
  }
}

TEST_F(RootsOfMemory, RangesThatAreEmptyTakeNoPlace) {
  roots_.excluded.capacity = 1;
  EXPECT_TRUE(rf_ranges_add(&roots_.excluded, 8, 8));
  EXPECT_TRUE(rf_ranges_add(&roots_.excluded, 9, 8));
  EXPECT_TRUE(rf_ranges_add(&roots_.excluded, 7, 8));
  EXPECT_TRUE(rf_ranges_add(&roots_.excluded, 9, 9));
  EXPECT_FALSE(rf_ranges_add(&roots_.excluded, 9, 10));
  EXPECT_EQ(excluded(), (Ranges{{7, 8}}));
}

TEST_F(RootsOfMemory, PagesThatWereNeverTouchedAreNotRead) {
  constexpr uint64_t kPresent = uint64_t{1} << 63;
  constexpr uint64_t kSwapped = uint64_t{1} << 62;
  constexpr uint64_t kOfFile = uint64_t{1} << 61;
  world.maps = {map_of(page(0), page(8), "rw-p", "")};
  page_list({0, kPresent, kPresent, kOfFile, kSwapped, 0, kPresent | kOfFile, 0});
  EXPECT_EQ(read(), (Ranges{{page(1), page(3)}, {page(4), page(5)}, {page(6), page(7)}}));
  world.maps[0] = map_of(page(0), page(8), "r--p", "/a/file");
  EXPECT_EQ(read(), (Ranges{{page(1), page(3)}, {page(4), page(5)}})); // the rest is as in the file
  world.maps[0] = map_of(page(1) + 8, page(2) + 16, "rw-p", "");
  EXPECT_EQ(read(), (Ranges{{page(1) + 8, page(2) + 16}}));
  page_list({kPresent}); // no more is known: all of the rest is read
  world.maps[0] = map_of(page(0), page(3), "rw-p", "");
  EXPECT_EQ(read(), (Ranges{{page(0), page(3)}}));
}

TEST_F(RootsOfMemory, ManyPagesAreLookedUpInPieces) {
  std::vector<uint64_t> entries(700, uint64_t{1} << 63);
  entries[256] = 0; // the first of the second piece
  size_t const size = entries.size() * kPage;
  void *const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto const first = reinterpret_cast<uintptr_t>(memory);
  uintptr_t const places[] = {first,
                              first + 256 * kPage - 8,
                              first + 256 * kPage,
                              first + 257 * kPage,
                              first + 512 * kPage - 8,
                              first + 512 * kPage,
                              first + size - 8};
  for (uintptr_t const place : places) {
    *reinterpret_cast<uintptr_t *>(place) = place;
  }
  page_list_from(first, entries);
  rf_roots_read_range(&roots_, first, first + size);
  for (uintptr_t const place : places) {
    EXPECT_EQ(times(place), place == first + 256 * kPage ? 0 : 1) << (place - first) / kPage;
  }
  EXPECT_EQ(seen_.size(), (entries.size() - 1) * kPage / sizeof(uintptr_t));
  (void)munmap(memory, size);
}

TEST_F(RootsOfMemory, OddEndsHaveWholeWordsOnly) {
  rf_roots_close(&roots_);
  roots_.pages = -1;
  constexpr uintptr_t kSize = sizeof(uintptr_t);
  rf_roots_read_range(&roots_, page(0) + 1, page(0) + 4 * kSize - 1);
  EXPECT_EQ(met(), (Ranges{{page(0) + kSize, page(0) + 3 * kSize}}));
  rf_roots_read_range(&roots_, page(0) + 1, page(0) + 2 * kSize - 1);
  EXPECT_EQ(met(), Ranges());
  rf_roots_copy_range(&roots_, page(0), page(0) + 4 * kSize - 1);
  EXPECT_EQ(met(), (Ranges{{page(0), page(0) + 3 * kSize}}));
}

TEST_F(RootsOfMemory, APageThatTheProgramHasClosedHoldsWhatItHeld) {
  ASSERT_EQ(mprotect(reinterpret_cast<void *>(page(3)), 2 * kPage, PROT_NONE), 0);
  rf_roots_copy_range(&roots_, page(0) + 16, page(36));
  EXPECT_EQ(met(), (Ranges{{page(0) + 16, page(36)}}));
  rf_roots_copy_range(&roots_, page(3) + 16, page(4) + 32);
  EXPECT_EQ(met(), (Ranges{{page(3) + 16, page(4) + 32}}));
  roots_.any_byte = true;
  rf_roots_copy_range(&roots_, page(2), page(6));
  EXPECT_EQ(times(page(2)), 1);
  EXPECT_EQ(times(page(3) - 8), 1);
  EXPECT_EQ(times(page(4) - 8), 1);
  EXPECT_EQ(times(page(6) - 8), 1);
}

// The pieces in which pages are looked up end within words.
TEST_F(RootsOfMemory, WordsInCodeLieAcrossTheEndsOfPieces) {
  std::vector<uint64_t> const entries(700, uint64_t{1} << 63);
  size_t const size = entries.size() * kPage;
  void *const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto const first = reinterpret_cast<uintptr_t>(memory);
  std::vector<uintptr_t> words;
  for (uintptr_t page = 1; page < entries.size(); page++) {
    words.push_back(~(first + page));
    memcpy(reinterpret_cast<void *>(first + page * kPage - 3), &words.back(), sizeof words.back());
  }
  page_list_from(first, entries);
  roots_.any_byte = true;
  rf_roots_read_range(&roots_, first, first + size);
  std::sort(seen_.begin(), seen_.end());
  for (size_t i = 0; i < words.size(); i++) {
    EXPECT_TRUE(std::binary_search(seen_.begin(), seen_.end(), words[i])) << i + 1;
  }
  (void)munmap(memory, size);
}

// A file that was cut short, or what the kernel does not tell of.
TEST_F(RootsOfMemory, WhatCannotBeReadIsPassedOver) {
  int const empty = memfd_create("empty", MFD_CLOEXEC);
  ASSERT_NE(mmap(reinterpret_cast<void *>(page(3)), 2 * kPage, PROT_READ, MAP_SHARED | MAP_FIXED, empty, 0),
            MAP_FAILED);
  close(empty);
  rf_roots_copy_range(&roots_, page(0) + 16, page(36));
  EXPECT_EQ(met(), (Ranges{{page(0) + 16, page(3)}, {page(5), page(36)}}));
  ASSERT_EQ(mprotect(reinterpret_cast<void *>(page(8)), kPage, PROT_NONE), 0);
  close(roots_.memory);
  roots_.memory = -1;
  rf_roots_copy_range(&roots_, page(6), page(36));
  EXPECT_EQ(met(), (Ranges{{page(6), page(8)}, {page(9), page(36)}}));
  rf_roots_copy_range(&roots_, page(8) + 64, page(36));
  EXPECT_EQ(met(), (Ranges{{page(9), page(36)}})) << "from its first word on";
}

TEST_F(RootsOfMemory, WithoutCopiesMemoryIsReadWhereItIs) {
  roots_.copies = false;
  rf_roots_copy_range(&roots_, page(0), page(20));
  EXPECT_EQ(met(), (Ranges{{page(0), page(20)}}));
  EXPECT_EQ(std::count_if(std::begin(buffer_), std::end(buffer_), [](unsigned char c) { return c != 0; }) > 64, false);
}

// In code a word may begin at any byte, also where one piece of it ends and the next begins.
TEST_F(RootsOfMemory, WordsInCodeBeginAtAnyByte) {
  uintptr_t const word = ~start_;
  std::vector<uintptr_t> places;
  for (size_t offset = 1; offset < sizeof word; offset++) {
    places.push_back(page(offset) + 64 + offset);          // within
    places.push_back(page(16) - 8 * offset * 16 + offset); // near the end of the first 64 KiB
    places.push_back(page(16 + 3 * offset) - 8 + offset);  // across the end of a page
  }
  places.push_back(page(16) - 4 + 16 * kPage); // across the end of the second 64 KiB, or nearly so
  for (bool const copies : {true, false}) {
    roots_.copies = copies;
    for (uintptr_t const place : places) {
      uintptr_t before;
      memcpy(&before, reinterpret_cast<void *>(place), sizeof before);
      memcpy(reinterpret_cast<void *>(place), &word, sizeof word);
      world.maps = {map_of(page(0), page(kPages), "r-xp", "")};
      seen_.clear();
      EXPECT_TRUE(rf_roots_read(&roots_));
      EXPECT_GE(times(word), 1) << place - start_;
      world.maps = {map_of(page(0), page(kPages), "rw-p", "")};
      seen_.clear();
      EXPECT_TRUE(rf_roots_read(&roots_));
      EXPECT_EQ(times(word), place % sizeof word == 0 ? 1 : 0) << place - start_;
      memcpy(reinterpret_cast<void *>(place), &before, sizeof before);
    }
  }
}

TEST_F(Roots, AreOpenedAndClosed) {
  EXPECT_TRUE(roots_.copies);
  ASSERT_GE(roots_.pages, 0);
  int const pages = roots_.pages;
  rf_roots_close(&roots_);
  EXPECT_EQ(fcntl(pages, F_GETFD), -1);
  roots_.pages = -1;
  int const memory = dup(0);
  roots_.memory = memory;
  rf_roots_close(&roots_);
  EXPECT_EQ(fcntl(memory, F_GETFD), -1);
  roots_.memory = -1;
  int const free_one = dup(0);
  close(free_one);
  rf_roots_close(&roots_);
  EXPECT_EQ(dup(0), free_one); // -1 was not closed, nor any other
  close(free_one);
}

} // namespace
} // namespace ringfence_test

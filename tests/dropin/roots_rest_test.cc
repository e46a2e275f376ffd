// The second look for pointers (checkers/dropin/inspect/roots.c), at pages that the first passes over: maps and lists
// of pages are this test's own, memory is real.
#include "tests/dropin/roots_world.h"

extern "C" {
#include "checkers/os/forbidden_calls.h"
}

namespace ringfence_test {
namespace {

class RestOfRoots : public RootsOfMemory {
protected:
  Ranges read_rest() {
    rf_roots_read_rest(&roots_);
    EXPECT_FALSE(roots_.any_byte || roots_.only_untouched);
    return met();
  }

  // Memory in the place of these pages, without any of its own.
  void share(size_t first, size_t count) {
    void *const start = reinterpret_cast<void *>(page(first));
    ASSERT_EQ(mmap(start, count * kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0), start);
  }

  void fill(size_t number) {
    for (uintptr_t at = page(number); at < page(number + 1); at += sizeof at) {
      *reinterpret_cast<uintptr_t *>(at) = at;
    }
  }

  long pages_with_memory(size_t first, size_t count) const {
    std::vector<unsigned char> in_memory(count);
    EXPECT_EQ(mincore(reinterpret_cast<void *>(page(first)), count * kPage, in_memory.data()), 0);
    return std::count_if(in_memory.begin(), in_memory.end(), [](unsigned char one) { return (one & 1) != 0; });
  }
};

// A child of fork begins without a word about pages that its parent shares with it.
TEST_F(RestOfRoots, IsWhatOthersWroteToSharedMemory) {
  share(2, 8);
  fill(4);
  fill(5);
  fill(8);
  page_list(std::vector<uint64_t>(kPages, 0));
  world.maps = {map_of(page(2), page(10), "rw-s", "/memfd:a")};
  EXPECT_EQ(read(), Ranges());
  EXPECT_EQ(read_rest(), (Ranges{{page(4), page(6)}, {page(8), page(9)}}));
  EXPECT_EQ(pages_with_memory(2, 8), 3); // nothing was filled by reading
  EXPECT_TRUE(rf_ranges_add(&roots_.excluded, page(5) + 64, page(20)));
  EXPECT_EQ(read_rest(), (Ranges{{page(4), page(5) + 64}}));
  for (const char *const rights : {"rw-p", "r--s", "-w-s", "---s"}) {
    world.maps = {map_of(page(2), page(10), rights, "")};
    EXPECT_EQ(read_rest(), Ranges()) << rights;
  }
  world.maps = {map_of(page(2), page(10), "rw-s", "/dev/card")};
  EXPECT_EQ(read_rest(), Ranges());
}

TEST_F(RestOfRoots, IsWithoutWhatWasReadBefore) {
  share(0, 4);
  fill(0);
  fill(1);
  page_list({uint64_t{1} << 63, 0, 0, 0});
  world.maps = {map_of(page(0), page(4), "rw-s", "")};
  EXPECT_EQ(read(), (Ranges{{page(0), page(1)}}));
  EXPECT_EQ(read_rest(), (Ranges{{page(1), page(2)}}));
  rf_forbidden_calls = RF_CALL_RESIDENT;
  EXPECT_EQ(read_rest(), Ranges());
  rf_forbidden_calls = 0;
  rf_roots_close(&roots_);
  roots_.pages = -1; // all of it was read
  EXPECT_EQ(read_rest(), Ranges());
}

TEST_F(RestOfRoots, IsMemoryThatTheProgramHasClosed) {
  std::vector<uint64_t> entries(kPages, 0);
  entries[3] = entries[4] = uint64_t{1} << 63;
  page_list(entries);
  ASSERT_EQ(mprotect(reinterpret_cast<void *>(page(2)), 4 * kPage, PROT_NONE), 0);
  struct {
    const char *rights;
    const char *name;
    bool is_read;
  } const cases[] = {{"---p", "", true},  {"--xp", "", true},           {"-w-p", "", true}, {"---s", "", false},
                     {"r--p", "", false}, {"---p", "/lib/a.so", false}, {"rw-p", "", false}};
  for (auto const &c : cases) {
    world.maps = {map_of(page(2), page(6), c.rights, c.name)};
    Ranges rest = read_rest();
    if (c.rights[2] == 'x') { // a pointer may begin at any byte: on 32 bits the halves of two may look like one
      rest.erase(std::remove_if(rest.begin(), rest.end(), [](auto &r) { return r.second - r.first < kPage; }),
                 rest.end());
    }
    EXPECT_EQ(rest, c.is_read ? (Ranges{{page(3), page(5)}}) : Ranges()) << c.rights << " " << c.name;
  }
  world.maps = {map_of(page(2), page(6), "---p", "")};
  roots_.copies = false; // a load would be a fault
  EXPECT_EQ(read_rest(), Ranges());
}

// Larger mappings are address space that is kept for later.
TEST_F(RestOfRoots, IsInMappingsOfUpToAGibibyte) {
  share(0, 4);
  fill(1);
  page_list(std::vector<uint64_t>(kPages, 0));
  uintptr_t const start = page(4) - (uintptr_t{1} << 30);
  EXPECT_TRUE(rf_ranges_add(&roots_.excluded, start - kPage, page(0)));
  world.maps = {map_of(start, page(4), "rw-s", "")};
  EXPECT_EQ(read_rest(), (Ranges{{page(1), page(2)}}));
  world.maps = {map_of(start - kPage, page(4), "rw-s", "")};
  EXPECT_EQ(read_rest(), Ranges());
}

} // namespace
} // namespace ringfence_test

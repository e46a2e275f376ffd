// The modules that the table of rules knows (checkers/os/stack_modules.c): the dynamic linker's answers are the test's.
#include "checkers/os/stack_rules.h"

#include "tests/checkers/linker_answers.h"
#include "tests/checkers/single_step.h"

#include <gtest/gtest.h>

#if RF_STACK_RULES && defined(RF_CAN_ANSWER)

#include "checkers/os/maps.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

extern "C" {
bool __real_rf_maps_each(bool (*visit)(const rf_map *, void *), void *context);
bool __wrap_rf_maps_each(bool (*visit)(const rf_map *, void *), void *context);
}

static unsigned times_read;          // the map of the process
static std::vector<rf_map> made_map; // it, where it is not empty

bool __wrap_rf_maps_each(bool (*visit)(const rf_map *, void *), void *context) {
  times_read++;
  if (made_map.empty()) {
    return __real_rf_maps_each(visit, context);
  }
  (void)std::all_of(made_map.begin(), made_map.end(), [&](const rf_map &map) { return visit(&map, context); });
  return true;
}

namespace ringfence {
namespace {

// An address at which there is nothing else.
constexpr uintptr_t kLow = 0x100000;
constexpr uintptr_t kHigh = 0x110000;

// The headers of a module with one segment of `size` bytes.
void write_image(void *to, size_t size) {
  struct {
    ElfW(Ehdr) header;
    ElfW(Phdr) segment;
  } image = {};
  std::memcpy(image.header.e_ident, ELFMAG, SELFMAG);
  image.header.e_phoff = offsetof(decltype(image), segment);
  image.header.e_phentsize = sizeof image.segment;
  image.header.e_phnum = 1;
  image.segment.p_type = PT_LOAD;
  image.segment.p_filesz = image.segment.p_memsz = size;
  std::memcpy(to, &image, sizeof image);
}

class StackModules : public testing::Test {
protected:
  StackModules() {
    (void)rf_stack_rule_find(reinterpret_cast<uintptr_t>(&rf_stack_rule_find) + 1); // the real linker is found
    rf_stack_rules_forget();
  }
  ~StackModules() override {
    std::fill(std::begin(made), std::end(made), MadeModule{});
    rf_stack_rules_forget();
  }

  // False where it is not kept.
  static bool keeps_rule(uintptr_t pc) {
    std::fill_n(rf_stack_rule_set(pc), 2, 0);
    EXPECT_EQ(rf_stack_rule_find(pc), RF_RULE_POINTERS);
    return is_kept(pc);
  }

  static bool is_kept(uintptr_t pc) {
    const uint64_t *const set = rf_stack_rule_set(pc);
    return std::any_of(set, set + 2, [pc](uint64_t word) { return word >> RF_RULE_BITS == pc >> RF_RULES_FIRST_BITS; });
  }
};

// Its tables are other ones, and what was found by them holds no more.
TEST_F(StackModules, OneThatOverlapsAnotherTakesItsPlace) {
  const MadeModule others[] = {{kLow - 0x8000, kLow + 0x8000, 0, 0},  {kHigh - 0x8000, kHigh + 0x8000, 0, 0},
                               {kLow - 0x8000, kHigh + 0x8000, 0, 0}, {kLow + 0x4000, kHigh - 0x4000, 0, 0},
                               {kLow, kHigh - 0x4000, 0, 0},          {kLow, kHigh + 0x4000, 0, 0},
                               {kLow - 0x4000, kLow + 1, 0, 0},       {kHigh - 1, kHigh + 0x4000, 0, 0}};
  for (const MadeModule &other : others) {
    SCOPED_TRACE(testing::Message() << std::hex << other.start << "-" << other.end);
    rf_stack_rules_forget();
    made[0] = {kLow, kHigh, 0, 0};
    made[1] = {kHigh + 0x100000, kHigh + 0x110000, 0, 0}; // one that is known before it
    uint32_t const generation = rf_stack_generation;
    EXPECT_TRUE(keeps_rule(kHigh + 0x104006));
    EXPECT_TRUE(keeps_rule(kLow + 0x8004));
    EXPECT_TRUE(keeps_rule(kLow + 0x9005));
    EXPECT_EQ(rf_stack_generation, generation);
    made[0] = other;
    EXPECT_TRUE(keeps_rule(other.end));
    EXPECT_FALSE(is_kept(kLow + 0x8004) && other.end != kLow + 0x8004);
    EXPECT_FALSE(is_kept(kLow + 0x9005));
    EXPECT_EQ(rf_stack_generation, generation + 1);
    EXPECT_TRUE(keeps_rule(other.start + 1)) << "it is known now";
    EXPECT_TRUE(is_kept(other.end) || other.end == other.start + 1);
    EXPECT_EQ(rf_stack_generation, generation + 1);
  }
}

TEST_F(StackModules, NeighboursAreKnownBesideEachOther) {
  made[0] = {kLow, kHigh, 0, 0};
  uint32_t const generation = rf_stack_generation;
  EXPECT_TRUE(keeps_rule(kLow + 0x8004));
  made[1] = {kHigh, kHigh + 0x4000, 0, 0};
  EXPECT_TRUE(keeps_rule(kHigh + 0x2005));
  made[1] = {kLow - 0x4000, kLow, 0, 0};
  EXPECT_TRUE(keeps_rule(kLow - 0x2005));
  EXPECT_TRUE(is_kept(kLow + 0x8004));
  EXPECT_EQ(rf_stack_generation, generation);
}

// A table that is full has room for more: the oldest goes.
TEST_F(StackModules, MoreThanThereIsRoomForAreKnownInTurn) {
  for (uintptr_t i = 0; i < 300; i++) {
    made[0] = {kLow + i * 0x10000, kLow + i * 0x10000 + 0x8000, 0, 0};
    uint32_t const generation = rf_stack_generation;
    EXPECT_TRUE(keeps_rule(made[0].start + 0x1004)) << i;
    EXPECT_EQ(rf_stack_generation, generation) << i;
  }
}

#ifdef RF_CAN_STEP

constexpr unsigned kStride = 5; // instructions: a signal takes long

// A signal's handler, or another thread, finds the same module at the same time.
TEST_F(StackModules, MayBeFoundTwiceAtOnce) {
  made[0] = {kLow, kHigh, 0, 0};
  made[1] = {kHigh + 0x10000, kHigh + 0x20000, 0, 0};
  unsigned steps = 0;
  bool both = true;
  while (both) {
    rf_stack_rules_forget();
    both = ringfence_test::run_with_other_after(
        steps += kStride, [] { (void)rf_stack_rule_find(kLow + 0x8004); },
        [] { (void)rf_stack_rule_find(kLow + 0x2004); });
    ASSERT_TRUE(keeps_rule(made[1].start + 0x1004)) << steps;
  }
  EXPECT_GT(steps, 100U);
}

// A thread that adds a module is in nobody's way: what is of a module that is known is kept meanwhile.
TEST_F(StackModules, OneThatIsKnownIsNotWaitedForWhileAnotherIsAdded) {
  made[0] = {kLow, kHigh, 0, 0};
  made[1] = {kHigh + 0x10000, kHigh + 0x20000, 0, 0};
  unsigned steps = 0;
  bool both = true;
  while (both) {
    rf_stack_rules_forget();
    ASSERT_TRUE(keeps_rule(kLow + 0x8004));
    bool kept = true;
    both = ringfence_test::run_with_other_after(
        steps += kStride, [] { (void)rf_stack_rule_find(made[1].start + 0x1004); },
        [&kept] {
          (void)rf_stack_rule_find(kLow + 0x2004);
          kept = is_kept(kLow + 0x2004);
        });
    ASSERT_TRUE(kept) << steps;
  }
  EXPECT_GT(steps, 100U);
}

#endif

// The linker tells one segment of a module with holes, so the map is looked at. Where that has no code, it is not
// looked at each time.
TEST_F(StackModules, CodeThatComesToBeWhereNoneWasIsFoundInTime) {
  auto const page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void *const pages = mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  auto const start = reinterpret_cast<uintptr_t>(pages);
  ASSERT_EQ(mprotect(pages, page, PROT_READ), 0); // a mapping of its own
  made[0] = {start, start + page, start + 2 * page, 0};
  EXPECT_EQ(rf_stack_rule_find(start + 0x104), RF_RULE_UNKNOWN);
  ASSERT_EQ(mprotect(pages, 2 * page, PROT_READ | PROT_WRITE), 0);
  write_image(pages, page);
  ASSERT_EQ(mprotect(pages, page, PROT_READ), 0);
  unsigned looks = 0;
  while (rf_stack_rule_find(start + 0x104) == RF_RULE_UNKNOWN && looks < 10000) {
    looks++;
  }
  EXPECT_GT(looks, 100U);
  EXPECT_LT(looks, 10000U);
  made[0] = {};
  (void)munmap(pages, 2 * page);
}

// A page that was found to hold no module is believed to hold none for 4096 questions.
TEST_F(StackModules, TheMapIsReadAgainAfter4096Questions) {
  auto const page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void *const pages = mmap(nullptr, 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  auto const start = reinterpret_cast<uintptr_t>(pages);
  made[0] = {start, start + page, start + 2 * page, 0};          // its tables are in another segment
  for (unsigned before = times_read; times_read < before + 2;) { // from here on the count is known
    EXPECT_EQ(rf_stack_rule_find(start + 0x104), RF_RULE_UNKNOWN);
  }
  unsigned const before = times_read;
  for (unsigned i = 0; i < 3 * 4097; i++) {
    ASSERT_EQ(times_read, before + i / 4097) << i;
    EXPECT_EQ(rf_stack_rule_find(start + 0x104), RF_RULE_UNKNOWN);
  }
  (void)munmap(pages, 2 * page);
}

// A program's own segment stands for it here: its tables lie in another one.
TEST_F(StackModules, OfOneWithHolesTheMapIsReadOnce) {
  auto const here = reinterpret_cast<uintptr_t>(&rf_stack_rule_find) + 4;
  made[0] = {here & ~uintptr_t{0xFFF}, (here & ~uintptr_t{0xFFF}) + 0x1000, 1, 0};
  unsigned const before = times_read;
  uint32_t const rule = rf_stack_rule_find(here);
  EXPECT_NE(rule, RF_RULE_UNKNOWN);
  EXPECT_NE(rule, RF_RULE_POINTERS);
  EXPECT_EQ(times_read, before + 1);
  for (unsigned i = 0; i < 3; i++) {
    EXPECT_EQ(rf_stack_rule_find(here), rule);
  }
  EXPECT_EQ(times_read, before + 1);
}

#if defined(__x86_64__)

// A place in the table has room for 47 bits of an address; the kernel's have more.
TEST_F(StackModules, ARuleOfALongerAddressIsNotKeptForAShorterOne) {
  uintptr_t const high = UINTPTR_MAX << 47;
  made[0] = {high + kLow, high + kHigh, 0, 0};
  EXPECT_FALSE(keeps_rule(high + kLow + 0x8004));
  EXPECT_EQ(std::count(std::begin(rf_stack_rule_table), std::end(rf_stack_rule_table), 0U),
            static_cast<ptrdiff_t>(std::size(rf_stack_rule_table)));
  uintptr_t const last = (uintptr_t{1} << 47) - 0x10000;
  made[0] = {last, last + 0x10000, 0, 0};
  EXPECT_TRUE(keeps_rule(last + 0x8004));
}

#endif

// A mapping begins with its first byte, and ends before the next one's.
TEST_F(StackModules, AMappingHoldsItsFirstByteAndItsLast) {
  struct Code {
    uintptr_t start = 0;
    uintptr_t end = 0;
  } code;
  (void)__real_rf_maps_each(
      [](const rf_map *map, void *context) {
        auto *const found = static_cast<Code *>(context);
        auto const here = reinterpret_cast<uintptr_t>(&rf_stack_rule_find);
        if (map->start <= here && here < map->end) {
          *found = {map->start, map->end};
        }
        return found->end == 0;
      },
      &code);
  ASSERT_NE(code.end, 0U);
  made[0] = {code.start, code.end, 1, 0}; // its tables are not in it: the map tells
  EXPECT_NE(rf_stack_rule_find(code.start + 1), RF_RULE_UNKNOWN);
  rf_stack_rules_forget();
  EXPECT_NE(rf_stack_rule_find(code.end), RF_RULE_UNKNOWN);
}

// Two mappings are of one file if 256 bytes of their names are the same.
TEST_F(StackModules, AFileBeginsWhereItsNameDoes) {
  auto const page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  auto *const pages =
      static_cast<char *>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(static_cast<void *>(pages), MAP_FAILED);
  write_image(pages, 2 * page);
  auto const start = reinterpret_cast<uintptr_t>(pages);
  made[0] = {start, start + 2 * page, 1, 0};
  for (size_t const same : {0U, 10U, 254U, 255U, 256U, 300U}) { // bytes of the names
    std::string const one = std::string(same, 'n') + "a";
    std::string const two = std::string(same, 'n') + "b";
    made_map = {{start, start + page, 0, true, false, true, false, one.c_str(), one.size()},
                {start + page, start + 2 * page, page, true, false, true, false, two.c_str(), two.size()}};
    rf_stack_rules_forget();
    bool found = false;
    for (unsigned i = 0; i < 4098 && !found; i++) { // a page of no module is believed to be that for a time
      found = rf_stack_rule_find(start + page + 0x104) == RF_RULE_POINTERS;
    }
    EXPECT_EQ(found, same >= 256) << same;
  }
  made_map.clear();
  (void)munmap(pages, 2 * page);
}

} // namespace
} // namespace ringfence

#endif // RF_STACK_RULES

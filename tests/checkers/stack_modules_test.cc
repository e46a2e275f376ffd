// The modules that the table of rules knows (checkers/os/stack_rules.c): the dynamic linker's answers are the test's.
#include "checkers/os/stack_rules.h"

#include "tests/checkers/single_step.h"

#include <gtest/gtest.h>

#include <dlfcn.h>
#include <link.h>

#if RF_STACK_RULES && defined(DLFO_STRUCT_HAS_EH_DBASE)

#include <algorithm>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace ringfence {
namespace {

struct Module {
  uintptr_t start;
  uintptr_t end;
  uintptr_t header; // 0: it has no tables
};

Module made[2]; // no two overlap
struct link_map map_of_made;

const Module *made_at(uintptr_t pc) {
  for (const Module &m : made) {
    if (pc >= m.start && pc < m.end) {
      return &m;
    }
  }
  return nullptr;
}

} // namespace
} // namespace ringfence

extern "C" int _dl_find_object(void *address, struct dl_find_object *result) noexcept {
  using Find = int (*)(void *, struct dl_find_object *);
  static Find const next = reinterpret_cast<Find>(dlsym(RTLD_NEXT, "_dl_find_object"));
  const ringfence::Module *const m = ringfence::made_at(reinterpret_cast<uintptr_t>(address));
  if (m == nullptr) {
    return next(address, result);
  }
  *result = {};
  result->dlfo_map_start = reinterpret_cast<void *>(m->start);
  result->dlfo_map_end = reinterpret_cast<void *>(m->end);
  result->dlfo_eh_frame = reinterpret_cast<void *>(m->header);
  result->dlfo_link_map = &ringfence::map_of_made;
  return 0;
}

namespace ringfence {
namespace {

// Where nothing else is.
constexpr uintptr_t kLow = 0x100000;
constexpr uintptr_t kHigh = 0x110000;

class StackModules : public testing::Test {
protected:
  StackModules() {
    (void)rf_stack_rule_find(reinterpret_cast<uintptr_t>(&rf_stack_rule_find) + 1); // the real linker is found
    rf_stack_rules_forget();
  }
  ~StackModules() override {
    std::fill(std::begin(made), std::end(made), Module{});
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
  const Module others[] = {{kLow - 0x8000, kLow + 0x8000, 0},  {kHigh - 0x8000, kHigh + 0x8000, 0},
                           {kLow - 0x8000, kHigh + 0x8000, 0}, {kLow + 0x4000, kHigh - 0x4000, 0},
                           {kLow, kHigh - 0x4000, 0},          {kLow, kHigh + 0x4000, 0},
                           {kLow - 0x4000, kLow + 1, 0},       {kHigh - 1, kHigh + 0x4000, 0}};
  for (const Module &other : others) {
    SCOPED_TRACE(testing::Message() << std::hex << other.start << "-" << other.end);
    rf_stack_rules_forget();
    made[0] = {kLow, kHigh, 0};
    uint32_t const generation = rf_stack_generation;
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
  made[0] = {kLow, kHigh, 0};
  uint32_t const generation = rf_stack_generation;
  EXPECT_TRUE(keeps_rule(kLow + 0x8004));
  made[1] = {kHigh, kHigh + 0x4000, 0};
  EXPECT_TRUE(keeps_rule(kHigh + 0x2005));
  made[1] = {kLow - 0x4000, kLow, 0};
  EXPECT_TRUE(keeps_rule(kLow - 0x2005));
  EXPECT_TRUE(is_kept(kLow + 0x8004));
  EXPECT_EQ(rf_stack_generation, generation);
}

// A table that is full has room for more: the oldest goes.
TEST_F(StackModules, MoreThanThereIsRoomForAreKnownInTurn) {
  for (uintptr_t i = 0; i < 300; i++) {
    made[0] = {kLow + i * 0x10000, kLow + i * 0x10000 + 0x8000, 0};
    uint32_t const generation = rf_stack_generation;
    EXPECT_TRUE(keeps_rule(made[0].start + 0x1004)) << i;
    EXPECT_EQ(rf_stack_generation, generation) << i;
  }
}

#ifdef RF_CAN_STEP

constexpr unsigned kStride = 5; // instructions: a signal takes long

// A signal's handler, or another thread, finds the same module at the same time.
TEST_F(StackModules, MayBeFoundTwiceAtOnce) {
  made[0] = {kLow, kHigh, 0};
  made[1] = {kHigh + 0x10000, kHigh + 0x20000, 0};
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

#endif

// The linker tells one segment of a module with holes, so the map is looked at. Where that has no code, it is not
// looked at each time.
TEST_F(StackModules, CodeThatComesToBeWhereNoneWasIsFoundInTime) {
  auto const page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void *const pages = mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  auto const start = reinterpret_cast<uintptr_t>(pages);
  ASSERT_EQ(mprotect(pages, page, PROT_READ), 0); // a mapping of its own
  made[0] = {start, start + page, start + 2 * page};
  EXPECT_EQ(rf_stack_rule_find(start + 0x104), RF_RULE_UNKNOWN);
  ASSERT_EQ(mprotect(pages, 2 * page, PROT_READ | PROT_WRITE), 0);
  struct {
    ElfW(Ehdr) header;
    ElfW(Phdr) segment;
  } image = {};
  std::memcpy(image.header.e_ident, ELFMAG, SELFMAG);
  image.header.e_phoff = offsetof(decltype(image), segment);
  image.header.e_phentsize = sizeof image.segment;
  image.header.e_phnum = 1;
  image.segment.p_type = PT_LOAD;
  image.segment.p_filesz = image.segment.p_memsz = page;
  std::memcpy(pages, &image, sizeof image);
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

} // namespace
} // namespace ringfence

#endif // RF_STACK_RULES

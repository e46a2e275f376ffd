// The form of a policy: for whom a rule is, and that nothing is taken of one that is not whole.
#include "checkers/report/crc32.h"
#include "checkers/report/policy.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace {

std::function<void(shmid_ds *)> changes_segment; // as the system tells of it

} // namespace

// The linker puts this in front of the system's.
extern "C" {
int __real_shmctl(int id, int command, shmid_ds *segment);
int __wrap_shmctl(int id, int command, shmid_ds *segment);

int __wrap_shmctl(int id, int command, shmid_ds *segment) {
  int const result = __real_shmctl(id, command, segment);
  if (changes_segment && command == IPC_STAT && result == 0) {
    changes_segment(segment);
  }
  return result;
}
}

namespace {

rf_policy_rule rule_for(const char *program, const char *build = "", const char *environment = "") {
  rf_policy_rule rule = {};
  rule.kind = RF_POLICY_OPTIONS;
  std::strcpy(rule.program, program);
  std::strcpy(rule.build, build);
  std::strcpy(rule.environment, environment);
  return rule;
}

rf_policy_who parser() {
  rf_policy_who who = {};
  std::strcpy(who.program, "/srv/app/parser");
  std::strcpy(who.build_id, "be7dfb93042ae49cd82408722167b81a71b0bb00");
  std::strcpy(who.version, "2.1.0");
  std::strcpy(who.commit, "4f2c9a1d00");
  std::strcpy(who.environment, "production");
  return who;
}

bool matches(const char *program, const char *build = "", const char *environment = "") {
  rf_policy_rule const rule = rule_for(program, build, environment);
  rf_policy_who const who = parser();
  return rf_policy_matches(&rule, &who);
}

TEST(PolicyRule, IsForProgramsOfAName) {
  for (const char *const program :
       {"", "parser", "pars*", "*er", "*", "p*r*r", "/srv/app/parser", "/srv/*", "*/parser"}) {
    EXPECT_TRUE(matches(program)) << program;
  }
  for (const char *const program :
       {"parse", "parsers", "arser", "app/parser", "/srv/app", "p*x", "/srv/app/parser/", "**x"}) {
    EXPECT_FALSE(matches(program)) << program;
  }
}

TEST(PolicyRule, IsForBuildsByVersionCommitOrBuildId) {
  for (const char *const build : {"", "2.1.0", "4f2c9a1", "4f2c9a1d00", "be7dfb93042a"}) {
    EXPECT_TRUE(matches("", build)) << build;
  }
  for (const char *const build : {"2.1", "4f2c9a", "4f2c9a1d001", "be7dfb", "7dfb93042a", "*"}) {
    EXPECT_FALSE(matches("", build)) << build;
  }
}

TEST(PolicyRule, IsForAnEnvironmentAndAllSelectorsCount) {
  EXPECT_TRUE(matches("", "", "production"));
  EXPECT_FALSE(matches("", "", "prod"));
  EXPECT_TRUE(matches("parser", "2.1.0", "production"));
  EXPECT_FALSE(matches("parser", "2.1.0", "ci"));
  EXPECT_FALSE(matches("parser", "2.0.0", "production"));
  EXPECT_FALSE(matches("lexer", "2.1.0", "production"));
}

TEST(PolicyRule, OfManyStarsTakesNoLongTime) {
  rf_policy_rule rule = {};
  for (size_t i = 0; i + 2 < sizeof rule.program; i += 2) {
    std::memcpy(rule.program + i, "*a", 2);
  }
  rf_policy_who who = {};
  std::memset(who.program, 'a', sizeof who.program - 1);
  who.program[sizeof who.program - 2] = 'b';
  EXPECT_FALSE(rf_policy_matches(&rule, &who));
}

TEST(PolicyRule, HasAPatternOfTheGreatestLength) {
  std::string const longest(RF_POLICY_PATTERN, 'x');
  std::string const longer(RF_POLICY_PATTERN + 1, 'x');
  EXPECT_TRUE(rf_policy_fits(longest.c_str(), longest.size(), longest.c_str()));
  EXPECT_FALSE(rf_policy_fits(longer.c_str(), longer.size(), longer.c_str()));
}

TEST(PolicyKey, OfABuildIsItsFirstEightBytes) {
  EXPECT_EQ(rf_policy_build_key("be7dfb93042ae49cd8"), 0xBE7DFB93042AE49CU);
  EXPECT_EQ(rf_policy_build_key("be7dfb93042ae49"), 0U);
  EXPECT_EQ(rf_policy_build_key("BE7DFB93042AE49CD8"), 0U);
  EXPECT_EQ(rf_policy_build_key(""), 0U);
}

TEST(PolicyKey, OfASiteIsThatOfItsInnermostCallsWhereverModulesLie) {
  uintptr_t const here[] = {0x401123, 0x402456, 0x7f0789, 0x7f0abc, 0x1};
  uintptr_t const moved[] = {0x55409123, 0x90002456, 0x10789, 0x20abc, 0x2};
  uintptr_t const other[] = {0x401124, 0x402456, 0x7f0789, 0x7f0abc, 0x1};
  EXPECT_EQ(rf_policy_site_key(here, 5), rf_policy_site_key(here, 4));
  EXPECT_EQ(rf_policy_site_key(here, 5), rf_policy_site_key(moved, 5));
  EXPECT_NE(rf_policy_site_key(here, 4), rf_policy_site_key(other, 4));
  EXPECT_NE(rf_policy_site_key(here, 4), rf_policy_site_key(here, 3));
  EXPECT_NE(rf_policy_site_key(here, 0), 0U);
}

struct Taken {
  std::vector<uint32_t> rules;
  std::vector<uint32_t> sites;
  rf_policy_head head = {};
  uint32_t generation = 0;
};

rf_policy_taker taker_of(Taken *taken) {
  rf_policy_taker taker = {};
  taker.rule = [](void *context, const rf_policy_rule *rule) {
    static_cast<Taken *>(context)->rules.push_back(rule->number);
    EXPECT_LT(std::strlen(rule->options), sizeof rule->options);
  };
  taker.site = [](void *context, const rf_policy_site *site) {
    static_cast<Taken *>(context)->sites.push_back(site->finding);
  };
  taker.context = taken;
  return taker;
}

rf_policy good() {
  rf_policy policy = {};
  std::memcpy(policy.magic, RF_POLICY_MAGIC, sizeof policy.magic);
  policy.version = RF_POLICY_VERSION;
  policy.size = sizeof policy;
  policy.generation = 6;
  policy.nonce = 77;
  policy.live = -1;
  policy.newest = 9;
  policy.rule_count = 3;
  policy.rules[0] = rule_for("parser");
  policy.rules[0].number = 4;
  policy.rules[1] = rule_for("lexer");
  policy.rules[1].number = 5;
  policy.rules[2] = rule_for("*", "", "production");
  policy.rules[2].number = 9;
  policy.site_count = 2;
  policy.sites[0] = {0xBE7DFB93042AE49CU, 1, 11};
  policy.sites[1] = {1, 1, 12};
  policy.crc = rf_policy_crc(&policy);
  return policy;
}

bool read(const rf_policy &policy, Taken *taken) {
  rf_policy_who const who = parser();
  rf_policy_taker const taker = taker_of(taken);
  return rf_policy_read_live(&policy, &who, &taker, &taken->head, &taken->generation);
}

TEST(Policy, GivesRulesAndSitesOfTheProgramInOrder) {
  Taken taken;
  rf_policy const policy = good();
  ASSERT_TRUE(read(policy, &taken));
  EXPECT_EQ(taken.rules, (std::vector<uint32_t>{4, 9}));
  EXPECT_EQ(taken.sites, (std::vector<uint32_t>{11}));
  EXPECT_EQ(taken.head.nonce, 77U);
  EXPECT_EQ(taken.head.newest, 9U);
  EXPECT_EQ(taken.generation, 6U);
}

TEST(Policy, IsNoneWhileItIsBeingWritten) {
  Taken taken;
  rf_policy policy = good();
  policy.generation = 7;
  EXPECT_FALSE(read(policy, &taken));
}

TEST(Policy, IsNoneWhereAnyByteThatCountsIsWrong) {
  for (size_t at = 0; at < sizeof(rf_policy); at++) {
    Taken taken;
    rf_policy policy = good();
    reinterpret_cast<unsigned char *>(&policy)[at] ^= 0x40;
    bool const is_generation = at >= offsetof(rf_policy, generation) && at < offsetof(rf_policy, crc);
    bool const is_behind =
        (at >= offsetof(rf_policy, rules[3]) && at < offsetof(rf_policy, sites)) || at >= offsetof(rf_policy, sites[2]);
    ASSERT_EQ(read(policy, &taken), is_generation || is_behind) << at;
  }
}

TEST(Policy, GivesNothingBehindItsCounts) {
  Taken taken;
  rf_policy policy = good();
  policy.rules[3] = rule_for("parser");
  policy.sites[2] = {0xBE7DFB93042AE49CU, 1, 13};
  ASSERT_TRUE(read(policy, &taken)) << "they are taken for zero";
  EXPECT_EQ(taken.rules, (std::vector<uint32_t>{4, 9}));
  EXPECT_EQ(taken.sites, (std::vector<uint32_t>{11}));
}

// Its CRC is of all bytes, and those behind the counts are not read.
TEST(Policy, OfAnyNumberOfRulesAndSitesIsRead) {
  for (uint32_t rules = 0; rules <= RF_POLICY_RULES; rules++) {
    for (uint32_t const sites : {0U, 1U, 15U, 16U, 17U, 100U, RF_POLICY_SITES - 1, RF_POLICY_SITES}) {
      Taken taken;
      rf_policy policy = good();
      std::memset(policy.rules, 0, sizeof policy.rules);
      std::memset(policy.sites, 0, sizeof policy.sites);
      policy.rule_count = rules;
      policy.site_count = sites;
      for (uint32_t i = 0; i < rules; i++) {
        policy.rules[i] = rule_for("parser");
        policy.rules[i].number = i + 1;
      }
      for (uint32_t i = 0; i < sites; i++) {
        policy.sites[i] = {0xBE7DFB93042AE49CU, 1, i + 1};
      }
      policy.crc = rf_policy_crc(&policy);
      size_t const from = offsetof(rf_policy, nonce);
      ASSERT_EQ(policy.crc, rf_crc32(0, reinterpret_cast<const char *>(&policy) + from, sizeof policy - from));
      ASSERT_TRUE(read(policy, &taken)) << rules << " " << sites;
      EXPECT_EQ(taken.rules.size(), rules);
      EXPECT_EQ(taken.sites.size(), sites);
      EXPECT_TRUE(sites == 0 || taken.sites.back() == sites);
    }
  }
}

TEST(Policy, IsNoneWithMoreRulesOrSitesThanItHolds) {
  Taken taken;
  rf_policy policy = good();
  policy.rule_count = RF_POLICY_RULES + 1;
  policy.crc = rf_policy_crc(&policy);
  EXPECT_FALSE(read(policy, &taken));
  policy = good();
  policy.site_count = RF_POLICY_SITES + 1;
  policy.crc = rf_policy_crc(&policy);
  EXPECT_FALSE(read(policy, &taken));
}

TEST(Policy, OfTextsWithoutAnEndIsReadWithinThem) {
  Taken taken;
  rf_policy policy = good();
  std::memset(policy.rules[0].options, 'x', sizeof policy.rules[0].options);
  std::memset(policy.rules[1].program, '*', sizeof policy.rules[1].program);
  policy.crc = rf_policy_crc(&policy);
  ASSERT_TRUE(read(policy, &taken));
  EXPECT_EQ(taken.rules, (std::vector<uint32_t>{4, 5, 9}));
}

// Each text ends at the last byte of its own member, so that it is not continued by the next one.
TEST(Policy, TextsOfARuleEndBeforeTheNextOne) {
  rf_policy policy = good();
  rf_policy_who who = parser();
  std::memset(policy.rules[0].environment, 'x', sizeof policy.rules[0].environment);
  std::memset(policy.rules[1].program, 'y', sizeof policy.rules[1].program);
  std::memset(policy.rules[2].build, 'z', sizeof policy.rules[2].build);
  policy.rules[2].environment[0] = '\0';
  policy.crc = rf_policy_crc(&policy);
  auto const taken_by = [&policy](const rf_policy_who &one) {
    Taken taken;
    rf_policy_taker const taker = taker_of(&taken);
    EXPECT_TRUE(rf_policy_read_live(&policy, &one, &taker, &taken.head, &taken.generation));
    return taken.rules;
  };
  std::strcpy(who.environment, std::string(sizeof policy.rules[0].environment - 1, 'x').c_str());
  EXPECT_EQ(taken_by(who), (std::vector<uint32_t>{4}));
  who = parser();
  std::strcpy(who.program, std::string(sizeof policy.rules[1].program - 1, 'y').c_str());
  EXPECT_EQ(taken_by(who), (std::vector<uint32_t>{5}));
  who = parser();
  std::strcpy(who.version, std::string(sizeof policy.rules[2].build - 1, 'z').c_str());
  EXPECT_EQ(taken_by(who), (std::vector<uint32_t>{9}));
}

TEST(Policy, SitesOfNoBuildAreForNoProgramWithoutABuildId) {
  Taken taken;
  rf_policy policy = good();
  policy.sites[1].build = 0;
  policy.crc = rf_policy_crc(&policy);
  rf_policy_who who = parser();
  who.build_id[0] = '\0';
  rf_policy_taker const taker = taker_of(&taken);
  ASSERT_TRUE(rf_policy_read_live(&policy, &who, &taker, &taken.head, &taken.generation));
  EXPECT_TRUE(taken.sites.empty());
}

// The collector begins to write while a rule is taken; bytes that were read before it are those of the policy before.
TEST(Policy, IsNoneWhereItIsWrittenWhileItIsRead) {
  rf_policy policy = good();
  rf_policy_who const who = parser();
  rf_policy_head head = {};
  uint32_t generation = 0;
  rf_policy_taker taker = {};
  taker.rule = [](void *context, const rf_policy_rule *) { static_cast<rf_policy *>(context)->generation = 7; };
  taker.site = [](void *, const rf_policy_site *) {};
  taker.context = &policy;
  EXPECT_FALSE(rf_policy_read_live(&policy, &who, &taker, &head, &generation));
}

// A folder or file that others may write to is none, nor is a file of another size.
TEST(Policy, FileIsTheUsersAlone) {
  rf_policy const policy = good();
  rf_policy_who const who = parser();
  struct {
    mode_t folder;
    mode_t file;
    size_t size;
    bool is_read;
  } const cases[] = {
      {0700, 0600, sizeof policy, true},      {0755, 0644, sizeof policy, true},
      {0720, 0600, sizeof policy, false},     {0702, 0600, sizeof policy, false},
      {0700, 0620, sizeof policy, false},     {0700, 0602, sizeof policy, false},
      {0700, 0600, sizeof policy - 1, false}, {0700, 0600, sizeof policy + 1, false},
  };
  for (auto const &c : cases) {
    char folder[] = "/tmp/rf_policy_XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    std::string const path = std::string(folder) + "/" + RF_POLICY_FILE;
    std::vector<char> bytes(c.size);
    std::memcpy(bytes.data(), &policy, std::min(sizeof policy, c.size));
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(c.size));
    ASSERT_EQ(chmod(path.c_str(), c.file), 0);
    ASSERT_EQ(chmod(folder, c.folder), 0);
    Taken taken;
    rf_policy_taker const taker = taker_of(&taken);
    errno = 77;
    EXPECT_EQ(rf_policy_read_file(folder, std::strlen(folder), &who, &taker, &taken.head), c.is_read)
        << std::oct << c.folder << " " << c.file << std::dec << " " << c.size;
    EXPECT_EQ(errno, 77);
    EXPECT_EQ(taken.rules.empty(), !c.is_read);
    (void)unlink(path.c_str());
    (void)rmdir(folder);
  }
}

TEST(Policy, FileThatIsMissingLeavesErrnoAlone) {
  rf_policy_who const who = parser();
  Taken taken;
  rf_policy_taker const taker = taker_of(&taken);
  errno = 77;
  EXPECT_FALSE(rf_policy_read_file("/nowhere/at/all", 15, &who, &taker, &taken.head));
  EXPECT_EQ(errno, 77);
}

TEST(Policy, FileIsClosedAfterItWasRead) {
  rf_policy const policy = good();
  rf_policy_who const who = parser();
  Taken taken;
  rf_policy_taker const taker = taker_of(&taken);
  char folder[] = "/tmp/rf_policy_XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  std::string const path = std::string(folder) + "/" + RF_POLICY_FILE;
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char *>(&policy), sizeof policy);
  ASSERT_EQ(chmod(path.c_str(), 0600), 0);
  auto const lowest_free = [] {
    int const first = dup(0);
    int const second = dup(0);
    (void)close(first);
    (void)close(second);
    return std::vector<int>{first, second};
  };
  std::vector<int> const before = lowest_free();
  EXPECT_TRUE(rf_policy_read_file(folder, std::strlen(folder), &who, &taker, &taken.head));
  EXPECT_EQ(lowest_free(), before);
  (void)unlink(path.c_str());
  (void)rmdir(folder);
}

// The segment of a policy, and the head of the file that it belongs to.
struct Segment {
  Segment() {
    if (id >= 0) {
      live = static_cast<rf_policy *>(shmat(id, nullptr, 0));
      *live = good();
      head.live = id;
      head.nonce = live->nonce;
    }
  }
  ~Segment() {
    (void)shmdt(live);
    (void)shmctl(id, IPC_RMID, nullptr);
  }

  int const id = shmget(IPC_PRIVATE, sizeof(rf_policy), IPC_CREAT | 0600);
  rf_policy *live = nullptr;
  rf_policy_head head = {};
};

// A segment of another file's is let go of again.
TEST(Policy, SegmentIsAttachedWhereItBelongsToTheFile) {
  Segment own;
  ASSERT_GE(own.id, 0);
  auto const attached = [&own] {
    shmid_ds segment;
    return shmctl(own.id, IPC_STAT, &segment) == 0 ? segment.shm_nattch : 0;
  };
  for (int wrong = 0; wrong < 3; wrong++) {
    *own.live = good();
    own.head.nonce = own.live->nonce + (wrong == 0 ? 1 : 0);
    own.live->magic[0] = static_cast<char>(own.live->magic[0] + (wrong == 1 ? 1 : 0));
    own.live->version += wrong == 2 ? 1 : 0;
    EXPECT_EQ(rf_policy_attach(&own.head), nullptr) << wrong;
    EXPECT_EQ(attached(), 1U) << wrong;
  }
  *own.live = good();
  own.head.nonce = own.live->nonce;
  const rf_policy *const found = rf_policy_attach(&own.head);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->newest, own.live->newest);
  EXPECT_EQ(attached(), 2U);
  (void)shmdt(found);
  shmid_ds segment = {};
  for (mode_t const mode : {0620, 0602}) {
    ASSERT_EQ(shmctl(own.id, IPC_STAT, &segment), 0);
    segment.shm_perm.mode = mode;
    ASSERT_EQ(shmctl(own.id, IPC_SET, &segment), 0);
    EXPECT_EQ(rf_policy_attach(&own.head), nullptr) << std::oct << mode;
  }
}

// The user who made a segment may change it and give it away, whoever has it now.
TEST(Policy, SegmentIsTheUsersByAllThatTheSystemTells) {
  Segment own;
  ASSERT_GE(own.id, 0);
  struct {
    const char *what;
    bool attached;
    std::function<void(shmid_ds *)> change;
  } const cases[] = {
      {"as it is", true, [](shmid_ds *) {}},
      {"another has it", false, [](shmid_ds *s) { s->shm_perm.uid++; }},
      {"another has made it", false, [](shmid_ds *s) { s->shm_perm.cuid++; }},
      {"the group may write", false, [](shmid_ds *s) { s->shm_perm.mode |= 0020; }},
      {"others may write", false, [](shmid_ds *s) { s->shm_perm.mode |= 0002; }},
      {"others may read", true, [](shmid_ds *s) { s->shm_perm.mode |= 0044; }},
      {"it is a byte short", false, [](shmid_ds *s) { s->shm_segsz = sizeof(rf_policy) - 1; }},
      {"it is just large enough", true, [](shmid_ds *s) { s->shm_segsz = sizeof(rf_policy); }},
  };
  for (const auto &c : cases) {
    changes_segment = c.change;
    const rf_policy *const found = rf_policy_attach(&own.head);
    EXPECT_EQ(found != nullptr, c.attached) << c.what;
    (void)shmdt(found);
  }
  changes_segment = nullptr;
}

TEST(Policy, SegmentThatIsNoneIsNotAttached) {
  rf_policy_head head = {};
  head.live = -1;
  EXPECT_EQ(rf_policy_attach(&head), nullptr);
  head.live = 0x7FFFFFFF;
  errno = 77;
  EXPECT_EQ(rf_policy_attach(&head), nullptr);
  EXPECT_EQ(errno, 77);
}

// The rest of it would be read behind its end.
TEST(Policy, SegmentThatIsTooSmallIsNotAttached) {
  size_t const size = sizeof(rf_policy) - 4096;
  int const id = shmget(IPC_PRIVATE, size, IPC_CREAT | 0600);
  ASSERT_GE(id, 0);
  void *const live = shmat(id, nullptr, 0);
  rf_policy const policy = good();
  std::memcpy(live, &policy, size);
  rf_policy_head head = {};
  head.live = id;
  head.nonce = policy.nonce;
  EXPECT_EQ(rf_policy_attach(&head), nullptr);
  (void)shmdt(live);
  (void)shmctl(id, IPC_RMID, nullptr);
}

} // namespace

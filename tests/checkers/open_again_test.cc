// Pages that are opened again (checkers/os/open_again.h): what the system is told, whatever the processor and the
// kernel know of it. The system is this test's.
#include "checkers/os/open_again.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdarg>
#include <string>
#include <vector>

namespace {

using Calls = std::vector<std::string>;

Calls calls;
int refused; // number of the call, from 1 on; 0: none
alignas(4096) char page[4096];

int answer(const std::string &name, const void *start, size_t size, int how, int key) {
  EXPECT_EQ(start, page);
  EXPECT_EQ(size, sizeof page);
  calls.push_back(name + " " + std::to_string(how) + " " + std::to_string(key));
  errno = EINVAL;
  return static_cast<int>(calls.size()) == refused ? -1 : 0;
}

} // namespace

extern "C" {
int __wrap_mprotect(void *start, size_t size, int rights);
int __wrap_madvise(void *start, size_t size, int advice);
long __wrap_syscall(long number, ...);

int __wrap_mprotect(void *start, size_t size, int rights) {
  return answer("rights", start, size, rights, -1);
}

int __wrap_madvise(void *start, size_t size, int advice) {
  return answer("advice", start, size, advice, -1);
}

long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  const void *const start = va_arg(list, void *);
  size_t const size = va_arg(list, size_t);
  int const rights = va_arg(list, int);
  int const key = va_arg(list, int);
  va_end(list);
  EXPECT_EQ(number, SYS_pkey_mprotect);
  return answer("key", start, size, rights, key);
}
}

namespace ringfence {
namespace {

Calls opened(bool *done) {
  calls.clear();
  errno = 77;
  *done = rf_open_again(page, sizeof page);
  EXPECT_EQ(errno, 77);
  return calls;
}

const char kRights[] = "rights 3 -1";
const char kKey[] = "key 3 0"; // mprotect leaves a page the key that it has
const char kNoGuard[] = "advice 103 -1";
const char kKept[] = "advice 19 -1";

TEST(OpenAgain, TakesBackAllThatTheProgramMayHaveSaid) {
  bool done = false;
  EXPECT_EQ(opened(&done), (Calls{kRights, kKey, kNoGuard, kKept}));
  EXPECT_TRUE(done);
}

TEST(OpenAgain, IsDoneWhereTheSystemKnowsOfNoKeysOrGuards) {
  for (refused = 2; refused <= 4; refused++) {
    bool done = false;
    EXPECT_EQ(opened(&done).size(), 4U);
    EXPECT_TRUE(done);
  }
  refused = 0;
}

TEST(OpenAgain, IsNotDoneWhereTheRightsAreRefused) {
  bool done = true;
  refused = 1;
  EXPECT_EQ(opened(&done), Calls{kRights});
  EXPECT_FALSE(done);
  refused = 0;
}

TEST(OpenAgain, MakesNoCallThatIsForbidden) {
  struct {
    uint32_t forbidden;
    Calls made;
  } const cases[] = {
      {RF_CALL_MPROTECT, {}}, {RF_CALL_KEY, {kRights, kNoGuard, kKept}}, {RF_CALL_MADVISE, {kRights, kKey}}};
  for (const auto &c : cases) {
    rf_forbidden_calls = c.forbidden;
    bool done = false;
    EXPECT_EQ(opened(&done), c.made);
    EXPECT_EQ(done, !c.made.empty());
  }
  rf_forbidden_calls = 0;
}

} // namespace
} // namespace ringfence

// A program with checked allocators of its own that runs under the drop-in, in whose place this test is: the run is the
// drop-in's to tell of, and what the allocators found is theirs.
#include <ringfence/checked.h>
#include <ringfence/tlsf.h>

#include "tests/checkers/found_on_purpose.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

extern "C" size_t __ringfence_check_leaks(void);
extern "C" size_t __ringfence_check_leaks(void) {
  return 0;
}

namespace ringfence {
namespace {

void overflow_three_times(rf_allocator *a) {
  for (int i = 0; i < 3; i++) {
    auto *const p = static_cast<volatile unsigned char *>(rf_alloc(a, 13));
    p[13] = 1;
    (void)rf_free(a, const_cast<unsigned char *>(p));
  }
}

TEST(CollectorBesideTheDropIn, IsToldOfFindingsAndNotOfTheRun) {
  std::string folder = testing::TempDir() + "collector_dropin_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  pid_t const child = fork();
  if (child == 0) {
    static unsigned char arena[65536];
    rf_tlsf heap;
    rf_checked checked;
    setenv("RINGFENCE_OPTIONS", ("mode=guard:halt=0:log=/dev/null:collector_first=1:collector=" + folder).c_str(), 1);
    if (rf_tlsf_init(&heap, arena, sizeof arena) == RF_OK) {
      overflow_three_times(rf_checked_init(&checked, &heap.base, nullptr));
    }
    std::exit(0);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  std::ifstream file(folder + "/spool/current");
  std::string kinds;
  for (std::string line; std::getline(file, line);) {
    size_t const at = line.find(R"("record":")");
    ASSERT_NE(at, std::string::npos) << line;
    kinds += line.substr(at + 10, line.find('"', at + 10) - at - 10) + " ";
  }
  EXPECT_EQ(kinds, "finding repeat repeat ");
}

} // namespace
} // namespace ringfence

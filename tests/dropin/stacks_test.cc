// In programs as the distribution built them, stacks are those that the compiler's unwinder finds, frame by frame.
//
// The figures of a run: ./bazelw test //tests/dropin:stacks_test --test_output=all
#include "tests/dropin/run.h"

#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace ringfence_test {
namespace {

#if defined(__x86_64__)
constexpr bool kRules = true;
#else
constexpr bool kRules = false; // frame pointers alone
#endif

const std::vector<std::vector<std::string>> kPrograms = {
    {"perl", "-e",
     "sub f { my $n = shift; return $n < 1 ? [] : [f($n - 1)] } my %h; $h{$_} = [$_, 'x' x $_ % 50] for 1 .. 9000; "
     "f(30); $_ = 'abc' x 100; s/b/x/g; print join(',', sort map { $_ * 2 } 1 .. 999);"},
    {"bash", "-c", "for i in {1..40}; do declare -A a; a[$i]=$(echo $i); done; echo ${#a[@]}"},
    {"/usr/bin/python3", "-c", "import json, threading; print(len(json.dumps([{'n': i} for i in range(20000)])))"},
    {"git", "help", "-a"},
    {"sqlite3", ":memory:",
     "create table t(a, b); with recursive c(x) as (select 1 union all select x + 1 from c where x < 3000) "
     "insert into t select x, x * 2 from c; create index i on t(b); select sum(a) from t where b > 10 order by a;"},
    {"gcc", "-E", "-dM", "-x", "c", "/dev/null"},
    {"sort", "-R", "/etc/services"},
    {"ls", "-laR", "/etc/"},
    {"openssl", "version", "-a"},
    {"gdb", "--version"},
    {"awk", "BEGIN { for (i = 0; i < 9000; i++) a[i] = i \"x\"; print length(a) }"},
};

class Program : public testing::TestWithParam<std::vector<std::string>> {};

TEST_P(Program, HasTheStacksThatTheUnwinderFinds) {
  const char *const folder = std::getenv("TEST_TMPDIR");
  std::string const name = GetParam()[0].substr(GetParam()[0].rfind('/') + 1);
  std::string const path = std::string(folder == nullptr ? "/tmp" : folder) + "/" + name + ".stacks";
  if (!kRules || find_in_path(GetParam()[0]).empty()) {
    GTEST_SKIP() << "not on this machine: " << name;
  }
  std::vector<std::string> words = {"env", "LD_PRELOAD=" + program("libstack_compare.so"), "STACK_COMPARE=" + path};
  words.insert(words.end(), GetParam().begin(), GetParam().end());
  run_bare(words);
  std::ifstream file(path);
  std::stringstream all;
  unsigned long captured = 0;
  unsigned long equal = 0;
  for (std::string line; std::getline(file, line);) {
    unsigned long c = 0;
    unsigned long e = 0;
    unsigned long longer = 0;
    if (sscanf(line.c_str(), "captured %lu equal %lu longer %lu", &c, &e, &longer) == 3) {
      captured += c;
      equal += e + longer;
    }
    all << line << "\n";
  }
  printf("%s: %lu stacks, %lu equal\n", name.c_str(), captured, equal);
  EXPECT_GT(captured, 0U);
  EXPECT_EQ(captured, equal) << all.str();
}

INSTANTIATE_TEST_SUITE_P(Each, Program, testing::ValuesIn(kPrograms));

} // namespace
} // namespace ringfence_test

// Programs of the machine do under the drop-in what they do without it, to the byte, and nothing is found in them.
#include "tests/dropin/run.h"

#include <fstream>
#include <gtest/gtest.h>

namespace ringfence_test {
namespace {

std::string scratch(const std::string &name) {
  return std::string(std::getenv("TEST_TMPDIR") == nullptr ? "/tmp" : std::getenv("TEST_TMPDIR")) + "/" + name;
}

#define EXPECT_UNCHANGED(...)                                                                                          \
  do {                                                                                                                 \
    std::vector<std::string> const words = {__VA_ARGS__};                                                              \
    if (find_in_path(words[0]).empty()) {                                                                              \
      GTEST_SKIP() << "this machine has no " << words[0];                                                              \
    }                                                                                                                  \
    expect_unchanged(words);                                                                                           \
  } while (false)

void expect_unchanged(const std::vector<std::string> &words) {
  Result const bare = run_bare(words);
  Result const checked = run(words, with("summary=1"));
  EXPECT_EQ(checked.status, bare.status);
  EXPECT_TRUE(checked.out == bare.out);
  EXPECT_EQ(checked.err, bare.err);
  EXPECT_EQ(checked.findings.size(), 0U);
  EXPECT_EQ(checked.last("summary").kind, Json::kObject) << "was not checked at all";
}

const char kPython[] = R"(
import json, os, subprocess, threading
def work(results, n):
    data = {str(i): [i] * (i % 20) for i in range(3000)}
    results[n] = len(json.dumps(data))
results = {}
threads = [threading.Thread(target=work, args=(results, n)) for n in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
print(sorted(results.items()))
print(subprocess.run(['sh', '-c', 'echo from a shell'], capture_output=True, text=True).stdout)
pid = os.fork()
if pid == 0:
    held = [bytearray(1000) for _ in range(1000)]
    os._exit(0)
print(os.waitpid(pid, 0)[1])
)";

TEST(Programs, PythonWithThreadsSubprocessesAndFork) {
  EXPECT_UNCHANGED("/usr/bin/python3", "-c", kPython);
}

TEST(Programs, PythonThatUsesMallocForEverything) {
  EXPECT_UNCHANGED("env", "PYTHONMALLOC=malloc", "/usr/bin/python3", "-c",
                   "import json; print(len(json.dumps([{'n': i, 's': str(i)} for i in range(20000)])))");
}

TEST(Programs, Perl) {
  EXPECT_UNCHANGED("perl", "-e",
                   "my %h; for (1..30000) { $h{$_ % 500} .= \"x$_\"; push @a, [$_, 'a' x ($_ % 50)]; }"
                   "print length(join('', map { $h{$_} } sort keys %h)), \"\\n\";"
                   "for (1..3) { if (!fork) { my @b = map { 'y' x $_ } 1..500; exit 0 } } while (wait() > 0) {}");
}

TEST(Programs, Bash) {
  EXPECT_UNCHANGED(
      "bash", "-c",
      "declare -A m; for i in {1..2000}; do m[$i]=v$i; done; echo ${#m[@]};"
      "for i in {1..10}; do x=$(echo $i | tr 0-9 a-j); echo $x; done; f() { (($1 > 0)) && f $(($1 - 1)); };"
      "f 100; exec sh -c 'echo replaced'");
}

TEST(Programs, Sort) {
  std::string const file = scratch("lines");
  std::ofstream out(file);
  for (long i = 0; i < 100000; i++) {
    out << i * 7919 % 100003 << ' ' << i << '\n';
  }
  out.close();
  EXPECT_UNCHANGED("sort", "--parallel=3", "-S", "2M", "-k2,2n", file);
}

TEST(Programs, Sqlite) {
  EXPECT_UNCHANGED("sqlite3", ":memory:",
                   "create table t(a integer primary key, b text);"
                   "with recursive c(x) as (select 1 union all select x+1 from c where x<100000)"
                   " insert into t select x, 'row ' || x from c;"
                   "create index i on t(b); select count(*), sum(length(b)), max(b) from t;"
                   "select a from t where b like '%999' order by b limit 20;");
}

TEST(Programs, GitLogAndGc) {
  std::string const repository = scratch("repository");
  std::string const make = "git init -q " + repository + " && cd " + repository +
                           " && for i in 1 2 3 4 5 6 7 8 9; do seq 1 $((i * 30)) > f$((i % 4)); git add -A;"
                           " git -c user.name=n -c user.email=e commit -q -m \"number $i\"; done";
  if (find_in_path("git").empty() || run_bare({"sh", "-c", make}).status != 0) {
    GTEST_SKIP() << "this machine has no git that works here";
  }
  EXPECT_UNCHANGED("git", "-C", repository, "log", "-p", "--stat");
  EXPECT_UNCHANGED("git", "-C", repository, "gc", "-q", "--aggressive");
  EXPECT_UNCHANGED("git", "-C", repository, "fsck");
}

TEST(Programs, CompilerOfALargeFile) {
  std::string const source = scratch("large.c");
  std::ofstream out(source);
  for (int i = 0; i < 400; i++) {
    out << "int f" << i << "(int a, int b) { int s = 0; for (int j = 0; j < a; j++) { s += b * j ^ " << i
        << "; if (s % 7 == 3) s -= a; } return s; }\n";
  }
  out.close();
  EXPECT_UNCHANGED("gcc", "-O1", "-S", source, "-o", "-");
}

TEST(Programs, OthersThatAllocateInTheirOwnWays) {
  for (const std::vector<std::string> &words : std::vector<std::vector<std::string>>{
           {"ls", "-la", "/usr"},
           {"awk", "BEGIN { for (i = 0; i < 20000; i++) s[i % 100] += i; for (k in s) t += s[k]; print t }"},
           {"sed", "-n", "s/define/x/gp", "/usr/include/linux/if.h"},
           {"grep", "-r", "define", "/usr/include/linux/if.h"},
           {"tar", "cf", "-", "-C", "/usr/include/asm-generic", "."},
           {"xz", "-c", "-T2", "/bin/sh"},
       }) {
    if (!find_in_path(words[0]).empty()) {
      SCOPED_TRACE(words[0]);
      expect_unchanged(words);
    }
  }
}

} // namespace
} // namespace ringfence_test

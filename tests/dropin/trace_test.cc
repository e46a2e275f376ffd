// The option trace: what a process asks malloc for is in the file, whatever it does besides.
#include "tests/dropin/run.h"
#include "tools/trace/read.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace ringfence_test {
namespace {

// A file of this test's own that is not there.
std::string fresh(const std::string &name) {
  std::string const path =
      testing::TempDir() + testing::UnitTest::GetInstance()->current_test_info()->name() + "." + name;
  std::remove(path.c_str());
  return path;
}

// Copies a pipe to a file until nobody has it open for writing.
void copy_to_end(int from, const std::string &path) {
  std::ofstream to(path, std::ios::binary);
  std::array<char, 4096> bytes;
  for (ssize_t got; (got = read(from, bytes.data(), bytes.size())) > 0;) {
    to.write(bytes.data(), got);
  }
  (void)close(from);
}

struct Trace {
  explicit Trace(const std::string &path) { good = trace_read(&t, path.c_str(), problem.data()); }
  ~Trace() { trace_free(&t); }
  Trace(const Trace &) = delete;
  Trace &operator=(const Trace &) = delete;

  // The requests for so many bytes.
  std::vector<trace_op> of_size(size_t size) const {
    std::vector<trace_op> found;
    for (size_t i = 0; i < t.count; i++) {
      if (t.ops[i].size == size && t.ops[i].kind != TRACE_FREE) {
        found.push_back(t.ops[i]);
      }
    }
    return found;
  }

  // True where the block of the first request for so many bytes is freed later. Blocks before it may have had its id.
  bool is_freed(size_t size) const {
    const trace_op *const all = t.ops;
    const trace_op *const end = all + t.count;
    const trace_op *const made =
        std::find_if(all, end, [size](const trace_op &op) { return op.size == size && op.kind != TRACE_FREE; });
    return std::any_of(made, end, [made](const trace_op &op) { return op.kind == TRACE_FREE && op.id == made->id; });
  }

  size_t live() const {
    std::vector<bool> now(t.ids);
    for (size_t i = 0; i < t.count; i++) {
      now[t.ops[i].id] = t.ops[i].kind != TRACE_FREE;
    }
    return static_cast<size_t>(std::count(now.begin(), now.end(), true));
  }

  std::array<char, TRACE_PROBLEM_BYTES> problem{};
  trace t{};
  bool good;
};

void expect_whole_and_long(const std::string &path) {
  Trace const trace(path);
  ASSERT_TRUE(trace.good) << trace.problem.data();
  EXPECT_TRUE(trace.t.complete);
  EXPECT_GT(trace.t.count, 100000U);
}

Result traced(const std::string &what, const std::string &path, const std::string &more = "") {
  return run({program("traced"), what}, with("leaks=0:trace=" + path + more));
}

// 32-bit programs start 64-bit ones here, into which the library does not go, and the loader says so.
void expect_silent(const Result &result) {
  if (sizeof(void *) == 8) {
    EXPECT_EQ(result.err, "");
  }
}

void expect_known_requests(const Trace &trace) {
  ASSERT_TRUE(trace.good) << trace.problem.data();
  std::vector<trace_op> const plain = trace.of_size(1001);
  ASSERT_EQ(plain.size(), 2U);
  EXPECT_EQ(plain[0].kind, TRACE_ALLOC);
  EXPECT_EQ(plain[1].kind, TRACE_ALLOC);
  ASSERT_EQ(trace.of_size(1003).size(), 1U);
  EXPECT_EQ(trace.of_size(1003)[0].align, 4096U);
  ASSERT_EQ(trace.of_size(30011).size(), 1U);
  EXPECT_EQ(trace.of_size(30011)[0].kind, TRACE_REALLOC);
  ASSERT_EQ(trace.of_size(1005).size(), 1U);
  EXPECT_EQ(trace.of_size(1005)[0].kind, TRACE_ALLOC);
  ASSERT_EQ(trace.of_size(1007).size(), 1U);
  EXPECT_TRUE(trace.is_freed(1007)) << "a realloc of it failed before";
}

class TracedModes : public testing::TestWithParam<const char *> {};

INSTANTIATE_TEST_SUITE_P(Mode, TracedModes, testing::Values("off", "guard", "page", "sample"),
                         [](const testing::TestParamInfo<const char *> &it) { return std::string(it.param); });

TEST_P(TracedModes, RequestsAreRecordedAsTheyWereMade) {
  std::string const path = testing::TempDir() + "requests." + GetParam();
  Result const result = traced("known", path, std::string(":mode=") + GetParam());
  EXPECT_EQ(result.status, 0);
  expect_silent(result);
  Trace const trace(path);
  expect_known_requests(trace);
  EXPECT_TRUE(trace.t.complete);
  EXPECT_EQ(trace.t.lost, 0U);
  trace_op const kept = trace.of_size(30011)[0];
  ASSERT_LT(kept.site, trace.t.site_count);
  trace_site const &site = trace.t.sites[kept.site];
  ASSERT_GE(site.depth, 1U);
  bool in_program = false;
  for (size_t i = 0; i < trace.t.module_count; i++) {
    trace_module const &m = trace.t.modules[i];
    in_program = in_program || (site.frames[0] > m.start && site.frames[0] <= m.end &&
                                std::string(m.path).find("traced") != std::string::npos);
  }
  EXPECT_TRUE(in_program);
}

// Libraries that come and go: their blocks' call sites are in modules that are not known yet.
TEST(Traced, AModuleIsToldOnceThoughOthersComeLater) {
  std::string const path = fresh("rft");
  Result const result =
      run({program("plugins"), program("libplugin.so"), "leak"}, with("leaks=0:stack_depth=8:trace=" + path));
  EXPECT_EQ(result.status, 0) << result.out << result.err;
  Trace const trace(path);
  ASSERT_TRUE(trace.good) << trace.problem.data();
  std::vector<std::string> told;
  for (size_t i = 0; i < trace.t.module_count; i++) {
    std::string const module = trace.t.modules[i].path;
    told.push_back(module.substr(module.rfind('/') + 1));
  }
  EXPECT_EQ(std::count(told.begin(), told.end(), "plugins"), 1);
  EXPECT_EQ(std::count(told.begin(), told.end(), "libplugin.so"), 1);
}

TEST(Traced, IsAProgramOfItsOwnWhenLinkedIn) {
  std::string const path = fresh("rft");
  How how = with("leaks=0:trace=" + path);
  how.preload = false;
  EXPECT_EQ(run({program("traced_linked")}, how).status, 0);
  expect_known_requests(Trace(path));
}

TEST(Traced, ThreadsAreTold) {
  std::string const path = fresh("rft");
  EXPECT_EQ(traced("threads", path).status, 0);
  Trace const trace(path);
  ASSERT_TRUE(trace.good) << trace.problem.data();
  EXPECT_TRUE(trace.t.complete);
  EXPECT_EQ(trace.t.lost, 0U);
  EXPECT_GT(trace.t.count, 20000U);
  std::vector<uint32_t> threads;
  for (size_t i = 0; i < trace.t.count; i++) {
    threads.push_back(trace.t.ops[i].thread);
  }
  std::sort(threads.begin(), threads.end());
  threads.erase(std::unique(threads.begin(), threads.end()), threads.end());
  EXPECT_EQ(threads.size(), 5U);
  EXPECT_LT(trace.live(), 30U) << "all that the threads allocated is freed in the trace as well";
}

TEST(Traced, AChildOfForkRecordsOnlyToAFileOfItsOwn) {
  std::string const path = fresh("rft");
  EXPECT_EQ(traced("fork", path).status, 0);
  Trace const parent(path);
  expect_known_requests(parent);
  EXPECT_TRUE(parent.t.complete);
  EXPECT_EQ(parent.of_size(2001).size(), 0U);
  EXPECT_EQ(parent.of_size(3001).size(), 1U) << "the parent goes on after the fork";
}

// Or the lock that goes with it would outlive the parent.
TEST(Traced, AChildOfForkHasTheParentsFileNotOpen) {
  std::string const path = fresh("rft");
  Result const result = run({program("traced"), "fork_closed", path}, with("leaks=0:trace=" + path));
  EXPECT_EQ(result.status, 0);
}

TEST(Traced, WithTheProcessInItsNameAChildHasItsOwn) {
  std::string const path = fresh("");
  for (const char *how : {"fork", "fork_exec"}) {
    Result const result = traced(how, path + "%p");
    EXPECT_EQ(result.status, 0);
    std::string const id = result.out.substr(0, result.out.find('\n'));
    Trace const child(path + id);
    if (std::string(how) == "fork") {
      ASSERT_TRUE(child.good) << child.problem.data();
      EXPECT_EQ(child.of_size(2001).size(), 1U);
      EXPECT_EQ(child.of_size(1001).size(), 0U) << "that was the parent's";
      EXPECT_TRUE(child.t.complete);
      EXPECT_EQ(std::to_string(child.t.process), id);
    } else {
      EXPECT_TRUE(child.good) << child.problem.data(); // of the program that took over, or 32-bit: the child's
    }
  }
}

TEST(Traced, AChildThatAsksForNoMemoryHasNoTraceAndSaysNothing) {
  std::string const path = fresh("");
  Result const result = traced("fork_idle", path + "%p");
  EXPECT_EQ(result.status, 0);
  expect_silent(result);
  EXPECT_NE(access((path + result.out.substr(0, result.out.find('\n'))).c_str(), F_OK), 0);
}

// The path of a trace may begin in the folder in which the program was started, wherever that goes later.
TEST(Traced, AChildsTraceIsBesideItsParentsWhateverFolderTheProgramIsIn) {
  std::string const path = fresh("");
  std::string deep = fresh("d");
  std::string up; // to the root, and not so from `deep`
  for (const char c : std::string(std::unique_ptr<char, void (*)(void *)>(getcwd(nullptr, 0), std::free).get())) {
    if (c == '/') {
      up += "../";
      ASSERT_EQ(mkdir(deep.c_str(), 0700), 0);
      deep += "/d";
    }
  }
  ASSERT_EQ(mkdir(deep.c_str(), 0700), 0);
  Result const result =
      run({program("traced"), "fork_elsewhere", deep}, with("leaks=0:trace=" + up + path.substr(1) + "%p"));
  ASSERT_EQ(result.status, 0) << result.err;
  Trace const child(path + result.out.substr(0, result.out.find('\n')));
  ASSERT_TRUE(child.good) << child.problem.data();
  EXPECT_EQ(child.of_size(2001).size(), 1U);
}

// free leaves errno alone, and a program may look at it behind any call that did not fail.
TEST(Traced, AChildsTraceThatCannotBeMadeLeavesErrno) {
  std::string const in = fresh("");
  ASSERT_EQ(mkdir(in.c_str(), 0700), 0);
  Result const result = run({program("traced"), "fork_no_folder", in}, with("leaks=0:trace=" + in + "/%p"));
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.err.find("cannot be opened; nothing is recorded"), std::string::npos) << result.err;
}

TEST(Traced, ACallHasItsPlaceWhereNoStacksAreWanted) {
  std::string const path = fresh("rft");
  EXPECT_EQ(traced("known", path, ":stack_depth=0").status, 0);
  Trace const trace(path);
  expect_known_requests(trace);
  uint32_t const site = trace.of_size(30011)[0].site;
  ASSERT_LT(site, trace.t.site_count);
  EXPECT_EQ(trace.t.sites[site].depth, 1U);
}

TEST(Traced, NeitherAForkNorTheBeginningOfAChildsTraceIsAPointOfCancellation) {
  std::string const path = fresh("");
  Result const result = traced("fork_cancelled", path + "%p");
  ASSERT_EQ(result.status, 0);
  Trace const child(path + result.out.substr(0, result.out.find('\n')));
  ASSERT_TRUE(child.good) << child.problem.data();
  EXPECT_EQ(child.of_size(2001).size(), 1U);
}

TEST(Traced, ForksAmongThreadsThatAllocate) {
  std::string const path = fresh("");
  Result const result = traced("forks", path + "%p");
  EXPECT_EQ(result.status, 0);
  size_t children = 0;
  for (size_t at = 0; at < result.out.size(); at = result.out.find('\n', at) + 1) {
    Trace const child(path + result.out.substr(at, result.out.find('\n', at) - at));
    ASSERT_TRUE(child.good) << child.problem.data();
    EXPECT_EQ(child.of_size(2001).size(), 1U);
    children++;
  }
  EXPECT_EQ(children, 20U);
}

// Its child has the parent's pipe, which is full, and not the lock that another thread waits for.
TEST(Traced, AHandlerThatInterruptsTheRecorderMayForkWhileAnotherThreadDoes) {
  std::string const path = fresh("fifo");
  std::string const copy = fresh("rft");
  std::string const go = fresh("go");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  std::thread reader([&] {
    int const from = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    for (int looks = 0; looks < 1200 && access(go.c_str(), F_OK) != 0; looks++) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    copy_to_end(from, copy);
  });
  Result const result = run({program("traced"), "fork_recording", go}, with("leaks=0:trace=" + path));
  reader.join();
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.err, "");
  expect_whole_and_long(copy);
}

TEST(Traced, SignalHandlersThatAllocateDoNoHarm) {
  std::string const path = fresh("rft");
  EXPECT_EQ(traced("alarms", path).status, 0);
  expect_whole_and_long(path);
}

// Into a pipe that is full when the first alarms come.
TEST(Traced, AWriteThatASignalCutsShortIsGoneOnWith) {
  std::string const path = fresh("fifo");
  std::string const copy = fresh("rft");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  std::thread reader([&] {
    int const from = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    int before = 0;
    int waiting = 0;
    for (int looks = 0; looks < 100 && (waiting == 0 || waiting != before); looks++) {
      before = waiting;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      (void)ioctl(from, FIONREAD, &waiting);
    }
    copy_to_end(from, copy);
  });
  Result const result = traced("cut_short", path);
  reader.join();
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.err, "");
  expect_whole_and_long(copy);
}

TEST(Traced, AProgramThatClosesAllFilesEndsTheTraceWithAWord) {
  std::string const path = fresh("rft");
  Result const result = traced("closes", path);
  EXPECT_EQ(result.status, 0);
  EXPECT_NE(result.err.find("ringfence: trace=" + path + ": cannot be written; the trace ends here (errno 9)"),
            std::string::npos)
      << result.err;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  Trace const trace(path);
  EXPECT_TRUE(trace.good) << trace.problem.data();
  EXPECT_FALSE(trace.t.complete);
}

TEST(Traced, TheEndIsThereHoweverTheProcessEnds) {
  for (const char *how : {"chdir", "aborts", "_exit"}) {
    std::string const path = fresh(how);
    (void)traced(how, path);
    Trace const trace(path);
    expect_known_requests(trace);
    EXPECT_TRUE(trace.t.complete) << how;
  }
}

TEST(Traced, AKilledProcessLeavesAWholeFileWithoutAnEnd) {
  std::string const path = fresh("rft");
  EXPECT_EQ(traced("killed", path).status, 128 + 9);
  Trace const trace(path);
  EXPECT_TRUE(trace.good) << trace.problem.data();
  EXPECT_FALSE(trace.t.complete);
}

// A request is in the file after a second, with the next request.
TEST(Traced, AKilledProcessLeavesWhatIsOlderThanASecond) {
  std::string const path = fresh("rft");
  EXPECT_EQ(traced("killed_later", path).status, 128 + 9);
  Trace const trace(path);
  expect_known_requests(trace);
  EXPECT_EQ(trace.of_size(4001).size(), 1U);
}

TEST(Traced, AnotherProcessOfTheSameNameLeavesTheFileAlone) {
  std::string const path = fresh("rft");
  // The shell records; the program that it starts and waits for must not.
  Result const result = run({"/bin/sh", "-c", program("traced") + "; exit 0"}, with("leaks=0:trace=" + path));
  EXPECT_EQ(result.status, 0);
  expect_silent(result);
  Trace const trace(path);
  if (sizeof(void *) == 8) {
    ASSERT_TRUE(trace.good) << trace.problem.data();
    EXPECT_EQ(trace.of_size(30011).size(), 0U);
    EXPECT_TRUE(trace.t.complete);
  }
}

TEST(Traced, AFileThatAnotherProcessRecordsToIsNotOpen) {
  if (sizeof(void *) != 8) {
    GTEST_SKIP() << "the shell is of 64 bits and records nothing";
  }
  std::string const path = fresh("rft");
  Result const result =
      run({"/bin/sh", "-c", program("traced") + " has_open " + path + "; exit $?"}, with("leaks=0:trace=" + path));
  EXPECT_EQ(result.status, 0);
}

TEST(Traced, AnOldFileIsWrittenAnew) {
  std::string const path = fresh("rft");
  std::ofstream(path) << std::string(100000, 'x');
  EXPECT_EQ(traced("known", path).status, 0);
  expect_known_requests(Trace(path));
}

TEST(Traced, AFileThatCannotBeMadeIsToldOnceAndTheProgramRuns) {
  Result const result = traced("known", "/nowhere/at/all.rft");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.err, "ringfence: trace=/nowhere/at/all.rft: cannot be opened; nothing is recorded (errno 2)\n");
}

TEST(Traced, AFullDiskEndsTheTraceAndTheProgramRuns) {
  if (access("/dev/full", W_OK) != 0) {
    GTEST_SKIP() << "no /dev/full";
  }
  Result const result = traced("threads", "/dev/full");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.err, "ringfence: trace=/dev/full: cannot be written; the trace ends here (errno 28)\n");
}

} // namespace
} // namespace ringfence_test

// `ringfence replay`, and what `ringfence check --trace` leaves for it.
#include "tests/tools/run.h"

#include <cstdio>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

using namespace ringfence_test;

std::string recorded() {
  return source("tools/trace/recorded/sqlite.rft");
}

Result replay(std::vector<std::string> words) {
  words.insert(words.begin(), {ringfence(), "replay"});
  return run(words);
}

TEST(Replay, PrintsTimeFailuresFootprintAndFragmentation) {
  Result const result = replay({recorded()});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_TRUE(has(result.out, "sqlite.rft: 16961 requests (8444 alloc, 8428 free, 89 realloc)")) << result.out;
  EXPECT_TRUE(has(result.out, "\n  peak 172.3 KiB in 324 blocks;")) << result.out;
  EXPECT_TRUE(has(result.out, "\ntlsf, in an arena of 344.6 KiB\n")) << result.out;
  EXPECT_TRUE(has(result.out, " ns a request, the slowest ")) << result.out;
  EXPECT_TRUE(has(result.out, "\n  failures       0\n")) << result.out;
  EXPECT_TRUE(has(result.out, "\n  footprint      1")) << result.out;
  EXPECT_TRUE(has(result.out, "\n  fragmentation  ")) << result.out;
  EXPECT_TRUE(has(result.out, "\n  live at the end: 9503 bytes in 16 blocks, from 1 call site\n")) << result.out;
}

TEST(Replay, ReadsStandardInput) {
  Result const result = run({"sh", "-c", "cat \"$1\" | \"$0\" replay --runs 1 -", ringfence(), recorded()});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(has(result.out, ": 16961 requests (8444 alloc, 8428 free, 89 realloc)")) << result.out;
}

TEST(Replay, UsesTheAllocatorAndTheArenaThatItIsTold) {
  Result const result = replay({"--allocator", "smallmem", "--arena=1M", "--runs", "4", recorded()});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(has(result.out, "\nsmallmem, in an arena of 1024.0 KiB\n")) << result.out;
  EXPECT_TRUE(has(result.out, " ns (each at its best of 4 runs)\n")) << result.out;
}

TEST(Replay, TellsSizesInTheUnitThatSuitsThem) {
  const std::vector<std::pair<std::string, std::string>> kSizes = {
      {"10239", "10239 bytes"}, {"10240", "10.0 KiB"}, {"10239K", "10239.0 KiB"}, {"10M", "10.0 MiB"}};
  for (const auto &[size, text] : kSizes) {
    Result const result = replay({"--arena", size, "--runs=1", recorded()});
    EXPECT_TRUE(has(result.out, "\ntlsf, in an arena of " + text + "\n")) << result.out;
  }
}

TEST(Replay, SaysWhatFailsInASmallArena) {
  Result const result = replay({"--arena=100K", "--runs=1", recorded()});
  EXPECT_EQ(result.status, 1);
  EXPECT_TRUE(has(result.out, "; the first is request ")) << result.out;
  EXPECT_FALSE(has(result.out, "failures       0")) << result.out;
  Result const none = replay({"--arena=16", recorded()});
  EXPECT_EQ(none.status, 1);
  EXPECT_EQ(none.said(), std::vector<std::string>{"tlsf cannot use an arena of 16 bytes"});
}

// A trace of process 7: two blocks of one call site and one of another, a request that failed, two that are missing.
std::string made_trace() {
  std::string const path = scratch("made");
  Result const made = run({"python3", "-c", R"(
import struct, sys, zlib
def text(t): return bytes([len(t)]) + t
def site(line, file): return bytes([3, line]) + text(file) + text(b'f') + bytes([0])
payload = (site(1, b'a.c') + site(2, b'b.c') + bytes([0x20, 16, 1, 0, 24]) +
           bytes([0x60]) + b'\xe0\xc6\x5b' + b'\xa0\x8d\x06' + bytes([2, 0x10, 8, 6, 2, 7, 4]))
head = b'RFTRACE\n' + struct.pack('<II', 1, 7)
number = struct.pack('<I', 0)
with open(sys.argv[1], 'wb') as file:
    file.write(head + struct.pack('<I', zlib.crc32(head)) + struct.pack('<I', len(payload)) + number +
               struct.pack('<I', zlib.crc32(number + payload)) + payload)
)",
                           path});
  EXPECT_EQ(made.status, 0) << made.err;
  return path;
}

TEST(Replay, TellsWhatIsInATrace) {
  std::string const file = made_trace();
  Result const result = replay({"--arena=64K", "--runs=1", "--top=1", file});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.out.rfind(file + ": 3 requests (3 alloc, 0 free, 0 realloc) of process 7 in 1.500 s\n"
                                    "  peak 97.7 KiB in 3 blocks; 1 request had failed, 2 were not recorded\n",
                             0),
            0U)
      << result.out;
  EXPECT_TRUE(has(result.out, "\n  failures       1; the first is request 2, of 100000 bytes\n")) << result.out;
  EXPECT_TRUE(has(result.out, "\n  live at the end: 100040 bytes in 3 blocks, from 2 call sites\n"
                              "    100000 bytes in 1 block\n      #0 f b.c:2\n"
                              "    40 bytes in 2 blocks from 1 call site more (--top)\n"))
      << result.out;
  unlink(file.c_str());
}

// The time and the failures of a recording are those of all its requests.
TEST(Replay, TellsOfAPartWhatIsTrueOfThePart) {
  std::string const file = made_trace();
  Result const first = replay({"--events=2", "--runs=1", file});
  EXPECT_EQ(first.out.rfind(file + ": 2 requests (2 alloc, 0 free, 0 realloc) of process 7\n"
                                   "  peak 40 bytes in 2 blocks\n",
                            0),
            0U)
      << first.out;
  Result const last = replay({"--last=1", "--runs=1", file});
  EXPECT_TRUE(has(last.out, " of process 7\n  peak 97.7 KiB in 3 blocks\n")) << last.out;
  Result const all = replay({"--events=3", "--last=3", "--arena=1M", "--runs=1", file});
  EXPECT_TRUE(has(all.out, " in 1.500 s\n  peak 97.7 KiB in 3 blocks; 1 request had failed")) << all.out;
  unlink(file.c_str());
}

TEST(Replay, TellsHowTheFreeBytesAreSplit) {
  Result const result = replay({"--runs=1", recorded()});
  size_t const at = result.out.find("  fragmentation ");
  ASSERT_NE(at, std::string::npos) << result.out;
  double at_end = 0;
  double most = 0;
  size_t used = 0;
  size_t rest = 0;
  size_t largest = 0;
  size_t overhead = 0;
  ASSERT_EQ(sscanf(result.out.c_str() + at, "  fragmentation  %lf %% at the end, %lf %% at most", &at_end, &most), 2);
  ASSERT_EQ(sscanf(result.out.c_str() + result.out.find("  at the end  "),
                   "  at the end     %zu bytes used, %zu free, largest free %zu, overhead %zu", &used, &rest, &largest,
                   &overhead),
            4)
      << result.out;
  EXPECT_LT(at_end, most);
  EXPECT_EQ(used, 9503U);
  EXPECT_NEAR(at_end, 100 * (1 - static_cast<double>(largest) / static_cast<double>(rest)), 0.06);
  EXPECT_NEAR(static_cast<double>(used + rest + overhead), 344.6 * 1024, 60) << "the arena";
}

TEST(Replay, AdvisesCountsForAPool) {
  Result const result = replay({"--advise-pool", recorded()});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(has(result.out, "static const rf_pool_class classes[] = {{8, ")) << result.out;
}

TEST(Replay, ComparesAllocatorsAndDrawsTheirMemory) {
  std::string const picture = scratch("memory.svg");
  Result const result = replay({"-a", "tlsf", "--allocator=pool:16x20,32x40+memheap", "-a", "mempool", "--runs=1",
                                "--svg", picture, recorded()});
  EXPECT_EQ(result.status, 1) << "mempool has blocks of 64 bytes only: " << result.err;
  EXPECT_TRUE(has(result.out, "\narenas of 344.6 KiB\nallocator" + std::string(15, ' ') + " ns/request "))
      << result.out;
  EXPECT_TRUE(has(result.out, "\ntlsf ")) << result.out;
  EXPECT_TRUE(has(result.out, "\npool:16x20,32x40+memheap ")) << result.out;
  EXPECT_TRUE(has(result.out, " too large ")) << result.out;
  EXPECT_TRUE(has(result.out, "\n  live at the end: 9503 bytes in 16 blocks")) << result.out;
  std::string const svg = read_file(picture);
  size_t lines = 0;
  for (size_t at = svg.find("<polyline "); at != std::string::npos; at = svg.find("<polyline ", at + 1)) {
    lines++;
  }
  EXPECT_EQ(lines, 3U) << svg;
  EXPECT_TRUE(has(svg, ">pool:16x20,32x40+memheap</text>")) << svg;
  EXPECT_EQ(replay({"-a", "tlsf", "-a", "slab", "--runs=1", recorded()}).status, 0);
  Result const nowhere = replay({"-a", "tlsf", "-a", "slab", "--runs=1", "--svg", "/nowhere/x.svg", recorded()});
  EXPECT_EQ(nowhere.status, 2);
  EXPECT_EQ(nowhere.said(), std::vector<std::string>{"cannot write to /nowhere/x.svg: No such file or directory"});
}

TEST(Replay, TellsInARowWhatItsHeadingsSay) {
  std::string const picture = scratch("row.svg");
  Result const result = replay({"-a", "mempool", "-a", "tlsf", "--runs=1", "--svg", picture, recorded()});
  EXPECT_EQ(result.status, 1) << "the first one fails, the last one does not";
  size_t const row = result.out.find("\ntlsf ");
  ASSERT_NE(row, std::string::npos) << result.out;
  double mean = 0;
  double slowest = 0;
  size_t failures = 1;
  double footprint = 0;
  double over_peak = 0;
  double at_end = 0;
  double most = 0;
  ASSERT_EQ(sscanf(result.out.c_str() + row, " tlsf %lf %lf %zu %lf KiB %lf %lf %% %lf %%", &mean, &slowest, &failures,
                   &footprint, &over_peak, &at_end, &most),
            7)
      << result.out;
  EXPECT_GT(slowest, mean + 1) << "more than rounding makes";
  EXPECT_EQ(failures, 0U);
  EXPECT_NEAR(over_peak, footprint / 172.3, 0.002) << "172.3 KiB is the peak of the trace";
  EXPECT_GT(over_peak, 1);
  EXPECT_LT(at_end, most);
  unlink(picture.c_str());
}

TEST(Replay, DrawsALineFromEdgeToEdgeBelowTheHighest) {
  std::string const picture = scratch("line.svg");
  EXPECT_EQ(replay({"-a", "tlsf", "-a", "slab", "--runs=1", "--svg", picture, recorded()}).status, 0);
  std::string const svg = read_file(picture);
  unsigned highest = 320;
  for (size_t at = svg.find("points=\""); at != std::string::npos; at = svg.find("points=\"", at)) {
    at += 8;
    size_t const end = svg.find('"', at);
    unsigned x = 1;
    unsigned y = 0;
    ASSERT_EQ(sscanf(svg.c_str() + at, "%u,%u", &x, &y), 2);
    EXPECT_EQ(x, 0U);
    EXPECT_GT(y, 160U) << "little is live at the start";
    for (; at < end; at = svg.find_first_of(" \"", at) + 1) {
      ASSERT_EQ(sscanf(svg.c_str() + at, "%u,%u", &x, &y), 2);
      EXPECT_LE(y, 320U);
      highest = y < highest ? y : highest;
    }
    EXPECT_EQ(x, 960U);
  }
  EXPECT_EQ(highest, 0U);
  unlink(picture.c_str());
}

TEST(Replay, TellsAnAllocatorThatIsTooSlowAndGoesOn) {
  Result const one = replay({"--limit=1e-9", recorded()});
  EXPECT_EQ(one.status, 1) << one.err;
  EXPECT_TRUE(has(one.out, "\n  too slow       ")) << one.out;
  EXPECT_TRUE(has(one.out, " of the requests in 1e-09 s; --limit 0 waits\n")) << one.out;
  EXPECT_FALSE(has(one.out, "footprint")) << one.out;
  std::string const picture = scratch("slow.svg");
  Result const two = replay({"-a", "tlsf", "-a", "slab", "--limit=1e-9", "--svg", picture, recorded()});
  EXPECT_EQ(two.status, 1) << two.err;
  EXPECT_TRUE(has(two.out, "  too slow: ")) << two.out;
  EXPECT_FALSE(has(read_file(picture), "<polyline ")) << read_file(picture);
  EXPECT_EQ(replay({"--limit=0", "--runs=1", recorded()}).status, 0);
  for (std::string const bad : {"-1", "x", "", "5s", "nan", "1e9"}) {
    Result const wrong = replay({"--limit=" + bad, recorded()});
    EXPECT_EQ(wrong.status, 2) << bad;
    EXPECT_EQ(wrong.said(),
              std::vector<std::string>{"--limit " + bad + ": give a number of seconds, at most 86400; 0 for none"});
  }
}

TEST(Replay, KeepsTheLastRequestsAndTheBlocksBeforeThem) {
  std::string const file = scratch("last");
  EXPECT_EQ(replay({"--last=500", "--save", file, recorded()}).status, 0);
  Result const result = replay({"--runs=1", file});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(has(result.out, "\n  live at the end: 9503 bytes in 16 blocks")) << result.out;
  size_t const at = result.out.find(": ");
  ASSERT_NE(at, std::string::npos);
  int const count = std::stoi(result.out.substr(at + 2));
  EXPECT_GT(count, 500) << "some blocks were live before";
  EXPECT_LT(count, 1000);
}

TEST(Replay, TheLastRequestsAreThoseOfTheFirst) {
  Result const result = replay({"--events=30", "--last=4", "--runs=1", recorded()});
  Result const swapped = replay({"--last=4", "--events=30", "--runs=1", recorded()});
  Result const first = replay({"--events=30", "--runs=1", recorded()});
  std::string const live = "  live at the end: ";
  size_t const at = first.out.find(live);
  ASSERT_NE(at, std::string::npos) << first.out;
  std::string const line = first.out.substr(at, first.out.find('\n', at) - at);
  EXPECT_TRUE(has(result.out, line)) << result.out;
  EXPECT_TRUE(has(swapped.out, line)) << swapped.out;
}

TEST(Replay, GivesASmallTraceAnArenaThatAnyHeapCanUse) {
  std::string const file = made_trace();
  Result const result = replay({"--events=1", "--runs=1", file});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(has(result.out, "\ntlsf, in an arena of 64.0 KiB\n")) << result.out;
  unlink(file.c_str());
}

TEST(Replay, SaysThatAFileCannotBeWritten) {
  for (std::string const option : {"--save", "--c-test", "--pprof", "--fuzz-seed"}) {
    for (std::string const last : {"--last=3", option == "--fuzz-seed" ? "--last=1000" : "--last=100000"}) {
      Result const result = replay({last, option, "/dev/full", recorded()});
      EXPECT_EQ(result.status, 2) << option;
      EXPECT_TRUE(has(result.err, "/dev/full: No space left on device\n")) << result.err;
      Result const nowhere = replay({last, option, "/nowhere/file", recorded()});
      EXPECT_EQ(nowhere.status, 2) << option;
      EXPECT_TRUE(has(nowhere.err, "cannot write to /nowhere/file: No such file or directory\n")) << nowhere.err;
    }
  }
  std::string const file = scratch("seed");
  Result const seed = replay({"--fuzz-seed", file, recorded()});
  EXPECT_EQ(seed.status, 2);
  EXPECT_TRUE(has(seed.err, ": not an input of a fuzzer: there are so many requests: 16961; ")) << seed.err;
  EXPECT_NE(access(file.c_str(), F_OK), 0) << "an empty file is left";
}

TEST(Replay, AFileOfADescriptorKeepsWhatIsInIt) {
  std::string const file = scratch("collected");
  for (std::string const option : {"--save", "--c-test", "--pprof", "--fuzz-seed"}) {
    write_file(file, "before\n");
    std::string const words = "exec \"$0\" replay --last=3 \"$1\" /dev/stdout \"$2\" >>\"$3\"";
    Result const result = run({"sh", "-c", words, ringfence(), option, recorded(), file});
    EXPECT_EQ(result.status, 0) << result.err;
    std::string const text = read_file(file);
    EXPECT_EQ(text.substr(0, 7), "before\n") << option;
    EXPECT_GT(text.size(), 20U) << option;
  }
  unlink(file.c_str());
}

TEST(Replay, WritesATestInC) {
  std::string const file = scratch("window.c");
  EXPECT_EQ(replay({"--last=20", "--c-test", file, recorded()}).status, 0);
  std::string const text = read_file(file);
  EXPECT_TRUE(has(text, "#define ARENA_BYTES ")) << text;
  EXPECT_TRUE(has(text, "    {FREE, ")) << text;
  Result const compiled = run({"sh", "-c",
                               "command -v cc >/dev/null || exit 0; cc -std=c11 -Wall -Wextra -Werror "
                               "-fsyntax-only -Ilib/include \"$0\"",
                               file});
  EXPECT_EQ(compiled.status, 0) << compiled.err;
  EXPECT_EQ(replay({"--c-test", "/nowhere/x.c", recorded()}).said(),
            std::vector<std::string>{"cannot write to /nowhere/x.c: No such file or directory"});
}

TEST(Replay, WritesAllFilesThatAreAskedFor) {
  std::vector<std::string> words = {"--last=20"};
  std::vector<std::string> files;
  for (const std::string name : {"save", "c-test", "fuzz-seed", "pprof"}) {
    files.push_back(scratch(name));
    words.insert(words.end(), {"--" + name, files.back()});
  }
  words.push_back(recorded());
  Result const result = replay(words);
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, "") << "it replays nothing";
  for (const std::string &file : files) {
    EXPECT_NE(read_file(file), "") << file;
    unlink(file.c_str());
  }
  EXPECT_EQ(replay({"--save", files[0], "--pprof", "/nowhere/p", recorded()}).status, 2);
  unlink(files[0].c_str());
}

TEST(Replay, SavesTheFirstRequests) {
  std::string const file = scratch("saved");
  EXPECT_EQ(replay({"--events=1000", "--save", file, recorded()}).status, 0);
  Result const result = replay({"--runs=1", file});
  EXPECT_TRUE(has(result.out, ": 1000 requests (")) << result.out;
  EXPECT_LT(read_file(file).size(), 6000U);
}

TEST(Replay, SaysWhatIsWrongWithAFile) {
  std::string const whole = read_file(recorded());
  std::string const file = scratch("bad");
  write_file(file, whole.substr(0, 30000));
  Result const cut = replay({file});
  EXPECT_EQ(cut.status, 2);
  EXPECT_EQ(cut.out, "");
  ASSERT_EQ(cut.said().size(), 1U);
  EXPECT_TRUE(has(cut.said()[0], file + ": it is cut off in chunk ")) << cut.err;
  std::string damaged = whole;
  damaged[20000] = static_cast<char>(damaged[20000] ^ 1);
  write_file(file, damaged);
  EXPECT_TRUE(has(replay({file}).err, "is damaged: its check sum is wrong")) << replay({file}).err;
  write_file(file, "hello\n");
  EXPECT_EQ(replay({file}).said(),
            std::vector<std::string>{file + ": it is not a trace: it does not begin with RFTRACE"});
  Result const nothing = replay({"--partial", file});
  EXPECT_EQ(nothing.status, 2);
  EXPECT_EQ(nothing.out, "") << "there is nothing before the damage";
  EXPECT_EQ(replay({"/nowhere"}).said(),
            std::vector<std::string>{"/nowhere: it cannot be read: No such file or directory"});
}

TEST(Replay, TakesWhatComesBeforeTheDamageIfItIsTold) {
  std::string const traced = scratch("traced");
  ASSERT_EQ(check({"--quiet", "--leaks=0", "--trace", traced, "--", "/bin/ls", "-lR", "/usr/share/doc"}).status, 0);
  std::string const whole = read_file(traced);
  write_file(traced, whole.substr(0, whole.size() - 100));
  EXPECT_EQ(replay({traced}).status, 2);
  Result const result = replay({"--partial", "--runs=1", traced});
  if (whole.size() > 65536) {
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_TRUE(has(result.out, "the trace has no end")) << result.out;
  } else {
    EXPECT_EQ(result.status, 2);
  }
  EXPECT_TRUE(has(result.err, "it is cut off in ")) << result.err;
}

TEST(Replay, RefusesAWrongCommandLine) {
  std::pair<std::vector<std::string>, const char *> const cases[] = {
      {{}, "no trace given; try `ringfence replay FILE`"},
      {{"a", "b"}, "replay takes one trace at a time"},
      {{"--what", "a"}, "unknown option --what; see `ringfence help replay`"},
      {{"--arena"}, "--arena needs an argument; see `ringfence help replay`"},
      {{"--arena=0", "a"}, "--arena 0: give a number above 0"},
      {{"--arena=5X", "a"}, "--arena 5X: give a number above 0"},
      {{"--arena=99999999999999999999", "a"}, "--arena 99999999999999999999: give a number above 0"},
      {{"--arena=17179869184G", "a"}, "--arena 17179869184G: give a number above 0"},
      {{"--runs=-1", "a"}, "--runs -1: give a number above 0"},
      {{"--last=0", "a"}, "--last 0: give a number above 0"},
      {{"--save=-", "a"}, "--save needs a file name; standard output is /dev/stdout"},
      {{"--c-test=-", "a"}, "--c-test needs a file name; standard output is /dev/stdout"},
      {{"--fuzz-seed=-", "a"}, "--fuzz-seed needs a file name; standard output is /dev/stdout"},
      {{"--pprof=-", "a"}, "--pprof needs a file name; standard output is /dev/stdout"},
      {{"--svg=-", "a"}, "--svg needs a file name; standard output is /dev/stdout"},
      {{"--svg=x.svg", "a"}, "--svg compares allocators: give --allocator more than once"},
  };
  for (const auto &[words, said] : cases) {
    Result const result = replay(words);
    EXPECT_EQ(result.status, 2);
    EXPECT_EQ(result.said(), std::vector<std::string>{said});
  }
  Result const other = replay({"--allocator=malloc", "a"});
  EXPECT_EQ(other.status, 2);
  EXPECT_TRUE(has(other.err, "--allocator malloc: use one of tlsf, ")) << other.err;
  for (const char *pools : {"pool:", "pool:16x1", "pool:16x1+", "pool:16x1+malloc", "pool:16x1+libc", "pool:17x1+tlsf",
                            "pool:32x1,16x1+tlsf", "pool:256x1+tlsf", "pool:16x+tlsf", "pool:16x1;32x1+tlsf",
                            "pool:16x99999999999+tlsf", "pool:8x1,16x1,24x1,32x1,40x1,48x1,56x1,64x1,72x1+tlsf"}) {
    Result const result = replay({"-a", pools, "a"});
    EXPECT_EQ(result.status, 2) << pools;
    EXPECT_TRUE(has(result.err, std::string("--allocator ") + pools + ": use one of tlsf, ")) << result.err;
  }
}

TEST(Replay, HasAManual) {
  EXPECT_TRUE(has(replay({"--help"}).out, "Usage: ringfence replay [OPTIONS] FILE\n"));
  EXPECT_EQ(replay({"-h"}).out, run({ringfence(), "help", "replay"}).out);
}

TEST(Trace, OfAProgramNamesTheLineOfWhatIsLeft) {
  std::string const file = scratch("leak");
  Result const result = check({"--quiet", "--leaks=0", "--trace", file, "--", program("leak")});
  EXPECT_EQ(result.status, 0) << result.err;
  Result const replayed = replay({"--runs=1", file});
  EXPECT_EQ(replayed.status, 0) << replayed.err;
  EXPECT_TRUE(has(replayed.out, "/leak.c:") || has(replayed.out, " leak.c:")) << replayed.out;
  EXPECT_FALSE(has(replayed.out, "libringfence.so")) << "the library's own frames, as in reports: " << replayed.out;
  EXPECT_FALSE(has(replayed.out, "__libc_start_")) << replayed.out;
}

} // namespace

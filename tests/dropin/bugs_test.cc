// Each bug is found, with its kind, its distance and the calls it concerns; the same code without it is silent.
#include "tests/dropin/run.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <gtest/gtest.h>
#include <sstream>

namespace ringfence_test {
namespace {

struct Bug {
  const char *name;     // in programs/bugs.c
  const char *kind;     // of the finding
  const char *relation; // "after", "before", "inside"; "" where no block is concerned
  long long distance;
  long long size; // of the block
  bool at_end;    // found when the process ends, not before
  bool freed;     // the block was free already
};

void PrintTo(const Bug &bug, std::ostream *out) {
  *out << bug.name;
}

const Bug kBugs[] = {
    {"overflow_by_one", "heap-buffer-overflow", "after", 0, 13, false, false},
    {"overflow_in_a_block_never_freed", "heap-buffer-overflow", "after", 0, 13, true, false},
    {"overflow_of_a_big_block", "heap-buffer-overflow", "after", 0, 3000000, false, false},
    {"overflow_of_an_aligned_block", "heap-buffer-overflow", "after", 2, 100, false, false},
    {"overflow_of_no_bytes", "heap-buffer-overflow", "after", 0, 0, false, false},
    {"overflow_found_by_realloc", "heap-buffer-overflow", "after", 0, 24, false, false},
    {"underflow_by_one", "heap-buffer-underflow", "before", 1, 13, false, false},
    {"underflow_by_many", "heap-buffer-underflow", "before", 22, 13, false, false},
    {"underflow_in_a_block_never_freed", "heap-buffer-underflow", "before", 2, 13, true, false},
    {"write_after_free", "heap-use-after-free", "inside", 5, 40, true, true},
    {"write_after_free_of_a_big_block", "heap-use-after-free", "inside", 100, 2000000, true, true},
    {"write_after_free_of_a_block_given_back", "heap-use-after-free", "inside", 100, 64000000, false, true},
    {"double_free_of_a_block_given_back", "double-free", "inside", 0, 64000000, false, true},
    {"write_after_realloc_of_a_big_block", "heap-use-after-free", "inside", 100, 1 << 20, false, true},
    {"write_after_realloc_moved", "heap-use-after-free", "inside", 7, 40, true, true},
    {"double_free", "double-free", "inside", 0, 13, false, true},
    {"double_free_of_a_big_block", "double-free", "inside", 0, 3000000, false, true},
    {"realloc_of_a_freed_block", "double-free", "inside", 0, 13, false, true},
    {"free_inside_a_block", "bad-free", "inside", 4, 100, false, false},
    {"free_inside_a_big_block", "bad-free", "inside", 1048576, 3000000, false, false},
    {"free_of_the_stack", "bad-free", "", 0, 0, false, false},
    {"free_of_a_global", "bad-free", "", 0, 0, false, false},
    {"free_of_mapped_memory", "bad-free", "", 0, 0, false, false},
    {"free_of_no_memory", "bad-free", "", 0, 0, false, false},
    {"free_of_map_failed", "bad-free", "", 0, 0, false, false},
    {"free_of_a_freed_member", "heap-use-after-free", "inside", 0, 40, false, true},
    {"free_of_an_unset_member", "bad-free", "", 0, 0, false, false},
    {"free_where_no_block_was", "bad-free", "", 0, 0, false, false},
    {"realloc_of_a_global", "bad-free", "", 0, 0, false, false},
    {"realloc_of_map_failed", "bad-free", "", 0, 0, false, false},
    {"usable_size_of_a_freed_block", "bad-malloc_usable_size", "inside", 0, 20, false, true},
    {"usable_size_inside_a_block", "bad-malloc_usable_size", "inside", 4, 20, false, false},
    {"usable_size_of_the_stack", "bad-malloc_usable_size", "", 0, 0, false, false},
    {"usable_size_of_map_failed", "bad-malloc_usable_size", "", 0, 0, false, false},
    {"leak", "memory-leak", "", 0, 33, true, false},
};

class DropinBug : public testing::TestWithParam<Bug> {};

INSTANTIATE_TEST_SUITE_P(Each, DropinBug, testing::ValuesIn(kBugs),
                         [](const testing::TestParamInfo<Bug> &it) { return std::string(it.param.name); });

TEST_P(DropinBug, IsFoundWithKindAndDistance) {
  const Bug &bug = GetParam();
  Result const result = run({program("bugs"), bug.name, "bad"});
  EXPECT_EQ(result.status, 99);
  EXPECT_EQ(result.err, "");
  ASSERT_EQ(result.findings.size(), 1U) << result.out;
  const Json &finding = result.findings[0];
  EXPECT_EQ(finding["bug"].text, bug.kind);
  EXPECT_EQ(finding["size"].number, bug.size);
  EXPECT_EQ(result.out.find("end\n") != std::string::npos, bug.at_end);
  if (bug.relation[0] != '\0') {
    EXPECT_EQ(finding["relation"].text, bug.relation);
    EXPECT_EQ(finding["distance"].number, bug.distance);
    EXPECT_EQ(finding["freed"].kind, bug.freed ? Json::kTrue : Json::kFalse);
  }
}

TEST_P(DropinBug, NamesTheCallsThatItConcerns) {
  const Bug &bug = GetParam();
  Result const result = run({program("bugs"), bug.name, "bad"});
  ASSERT_EQ(result.findings.size(), 1U);
  const Json &finding = result.findings[0];
  if (bug.relation[0] != '\0' || std::string(bug.kind) == "memory-leak") {
    EXPECT_TRUE(is_near(finding["allocated"], program("bugs"), place(result.out, "allocated")));
  }
  if (bug.freed) {
    EXPECT_TRUE(is_near(finding["released"], program("bugs"), place(result.out, "freed")));
  }
  if (place(result.out, "found") >= 0) {
    EXPECT_TRUE(is_near(finding["found"], program("bugs"), place(result.out, "found")));
  }
}

TEST_P(DropinBug, IsNotFoundInTheSameCodeWithoutIt) {
  Result const result = run({program("bugs"), GetParam().name, "good"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.findings.size(), 0U);
}

TEST_P(DropinBug, IsFoundInAProgramThatIsLinkedWithIt) {
  How how;
  how.preload = false;
  for (const char *name : {"bugs_linked", "bugs_static"}) {
    Result const result = run({program(name), GetParam().name, "bad"}, how);
    EXPECT_EQ(result.status, 99) << name;
    ASSERT_EQ(result.findings.size(), 1U) << name << result.err;
    EXPECT_EQ(result.findings[0]["bug"].text, GetParam().kind);
    Result const good = run({program(name), GetParam().name, "good"}, how);
    EXPECT_EQ(good.status, 0) << name;
    EXPECT_EQ(good.findings.size(), 0U) << name;
  }
}

struct Pointer {
  const char *name;   // in programs/bugs.c
  const char *detail; // on the memory that it points to
};

// ---- Streams, which are blocks of the C library's ----

bool leads_through(const Json &trace, const std::string &file) {
  const std::vector<Json> &frames = trace["frames"].items;
  return std::any_of(frames.begin(), frames.end(), [&](const Json &f) { return f["module"].text == file; });
}

TEST(DropinStream, ThatIsClosedTwiceIsADoubleFree) {
  for (const char *const name : {"bugs", "bugs_linked", "bugs_static"}) {
    How how = with("halt=0");
    how.preload = name == std::string("bugs");
    Result const result = run({program(name), "close_of_a_closed_stream", "bad"}, how);
    EXPECT_EQ(result.status, 99) << name << result.err;
    EXPECT_NE(result.out.find("refused\n"), std::string::npos) << name << result.out;
    ASSERT_EQ(result.findings.size(), 1U) << name;
    const Json &finding = result.findings[0];
    EXPECT_EQ(finding["bug"].text, "double-free");
    EXPECT_EQ(finding["found"]["frames"].items[0]["module"].text, program(name));
    EXPECT_TRUE(leads_through(finding["allocated"], program(name)));
    EXPECT_TRUE(leads_through(finding["released"], program(name)));
    EXPECT_EQ(run({program(name), "close_of_a_closed_stream", "good"}, how).findings.size(), 0U) << name;
  }
}

TEST(DropinStream, ThatIsUsedAfterItsCloseIsAFindingOfTheAbort) {
  Result const result = run({program("bugs"), "write_to_a_closed_stream", "bad"}, with("watch=0"));
  EXPECT_EQ(result.status, 128 + SIGABRT);
  ASSERT_EQ(result.findings.size(), 1U) << result.err;
  const Json &finding = result.findings[0];
  EXPECT_EQ(finding["bug"].text, "heap-use-after-free");
  EXPECT_EQ(finding["detail"].text.find("the C library says: Fatal error: "), 0U) << finding["detail"].text;
  EXPECT_EQ(finding["found"]["frames"].items[0]["module"].text, program("bugs"));
}

TEST(DropinStream, ThatWasFoundAtTheAccessIsNotToldOnceMoreAtTheAbort) {
  Result const result = run({program("bugs"), "write_to_a_closed_stream", "bad"}, with("mode=page:halt=0"));
  ASSERT_EQ(result.findings.size(), 1U) << result.err;
  EXPECT_EQ(result.findings[0]["bug"].text, "heap-use-after-free");
  EXPECT_EQ(result.findings[0]["at_access"].kind, Json::kTrue);
}

TEST(DropinStream, ThatIsClosedTwiceIsADoubleFreeInModePageAsWell) {
  Result const result = run({program("bugs"), "close_of_a_closed_stream", "bad"}, with("mode=page:halt=0"));
  ASSERT_EQ(result.findings.size(), 1U) << result.err;
  EXPECT_EQ(result.findings[0]["bug"].text, "double-free");
}

TEST(DropinStream, ThatWritesOutOfAFreedBufferIsFound) {
  for (const char *const name :
       {"fclose_after_free_of_its_buffer", "fflush_after_free_of_its_buffer", "freopen_after_free_of_its_buffer",
        "fflush_of_all_after_free_of_a_buffer", "exit_after_free_of_a_buffer"}) {
    for (const char *const mode : {"mode=guard:watch=0", "mode=page"}) {
      SCOPED_TRACE(std::string(name) + " " + mode);
      Result const result = run({program("strangers"), name, "bad"}, with(mode));
      EXPECT_EQ(result.status, 99) << result.err;
      ASSERT_EQ(result.findings.size(), 1U);
      const Json &finding = result.findings[0];
      EXPECT_EQ(finding["bug"].text, "heap-use-after-free");
      EXPECT_EQ(finding["access"].text, "read");
      EXPECT_GT(finding["access_size"].number, 0) << "what was to be written";
      EXPECT_EQ(finding["size"].number, 512);
      EXPECT_TRUE(is_near(finding["allocated"], program("strangers"), place(result.out, "allocated")));
      EXPECT_TRUE(leads_through(finding["released"], program("strangers")));
      if (place(result.out, "found") >= 0) {
        EXPECT_TRUE(is_near(finding["found"], program("strangers"), place(result.out, "found")));
      }
      EXPECT_EQ(run({program("strangers"), name, "good"}, with(mode)).findings.size(), 0U);
    }
  }
}

TEST(DropinStream, ThatIsClosedOrLeftAfterTheFreeOfItsBufferIsFoundWhereItIsLinkedIn) {
  How how;
  how.preload = false;
  for (const char *const name : {"fclose_after_free_of_its_buffer", "exit_after_free_of_a_buffer"}) {
    for (const char *const linked : {"strangers_linked", "strangers_static"}) {
      Result const result = run({program(linked), name, "bad"}, how);
      ASSERT_EQ(result.findings.size(), 1U) << linked << " " << name;
      EXPECT_EQ(result.findings[0]["bug"].text, "heap-use-after-free");
      EXPECT_EQ(run({program(linked), name, "good"}, how).findings.size(), 0U);
    }
  }
}

// Guard finds these itself; in mode page the processor stops them inside the C library.
class DropinClosed : public testing::TestWithParam<const char *> {};

INSTANTIATE_TEST_SUITE_P(
    Each, DropinClosed,
    testing::Values("fgets_of_a_closed_stream", "fgets_chk_of_a_closed_stream", "getline_of_a_closed_stream",
                    "getdelim_of_a_closed_stream", "getdelim_own_of_a_closed_stream", "fputs_of_a_closed_stream",
                    "fprintf_of_a_closed_stream", "fprintf_chk_of_a_closed_stream", "vfprintf_of_a_closed_stream",
                    "vfprintf_chk_of_a_closed_stream", "fscanf_of_a_closed_stream", "vfscanf_of_a_closed_stream",
                    "fscanf_of_2023_of_a_closed_stream", "fseek_of_a_closed_stream", "fseeko_of_a_closed_stream",
                    "fseeko64_of_a_closed_stream", "ftell_of_a_closed_stream", "ftello_of_a_closed_stream",
                    "ftello64_of_a_closed_stream", "rewind_of_a_closed_stream", "setvbuf_of_a_closed_stream",
                    "fgetpos_of_a_closed_stream", "fgetpos64_of_a_closed_stream", "fsetpos_of_a_closed_stream",
                    "fsetpos64_of_a_closed_stream", "ungetc_of_a_closed_stream", "setbuf_of_a_closed_stream",
                    "setbuffer_of_a_closed_stream", "setlinebuf_of_a_closed_stream", "feof_of_a_closed_stream",
                    "ferror_of_a_closed_stream", "clearerr_of_a_closed_stream", "fileno_of_a_closed_stream",
                    "fgetws_of_a_closed_stream", "fgetws_chk_of_a_closed_stream", "fputws_of_a_closed_stream",
                    "fgetwc_of_a_closed_stream", "getwc_of_a_closed_stream", "fputwc_of_a_closed_stream",
                    "putwc_of_a_closed_stream", "ungetwc_of_a_closed_stream", "fwide_of_a_closed_stream",
                    "fwprintf_of_a_closed_stream", "fwprintf_chk_of_a_closed_stream", "vfwprintf_of_a_closed_stream",
                    "vfwprintf_chk_of_a_closed_stream", "fwscanf_of_a_closed_stream", "vfwscanf_of_a_closed_stream",
                    "fwscanf_of_2023_of_a_closed_stream", "readdir_of_a_closed_folder", "readdir64_of_a_closed_folder",
                    "readdir_r_of_a_closed_folder", "readdir64_r_of_a_closed_folder", "rewinddir_of_a_closed_folder",
                    "telldir_of_a_closed_folder", "seekdir_of_a_closed_folder", "closedir_of_a_closed_folder",
                    "dirfd_of_a_closed_folder"),
    [](const testing::TestParamInfo<const char *> &it) { return std::string(it.param); });

TEST_P(DropinClosed, IsFoundAtTheCallWhichFails) {
  Result const result = run({program("closed"), GetParam(), "bad"}, with("watch=0:halt=0"));
  EXPECT_EQ(result.status, 99) << result.err;
  EXPECT_NE(result.out.find("refused\n"), std::string::npos) << result.out;
  ASSERT_EQ(result.findings.size(), 1U) << result.err;
  const Json &finding = result.findings[0];
  EXPECT_EQ(finding["bug"].text, "heap-use-after-free");
  EXPECT_EQ(finding["access"].text, "read");
  EXPECT_EQ(finding["at_access"].kind, Json::kTrue);
  EXPECT_TRUE(is_near(finding["found"], program("closed"), place(result.out, "found")));
  EXPECT_TRUE(leads_through(finding["allocated"], program("closed")));
  EXPECT_TRUE(leads_through(finding["released"], program("closed")));
}

TEST_P(DropinClosed, IsFoundInModePageAndNotWhereItIsClosedLater) {
  Result const result = run({program("closed"), GetParam(), "bad"}, with("mode=page"));
  EXPECT_EQ(result.status, 99) << result.err;
  ASSERT_EQ(result.findings.size(), 1U) << result.err;
  EXPECT_EQ(result.findings[0]["bug"].text, "heap-use-after-free");
  for (const char *const mode : {"mode=guard", "mode=page"}) {
    Result const good = run({program("closed"), GetParam(), "good"}, with(mode));
    EXPECT_EQ(good.status, 0) << good.err;
    EXPECT_EQ(good.findings.size(), 0U);
  }
}

// A lock in freed memory that was found is not left to the C library, which would wait for it for ever.
TEST_P(DropinClosed, IsFoundInModePageAtTheCallWhichFails) {
  Result const result = run({program("closed"), GetParam(), "bad"}, with("mode=page:halt=0"));
  EXPECT_EQ(result.status, 99) << result.err;
  EXPECT_NE(result.out.find("refused\n"), std::string::npos) << result.out;
  ASSERT_EQ(result.findings.size(), 1U) << result.err;
  EXPECT_EQ(result.findings[0]["bug"].text, "heap-use-after-free");
  EXPECT_EQ(result.findings[0]["access"].text, "read");
  EXPECT_TRUE(is_near(result.findings[0]["found"], program("closed"), place(result.out, "found")));
}

// The C library would wait for ever for a lock in the freed memory.
TEST(DropinClosedFolder, IsFoundWhereTheDropInIsLinkedIn) {
  How how = with("watch=0:halt=0");
  how.preload = false;
  for (const std::string name : {"closed_linked", "closed_static"}) {
    for (const std::string call :
         {"readdir", "readdir64", "readdir_r", "readdir64_r", "rewinddir", "telldir", "seekdir", "closedir", "dirfd"}) {
      Result const result = run({program(name), call + "_of_a_closed_folder", "bad"}, how);
      EXPECT_NE(result.out.find("refused\n"), std::string::npos) << name << " " << call << result.out;
      ASSERT_EQ(result.findings.size(), 1U) << name << " " << call << result.err;
      EXPECT_EQ(result.findings[0]["bug"].text, "heap-use-after-free");
      EXPECT_TRUE(leads_through(result.findings[0]["found"], program(name))) << name << call;
      EXPECT_TRUE(name == "closed_static" || // which lies at addresses of its own
                  is_near(result.findings[0]["found"], program(name), place(result.out, "found")))
          << name << call;
      EXPECT_EQ(run({program(name), call + "_of_a_closed_folder", "good"}, how).findings.size(), 0U) << name << call;
    }
  }
}

// The C library may end the program at once.
TEST(DropinClosedStream, ThatMovesNothingIsFound) {
  for (const char *const name : {"fread_of_a_closed_stream", "fwrite_of_a_closed_stream"}) {
    for (const char *const mode : {"mode=guard:watch=0", "mode=page"}) {
      Result const result = run({program("closed"), name, "bad"}, with(mode));
      ASSERT_EQ(result.findings.size(), 1U) << name << " " << mode << result.err;
      EXPECT_EQ(result.findings[0]["bug"].text, "heap-use-after-free");
      EXPECT_EQ(run({program("closed"), name, "good"}, with(mode)).findings.size(), 0U);
    }
  }
}

// The C library reads it when the process ends, and when all streams are flushed.
TEST(DropinClosedStream, ThatIsFreedByFreeIsFoundWhereAllAreRead) {
  for (const std::string name : {"stream_that_is_freed", "stream_that_is_freed_before_all_are_flushed"}) {
    for (const std::string mode : {"mode=guard:watch=0", "mode=guard:watch=1", "mode=page"}) {
      SCOPED_TRACE(name + " " + mode);
      Result const result = run({program("closed"), name, "bad"}, with(mode + ":leaks=0"));
      ASSERT_GE(result.findings.size(), 1U) << result.err; // and what the C library does with such a stream
      const Json &finding = result.findings[0];
      EXPECT_EQ(finding["bug"].text, "heap-use-after-free");
      EXPECT_EQ(finding["access"].text, "read");
      EXPECT_EQ(finding["relation"].text, "inside");
      EXPECT_TRUE(is_near(finding["released"], program("closed"), place(result.out, "released")));
      EXPECT_TRUE(leads_through(finding["allocated"], program("closed")));
      EXPECT_EQ(run({program("closed"), name, "good"}, with(mode)).findings.size(), 0U);
    }
  }
}

TEST(DropinBadFree, OfMemoryOfTheProgramBreak) {
  for (const char *const name : {"free_of_the_break", "free_inside_the_break", "realloc_of_the_break"}) {
    for (const char *const mode : {"mode=guard", "mode=page"}) {
      Result const result = run({program("strangers"), name, "bad"}, with(mode));
      EXPECT_EQ(result.status, 99) << name << " " << mode;
      ASSERT_EQ(result.findings.size(), 1U) << name << " " << mode;
      EXPECT_EQ(result.findings[0]["bug"].text, "bad-free") << name << " " << mode;
      EXPECT_EQ(result.findings[0]["detail"].text, "the pointer is to the heap of sbrk") << name << " " << mode;
      EXPECT_EQ(run({program("strangers"), name, "good"}, with(mode)).status, 0) << name << " " << mode;
    }
  }
}

TEST(DropinBadFree, SaysWhichKindOfMemoryThePointerIsTo) {
  Pointer const pointers[] = {
      {"free_of_the_stack", "the pointer is to the stack"},
      {"free_of_a_global", "the pointer is to a static object"},
      {"free_of_mapped_memory", "the pointer is to mapped memory"},
      {"free_of_no_memory", "there is no memory at the pointer"},
      {"free_of_map_failed", "there is no memory at the pointer"},
  };
  for (const char *const mode : {"mode=guard", "mode=page"}) {
    for (const Pointer &pointer : pointers) {
      Result const result = run({program("bugs"), pointer.name, "bad"}, with(mode));
      ASSERT_EQ(result.findings.size(), 1U) << pointer.name << " " << mode;
      EXPECT_EQ(result.findings[0]["bug"].text, "bad-free") << pointer.name << " " << mode;
      EXPECT_EQ(result.findings[0]["detail"].text, pointer.detail) << pointer.name << " " << mode;
    }
  }
}

TEST(DropinBadFree, SaysWhichMemoryThePointerWasReadFrom) {
  Result const freed = run({program("bugs"), "free_of_a_freed_member", "bad"});
  ASSERT_EQ(freed.findings.size(), 1U);
  EXPECT_EQ(freed.findings[0]["detail"].text, "the pointer was read from freed memory, whose bytes are 0xcc: probably "
                                              "from this block, whose address the code has");
  Result const unset = run({program("bugs"), "free_of_an_unset_member", "bad"});
  ASSERT_EQ(unset.findings.size(), 1U);
  EXPECT_EQ(unset.findings[0]["detail"].text,
            "the pointer was read from memory that was never written, whose bytes are 0xcd");
}

// The pointer is some bytes before the word that was read.
TEST(DropinBadFree, OfANodeThatAFreedOneLinkedToIsAUseAfterFree) {
  EXPECT_EQ(run({program("bugs"), "free_of_a_freed_node"}, with("mode=guard:watch=0")).findings.size(), 0U);
  Result const result = run({program("bugs"), "free_of_a_freed_node", "bad"}, with("mode=guard:watch=0"));
  ASSERT_EQ(result.findings.size(), 1U);
  EXPECT_EQ(result.findings[0]["bug"].text, "heap-use-after-free");
  EXPECT_EQ(result.findings[0]["detail"].text, "the pointer was read from freed memory, whose bytes are 0xcc: probably "
                                               "from this block, whose address the code has");
}

TEST(DropinBadFree, SaysThatThePointerIsToTheHeapWhereNoBlockIs) {
  Result const result = run({program("bugs"), "free_where_no_block_was", "bad"});
  ASSERT_EQ(result.findings.size(), 1U);
  EXPECT_EQ(result.findings[0]["detail"].text, "no block is there, or any more");
}

// The kind follows from where the damage begins, however far it goes: never metadata-corruption. Bytes before a block
// whose neighbour there is live are that one's guard as well, so such an underflow is certain for less than 16 bytes.
TEST(DropinDamage, IsToldByWhereItBegins) {
  for (int const size : {8, 24, 64, 100, 1000}) {
    for (int const reach : {1, 8, 15, 16, 17, 22, 24, 25, 28, 29}) {
      for (const char *const kind : {"ol", "of", "ul", "uf", "al", "af"}) {
        bool const fits = kind[0] == 'a' ? reach <= size : kind[0] == 'o' || kind[1] == 'f' || reach < 16;
        if (!fits) {
          continue;
        }
        SCOPED_TRACE(std::string(kind) + " " + std::to_string(size) + " " + std::to_string(reach));
        Result const result =
            run({program("reach"), kind, std::to_string(size), std::to_string(reach)}, with("halt=0"));
        ASSERT_FALSE(result.findings.empty());
        const Json &finding = result.findings[0];
        EXPECT_EQ(finding["bug"].text, kind[0] == 'o'   ? "heap-buffer-overflow"
                                       : kind[0] == 'u' ? "heap-buffer-underflow"
                                                        : "heap-use-after-free");
        EXPECT_EQ(finding["distance"].number, kind[0] == 'u' ? reach : 0);
        EXPECT_EQ(finding["size"].number, size);
        EXPECT_FALSE(finding["allocated"]["frames"].items.empty());
      }
    }
  }
}

// Not an underflow of the next block, of which nothing would have gone over that block's end.
TEST(DropinDamage, ThatRunsFromAFreedBlockOverTheEndOfTheNextIsTheFreedOnes) {
  for (int const size : {24, 64, 100}) {
    for (int const reach : {1, 8, 20, size}) {
      SCOPED_TRACE(std::to_string(size) + " " + std::to_string(reach));
      Result const result =
          run({program("reach"), "el", std::to_string(size), std::to_string(reach)}, with("halt=0:watch=0"));
      ASSERT_FALSE(result.findings.empty());
      const Json &finding = result.findings[0];
      EXPECT_EQ(finding["bug"].text, "heap-use-after-free");
      EXPECT_EQ(finding["relation"].text, "inside");
      EXPECT_EQ(finding["distance"].number, size - reach);
      EXPECT_EQ(finding["size"].number, size);
      for (const Json &further : result.findings) {
        EXPECT_NE(further["bug"].text, "heap-buffer-underflow");
      }
    }
  }
}

TEST(DropinStack, HasNoFrameOfTheDropInsOwn) {
  for (bool const preload : {true, false}) {
    How how;
    how.preload = preload;
    how.log = false;
    std::string const name = preload ? "bugs" : "bugs_linked";
    Result const result = run({program(name), "overflow_by_one", "bad"}, how);
    EXPECT_EQ(result.status, 99);
    EXPECT_NE(result.err.find(" in main "), std::string::npos) << result.err;
    EXPECT_EQ(result.err.find("run_main"), std::string::npos) << result.err;
    EXPECT_EQ(result.err.find("__wrap_"), std::string::npos) << result.err;
  }
}

} // namespace
} // namespace ringfence_test

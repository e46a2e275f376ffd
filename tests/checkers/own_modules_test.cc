// The map and the modules of this very process, as the system has them.
#include "checkers/os/host.h"
#include "checkers/os/map_query.h"
#include "checkers/os/maps.h"
#include "checkers/os/modules.h"
#include "checkers/os/symbols.h"

#include "tests/checkers/child_status.h"
#include "tests/checkers/own_program.h"

#include <ringfence/frames.h>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace ringfence {
namespace {

// ---- The map ----

TEST(Maps, AreInOrderAndHoldThisProgram) {
  struct Seen {
    uintptr_t end = 0;
    size_t count = 0;
    bool code = false;
    bool stack = false;
  } seen;
  EXPECT_TRUE(rf_maps_each(
      [](const rf_map *map, void *context) {
        auto *const s = static_cast<Seen *>(context);
        EXPECT_GE(map->start, s->end);
        EXPECT_GT(map->end, map->start);
        s->end = map->end;
        s->count++;
        auto const code = reinterpret_cast<uintptr_t>(&rf_maps_each);
        if (code >= map->start && code < map->end) {
          s->code = map->executable && !map->writable && std::string(map->name, map->name_length).find("test") != 0;
        }
        auto const local = reinterpret_cast<uintptr_t>(__builtin_frame_address(0)); // sanitizers keep locals elsewhere
        if (local >= map->start && local < map->end) {
          s->stack = map->writable && std::string(map->name, map->name_length) == "[stack]";
        }
        return true;
      },
      &seen));
  EXPECT_GT(seen.count, 3U);
  EXPECT_TRUE(seen.code);
  EXPECT_TRUE(seen.stack);
}

TEST(MapQuery, AgreesWithTheText) {
  struct Place {
    rf_map map;
    std::string name;
  };
  std::vector<Place> places;
  ASSERT_TRUE(rf_maps_each(
      [](const rf_map *map, void *context) {
        if (map->executable && map->readable) { // which the kernel's own page for old system calls is not
          static_cast<std::vector<Place> *>(context)->push_back({*map, std::string(map->name, map->name_length)});
        }
        return true;
      },
      &places));
  int const maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  rf_map_place found;
  char name[1024] = "x";
  if (rf_map_query(maps, places[0].map.start, &found, name, sizeof name) == RF_MAP_UNKNOWN) {
    close(maps);
    GTEST_SKIP() << "this system has the text alone";
  }
  for (const Place &place : places) {
    for (uintptr_t const address : {place.map.start, place.map.end - 1}) {
      EXPECT_EQ(rf_map_query(maps, address, &found, name, sizeof name), RF_MAP_FOUND) << place.name;
      EXPECT_EQ(found.start, place.map.start);
      EXPECT_EQ(found.end, place.map.end);
      EXPECT_EQ(found.file_offset, place.map.file_offset);
      EXPECT_TRUE(found.executable);
      EXPECT_EQ(name, place.name);
    }
  }
  EXPECT_EQ(rf_map_query(maps, 64, &found, name, sizeof name), RF_MAP_NONE);
  EXPECT_EQ(rf_map_query(maps, places[0].map.start, &found, nullptr, 0), RF_MAP_FOUND);
  EXPECT_EQ(rf_map_query(maps, places[0].map.start, &found, name, 2), RF_MAP_UNKNOWN) << "no room for the name";
  EXPECT_EQ(rf_map_query(-1, places[0].map.start, &found, name, sizeof name), RF_MAP_UNKNOWN);
  close(maps);
}

TEST(Maps, StopWhenTold) {
  size_t count = 0;
  EXPECT_TRUE(
      rf_maps_each([](const rf_map *, void *context) { return ++*static_cast<size_t *>(context) < 2; }, &count));
  EXPECT_EQ(count, 2U);
}

// ---- Modules and names ----

// A function of the C library that is in its own module, unless the program is linked statically.
uintptr_t in_the_c_library() {
  struct Found {
    uintptr_t pc = 0;
  } found;
  (void)rf_maps_each(
      [](const rf_map *map, void *context) {
        std::string const name(map->name, map->name_length);
        if (map->executable && name.find("libc.so") != std::string::npos) {
          static_cast<Found *>(context)->pc = map->start + 1000;
        }
        return true;
      },
      &found);
  return found.pc;
}

class Modules : public testing::Test {
protected:
  void load() {
    const rf_trace *const traces[] = {&trace_};
    rf_modules_load(&modules_, traces, 1);
  }

  rf_trace trace_ = {};
  rf_modules modules_ = {};
};

TEST_F(Modules, NameTheModuleTheOffsetAndTheFunction) {
  trace_.frames[0] = rf_test_caller();
  trace_.depth = 1;
  load();
  rf_symbolizer const symbolizer = rf_modules_symbolizer(&modules_, true);
  rf_frame_name name;
  ASSERT_TRUE(symbolizer.name(symbolizer.context, trace_.frames[0], 0, &name));
  EXPECT_EQ(name.module, this_program());
  EXPECT_STREQ(name.function, "rf_test_caller");
  EXPECT_EQ(name.file, nullptr);
  // The offset is what the file says, wherever the program was loaded.
  char function[64];
  ASSERT_TRUE(rf_symbols_function(this_program().c_str(), name.offset - 1, function, sizeof function));
  EXPECT_STREQ(function, "rf_test_caller");
  EXPECT_FALSE(symbolizer.name(symbolizer.context, trace_.frames[0], 1, &name));
}

TEST_F(Modules, WithoutFunctionsThereIsOnlyThePlace) {
  trace_.frames[0] = rf_test_caller();
  trace_.depth = 1;
  load();
  rf_symbolizer const symbolizer = rf_modules_symbolizer(&modules_, false);
  rf_frame_name name;
  ASSERT_TRUE(symbolizer.name(symbolizer.context, trace_.frames[0], 0, &name));
  EXPECT_NE(name.module, nullptr);
  EXPECT_EQ(name.function, nullptr);
}

// Each frame of each stack has a module.
TEST_F(Modules, AreFoundForEveryFrame) {
  rf_trace second = {};
  trace_.frames[0] = 64;
  trace_.frames[1] = rf_test_caller();
  trace_.depth = 2;
  second.frames[0] = 64;
  second.frames[1] = 65;
  second.frames[2] = in_the_c_library();
  second.depth = 3;
  const rf_trace *const traces[] = {&trace_, &second};
  rf_modules_load(&modules_, traces, 2);
  rf_symbolizer const symbolizer = rf_modules_symbolizer(&modules_, false);
  rf_frame_name name;
  ASSERT_TRUE(symbolizer.name(symbolizer.context, trace_.frames[1], 0, &name));
  EXPECT_EQ(name.module, this_program());
  ASSERT_TRUE(symbolizer.name(symbolizer.context, second.frames[2], 0, &name));
  EXPECT_NE(std::string(name.module).find("libc.so"), std::string::npos);
  second.depth = 2;
  rf_modules none = {};
  const rf_trace *const without[] = {&second};
  rf_modules_load(&none, without, 1);
  rf_symbolizer const other = rf_modules_symbolizer(&none, false);
  EXPECT_FALSE(other.name(other.context, second.frames[2], 0, &name)) << "nobody asked for it";
}

__attribute__((noinline)) uintptr_t mangled_caller() {
  uintptr_t const pc = rf_test_return_address();
  __asm__ volatile("" : : "r"(pc), "i"(2)); // no tail call; equal functions would become one
  return pc;
}

TEST_F(Modules, NamesAreReadableEachTime) {
  trace_.frames[0] = mangled_caller();
  trace_.depth = 1;
  load();
  rf_symbolizer const symbolizer = rf_modules_symbolizer(&modules_, true);
  for (int i = 0; i < 3; i++) {
    rf_frame_name name;
    ASSERT_TRUE(symbolizer.name(symbolizer.context, trace_.frames[0], 0, &name));
    EXPECT_STREQ(name.function, "ringfence::(anonymous namespace)::mangled_caller()") << i;
    ASSERT_NE(name.symbol, nullptr);
    EXPECT_EQ(std::string(name.symbol).substr(0, 2), "_Z");
  }
}

struct AClassWhoseNameIsRatherLongSoThatAFewOfThemMakeAVeryLongNameOfAFunction {};
using Long = AClassWhoseNameIsRatherLongSoThatAFewOfThemMakeAVeryLongNameOfAFunction;

__attribute__((noinline)) uintptr_t caller_of_long_name(Long, Long, Long, Long, Long, Long) {
  uintptr_t const pc = rf_test_return_address();
  __asm__ volatile("" : : "r"(pc)); // no tail call
  return pc;
}

TEST_F(Modules, AReadableNameThatIsTooLongIsCut) {
  trace_.frames[0] = caller_of_long_name({}, {}, {}, {}, {}, {});
  trace_.depth = 1;
  load();
  rf_symbolizer const symbolizer = rf_modules_symbolizer(&modules_, true);
  rf_frame_name name;
  ASSERT_TRUE(symbolizer.name(symbolizer.context, trace_.frames[0], 0, &name));
  EXPECT_EQ(std::string(name.function).substr(0, 22), "ringfence::(anonymous ");
  EXPECT_EQ(std::strlen(name.function), size_t{RF_MODULES_FUNCTION - 1});
  ASSERT_NE(name.symbol, nullptr);
  EXPECT_EQ(std::string(name.symbol).substr(0, 2), "_Z");
}

// The path of the program, once kept, is given as far as there is room.
TEST(ProgramPath, IsCutWhereThereIsNoRoom) {
  EXPECT_EQ(status_of([] {
              rf_modules_keep_program();
              char path[16] = "kept as it is.";
              return rf_modules_program_path(path, 8) && this_program().substr(0, 7) == path &&
                     path[8] == "kept as it is."[8];
            }),
            0);
}

// Code that is of no file has to be looked up in the text of the map; then all is.
TEST_F(Modules, AreTheSameByQuestionsAndByTheText) {
  auto const size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void *const made = mmap(nullptr, size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(made, MAP_FAILED);
  trace_.frames[0] = rf_test_caller();
  trace_.frames[1] = in_the_c_library();
  trace_.depth = 2;
  load();
  rf_modules const asked = modules_;
  trace_.frames[2] = reinterpret_cast<uintptr_t>(made) + 8;
  trace_.depth = 3;
  load();
  ASSERT_EQ(asked.count, 2U);
  EXPECT_EQ(modules_.count, 3U);
  for (unsigned i = 0; i < asked.count; i++) {
    const rf_module &one = asked.modules[i];
    const auto *const same = std::find_if(modules_.modules, modules_.modules + modules_.count,
                                          [&one](const rf_module &other) { return other.start == one.start; });
    ASSERT_NE(same, modules_.modules + modules_.count);
    EXPECT_EQ(same->end, one.end);
    EXPECT_EQ(same->bias, one.bias);
    EXPECT_STREQ(same->build_id, one.build_id);
    EXPECT_STREQ(modules_.text + same->path, asked.text + one.path);
  }
  munmap(made, size);
}

// Another file is where the first page of a mapping's file would be.
TEST_F(Modules, BeginWithTheFirstPageOfTheirOwnFile) {
  auto const size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::string const path = testing::TempDir() + "no_module_" + std::to_string(getpid());
  int const one = open((path + "_one").c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  int const two = open((path + "_two").c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  ASSERT_EQ(ftruncate(one, static_cast<off_t>(2 * size)), 0);
  ASSERT_EQ(ftruncate(two, static_cast<off_t>(2 * size)), 0);
  auto *const room = static_cast<char *>(mmap(nullptr, 2 * size, PROT_READ, MAP_PRIVATE, one, 0));
  ASSERT_EQ(mmap(room + size, size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, two, static_cast<off_t>(size)),
            room + size);
  trace_.frames[0] = reinterpret_cast<uintptr_t>(room) + size + 8;
  trace_.depth = 1;
  load();
  ASSERT_EQ(modules_.count, 1U);
  EXPECT_EQ(modules_.text + modules_.modules[0].path, path + "_two");
  EXPECT_EQ(modules_.modules[0].bias, reinterpret_cast<uintptr_t>(room) + size);
  munmap(room, 2 * size);
  for (const char *const end : {"_one", "_two"}) {
    unlink((path + end).c_str());
  }
  close(one);
  close(two);
}

#if defined(DLFO_STRUCT_HAS_EH_DBASE)
std::string described(const rf_symbolizer &symbolizer, uintptr_t pc) {
  rf_frame_name name;
  return symbolizer.name(symbolizer.context, pc, 0, &name)
             ? std::string(name.module) + " " + std::to_string(name.offset) + " " + name.build_id
             : "";
}

// The linker may know a library by way of a link.
std::string behind_path(const std::string &text) {
  return text.substr(text.find(' ') + 1);
}

// No file can be opened.
TEST_F(Modules, AreToldByTheLinkerWhereThereIsNoMap) {
  trace_.frames[0] = rf_test_caller();
  trace_.frames[1] = in_the_c_library();
  trace_.depth = 2;
  load();
  rf_symbolizer const symbolizer = rf_modules_symbolizer(&modules_, false);
  std::string const program = described(symbolizer, trace_.frames[0]);
  std::string const library = described(symbolizer, trace_.frames[1]);
  EXPECT_EQ(status_of([&] {
              rlimit const nothing = {0, 0};
              (void)setrlimit(RLIMIT_NOFILE, &nothing);
              load();
              return !program.empty() && described(symbolizer, trace_.frames[0]) == program &&
                     behind_path(described(symbolizer, trace_.frames[1])) == behind_path(library);
            }),
            0);
}
#endif

// A module whose three segments all lie in the first page of its file, as lld and mold write small ones: that page is
// mapped for each of them, and a page of nobody's follows.
class Mapped : public Modules {
protected:
  void SetUp() override {
    struct {
      ElfW(Ehdr) header;
      ElfW(Phdr) segments[4];
      ElfW(Nhdr) note;
      char owner[4];
      unsigned char id[RF_BUILD_ID_BYTES + 8];
    } image = {};
    std::memcpy(image.header.e_ident, ELFMAG, SELFMAG);
    image.header.e_phoff = sizeof image.header;
    image.header.e_phentsize = sizeof image.segments[0];
    image.header.e_phnum = 4;
    for (unsigned i = 0; i < 3; i++) {
      ElfW(Phdr) &segment = image.segments[i];
      segment.p_type = PT_LOAD;
      segment.p_flags = i == 0 ? PF_R : PF_R | (i == 1 ? PF_X : PF_W);
      segment.p_offset = i * kPart;
      segment.p_vaddr = i * (page_ + kPart);
      segment.p_filesz = segment.p_memsz = kPart;
    }
    image.segments[3].p_type = PT_NOTE;
    image.segments[3].p_vaddr = offsetof(decltype(image), note);
    image.segments[3].p_memsz = sizeof image - offsetof(decltype(image), note);
    image.note = {sizeof image.owner, sizeof image.id, NT_GNU_BUILD_ID};
    std::memcpy(image.owner, "GNU", sizeof image.owner);
    std::memset(image.id, 0xAB, sizeof image.id);
    path_ = testing::TempDir() + "/one_page_" + std::to_string(getpid());
    int const file = open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    ASSERT_EQ(write(file, &image, sizeof image), static_cast<ssize_t>(sizeof image));
    ASSERT_EQ(ftruncate(file, static_cast<off_t>(page_)), 0);
    void *const room = mmap(nullptr, 4 * page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(room, MAP_FAILED);
    start_ = reinterpret_cast<uintptr_t>(room);
    int const rights[] = {PROT_READ, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE};
    for (unsigned i = 0; i < 3; i++) {
      void *const at = static_cast<char *>(room) + i * page_;
      ASSERT_EQ(mmap(at, page_, rights[i], MAP_PRIVATE | MAP_FIXED, file, 0), at);
    }
    close(file);
  }

  void TearDown() override {
    munmap(reinterpret_cast<void *>(start_), 4 * page_);
    unlink(path_.c_str());
  }

  static constexpr size_t kPart = 512;
  size_t const page_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  uintptr_t start_ = 0;
  std::string path_;
};

TEST_F(Mapped, CodeInTheFirstPageOfTheFileHasItsOffset) {
  trace_.frames[0] = start_ + page_ + kPart + 8;
  trace_.depth = 1;
  load();
  rf_symbolizer const symbolizer = rf_modules_symbolizer(&modules_, false);
  rf_frame_name name;
  ASSERT_TRUE(symbolizer.name(symbolizer.context, trace_.frames[0], 0, &name));
  EXPECT_NE(std::string(name.module).find("/one_page_"), std::string::npos);
  EXPECT_EQ(name.offset, page_ + kPart + 8);
}

TEST_F(Mapped, ABuildIdThatIsTooLongIsCut) {
  trace_.frames[0] = start_ + page_ + kPart + 8;
  trace_.depth = 1;
  load();
  ASSERT_EQ(modules_.count, 1U);
  std::string expected;
  for (int i = 0; i < RF_BUILD_ID_BYTES; i++) {
    expected += "ab";
  }
  EXPECT_EQ(std::string(modules_.modules[0].build_id, sizeof modules_.modules[0].build_id), expected + '\0');
  EXPECT_EQ(modules_.used, std::strlen(modules_.text) + 1);
}

TEST_F(Mapped, DataInTheFirstPageOfTheFileEndsTheModule) {
  EXPECT_STREQ(rf_host_describe_address(reinterpret_cast<void *>(start_ + 2 * page_ + 2 * kPart)),
               "the pointer is to a static object");
  EXPECT_STREQ(rf_host_describe_address(reinterpret_cast<void *>(start_ + 3 * page_ + 8)),
               "the pointer is to mapped memory");
}

TEST_F(Modules, OneThatIsInNoModuleHasNoName) {
  int local = 0;
  trace_.frames[0] = reinterpret_cast<uintptr_t>(&local);
  trace_.frames[1] = 64;
  trace_.depth = 2;
  load();
  rf_symbolizer const symbolizer = rf_modules_symbolizer(&modules_, true);
  rf_frame_name name;
  EXPECT_FALSE(symbolizer.name(symbolizer.context, trace_.frames[0], 0, &name));
  EXPECT_FALSE(symbolizer.name(symbolizer.context, 64, 0, &name));
}

TEST_F(Modules, TellTheBuildIdOfWhatHasOne) {
  trace_.frames[0] = in_the_c_library();
  trace_.depth = 1;
  load();
  rf_symbolizer const symbolizer = rf_modules_symbolizer(&modules_, false);
  rf_frame_name name;
  ASSERT_TRUE(symbolizer.name(symbolizer.context, trace_.frames[0], 0, &name));
  ASSERT_NE(name.build_id, nullptr); // distributions build the C library with one
  EXPECT_EQ(std::strlen(name.build_id), 40U);
  EXPECT_EQ(std::string(name.build_id).find_first_not_of("0123456789abcdef"), std::string::npos);
}

} // namespace
} // namespace ringfence

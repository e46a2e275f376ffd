// The modules of return addresses (checkers/os/modules_linux.c): what the map, the dynamic linker and the start of the
// process say is the test's.
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/map_query.h"
#include "checkers/os/maps.h"
#include "checkers/os/modules.h"

#include "tests/checkers/child_status.h"
#include "tests/checkers/linker_answers.h"

#include <gtest/gtest.h>

#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <string>
#include <vector>

extern "C" {
unsigned long __real_getauxval(unsigned long type);
unsigned long __wrap_getauxval(unsigned long type);
rf_map_answer __wrap_rf_map_query(int maps, uintptr_t address, rf_map_place *out, char *name, size_t size);
bool __wrap_rf_maps_each(bool (*visit)(const rf_map *map, void *context), void *context);
}

namespace {

struct Mapping {
  rf_map_place place;
  std::string name;
};

std::map<unsigned long, unsigned long> started_with; // the others are the process's own
std::vector<Mapping> mappings;                       // in order of address
bool answers_questions;
bool has_text;
unsigned questions;
unsigned readings;

} // namespace

unsigned long __wrap_getauxval(unsigned long type) {
  auto const found = started_with.find(type);
  return found != started_with.end() ? found->second : __real_getauxval(type);
}

rf_map_answer __wrap_rf_map_query(int /*maps*/, uintptr_t address, rf_map_place *out, char *name, size_t size) {
  questions++;
  for (const Mapping &m : mappings) {
    if (answers_questions && address >= m.place.start && address < m.place.end) {
      *out = m.place;
      if (name != nullptr) {
        (void)snprintf(name, size, "%s", m.name.c_str());
      }
      return RF_MAP_FOUND;
    }
  }
  return answers_questions ? RF_MAP_NONE : RF_MAP_UNKNOWN;
}

bool __wrap_rf_maps_each(bool (*visit)(const rf_map *map, void *context), void *context) {
  readings++;
  for (const Mapping &m : mappings) {
    rf_map const map = {m.place.start,      m.place.end, m.place.file_offset, true,         false,
                        m.place.executable, false,       m.name.c_str(),      m.name.size()};
    if (has_text && !visit(&map, context)) {
      break;
    }
  }
  return has_text;
}

namespace {

using ringfence::status_of;

// An image: headers, then notes.
struct Image {
  ElfW(Ehdr) header;
  ElfW(Phdr) segments[4];
  char notes[400];
};

constexpr size_t kNotes = offsetof(Image, notes);

std::string note(const std::string &owner, uint32_t type, const std::string &contents) {
  uint32_t const words[] = {static_cast<uint32_t>(owner.size()), static_cast<uint32_t>(contents.size()), type};
  auto const whole = [](const std::string &text) { return text + std::string((4 - text.size() % 4) % 4, '\0'); };
  return std::string(reinterpret_cast<const char *>(words), sizeof words) + whole(owner) + whole(contents);
}

const std::string kOwner("GNU\0", 4);
const std::string kId("\x01\x23\x45\x67\x89\xAB\xCD\xEF\xFE\x10", 10);
const char *const kIdText = "0123456789abcdeffe10";

#if defined(RF_CAN_ANSWER)
constexpr int kWays = 3;
#else
constexpr int kWays = 2;
#endif

class ModulesMade : public testing::Test {
protected:
  ModulesMade() {
    page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    void *const room = mmap(nullptr, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(room, MAP_FAILED);
    start = reinterpret_cast<uintptr_t>(room);
    image = static_cast<Image *>(room);
    std::memcpy(image->header.e_ident, ELFMAG, SELFMAG);
    image->header.e_phoff = offsetof(Image, segments);
    image->header.e_phentsize = sizeof image->segments[0];
    image->header.e_phnum = 4;
    segment(0, PT_LOAD, 0x40000, sizeof(Image));
    image->segments[0].p_flags = PF_R | PF_X;
    answers_questions = true;
    has_text = true;
    questions = readings = 0;
    mappings.clear();
  }
  ~ModulesMade() override {
    started_with.clear();
#if defined(RF_CAN_ANSWER)
    made[0] = {};
#endif
    (void)munmap(image, 8 * page);
  }

  // Addresses in the file begin at 0x40000.
  void segment(unsigned i, uint32_t type, uintptr_t at, size_t size) {
    image->segments[i].p_type = type;
    image->segments[i].p_vaddr = at;
    image->segments[i].p_filesz = image->segments[i].p_memsz = size;
  }

  void notes(const std::string &bytes, unsigned number = 1, size_t at = 0) {
    std::memcpy(image->notes + at, bytes.data(), bytes.size());
    segment(number, PT_NOTE, 0x40000 + kNotes + at, bytes.size());
  }

  // `pages` of the file from `offset` on, `after` pages behind the image's start.
  Mapping mapping(size_t after, size_t pages, uint64_t offset, bool executable = true) const {
    uintptr_t const at = start + after * page;
    return {{at, at + pages * page, offset * page, 77, 8, 1, executable}, "/lib/made.so"};
  }

  void load(const std::vector<uintptr_t> &frames) {
    rf_trace trace = {};
    std::copy(frames.begin(), frames.end(), trace.frames);
    trace.depth = static_cast<unsigned>(frames.size());
    const rf_trace *const traces[] = {&trace};
    rf_modules_load(&modules, traces, 1);
  }

  std::string path(unsigned i = 0) const {
    return modules.text + modules.modules[i].path;
  }

  std::string program_id() const {
    char text[2 * RF_BUILD_ID_BYTES + 1];
    std::memset(text, 'x', sizeof text);
    rf_modules_program_id(text);
    return text;
  }

#if defined(RF_CAN_ANSWER)
  ringfence::MadeModule *const made = ringfence::made;
#endif
  size_t page;
  uintptr_t start;
  Image *image;
  rf_modules modules = {};
};

// ---- The program's own id ----

class ProgramId : public ModulesMade {
protected:
  ProgramId() {
    started_with = {{AT_PHDR, start + offsetof(Image, segments)}, {AT_PHNUM, 4}};
    segment(3, PT_PHDR, 0x40000 + offsetof(Image, segments), sizeof image->segments);
  }
};

TEST_F(ProgramId, IsInANote) {
  EXPECT_EQ(program_id(), "") << "there is none";
  notes(note(kOwner, NT_GNU_BUILD_ID, kId));
  EXPECT_EQ(program_id(), kIdText);
  image->segments[1].p_type = PT_LOAD;
  EXPECT_EQ(program_id(), "") << "no segment of notes";
  image->segments[1].p_type = PT_NOTE;
  started_with[AT_PHNUM] = 1;
  EXPECT_EQ(program_id(), "") << "behind the headers";
}

TEST_F(ProgramId, MayStandBehindOtherNotes) {
  std::string const id = note(kOwner, NT_GNU_BUILD_ID, kId);
  for (size_t length = 0; length < 9; length++) {
    notes(note(kOwner, 1, std::string(length, 'a')) + id);
    EXPECT_EQ(program_id(), kIdText) << length;
    notes(note(std::string(length, 'o'), NT_GNU_BUILD_ID, "other") + id);
    EXPECT_EQ(program_id(), kIdText) << length;
  }
  notes(note(std::string("GNX\0", 4), NT_GNU_BUILD_ID, "other") + id);
  EXPECT_EQ(program_id(), kIdText);
  notes(note(std::string("GNU\0\0", 5), NT_GNU_BUILD_ID, "other") + id);
  EXPECT_EQ(program_id(), kIdText);
}

TEST_F(ProgramId, IsTheFirstOfSeveral) {
  notes(note(kOwner, 1, "none"));
  notes(note(kOwner, NT_GNU_BUILD_ID, kId), 2, 100);
  EXPECT_EQ(program_id(), kIdText);
  notes(note(kOwner, NT_GNU_BUILD_ID, "\x77"));
  EXPECT_EQ(program_id(), "77");
}

TEST_F(ProgramId, IsNotReadBehindItsSegment) {
  std::string const id = note(kOwner, NT_GNU_BUILD_ID, kId);
  std::string const other = note(kOwner, 1, "abcd");
  for (size_t less = 1; less < id.size(); less++) {
    notes(other + id);
    image->segments[1].p_memsz -= less;
    EXPECT_EQ(program_id(), "") << less;
  }
  notes(id);
  for (uint32_t const size : {400U, 0x7FFFFFF0U, 0xFFFFFFF0U, UINT32_MAX}) {
    reinterpret_cast<uint32_t *>(image->notes)[1] = size;
    EXPECT_EQ(program_id(), "") << size;
  }
  notes(id);
  reinterpret_cast<uint32_t *>(image->notes)[0] = UINT32_MAX;
  EXPECT_EQ(program_id(), "");
  notes(id);
  segment(1, PT_NOTE, 0x40000 + 8 * page - 8, 64);
  ASSERT_EQ(munmap(reinterpret_cast<void *>(start + 7 * page), page), 0);
  EXPECT_EQ(program_id(), "") << "not mapped";
}

TEST_F(ProgramId, NeedsHeadersThatAreThere) {
  notes(note(kOwner, NT_GNU_BUILD_ID, kId));
  started_with[AT_PHDR] = 64;
  EXPECT_EQ(program_id(), "");
  started_with[AT_PHDR] = 0;
  EXPECT_EQ(program_id(), "");
}

// ---- Modules that were unloaded ----

rf_module unloaded(uintptr_t from, uintptr_t to, uintptr_t bias, const char *id) {
  rf_module m = {};
  m.start = from;
  m.end = to;
  m.bias = bias;
  std::memcpy(m.build_id, id, std::strlen(id));
  return m;
}

TEST_F(ModulesMade, ThoseThatWereUnloadedAreKnownBehindTheOthers) {
  rf_module const one = unloaded(0x30000, 0x34000, 0x2F000, "aabb");
  rf_module const two = unloaded(0x32000, 0x36000, 0x31000, "ccdd");
  rf_modules_remember(&one, "/gone/one");
  rf_modules_remember(&two, "/gone/two");
  mappings = {mapping(0, 4, 0)};
  load({0x30010, start + 8});
  ASSERT_EQ(modules.count, 2U);
  EXPECT_EQ(path(0), "/lib/made.so");
  EXPECT_EQ(path(1), "/gone/one");
  EXPECT_EQ(modules.modules[1].bias, 0x2F000U);
  EXPECT_EQ(modules.modules[1].start, 0x30000U);
  EXPECT_EQ(modules.modules[1].end, 0x34000U);
  EXPECT_STREQ(modules.modules[1].build_id, "aabb");
  load({0x33000});
  ASSERT_EQ(modules.count, 2U);
  EXPECT_EQ(path(0), "/gone/two") << "the newest first";
  rf_symbolizer const symbolizer = rf_modules_symbolizer(&modules, false);
  rf_frame_name name;
  ASSERT_TRUE(symbolizer.name(symbolizer.context, 0x33000, 0, &name));
  EXPECT_STREQ(name.module, "/gone/two");
  EXPECT_STREQ(name.build_id, "ccdd");
  EXPECT_EQ(name.offset, 0x2000U);
  load({0x30000, 0x36001});
  EXPECT_EQ(modules.count, 0U) << "a return address is behind a call";
  load({0x36000});
  EXPECT_EQ(modules.count, 1U);
}

TEST_F(ModulesMade, TheLast64ThatWereUnloadedAreKnown) {
  static std::string paths[100];
  for (uintptr_t i = 0; i < 100; i++) {
    paths[i] = "/gone/" + std::to_string(i);
    rf_module const m = unloaded(0x100000 + i * 0x1000, 0x101000 + i * 0x1000, 0, "");
    rf_modules_remember(&m, paths[i].c_str());
  }
  for (uintptr_t i = 0; i < 100; i++) {
    load({0x100010 + i * 0x1000});
    ASSERT_EQ(modules.count, i < 36 ? 0U : 1U) << i;
    EXPECT_TRUE(i < 36 || path() == paths[i]) << path();
    uintptr_t from = 0;
    uintptr_t to = 0;
    const char *const found = rf_modules_unloaded(0x100FFF + i * 0x1000, &from, &to);
    EXPECT_EQ(found, i < 36 ? nullptr : paths[i].c_str()) << i;
    EXPECT_EQ(from, i < 36 ? 0 : 0x100000 + i * 0x1000);
    EXPECT_EQ(to, i < 36 ? 0 : 0x101000 + i * 0x1000);
  }
}

// ---- The program's path ----

std::string path_of_program(size_t room) {
  char path[4096];
  std::memset(path, 'x', sizeof path);
  bool const known = rf_modules_program_path(path, room);
  return path[room] != 'x' ? "written behind" : known ? path : std::string("unknown: ") + path;
}

TEST_F(ModulesMade, ThePathOfTheProgramIsThereWhereItWasKept) {
  std::string const whole = path_of_program(1024);
  EXPECT_EQ(whole[0], '/');
  EXPECT_EQ(0, status_of([] {
              rf_forbid(RF_CALL_OPEN);
              errno = 77;
              return path_of_program(1024) == "unknown: " && errno == 77;
            }));
  EXPECT_EQ(0, status_of([&whole] {
              errno = 77;
              rf_modules_keep_program();
              rf_forbid(RF_CALL_OPEN);
              rf_modules_keep_program(); // nor is it lost
              return path_of_program(1024) == whole && path_of_program(whole.size() + 1) == whole &&
                     path_of_program(whole.size()) == whole.substr(0, whole.size() - 1) && path_of_program(1).empty() &&
                     errno == 77;
            }));
  EXPECT_EQ(0, status_of([&whole] {
              rf_forbid(RF_CALL_OPEN);
              rf_modules_keep_program();
              return path_of_program(1024) == "unknown: " && !whole.empty();
            }));
}

// ---- The map, by questions ----

TEST_F(ModulesMade, OneQuestionTellsOfAllFramesInAMapping) {
  mappings = {mapping(0, 4, 0)};
  load({0, start + 8, start + page, start + 4 * page, start + 3 * page});
  ASSERT_EQ(modules.count, 1U);
  EXPECT_EQ(questions, 1U);
  EXPECT_EQ(readings, 0U);
  EXPECT_EQ(path(), "/lib/made.so");
  EXPECT_EQ(modules.modules[0].start, start);
  EXPECT_EQ(modules.modules[0].end, start + 4 * page);
  EXPECT_EQ(modules.modules[0].bias, start - 0x40000);
  rf_symbolizer const symbolizer = rf_modules_symbolizer(&modules, false);
  rf_frame_name name;
  ASSERT_TRUE(symbolizer.name(symbolizer.context, start + 4 * page, 0, &name)) << "the call is the last instruction";
  EXPECT_EQ(name.offset, 0x40000 + 4 * page);
  EXPECT_FALSE(symbolizer.name(symbolizer.context, start + 4 * page + 1, 0, &name));
  load({start});
  EXPECT_EQ(modules.count, 0U) << "the call before it is elsewhere";
}

TEST_F(ModulesMade, WhatStandsBehindATraceIsNoFrame) {
  mappings = {mapping(0, 4, 0)};
#if defined(RF_CAN_ANSWER)
  made[0] = {start, start + 4 * page, 0, 0};
  char name[] = "/lib/linked.so";
  ringfence::map_of_made.l_name = name;
#endif
  rf_module const gone = unloaded(0x70000, 0x71000, 0, "");
  rf_modules_remember(&gone, "/gone");
  rf_trace trace = {};
  trace.frames[0] = 64;
  trace.frames[1] = start + 8;
  trace.frames[2] = 0x70010;
  const rf_trace *const traces[] = {&trace, &trace};
  for (unsigned depth = 1; depth <= 3; depth++) {
    trace.depth = depth;
    for (int i = 0; i < kWays; i++) { // by questions, by the text, by the linker
      answers_questions = i == 0;
      has_text = i != 2;
      rf_modules_load(&modules, traces, 2);
      EXPECT_EQ(modules.count, depth - 1) << i;
    }
  }
}

TEST_F(ModulesMade, OfALaterMappingAreThoseOfTheFilesFirstPage) {
  notes(note(kOwner, NT_GNU_BUILD_ID, kId));
  mappings = {mapping(0, 1, 0, false), mapping(2, 2, 2)};
  load({start + 2 * page + 8});
  ASSERT_EQ(modules.count, 1U);
  EXPECT_EQ(readings, 0U);
  EXPECT_EQ(modules.modules[0].bias, start - 0x40000);
  EXPECT_EQ(modules.modules[0].start, start + 2 * page);
  EXPECT_STREQ(modules.modules[0].build_id, kIdText);
}

TEST_F(ModulesMade, WhereTheFilesFirstPageIsAnotherOneTheTextTells) {
  Mapping const first = mapping(0, 1, 0, false);
  Mapping const code = mapping(2, 2, 2);
  for (int i = 0; i < 7; i++) {
    Mapping other = first;
    Mapping own = code;
    other.place.inode += i == 0 ? 1 : 0;
    other.place.major += i == 1 ? 1 : 0;
    other.place.minor += i == 2 ? 1 : 0;
    other.place.file_offset += i == 3 ? page : 0;
    other.place.start -= i == 4 ? page : 0;
    own.place.inode = i == 5 ? 0 : own.place.inode;
    own.place.file_offset = i == 6 ? own.place.start + page : own.place.file_offset;
    mappings = {other, own};
    questions = readings = 0;
    load({start + 2 * page + 8});
    EXPECT_EQ(modules.count, 1U) << i;
    EXPECT_EQ(readings, 1U) << i;
    EXPECT_EQ(questions, i < 5 ? 2U : 1U) << i;
  }
  mappings = {code};
  readings = 0;
  load({start + 2 * page + 8});
  EXPECT_EQ(readings, 1U) << "nothing is mapped there";
}

// The page at the beginning of a file may be mapped for its second segment.
TEST_F(ModulesMade, WhereAnotherSegmentBeginsTheTextTells) {
  mappings = {mapping(0, 4, 0)};
  image->segments[0].p_flags = PF_R;
  load({start + 8});
  EXPECT_EQ(readings, 1U);
  EXPECT_EQ(modules.count, 1U);
  image->segments[0].p_type = PT_NULL;
  load({start + 8});
  EXPECT_EQ(readings, 1U) << "no segment is at the file's beginning";
  segment(1, PT_LOAD, 0x40000, 8);
  image->segments[1].p_offset = page;
  load({start + 8});
  EXPECT_EQ(readings, 1U);
  image->segments[1].p_offset = 0;
  load({start + 8});
  EXPECT_EQ(readings, 2U);
  std::memset(image, 0, sizeof *image);
  load({start + 8});
  EXPECT_EQ(readings, 2U) << "no image at all";
  EXPECT_EQ(modules.count, 1U);
  EXPECT_EQ(modules.modules[0].bias, start);
}

TEST_F(ModulesMade, WhatIsNoCodeIsNoModule) {
  mappings = {mapping(0, 1, 0, false)};
  load({start + 8, start + 5 * page});
  EXPECT_EQ(modules.count, 0U);
  EXPECT_EQ(readings, 0U);
  EXPECT_EQ(questions, 2U);
}

TEST_F(ModulesMade, WhereNoQuestionIsAnsweredTheTextTells) {
  answers_questions = false;
  mappings = {mapping(0, 1, 0, false), mapping(1, 2, 1), mapping(4, 1, 3, false)};
  load({start + page + 8});
  ASSERT_EQ(modules.count, 1U);
  EXPECT_EQ(modules.modules[0].bias, start - 0x40000);
  EXPECT_EQ(path(), "/lib/made.so");
  EXPECT_EQ(questions, 1U);
  EXPECT_EQ(readings, 1U);
}

TEST_F(ModulesMade, WhereQuestionsAreForbiddenTheTextTells) {
  mappings = {mapping(0, 4, 0)};
  for (uint32_t const call : {RF_CALL_IOCTL, RF_CALL_OPEN}) {
    EXPECT_EQ(0, status_of([this, call] {
                rf_forbid(call);
                load({start + 8});
                return questions == 0 && readings == 1 && modules.count == 1;
              }));
  }
}

TEST_F(ModulesMade, NoFileStaysOpen) {
  mappings = {mapping(0, 4, 0)};
  for (bool const is_0 : {false, true}) { // its number is the first that is free
    EXPECT_EQ(0, status_of([this, is_0] {
                if (is_0) {
                  close(0);
                }
                int const next = dup(1);
                close(next);
                errno = 77;
                load({start + 8});
                return errno == 77 && dup(1) == next && (next == 0) == is_0;
              }));
  }
}

TEST_F(ModulesMade, HeadersThatAreNotMappedTellNothing) {
  mappings = {mapping(0, 4, 0)};
  ASSERT_EQ(munmap(reinterpret_cast<void *>(start + 7 * page), page), 0);
  image->header.e_phoff = 7 * page;
  load({start + 8});
  ASSERT_EQ(modules.count, 1U);
  EXPECT_EQ(modules.modules[0].bias, start);
  EXPECT_STREQ(modules.modules[0].build_id, "");
}

// ---- The map's text ----

TEST_F(ModulesMade, InTheTextAFileBeginsWhereItsNameDoes) {
  answers_questions = false;
  mappings = {mapping(0, 1, 0, false), mapping(1, 1, 1), mapping(4, 1, 0, false), mapping(5, 1, 1)};
  std::memcpy(reinterpret_cast<void *>(start + 4 * page), image, sizeof *image);
  load({start + page + 8, start + 5 * page + 8});
  ASSERT_EQ(modules.count, 2U);
  EXPECT_EQ(modules.modules[0].bias, start - 0x40000);
  EXPECT_EQ(modules.modules[1].bias, start + 4 * page - 0x40000) << "the same file once more";
  image->segments[0].p_memsz = 6 * page;
  load({start + 5 * page + 8});
  ASSERT_EQ(modules.count, 1U);
  EXPECT_EQ(modules.modules[0].bias, start - 0x40000) << "one image";
  mappings[2].name = mappings[3].name = "/lib/made.so.1";
  load({start + 5 * page + 8});
  ASSERT_EQ(modules.count, 1U);
  EXPECT_EQ(modules.modules[0].bias, start + 4 * page - 0x40000);
  EXPECT_EQ(path(), "/lib/made.so.1");
  mappings[2].name = mappings[3].name = "/lib/mode.so";
  load({start + 5 * page + 8});
  EXPECT_EQ(path(), "/lib/mode.so");
}

TEST_F(ModulesMade, MoreThanThereIsRoomForStayUnnamed) {
  std::vector<uintptr_t> frames;
  for (unsigned i = 0; i < 20; i++) {
    uintptr_t const at = 0x200000 + i * 0x10000;
    frames.push_back(at + 8);
    mappings.push_back({{at, at + 0x1000, 0, 100 + i, 8, 1, true}, "/m" + std::to_string(10 + i)});
  }
  load(frames);
  ASSERT_EQ(modules.count, 16U);
  EXPECT_EQ(path(15), "/m25");
  EXPECT_EQ(modules.used, 16 * 5U);
  for (Mapping &m : mappings) {
    m.name += std::string(120, 'n'); // 125 bytes each
  }
  load(frames);
  EXPECT_EQ(modules.count, 16U);
  mappings[0].name += std::string(2048 - 16 * 125, 'n'); // the last one fits to the byte
  load(frames);
  EXPECT_EQ(modules.count, 16U);
  EXPECT_EQ(modules.used, 2048U);
  EXPECT_EQ(path(15), mappings[15].name);
  mappings[0].name += 'n';
  load(frames);
  EXPECT_EQ(modules.count, 15U);
}

// ---- The dynamic linker ----

#if defined(RF_CAN_ANSWER)

TEST_F(ModulesMade, WhereThereIsNoMapTheLinkerTells) {
  notes(note(kOwner, NT_GNU_BUILD_ID, kId));
  char name[] = "/lib/linked.so";
  ringfence::map_of_made.l_name = name;
  ringfence::map_of_made.l_addr = 0x1234000;
  made[0] = {start, start + 4 * page, 0, 0};
  answers_questions = has_text = false;
  load({0, start + 4 * page, start + 8, start + 9});
  ASSERT_EQ(modules.count, 1U);
  EXPECT_EQ(path(), "/lib/linked.so");
  EXPECT_EQ(modules.modules[0].bias, 0x1234000U) << "as the linker has it";
  EXPECT_EQ(modules.modules[0].start, start);
  EXPECT_EQ(modules.modules[0].end, start + 4 * page);
  EXPECT_STREQ(modules.modules[0].build_id, kIdText);
  started_with[AT_BASE] = 0;
  load({start + 8});
  EXPECT_EQ(modules.count, 0U) << "no linker started the program";
  started_with.clear();
  load({64});
  EXPECT_EQ(modules.count, 0U);
}

TEST_F(ModulesMade, TheLinkerHasNoNameForTheProgram) {
  char name[] = "";
  ringfence::map_of_made.l_name = name;
  made[0] = {start, start + 4 * page, 0, 0};
  answers_questions = has_text = false;
  load({start + 8});
  ASSERT_EQ(modules.count, 1U);
  EXPECT_EQ(path(), path_of_program(1024));
  started_with[AT_EXECFN] = reinterpret_cast<unsigned long>("./as-started");
  EXPECT_EQ(0, status_of([this] {
              rf_forbid(RF_CALL_OPEN);
              load({start + 8});
              return modules.count == 1 && path() == "./as-started";
            }));
  started_with[AT_EXECFN] = 0;
  EXPECT_EQ(0, status_of([this] {
              rf_forbid(RF_CALL_OPEN);
              load({start + 8});
              return modules.count == 1 && path().empty();
            }));
}

#endif

} // namespace

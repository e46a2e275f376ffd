// The modules of return addresses (checkers/os/modules_linux.c), by questions, by the text of the map and by the
// dynamic linker.
#include "checkers/os/forbidden_calls.h"

#include "tests/checkers/child_status.h"
#include "tests/checkers/modules_fixture.h"

#include <cerrno>

namespace ringfence {
namespace {

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

TEST_F(ModulesMade, AreOfGoWhereANoteSaysSo) {
  mappings = {mapping(0, 1, 0, false), mapping(2, 2, 2)};
#if defined(RF_CAN_ANSWER)
  made[0] = {start, start + 4 * page, 0, 0};
  char name[] = "/lib/linked.so";
  ringfence::map_of_made.l_name = name;
  ringfence::map_of_made.l_addr = start - 0x40000;
#endif
  std::string const id = note(kOwner, NT_GNU_BUILD_ID, kId);
  const std::pair<std::string, bool> notes_of[] = {
      {note(std::string("Go\0\0", 4), 4, "id"), true}, {note(std::string("Go\0\0", 4), 3, "id"), false},
      {note(std::string("Go\0", 3), 4, "id"), false},  {note(std::string("Gox\0", 4), 4, "id"), false},
      {note(std::string("GNU\0", 4), 4, "id"), false},
  };
  for (const auto &[text, is_go] : notes_of) {
    for (int i = 0; i < kWays; i++) { // by questions, by the text, by the linker
      answers_questions = i == 0;
      has_text = i != 2;
      notes(id + text);
      EXPECT_EQ(rf_modules_is_go(start + 2 * page), is_go) << i;
      EXPECT_EQ(rf_modules_is_go(start + 4 * page - 1), is_go) << i;
      EXPECT_FALSE(rf_modules_is_go(start + 4 * page)) << i;
      EXPECT_FALSE(rf_modules_is_go(0)) << i;
      notes(id);
      EXPECT_FALSE(rf_modules_is_go(start + 2 * page)) << i;
    }
  }
  image->header.e_ident[0] = 0;
  EXPECT_FALSE(rf_modules_is_go(start + 2 * page)) << "no headers";
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

TEST_F(ModulesMade, ABuildIdOfSha256IsWhole) {
  notes(note(kOwner, NT_GNU_BUILD_ID, std::string(32, 'Z')));
  mappings = {mapping(0, 4, 0)};
  load({start + 8});
  ASSERT_EQ(modules.count, 1U);
  std::string expected;
  for (int i = 0; i < 32; i++) {
    expected += "5a";
  }
  EXPECT_EQ(modules.modules[0].build_id, expected);
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

TEST_F(ModulesMade, HeadersAtAnOddPlaceTellNothing) {
  mappings = {mapping(0, 4, 0)};
  for (size_t const more : {1U, 2U, 8U}) {
    std::memmove(reinterpret_cast<char *>(image->segments) + more, image->segments, sizeof image->segments[0]);
    image->header.e_phoff = offsetof(Image, segments) + more;
    image->header.e_phnum = 1;
    load({start + 8});
    ASSERT_EQ(modules.count, 1U);
    EXPECT_EQ(modules.modules[0].bias, more == 8 ? start - 0x40000 : start) << more;
    std::memmove(image->segments, reinterpret_cast<char *>(image->segments) + more, sizeof image->segments[0]);
  }
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
} // namespace ringfence

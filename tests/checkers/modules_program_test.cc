// A process's knowledge of its own program (checkers/os/modules_linux.c): its build-id and its path.
#include "checkers/os/forbidden_calls.h"

#include "tests/checkers/child_status.h"
#include "tests/checkers/modules_fixture.h"

#include <cerrno>

namespace ringfence {
namespace {

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

// A linker puts them at multiples of four; others are damaged.
TEST_F(ProgramId, IsNotReadFromNotesAtOddAddresses) {
  for (size_t const at : {1U, 2U, 3U, 4U}) {
    notes(note(kOwner, NT_GNU_BUILD_ID, kId), 1, at);
    EXPECT_EQ(program_id(), at == 4 ? kIdText : "") << at;
  }
}

TEST_F(ProgramId, NeedsHeadersThatAreThere) {
  notes(note(kOwner, NT_GNU_BUILD_ID, kId));
  started_with[AT_PHDR] = 64;
  EXPECT_EQ(program_id(), "");
  started_with[AT_PHDR] = 0;
  EXPECT_EQ(program_id(), "");
}

// ---- The program's path ----

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

} // namespace
} // namespace ringfence

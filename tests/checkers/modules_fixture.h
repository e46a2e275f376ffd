// Modules that a test makes: what the map, the dynamic linker and the start of the process say is its own.
#ifndef RINGFENCE_TESTS_CHECKERS_MODULES_FIXTURE_H
#define RINGFENCE_TESTS_CHECKERS_MODULES_FIXTURE_H

#include "checkers/os/map_query.h"
#include "checkers/os/maps.h"
#include "checkers/os/modules.h"

#include "tests/checkers/linker_answers.h"

#include <gtest/gtest.h>

#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace ringfence {

extern "C" {
unsigned long __real_getauxval(unsigned long type);
unsigned long __wrap_getauxval(unsigned long type);
rf_map_answer __wrap_rf_map_query(int maps, uintptr_t address, rf_map_place *out, char *name, size_t size);
bool __wrap_rf_maps_each(bool (*visit)(const rf_map *map, void *context), void *context);
}

struct Mapping {
  rf_map_place place;
  std::string name;
};

inline std::map<unsigned long, unsigned long> started_with; // the others are the process's own
inline std::vector<Mapping> mappings;                       // in order of address
inline bool answers_questions;
inline bool has_text;
inline unsigned questions;
inline unsigned readings;

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

// An image: headers, then notes.
struct Image {
  ElfW(Ehdr) header;
  ElfW(Phdr) segments[4];
  char notes[400];
};

constexpr size_t kNotes = offsetof(Image, notes);

inline std::string note(const std::string &owner, uint32_t type, const std::string &contents) {
  uint32_t const words[] = {static_cast<uint32_t>(owner.size()), static_cast<uint32_t>(contents.size()), type};
  auto const whole = [](const std::string &text) { return text + std::string((4 - text.size() % 4) % 4, '\0'); };
  return std::string(reinterpret_cast<const char *>(words), sizeof words) + whole(owner) + whole(contents);
}

inline const std::string kOwner("GNU\0", 4);
inline const std::string kId("\x01\x23\x45\x67\x89\xAB\xCD\xEF\xFE\x10", 10);
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

inline rf_module unloaded(uintptr_t from, uintptr_t to, uintptr_t bias, const char *id) {
  rf_module m = {};
  m.start = from;
  m.end = to;
  m.bias = bias;
  std::memcpy(m.build_id, id, std::strlen(id));
  return m;
}

inline std::string path_of_program(size_t room) {
  char path[4096];
  std::memset(path, 'x', sizeof path);
  bool const known = rf_modules_program_path(path, room);
  return path[room] != 'x' ? "written behind" : known ? path : std::string("unknown: ") + path;
}

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_MODULES_FIXTURE_H

// Writes docs/detection.md from what happens: ./bazelw run //tests/checkers/detection:table, by table.sh.
//
//   table_bin --cells       prints what happens in the modes that this build has
//   table_bin --demand MODE fails where a bug in the mode is not told as the table says, or the build has it not
//   table_bin --with FILE   writes the page, with what another build has printed of its modes
//   table_bin PAGE          compares instead, and fails where the page is no longer true; of modes that this build has
// not it takes
//                           what detection_test demands of them
#include "tests/checkers/detection/native.h"
#include "tests/checkers/detection/scene.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>

namespace ringfence::detection {
namespace {

const char kHead[] =
    R"(# What each mode detects, and when

This page is written by a command, which commits each bug on each allocator in each mode, in a process of its own, and
looks at what is reported:

```sh
./bazelw run //tests/checkers/detection:table
```

`//tests/checkers/detection:detection_test` demands the same results, that each finding has the right kind, address,
distance, block size, access and call sites, and that the same program without the bug is silent.

| sign | |
|---|---|
| ! | stopped at the instruction, or at the call that is wrong |
| f | found at the next free, realloc, check, sweep, or at the end |
| refused | the allocator itself refuses it: a fault, or NULL |
| shows a fill | what is read is 0xCC or 0xCD, not what was there |
| - | not told |

In mode sample a block is watched only if it is sampled; here all are. In modes page and sample blocks lie at either end
of their pages in turn: each bug is tried where the table says. Mode asan needs a build with AddressSanitizer, in which
the others are not tried: the command makes one for that column, and `./bazelw test --config=asan
//tests/checkers/detection:all` demands it. Mode mte needs a processor with tags of memory: `tools/try_aarch64.sh`
demands its column of an emulated one. The last column is no mode but the checker for boards with little flash,
[guard_small](checkers/guard_small.md); of its findings, which are numbers, kind, address, block, size and call sites
are demanded. `//tests/board:all` demands the columns off, guard and guard_small on emulated boards.
)";

const char kNativeHead[] = R"(
## Pools by their own calls

The calls of a pool cannot be wrapped, so pools tell of their blocks
([guard](checkers/guard.md#pools-by-their-own-calls)). Their blocks touch, or have one pointer between them: an overflow
into a live block is not told, or is refused where that pointer is the pool's. The column of mode asan says what is
expected; `tests/checkers/asan_test.cc` tries it on some of them.
)";

const char kDropIn[] = R"(
## The drop-in

Programs that run with [the checked malloc](checkers/dropin.md), by default. In mode off, and in mode sample for each
block that is not sampled, the malloc behind it answers: `glibc` says that glibc's mostly ends the process (SIGABRT),
which is then a finding at the call, by glibc's own message, without the block. With `heap=own`, and in static programs,
frees of what is no live block are refused there. `tests/dropin/` demands this: `bugs_test`, `modes_bugs_test`,
`mismatches_test`, and `forward_test` for the last column. Mode mte needs memory with tags: [its page](checkers/mte.md)
has each bug as tried, by `tools/try_aarch64.sh`; what is no matter of tags is guard's.

| bug | guard | mte | page | sample: sampled blocks | off; sample: other blocks |
|---|---|---|---|---|---|
| write past the end | f | !; f within the last 16 bytes | !; f in slack | !; f in slack | - |
| write before the start | f | ! | !; f in slack | !; f in slack | - or glibc, at the free |
| write after free | f | ! | ! | ! | - |
| read outside, or after free | -; shows a fill | !; - within the last 16 bytes | ! | ! | - |
| double free | ! | ! | ! | ! | glibc |
| free of a pointer into a block, to a global or to mapped memory | ! | ! | ! | ! into a block | glibc |
| free of a pointer to the stack | ! | ! | ! | | glibc |
| `new[]` with `delete`, `malloc` with `delete` and the like | ! | ! | ! | ! | - |
| malloc_usable_size of no live block | ! | ! | ! | - | - |
| leak | f | f | f | - | - |
| size, product or alignment that cannot be, with `rejected=1` | ! | ! | ! | ! | off: -; sample: ! |
| a crash (SIGSEGV and its like) | ! | ! | ! | ! | off: -; sample: ! |
)";

const char kTail[] = R"(
Bugs in calls that are not those of an `rf_allocator` are tested where these calls are: handles that are stale, unlocks
without a lock and addresses kept too long in `tests/checkers/handle_guard*_test.cc`; partial, repeated, foreign and
misaligned frees of several fixed blocks in `tests/blocks/memblocks_test.cc`; `malloc`, `new` and `new[]` mixed, and
sized delete with another size, in `tests/dropin/mismatches_test.cc`.
)";

using Results = std::map<std::string, How>; // by allocator

bool g_trouble = false;

// The output of another build, by mode, bug and allocator.
std::map<std::string, How> g_cells;

std::string key(const Bug &bug, const std::string &allocator, Mode mode) {
  return std::string(mode_name(mode)) + ' ' + bug.name + ' ' + allocator;
}

How not_run(const Bug &bug, const std::string &allocator, Mode mode) {
  if (g_cells.empty()) {
    return expected_of(bug, allocator, mode);
  }
  auto const cell = g_cells.find(key(bug, allocator, mode));
  if (cell == g_cells.end()) {
    std::fprintf(stderr, "nobody says what happens to %s\n", key(bug, allocator, mode).c_str());
    g_trouble = true;
    return How::kNoMode;
  }
  return cell->second;
}

Results run_all(const Bug &bug, Mode mode) {
  Results results;
  for (const rf_conformance_subject *const subject : subjects()) {
    if (!mode_takes(mode, *subject)) {
      continue;
    }
    if (!mode_is_built(mode)) {
      results[subject->name] = not_run(bug, subject->name, mode);
      continue;
    }
    Outcome const bad = run_bad(bug, *subject, mode);
    Outcome const good = run_good(bug, *subject, mode);
    if (!bad.trouble.empty() || !good.trouble.empty()) {
      std::fprintf(stderr, "%s on %s in mode %s: %s%s\n", bug.name, subject->name, mode_name(mode), bad.trouble.c_str(),
                   good.trouble.c_str());
      g_trouble = true;
    }
    results[subject->name] = bad.how;
  }
  return results;
}

How most_common(const Results &results) {
  std::map<How, size_t> counts;
  How best = How::kNot;
  for (const auto &[name, how] : results) {
    if (++counts[how] > counts[best]) {
      best = how;
    }
  }
  return best;
}

const char *why_of(const Bug &bug, const std::string &allocator, Mode mode) {
  for (const Exception &e : kExceptions) {
    if (e.mode == mode && std::strcmp(e.bug, bug.name) == 0 && (e.allocator == nullptr || allocator == e.allocator)) {
      return e.why;
    }
  }
  return bug.why[static_cast<size_t>(mode)];
}

class Notes {
public:
  // The number of a note with this text.
  size_t number(const std::string &text) {
    for (size_t i = 0; i < texts_.size(); i++) {
      if (texts_[i] == text) {
        return i + 1;
      }
    }
    texts_.push_back(text);
    return texts_.size();
  }
  const std::vector<std::string> &texts() const { return texts_; }

private:
  std::vector<std::string> texts_;
};

std::string mark(size_t number) {
  return " <sup>" + std::to_string(number) + "</sup>";
}

// The verdict of most allocators, the reason, and the exceptions.
std::string cell(const Bug &bug, Mode mode, Notes &notes) {
  Results const results = run_all(bug, mode);
  How const common = most_common(results);
  std::string text = how_sign(common);
  const char *const why = bug.why[static_cast<size_t>(mode)];
  if (why != nullptr) {
    text += mark(notes.number(why));
  }
  std::map<std::pair<How, std::string>, std::string> others;
  for (const auto &[name, how] : results) {
    if (how != common) {
      const char *const reason = why_of(bug, name, mode);
      std::string &names = others[{how, reason != nullptr ? reason : ""}];
      names += (names.empty() ? "" : ", ") + name;
    }
  }
  for (const auto &[what, names] : others) {
    text += "; " + std::string(how_sign(what.first)) + mark(notes.number("on " + names + ": " + what.second));
  }
  return text;
}

How native_how(const NativeBug &bug, const NativePool &pool, Mode mode) {
  if (!native_mode_is_built(mode)) {
    return expected_of(bug, pool, mode);
  }
  Outcome const bad = run_native(bug, pool, mode, true);
  Outcome const good = run_native(bug, pool, mode, false);
  if (!bad.trouble.empty() || !good.trouble.empty()) {
    std::fprintf(stderr, "%s on %s in mode %s: %s%s\n", bug.name, pool.name, mode_name(mode), bad.trouble.c_str(),
                 good.trouble.c_str());
    g_trouble = true;
  }
  return bad.how;
}

// The answer of most pools, and the pools that answer otherwise.
std::string native_cell(const NativeBug &bug, Mode mode) {
  Results results;
  for (const NativePool &pool : native_pools()) {
    results[pool.name] = native_how(bug, pool, mode);
  }
  How const common = most_common(results);
  std::map<How, std::string> others;
  for (const auto &[name, how] : results) {
    if (how != common) {
      others[how] += (others[how].empty() ? "" : ", ") + name;
    }
  }
  std::string text = how_sign(common);
  for (const auto &[how, names] : others) {
    text += std::string("; ") + how_sign(how) + " on " + names;
  }
  return text;
}

void table_head(std::ostream &out, size_t modes) {
  out << "\n| bug | CWE |";
  for (size_t mode = 0; mode < modes; mode++) {
    out << ' ' << mode_name(static_cast<Mode>(mode)) << " |";
  }
  out << "\n|---|---|";
  for (size_t mode = 0; mode < modes; mode++) {
    out << "---|";
  }
  out << '\n';
}

void native_table(std::ostream &out) {
  out << kNativeHead;
  table_head(out, kNativeModes);
  for (const NativeBug &bug : kNativeBugs) {
    out << "| " << bug.text << " | " << bug.cwe << " |";
    for (size_t mode = 0; mode < kNativeModes; mode++) {
      out << ' ' << native_cell(bug, static_cast<Mode>(mode)) << " |";
    }
    out << '\n';
  }
  out << "\nOn each of:";
  for (const NativePool &pool : native_pools()) {
    out << (&pool == native_pools().data() ? " " : ", ") << pool.name;
  }
  out << ".\n";
}

std::string page() {
  std::ostringstream out;
  Notes notes;
  out << kHead;
  table_head(out, kModes);
  for (const Bug &bug : kBugs) {
    out << "| " << bug.text << " | " << bug.cwe << " |";
    for (size_t mode = 0; mode < kModes; mode++) {
      out << ' ' << cell(bug, static_cast<Mode>(mode), notes) << " |";
    }
    out << '\n';
  }
  out << '\n';
  for (size_t i = 0; i < notes.texts().size(); i++) {
    out << i + 1 << ". " << notes.texts()[i] << '\n';
  }
  out << "\nOn each of:";
  for (const rf_conformance_subject *const subject : subjects()) {
    out << (subject == subjects().front() ? " " : ", ") << subject->name;
  }
  out << ".\nguard_small wraps those that know their blocks: none of";
  const char *separator = " ";
  for (const rf_conformance_subject *const subject : subjects()) {
    if (!mode_takes(Mode::kGuardSmall, *subject)) {
      out << separator << subject->name;
      separator = ", ";
    }
  }
  out << ".\n";
  native_table(out);
  out << kDropIn << kTail;
  return out.str();
}

std::string read(const std::string &path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

int compare(const std::string &path) {
  std::istringstream old(read(path));
  std::istringstream now(page());
  std::string old_line;
  std::string now_line;
  while (std::getline(now, now_line)) {
    if (!std::getline(old, old_line) || old_line != now_line) {
      std::fprintf(stderr, "%s is no longer true: ./bazelw run //tests/checkers/detection:table\n- %s\n+ %s\n",
                   path.c_str(), old_line.c_str(), now_line.c_str());
      return 1;
    }
  }
  return g_trouble || std::getline(old, old_line) ? 1 : 0;
}

// Demands of a mode that this build has that each bug is reported as the table says.
int demand(const std::string &mode_text) {
  size_t count = 0;
  for (size_t mode = 0; mode < kModes; mode++) {
    if (mode_text != mode_name(static_cast<Mode>(mode)) || !mode_is_built(static_cast<Mode>(mode))) {
      continue;
    }
    for (const Bug &bug : kBugs) {
      for (const auto &[allocator, how] : run_all(bug, static_cast<Mode>(mode))) {
        How const expected = expected_of(bug, allocator, static_cast<Mode>(mode));
        count++;
        if (std::strcmp(how_sign(how), how_sign(expected)) != 0) {
          std::fprintf(stderr, "%s on %s: %s instead of %s\n", bug.name, allocator.c_str(), how_sign(how),
                       how_sign(expected));
          g_trouble = true;
        }
      }
    }
  }
  std::printf("%zu bugs in mode %s\n", count, mode_text.c_str());
  return g_trouble || count == 0 ? 1 : 0;
}

int print_cells() {
  for (size_t mode = 0; mode < kModes; mode++) {
    for (const Bug &bug : kBugs) {
      if (!mode_is_built(static_cast<Mode>(mode))) {
        continue;
      }
      for (const auto &[allocator, how] : run_all(bug, static_cast<Mode>(mode))) {
        std::printf("%s %d\n", key(bug, allocator, static_cast<Mode>(mode)).c_str(), static_cast<int>(how));
      }
    }
  }
  return g_trouble ? 1 : 0;
}

void read_cells(const std::string &path) {
  std::ifstream file(path);
  std::string mode;
  std::string bug;
  std::string allocator;
  int how = 0;
  while (file >> mode >> bug >> allocator >> how) {
    g_cells[mode + ' ' + bug + ' ' + allocator] = static_cast<How>(how);
  }
}

int write() {
  const char *const root = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  std::string const path = std::string(root != nullptr ? root : ".") + "/docs/detection.md";
  std::ofstream file(path);
  file << page();
  file.close();
  std::fprintf(stderr, "%s %s\n", file.good() ? "wrote" : "cannot write", path.c_str());
  return file.good() && !g_trouble ? 0 : 1;
}

} // namespace
} // namespace ringfence::detection

int main(int argc, char **argv) {
  using namespace ringfence::detection;
  std::string const what = argc > 1 ? argv[1] : "";
  if (what == "--cells" && argc == 2) {
    return print_cells();
  }
  if (what == "--demand" && argc == 3) {
    return demand(argv[2]);
  }
  if (what == "--with" && argc == 3) {
    read_cells(argv[2]);
    return write();
  }
  return argc == 2 ? compare(what) : 2;
}

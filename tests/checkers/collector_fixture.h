// The collector of a process, whose records a test loses, limits or counts.
#ifndef RINGFENCE_TESTS_CHECKERS_COLLECTOR_FIXTURE_H
#define RINGFENCE_TESTS_CHECKERS_COLLECTOR_FIXTURE_H

#include "checkers/os/forbidden_calls.h"
#include "checkers/os/spool_file.h"
#include "checkers/report/collector.h"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>

namespace ringfence {

inline int refused_appends = 0;           // so many appends from now on reach no file
inline void (*during_append)() = nullptr; // is called once, while a record is on its way
inline int cut_behind = -1;               // the next append arrives as far as so many lines
inline int cut_by = 0;                    // and so many bytes
inline bool counts_findings = false;      // instead of writing
inline unsigned findings_in_full = 0;

extern "C" {
bool __real_rf_spool_file_append(rf_spool_file *spool, char *line, size_t size, bool ring);
bool __wrap_rf_spool_file_append(rf_spool_file *spool, char *line, size_t size, bool ring) {
  if (counts_findings) {
    std::string const text(line, size);
    findings_in_full += text.find("\"record\":\"finding\"") != std::string::npos ? 1 : 0;
    spool->arrived = size;
    return true;
  }
  if (during_append != nullptr) {
    void (*const once)() = during_append;
    during_append = nullptr;
    once();
  }
  if (cut_behind >= 0) {
    size_t whole = 0;
    for (; cut_behind > 0; cut_behind--) {
      whole = std::string_view(line, size).find('\n', whole) + 1;
    }
    cut_behind = -1;
    size_t const arrived = whole + static_cast<size_t>(cut_by);
    whole = cut_by < 0 ? std::string_view(line, whole - 1).rfind('\n') + 1 : whole;
    EXPECT_TRUE(whole == 0 || __real_rf_spool_file_append(spool, line, whole, ring));
    spool->arrived = arrived;
    return false;
  }
  if (refused_appends == 0) {
    return __real_rf_spool_file_append(spool, line, size, ring);
  }
  refused_appends--;
  spool->arrived = 0;
  return false;
}
}

inline std::string new_folder() {
  std::string folder = ::testing::TempDir() + "collector_untold_XXXXXX";
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  return folder;
}

inline std::string text_of(const std::string &folder) {
  std::ifstream file(folder + "/spool/current");
  return {std::istreambuf_iterator<char>(file), {}};
}

// Files of this process grow no larger than `bytes` while it lives, and it may not raise that.
class FileLimit {
public:
  explicit FileLimit(rlim_t bytes) {
    (void)getrlimit(RLIMIT_FSIZE, &before_);
    rlimit const limit = {bytes, before_.rlim_max};
    (void)setrlimit(RLIMIT_FSIZE, &limit);
    rf_forbidden_calls |= RF_CALL_LIMIT;
  }
  ~FileLimit() {
    rf_forbidden_calls &= ~static_cast<uint32_t>(RF_CALL_LIMIT);
    (void)setrlimit(RLIMIT_FSIZE, &before_);
  }
  FileLimit(const FileLimit &) = delete;
  FileLimit &operator=(const FileLimit &) = delete;

private:
  rlimit before_{};
};

inline unsigned times(const std::string &text, const std::string &part) {
  unsigned count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    count++;
  }
  return count;
}

// The answer of `test` in a child of fork.
inline bool in_child(const std::function<bool()> &test) {
  pid_t const child = fork();
  if (child == 0) {
    _exit(test() ? 0 : 1);
  }
  int status = 1;
  return waitpid(child, &status, 0) == child && status == 0;
}

// The test in a child, since a process has one collector, which it begins; all is well where the test says so.
inline void with_collector(unsigned first, rf_collector_windows windows, bool (*test)(const std::string &folder)) {
  std::string const folder = new_folder();
  EXPECT_TRUE(in_child([&] {
    rf_collector_options options = {};
    options.folder = {folder.c_str(), folder.size()};
    options.mode = "guard";
    options.first = first;
    options.windows = windows;
    return rf_collector_begin(&options) && test(folder);
  }));
  std::filesystem::remove_all(folder);
}

inline void put(uintptr_t caller) {
  rf_finding finding = {};
  finding.bug = RF_BUG_DOUBLE_FREE;
  finding.found.depth = 1;
  finding.found.frames[0] = caller;
  rf_collector_put(&finding, nullptr);
}

// The collector's text behind `before`.
inline std::string since(const std::string &folder, const std::string &before) {
  return text_of(folder).substr(before.size());
}

inline bool has(const std::string &text, const char *part) {
  return text.find(part) != std::string::npos;
}

// The answer of `test` in a child of fork that was told of it.
inline bool forked(bool (*test)(const std::string &folder), const std::string &folder) {
  return in_child([&] {
    rf_collector_forked();
    return test(folder);
  });
}

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_COLLECTOR_FIXTURE_H

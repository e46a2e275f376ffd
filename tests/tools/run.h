// Runs programs as a shell would, and tells what came of it.
#ifndef RINGFENCE_TESTS_TOOLS_RUN_H
#define RINGFENCE_TESTS_TOOLS_RUN_H

#include <filesystem>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace ringfence_test {

struct Result {
  int status = -1; // exit status, or 128 + signal, as in a shell
  int signal = 0;  // that ended it; 0 where it exited
  std::string out;
  std::string err;

  // The lines of `err` that begin with "ringfence: ", without that.
  std::vector<std::string> said() const;
};

struct How {
  std::string input;                                            // standard input
  bool terminal = false;                                        // standard input is a terminal instead
  std::vector<std::pair<std::string, std::string>> environment; // added to that of the test
  std::vector<std::string> without;                             // taken out of it
  std::string directory;                                        // to run in; empty: that of the test
  std::vector<int> closed;                                      // descriptors that are closed
  int signal_to_send = 0;                                       // sent as soon as the program has written something
};

Result run(const std::vector<std::string> &arguments, const How &how = {});

// The command that is tested, and programs for it to check, as absolute paths.
std::string ringfence();
std::string program(const std::string &name);
// A file of the repository that the test has as data.
std::string source(const std::string &path);

// `ringfence check WORDS…`.
Result check(std::vector<std::string> words, const How &how = {});

// A folder of this test's own that does not exist yet, as an absolute path.
std::string scratch(const std::string &name);
// Is removed at the end of the scope: Bazel 7 gives up at names that are no UTF-8.
class Removed {
public:
  explicit Removed(std::string path) : path_(std::move(path)) {}
  ~Removed() { std::filesystem::remove_all(path_); }
  Removed(const Removed &) = delete;
  Removed &operator=(const Removed &) = delete;

private:
  std::string path_;
};
std::string read_file(const std::string &path);
void write_file(const std::string &path, const std::string &text, mode_t mode = 0644);

bool has(const std::string &text, const std::string &part);
// How often, side by side.
size_t count(const std::string &text, const std::string &part);
// The number of the line of `text` that holds `mark`; 0 where none does.
unsigned line_of(const std::string &text, const std::string &mark);

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_TOOLS_RUN_H

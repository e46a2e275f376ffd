#include "tests/tools/run.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ringfence_test {
namespace {

// An unnamed file of this test's own.
class Temporary {
public:
  Temporary() : file_(std::tmpfile()) {}
  ~Temporary() { std::fclose(file_); }
  Temporary(const Temporary &) = delete;
  Temporary &operator=(const Temporary &) = delete;

  int fd() const { return fileno(file_); }

  void fill(const std::string &text) {
    std::fwrite(text.data(), 1, text.size(), file_);
    std::rewind(file_);
  }

  std::string text() {
    std::string all;
    char piece[4096];
    ssize_t n = 0;
    while ((n = pread(fd(), piece, sizeof piece, static_cast<off_t>(all.size()))) > 0) {
      all.append(piece, static_cast<size_t>(n));
    }
    return all;
  }

private:
  std::FILE *file_;
};

[[noreturn]] void become(const std::vector<std::string> &arguments, const How &how, const int fds[3]) {
  for (int i = 0; i < 3; i++) {
    dup2(fds[i], i);
  }
  for (int const fd : how.closed) {
    close(fd);
  }
  unsetenv("TEST_UNDECLARED_OUTPUTS_DIR"); // what is found here is found on purpose
  for (const std::string &name : how.without) {
    unsetenv(name.c_str());
  }
  for (const auto &[name, value] : how.environment) {
    setenv(name.c_str(), value.c_str(), 1);
  }
  if (!how.directory.empty() && chdir(how.directory.c_str()) != 0) {
    _exit(125);
  }
  std::vector<char *> argv;
  for (const std::string &word : arguments) {
    argv.push_back(const_cast<char *>(word.c_str()));
  }
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  _exit(124);
}

// The terminal of a program whose master this is.
int other_side(int terminal) {
  EXPECT_EQ(grantpt(terminal), 0);
  EXPECT_EQ(unlockpt(terminal), 0);
  return open(ptsname(terminal), O_RDWR | O_NOCTTY);
}

void send_when_it_writes(pid_t pid, Temporary &out, int signal) {
  siginfo_t ended = {};
  while (out.text().empty() && ended.si_pid == 0) {
    usleep(1000);
    waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOHANG | WNOWAIT);
  }
  kill(pid, signal);
}

std::string absolute(const std::string &path) {
  char full[PATH_MAX];
  return realpath(path.c_str(), full) != nullptr ? full : path;
}

} // namespace

std::vector<std::string> Result::said() const {
  std::vector<std::string> lines;
  std::istringstream stream(err);
  std::string line;
  const std::string name = "ringfence: ";
  while (std::getline(stream, line)) {
    if (line.compare(0, name.size(), name) == 0) {
      lines.push_back(line.substr(name.size()));
    }
  }
  return lines;
}

Result run(const std::vector<std::string> &arguments, const How &how) {
  Temporary in;
  Temporary out;
  Temporary err;
  in.fill(how.input);
  int const terminal = how.terminal ? posix_openpt(O_RDWR | O_NOCTTY) : -1;
  int const fds[3] = {how.terminal ? other_side(terminal) : in.fd(), out.fd(), err.fd()};
  std::fflush(nullptr);
  pid_t const pid = fork();
  if (pid == 0) {
    become(arguments, how, fds);
  }
  if (how.terminal) {
    close(fds[0]);
  }
  if (how.signal_to_send != 0) {
    send_when_it_writes(pid, out, how.signal_to_send);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (how.terminal) {
    close(terminal);
  }
  Result result;
  result.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  result.status = WIFSIGNALED(status) ? 128 + result.signal : WEXITSTATUS(status);
  result.out = out.text();
  result.err = err.text();
  return result;
}

std::string ringfence() {
  return absolute("tools/ringfence/ringfence");
}
std::string program(const std::string &name) {
  return absolute("tests/tools/programs/" + name);
}
std::string source(const std::string &path) {
  return absolute(path);
}

Result check(std::vector<std::string> words, const How &how) {
  words.insert(words.begin(), {ringfence(), "check"});
  return run(words, how);
}

std::string scratch(const std::string &name) {
  std::string test = testing::UnitTest::GetInstance()->current_test_info()->name();
  std::replace(test.begin(), test.end(), '/', '-');
  return testing::TempDir() + "/" + test + "-" + std::to_string(getpid()) + "-" + name;
}

std::string read_file(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_file(const std::string &path, const std::string &text, mode_t mode) {
  std::ofstream(path, std::ios::binary) << text;
  chmod(path.c_str(), mode);
}

bool has(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

size_t count(const std::string &text, const std::string &part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) {
    found++;
  }
  return found;
}

unsigned line_of(const std::string &text, const std::string &mark) {
  size_t const at = text.find(mark);
  if (at == std::string::npos) {
    return 0;
  }
  return 1 + static_cast<unsigned>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
}

} // namespace ringfence_test

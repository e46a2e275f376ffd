#include "tests/dropin/run.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <sstream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace ringfence_test {
namespace {

std::string absolute(const std::string &path) {
  char *const real = realpath(path.c_str(), nullptr);
  EXPECT_NE(real, nullptr) << path;
  std::string const result = real == nullptr ? "" : real;
  std::free(real);
  return result;
}

// A folder of this run's own, gone with it.
class Folder {
public:
  Folder() {
    const char *const base = std::getenv("TEST_TMPDIR");
    path_ = std::string(base == nullptr ? "/tmp" : base) + "/dropin.XXXXXX";
    EXPECT_NE(mkdtemp(&path_[0]), nullptr);
  }
  ~Folder() {
    for (const std::string &name : files()) {
      unlink((path_ + "/" + name).c_str());
    }
    rmdir(path_.c_str());
  }
  Folder(const Folder &) = delete;
  Folder &operator=(const Folder &) = delete;

  const std::string &path() const { return path_; }

  std::vector<std::string> files() const {
    std::vector<std::string> names;
    DIR *const list = opendir(path_.c_str());
    while (const dirent *entry = list == nullptr ? nullptr : readdir(list)) {
      if (entry->d_name[0] != '.') {
        names.emplace_back(entry->d_name);
      }
    }
    closedir(list);
    return names;
  }

private:
  std::string path_;
};

std::string read_file(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::map<std::string, std::string> environment_for(const How &how, const Folder &folder) {
  std::map<std::string, std::string> added(how.environment.begin(), how.environment.end());
  std::string options = how.options;
  if (how.log) {
    options += (options.empty() ? "" : ":") + std::string("format=json:log=") + folder.path() + "/log.%p";
  }
  added["RINGFENCE_OPTIONS"] = options;
  if (how.preload) {
    added["LD_PRELOAD"] = (how.before.empty() ? "" : how.before + ":") + absolute("checkers/dropin/libringfence.so") +
                          (how.behind.empty() ? "" : ":" + how.behind);
  }
  return added;
}

void redirect(const std::string &path, int to) {
  int const fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(fd, to);
  close(fd);
}

// Programs run to the end of their stack, which is that of the machine's memory where nobody has set a limit.
void limit_the_stack() {
  rlimit limit;
  if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY) {
    limit.rlim_cur = rlim_t{8} << 20;
    setrlimit(RLIMIT_STACK, &limit);
  }
}

[[noreturn]] void become(const std::vector<std::string> &arguments, const How &how,
                         const std::map<std::string, std::string> &environment, const Folder &folder) {
  redirect(folder.path() + "/out", STDOUT_FILENO);
  redirect(folder.path() + "/err", STDERR_FILENO);
  unsetenv("LD_PRELOAD");
  unsetenv("TEST_UNDECLARED_OUTPUTS_DIR"); // what is found here is found on purpose
  for (const auto &[name, value] : environment) {
    setenv(name.c_str(), value.c_str(), 1);
  }
  limit_the_stack();
  if (how.data != 0) {
    rlimit const limit = {how.data, how.data};
    setrlimit(RLIMIT_DATA, &limit);
  }
  if (how.address_space != 0) {
    rlimit const limit = {how.address_space, how.address_space};
    setrlimit(RLIMIT_AS, &limit);
  }
  std::vector<char *> argv;
  for (const std::string &word : arguments) {
    argv.push_back(const_cast<char *>(word.c_str()));
  }
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  _exit(125);
}

using TimedLines = std::multimap<long long, Json>; // lines of one time in the order in which they were read

// A line without a time is as late as the one before.
void read_log(const std::string &path, TimedLines &lines) {
  std::istringstream text(read_file(path));
  std::string line;
  long long time = 0;
  while (std::getline(text, line)) {
    Json json;
    EXPECT_TRUE(Json::parse(line + "\n", json)) << line;
    time = std::max<long long>(time, json["time_ns"].number);
    lines.emplace(time, json);
  }
}

// A folder has the files of all processes in any order.
void read_logs(const Folder &folder, Result &result) {
  TimedLines lines;
  for (const std::string &name : folder.files()) {
    if (name.compare(0, 4, "log.") == 0) {
      read_log(folder.path() + "/" + name, lines);
    }
  }
  for (const auto &[time, line] : lines) {
    result.lines.push_back(line);
    if (line["type"].text == "finding") {
      result.findings.push_back(line);
    }
  }
}

Result run_in(const std::vector<std::string> &arguments, const How &how,
              const std::map<std::string, std::string> &environment, const Folder &folder) {
  Result result;
  pid_t const pid = fork();
  if (pid == 0) {
    become(arguments, how, environment, folder);
  }
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = read_file(folder.path() + "/out");
  result.err = read_file(folder.path() + "/err");
  read_logs(folder, result);
  return result;
}

} // namespace

const Json &Result::first(const std::string &type) const {
  static const Json nothing;
  for (const Json &line : lines) {
    if (line["type"].text == type) {
      return line;
    }
  }
  return nothing;
}

const Json &Result::last(const std::string &type) const {
  static const Json nothing;
  for (size_t i = lines.size(); i-- > 0;) {
    if (lines[i]["type"].text == type) {
      return lines[i];
    }
  }
  return nothing;
}

How with(const std::string &options) {
  How how;
  how.options = options;
  return how;
}

Result run(const std::vector<std::string> &arguments, const How &how) {
  Folder const folder;
  return run_in(arguments, how, environment_for(how, folder), folder);
}

Result run_bare(const std::vector<std::string> &arguments) {
  Folder const folder;
  return run_in(arguments, {}, {}, folder);
}

std::string program(const std::string &name) {
  return absolute("tests/dropin/programs/" + name);
}

std::string find_in_path(const std::string &name) {
  std::istringstream path(std::getenv("PATH") == nullptr ? "" : std::getenv("PATH"));
  std::string folder;
  if (name.find('/') != std::string::npos) {
    return access(name.c_str(), X_OK) == 0 ? name : "";
  }
  while (std::getline(path, folder, ':')) {
    std::string const file = folder + "/" + name;
    if (access(file.c_str(), X_OK) == 0) {
      return file;
    }
  }
  return "";
}

long long place(const std::string &out, const std::string &what) {
  std::istringstream text(out);
  std::string word;
  long long offset = -1;
  while (text >> word) {
    if (word == what) {
      text >> offset;
    }
  }
  return offset;
}

bool is_near(const Json &trace, const std::string &file, long long offset) {
  const std::vector<Json> &frames = trace["frames"].items;
  if (frames.empty() || frames[0]["module"].text != file) {
    return false;
  }
  long long const found = std::strtoll(frames[0]["offset"].text.c_str(), nullptr, 16);
  return found > offset - 64 && found < offset + 64;
}

} // namespace ringfence_test

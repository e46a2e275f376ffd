// Files and standard error of the code under test, for harnesses of code that writes there.
#ifndef RINGFENCE_FUZZ_CAPTURED_H
#define RINGFENCE_FUZZ_CAPTURED_H

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <unistd.h>

namespace ringfence::fuzz {

// A folder of this process, removed at its end.
class Folder {
public:
  static const std::string &path() {
    static const Folder folder;
    return folder.path_;
  }

  Folder(const Folder &) = delete;
  Folder &operator=(const Folder &) = delete;

private:
  Folder() : path_(std::filesystem::temp_directory_path().string() + "/ringfence-fuzz-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) {
      std::abort();
    }
  }
  ~Folder() {
    std::error_code none;
    std::filesystem::remove_all(path_, none);
  }

  std::string path_;
};

inline std::string read_file(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void write_file(const std::string &path, const std::string &text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

// Standard error goes to a file while it lives. No demand may fail meanwhile: its message would be lost.
class StandardError {
public:
  StandardError() : kept_(dup(STDERR_FILENO)) {
    int const file = open(path().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (kept_ < 0 || file < 0 || dup2(file, STDERR_FILENO) < 0) {
      std::abort();
    }
    (void)close(file);
  }
  ~StandardError() { restore(); }
  StandardError(const StandardError &) = delete;
  StandardError &operator=(const StandardError &) = delete;

  // Ends the capture; returns the text.
  std::string text() {
    restore();
    return read_file(path());
  }

private:
  static std::string path() { return Folder::path() + "/standard-error"; }
  void restore() {
    if (kept_ >= 0) {
      (void)dup2(kept_, STDERR_FILENO);
      (void)close(kept_);
      kept_ = -1;
    }
  }

  int kept_;
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_CAPTURED_H

// Files and standard error of the code under test, for harnesses of code that writes there.
#ifndef RINGFENCE_FUZZ_CAPTURED_H
#define RINGFENCE_FUZZ_CAPTURED_H

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <sys/file.h>
#include <unistd.h>

// memory_error.c has them, where it is linked.
extern "C" __attribute__((weak)) void rf_memory_error_begin();
extern "C" __attribute__((weak)) const char *rf_memory_error_end(size_t *size);

namespace ringfence::fuzz {

// A folder of this process, removed at its end. A process that ends otherwise, as libFuzzer's does on a finding, leaves
// its folder for the next to remove: the lock on the file `lock` in it ends with the process.
class Folder {
public:
  static const std::string &path() {
    static const Folder folder;
    return folder.path_;
  }

  // In memory where there is such a place: each input makes and cuts files, and a file system on a disk writes them.
  static std::filesystem::path parent() {
    std::filesystem::path const memory = "/dev/shm";
    bool const usable = access(memory.c_str(), R_OK | W_OK | X_OK) == 0;
    return usable ? memory : std::filesystem::temp_directory_path();
  }

  Folder(const Folder &) = delete;
  Folder &operator=(const Folder &) = delete;

private:
  static constexpr const char *kPrefix = "ringfence-fuzz-";

  Folder() {
    remove_left(parent());
    do {
      path_ = (parent() / (std::string(kPrefix) + "XXXXXX")).string();
      if (mkdtemp(path_.data()) == nullptr) {
        std::abort();
      }
    } while (lock(path_, O_CREAT) < 0); // another process took it for left
  }
  ~Folder() { remove(path_); }

  static void remove(const std::filesystem::path &folder) {
    std::error_code none;
    std::filesystem::remove_all(folder, none);
  }

  // The descriptor that holds the lock; -1 where a living process has it, or the folder has none.
  static int lock(const std::filesystem::path &folder, int flags) {
    std::string const name = (folder / "lock").string();
    int const file = open(name.c_str(), O_RDWR | O_CLOEXEC | flags, 0600);
    if (file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0 && access(name.c_str(), F_OK) == 0) {
      return file;
    }
    if (file >= 0) {
      (void)close(file);
    }
    return -1;
  }

  static void remove_left(const std::filesystem::path &among) {
    std::error_code none;
    for (const auto &entry : std::filesystem::directory_iterator(among, none)) {
      bool const ours = entry.path().filename().string().rfind(kPrefix, 0) == 0;
      int const held = ours ? lock(entry.path(), 0) : -1;
      if (held >= 0) {
        remove(entry.path());
        (void)close(held);
      }
    }
  }

  std::string path_;
};

// All of an open file, from its start. A short text takes one call of the system.
inline std::string read_descriptor(int file) {
  std::string all;
  char part[16384];
  ssize_t got = static_cast<ssize_t>(sizeof part);
  while (got == static_cast<ssize_t>(sizeof part)) {
    got = pread(file, part, sizeof part, static_cast<off_t>(all.size()));
    all.append(part, static_cast<size_t>(std::max<ssize_t>(got, 0)));
  }
  return all;
}

// Without the streams of the library, which take longer to make than files of a few lines to read. Nothing where there
// is no such file.
inline std::string read_file(const std::string &path) {
  int const file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::string all = read_descriptor(file);
  if (file >= 0) {
    (void)close(file);
  }
  return all;
}

// Does nothing where there is no such folder.
inline void write_file(const std::string &path, const std::string &text) {
  int const file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file >= 0 && (write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size()) || close(file) != 0)) {
    std::abort();
  }
}

// Whether standard error goes to memory, where that can be: of most inputs, while fuzzing.
inline bool captures_in_memory = false;

// Standard error goes to a file while it lives, or to memory. No demand may fail meanwhile: its message would be lost.
// One at a time: the file and the descriptors serve all inputs.
class StandardError {
public:
  StandardError() : in_memory_(captures_in_memory && rf_memory_error_begin != nullptr) {
    if (in_memory_) {
      rf_memory_error_begin();
      return;
    }
    if (file() < 0 || usual() < 0 || (!is_empty() && ftruncate(file(), 0) != 0) || dup2(file(), STDERR_FILENO) < 0) {
      std::abort();
    }
    is_empty() = false;
  }
  ~StandardError() {
    if (!in_memory_) {
      restore();
    } else if (!restored_) {
      (void)text();
    }
  }
  StandardError(const StandardError &) = delete;
  StandardError &operator=(const StandardError &) = delete;

  // Ends the capture; returns the text.
  std::string text() {
    if (in_memory_) {
      size_t size = 0;
      const char *const all = rf_memory_error_end(&size);
      restored_ = true;
      return {all, size};
    }
    restore();
    std::string all = read_descriptor(file());
    is_empty() = all.empty();
    return all;
  }

private:
  static int file() {
    static int const opened =
        open((Folder::path() + "/standard-error").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    return opened;
  }
  // Whether the last capture left nothing in the file.
  static bool &is_empty() {
    static bool empty = false;
    return empty;
  }
  static int usual() {
    static int const kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    return kept;
  }
  void restore() {
    if (!restored_) {
      (void)dup2(usual(), STDERR_FILENO);
      restored_ = true;
    }
  }

  bool const in_memory_;
  bool restored_ = false;
};

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_CAPTURED_H

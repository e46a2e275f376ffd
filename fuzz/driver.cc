// main() for fuzz harnesses without libFuzzer: runs the harness once on each input named on the command line, files or
// directories of them. Any compiler builds it; bazel test replays stored corpora with it.
//
// Exit status: 0 all inputs ran, 1 there were none or one cannot be read, 2 misuse; a finding of the harness aborts, after the name
// of the input.
#include <ringfence/fuzz/target.h>
#include <ringfence/track.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <unistd.h>
#include <vector>

// Sanitizers end the process without a signal; they call back before, where there is one.
extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

// Defined by a harness that is about the bounds that allocators tell of.
extern "C" const char rf_fuzz_keeps_bounds __attribute__((weak));

namespace {

namespace fs = std::filesystem;

// For the handlers: what is being run. A fixed buffer, because it is read while the process dies.
char current[4096];

void name_input() {
  static const char kText[] = "fuzz: failed on input ";
  (void)!write(STDERR_FILENO, kText, sizeof kText - 1);
  (void)!write(STDERR_FILENO, current, strlen(current));
  (void)!write(STDERR_FILENO, "\n", 1);
}

void on_signal(int signal) {
  name_input();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void watch_for_death() {
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(name_input);
    std::signal(SIGABRT, on_signal);
    return;
  }
  for (int const signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM}) {
    std::signal(signal, on_signal);
  }
}

bool collect(const std::string &argument, std::vector<std::string> &inputs) {
  std::error_code error;
  if (fs::is_directory(argument, error)) {
    for (fs::recursive_directory_iterator it(argument, error), end; !error && it != end; it.increment(error)) {
      if (it->is_regular_file(error)) {
        inputs.push_back(it->path().string());
      }
    }
  } else {
    inputs.push_back(argument);
  }
  return !error;
}

bool run_input(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> const bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.is_open() || file.bad()) {
    fprintf(stderr, "fuzz: cannot read %s\n", path.c_str());
    return false;
  }
  snprintf(current, sizeof current, "%s", path.c_str());
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
  return true;
}

} // namespace

int main(int argc, char **argv) {
  if (&rf_fuzz_keeps_bounds == nullptr) {
    rf_track_pause(); // harnesses look into arenas and damage them
  }
  std::vector<std::string> inputs;
  for (int i = 1; i < argc; i++) {
    if (argv[i][0] == '-') {
      fprintf(stderr,
              "fuzz: %s: this program only replays inputs, FILE or DIRECTORY; the fuzzer is built with --config=fuzz\n",
              argv[i]);
      return 2;
    }
    if (!collect(argv[i], inputs)) {
      fprintf(stderr, "fuzz: cannot read %s\n", argv[i]);
      return 1;
    }
  }
  if (inputs.empty()) {
    fprintf(stderr, "fuzz: no inputs: the corpus is empty\n");
    return 1;
  }
  std::sort(inputs.begin(), inputs.end());
  watch_for_death();
  if (!std::all_of(inputs.begin(), inputs.end(), run_input)) {
    return 1;
  }
  printf("fuzz: %zu inputs, no finding\n", inputs.size());
  return 0;
}
